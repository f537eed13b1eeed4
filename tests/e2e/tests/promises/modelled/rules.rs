//! Rules that the simulator draws, as an administrator writes them.

use std::time::Duration;

use porthouse_api::control::v1 as control;
use porthouse_model::{
    Act, Acts, Audience, Capabilities, Content, HistoryRules, Keep, Order, RoomRules, Shown,
    SlowConsumer,
};

/// Every group of them, but for the steps of entry and what only members may.
pub(super) fn written(rules: &RoomRules) -> control::RoomRules {
    control::RoomRules {
        connection: Some(control::ConnectionRules {
            user_required: Some(rules.connection.audience == Audience::Users),
            ..Default::default()
        }),
        messages: Some(control::MessageRules {
            text: Some(rules.messages.content != Content::Binary),
            binary: Some(rules.messages.content != Content::Text),
            bytes_max: Some(rules.messages.bytes_max),
            ..Default::default()
        }),
        broadcast: Some(control::BroadcastRules {
            echo: Some(rules.broadcast.echo),
            receivers_named: Some(rules.broadcast.receivers_named),
            ..Default::default()
        }),
        staleness: Some(control::StalenessRules {
            admit_max: Some(span(rules.staleness.admit_max)),
            deliver_max: rules.staleness.deliver_max.map(span),
        }),
        capabilities: Some(capabilities(&rules.capabilities)),
        delivery: Some(delivery(rules)),
        history: Some(history(&rules.history)),
        presence: Some(control::PresenceRules {
            shown: match rules.presence.shown {
                Shown::Off => control::Shown::Off,
                Shown::Counts => control::Shown::Counts,
                Shown::Identities => control::Shown::Identities,
            }
            .into(),
            grace: Some(span(rules.presence.grace)),
            interval: Some(span(rules.presence.interval)),
        }),
        ..Default::default()
    }
}

/// Whether a room is for members alone.
pub(super) fn visibility(rules: &RoomRules) -> control::Visibility {
    match rules.connection.audience {
        Audience::Members => control::Visibility::Private,
        Audience::Anyone | Audience::Users => control::Visibility::Public,
        Audience::Nobody => unreachable!("no administrator writes it"),
    }
}

fn delivery(rules: &RoomRules) -> control::DeliveryRules {
    let order = match rules.delivery.order {
        Order::Live => control::Order::Live,
        Order::Ordered => control::Order::Ordered,
    };
    let slow = match rules.delivery.slow_consumer {
        SlowConsumer::Close => control::SlowConsumer::Close,
        SlowConsumer::DropOldest => control::SlowConsumer::DropOldest,
        SlowConsumer::DropNewest => control::SlowConsumer::DropNewest,
        SlowConsumer::Conflate => control::SlowConsumer::Conflate,
    };
    control::DeliveryRules {
        order: order.into(),
        slow_consumer: slow.into(),
    }
}

fn history(rules: &HistoryRules) -> control::HistoryRules {
    use control::history_rules::Keep as Written;
    let keep = match rules.keep {
        Keep::None => Written::None(control::KeepNone {}),
        Keep::Latest => Written::Latest(control::KeepLatest {}),
        Keep::Last {
            messages_max,
            age_max,
        } => Written::Last(control::KeepLast {
            messages_max,
            age_max: Some(span(age_max)),
        }),
    };
    control::HistoryRules {
        keep: Some(keep),
        durable: Some(rules.durable),
        directed: Some(rules.directed),
        waiting: rules.waiting.map(|waiting| control::Waiting {
            messages_max: waiting.messages_max,
            age_max: Some(span(waiting.age_max)),
        }),
    }
}

fn capabilities(rules: &Capabilities) -> control::CapabilityRules {
    control::CapabilityRules {
        preset: control::Preset::Custom.into(),
        anonymous: Some(acts(rules.anonymous)),
        user: Some(acts(rules.user)),
        member: Some(acts(rules.member)),
        owner: Some(acts(rules.owner)),
        device: Some(acts(rules.device)),
        roles: rules
            .roles
            .iter()
            .map(|(role, may)| control::RoleActs {
                role: role.to_string(),
                acts: Some(acts(*may)),
            })
            .collect(),
    }
}

fn acts(acts: Acts) -> control::Acts {
    let some = Act::ALL.into_iter().filter(|act| acts.has(*act));
    let written = |act| match act {
        Act::See => control::Act::See,
        Act::Join => control::Act::Join,
        Act::Send => control::Act::Send,
        Act::ReadHistory => control::Act::ReadHistory,
        Act::SeePresence => control::Act::SeePresence,
        Act::Invite => control::Act::Invite,
        Act::Kick => control::Act::Kick,
        Act::ChangeRules => control::Act::ChangeRules,
    };
    control::Acts {
        acts: some.map(|act| written(act).into()).collect(),
    }
}

fn span(span: Duration) -> prost_types::Duration {
    span.try_into().expect("a short span")
}
