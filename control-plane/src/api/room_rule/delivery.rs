//! Delivery, presence and staleness between control.v1 and the model. Delivers
//! nothing and counts nobody.

use std::time::Duration;

use porthouse_api::control::v1 as wire;
use porthouse_model::{DeliveryRules, Order, PresenceRules, Shown, SlowConsumer, Staleness};

use crate::api::error::ApiError;
use crate::api::time;

/// The longest that somebody who has gone is still there.
const GRACE_MAX: Duration = Duration::from_hours(24);
/// The longest between two tellings of who came and went.
const INTERVAL_MAX: Duration = Duration::from_hours(1);
/// The longest a room may admit without word.
const ADMIT_MAX: Duration = Duration::from_hours(24);
/// The longest limit on how long a room may deliver without word.
const DELIVER_MAX: Duration = Duration::from_hours(30 * 24);
/// The shortest of both.
const STALENESS_MIN: Duration = Duration::from_secs(5);

/// Delivery as it was sent.
pub(super) fn from_wire(rules: wire::DeliveryRules) -> Result<DeliveryRules, ApiError> {
    let order = match wire::Order::try_from(rules.order) {
        Ok(wire::Order::Unspecified | wire::Order::Live) => Order::Live,
        Ok(wire::Order::Ordered) => Order::Ordered,
        Err(_) => return Err(ApiError::field("delivery.order", "an order that is known")),
    };
    let slow_consumer = match wire::SlowConsumer::try_from(rules.slow_consumer) {
        Ok(wire::SlowConsumer::Unspecified | wire::SlowConsumer::Close) => SlowConsumer::Close,
        Ok(wire::SlowConsumer::DropOldest) => SlowConsumer::DropOldest,
        Ok(wire::SlowConsumer::DropNewest) => SlowConsumer::DropNewest,
        Ok(wire::SlowConsumer::Conflate) => SlowConsumer::Conflate,
        Err(_) => {
            let rule = "a treatment that is known";
            return Err(ApiError::field("delivery.slow_consumer", rule));
        }
    };
    Ok(DeliveryRules {
        order,
        slow_consumer,
    })
}

/// Delivery as it is sent.
pub(super) fn to_wire(rules: DeliveryRules) -> wire::DeliveryRules {
    let order = match rules.order {
        Order::Live => wire::Order::Live,
        Order::Ordered => wire::Order::Ordered,
    };
    let slow_consumer = match rules.slow_consumer {
        SlowConsumer::Close => wire::SlowConsumer::Close,
        SlowConsumer::DropOldest => wire::SlowConsumer::DropOldest,
        SlowConsumer::DropNewest => wire::SlowConsumer::DropNewest,
        SlowConsumer::Conflate => wire::SlowConsumer::Conflate,
    };
    wire::DeliveryRules {
        order: order.into(),
        slow_consumer: slow_consumer.into(),
    }
}

/// Presence as it was sent.
pub(super) fn presence_from_wire(rules: wire::PresenceRules) -> Result<PresenceRules, ApiError> {
    let default = PresenceRules::default();
    let shown = match wire::Shown::try_from(rules.shown) {
        Ok(wire::Shown::Unspecified | wire::Shown::Off) => Shown::Off,
        Ok(wire::Shown::Counts) => Shown::Counts,
        Ok(wire::Shown::Identities) => Shown::Identities,
        Err(_) => return Err(ApiError::field("presence.shown", "what is known to show")),
    };
    let limit = |field, given: Option<_>, default, max| {
        given.map_or(Ok(default), |given| {
            time::span(field, given, Duration::ZERO, max)
        })
    };
    let grace = limit("presence.grace", rules.grace, default.grace, GRACE_MAX)?;
    let interval = limit(
        "presence.interval",
        rules.interval,
        default.interval,
        INTERVAL_MAX,
    )?;
    Ok(PresenceRules {
        shown,
        grace,
        interval,
    })
}

/// Presence as it is sent.
pub(super) fn presence_to_wire(rules: &PresenceRules) -> wire::PresenceRules {
    let shown = match rules.shown {
        Shown::Off => wire::Shown::Off,
        Shown::Counts => wire::Shown::Counts,
        Shown::Identities => wire::Shown::Identities,
    };
    wire::PresenceRules {
        shown: shown.into(),
        grace: Some(time::span_to_wire(rules.grace)),
        interval: Some(time::span_to_wire(rules.interval)),
    }
}

/// Staleness as it was sent.
pub(super) fn staleness_from_wire(rules: wire::StalenessRules) -> Result<Staleness, ApiError> {
    let limit = |field, given, max| time::span(field, given, STALENESS_MIN, max);
    Ok(Staleness {
        admit_max: rules
            .admit_max
            .map_or(Ok(Staleness::default().admit_max), |given| {
                limit("staleness.admit_max", given, ADMIT_MAX)
            })?,
        deliver_max: rules
            .deliver_max
            .map(|given| limit("staleness.deliver_max", given, DELIVER_MAX))
            .transpose()?,
    })
}

/// Staleness as it is sent.
pub(super) fn staleness_to_wire(rules: &Staleness) -> wire::StalenessRules {
    wire::StalenessRules {
        admit_max: Some(time::span_to_wire(rules.admit_max)),
        deliver_max: rules.deliver_max.map(time::span_to_wire),
    }
}
