//! How messages are delivered and who is seen, between the wire and the model.
//! Delivers nothing.

use porthouse_model as model;

use super::super::time::{duration, span};
use super::super::{BadMessage, InField, v1};

impl From<&model::DeliveryRules> for v1::DeliveryRules {
    fn from(rules: &model::DeliveryRules) -> Self {
        let order = match rules.order {
            model::Order::Live => v1::Order::Live,
            model::Order::Ordered => v1::Order::Ordered,
        };
        let slow_consumer = match rules.slow_consumer {
            model::SlowConsumer::Close => v1::SlowConsumer::Close,
            model::SlowConsumer::DropOldest => v1::SlowConsumer::DropOldest,
            model::SlowConsumer::DropNewest => v1::SlowConsumer::DropNewest,
            model::SlowConsumer::Conflate => v1::SlowConsumer::Conflate,
        };
        Self {
            order: order.into(),
            slow_consumer: slow_consumer.into(),
        }
    }
}

impl TryFrom<v1::DeliveryRules> for model::DeliveryRules {
    type Error = BadMessage;

    fn try_from(rules: v1::DeliveryRules) -> Result<Self, BadMessage> {
        let order = match rules.order() {
            v1::Order::Unspecified => None,
            v1::Order::Live => Some(model::Order::Live),
            v1::Order::Ordered => Some(model::Order::Ordered),
        };
        let slow_consumer = match rules.slow_consumer() {
            v1::SlowConsumer::Unspecified => None,
            v1::SlowConsumer::Close => Some(model::SlowConsumer::Close),
            v1::SlowConsumer::DropOldest => Some(model::SlowConsumer::DropOldest),
            v1::SlowConsumer::DropNewest => Some(model::SlowConsumer::DropNewest),
            v1::SlowConsumer::Conflate => Some(model::SlowConsumer::Conflate),
        };
        Ok(Self {
            order: order.in_field("rules.delivery.order")?,
            slow_consumer: slow_consumer.in_field("rules.delivery.slow_consumer")?,
        })
    }
}

impl From<&model::PresenceRules> for v1::PresenceRules {
    fn from(rules: &model::PresenceRules) -> Self {
        let shown = match rules.shown {
            model::Shown::Off => v1::Shown::Off,
            model::Shown::Counts => v1::Shown::Counts,
            model::Shown::Identities => v1::Shown::Identities,
        };
        Self {
            shown: shown.into(),
            grace: Some(span(rules.grace)),
            interval: Some(span(rules.interval)),
        }
    }
}

impl TryFrom<v1::PresenceRules> for model::PresenceRules {
    type Error = BadMessage;

    fn try_from(rules: v1::PresenceRules) -> Result<Self, BadMessage> {
        let shown = match rules.shown() {
            v1::Shown::Unspecified => None,
            v1::Shown::Off => Some(model::Shown::Off),
            v1::Shown::Counts => Some(model::Shown::Counts),
            v1::Shown::Identities => Some(model::Shown::Identities),
        };
        let (grace, interval) = (
            rules.grace.and_then(duration),
            rules.interval.and_then(duration),
        );
        Ok(Self {
            shown: shown.in_field("rules.presence.shown")?,
            grace: grace.in_field("rules.presence.grace")?,
            interval: interval.in_field("rules.presence.interval")?,
        })
    }
}
