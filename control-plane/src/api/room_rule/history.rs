//! What is kept of what was said, between control.v1 and the model. Keeps
//! nothing.

use std::time::Duration;

use porthouse_api::control::v1 as wire;
use porthouse_model::{HistoryRules, Keep as Kept, Waiting};
use wire::history_rules::Keep;

use crate::api::error::ApiError;
use crate::api::time;

/// The greatest age of a message that is kept.
const AGE_MAX: Duration = Duration::from_hours(366 * 24);
/// The least that can be said.
const AGE_MIN: Duration = Duration::from_secs(1);

/// The group as it was sent.
pub(super) fn from_wire(rules: wire::HistoryRules) -> Result<HistoryRules, ApiError> {
    let default = HistoryRules::default();
    Ok(HistoryRules {
        keep: match rules.keep {
            None | Some(Keep::None(wire::KeepNone {})) => Kept::None,
            Some(Keep::Latest(wire::KeepLatest {})) => Kept::Latest,
            Some(Keep::Last(last)) => Kept::Last {
                messages_max: last.messages_max,
                age_max: age("history.last.age_max", last.age_max)?,
            },
        },
        durable: rules.durable.unwrap_or(default.durable),
        directed: rules.directed.unwrap_or(default.directed),
        waiting: rules
            .waiting
            .map(|waiting| {
                Ok::<_, ApiError>(Waiting {
                    messages_max: waiting.messages_max,
                    age_max: age("history.waiting.age_max", waiting.age_max)?,
                })
            })
            .transpose()?,
    })
}

fn age(field: &str, age: Option<prost_types::Duration>) -> Result<Duration, ApiError> {
    time::span(field, age.unwrap_or_default(), AGE_MIN, AGE_MAX)
}

/// The group as it is sent.
pub(super) fn to_wire(rules: &HistoryRules) -> wire::HistoryRules {
    let keep = match rules.keep {
        Kept::None => Keep::None(wire::KeepNone {}),
        Kept::Latest => Keep::Latest(wire::KeepLatest {}),
        Kept::Last {
            messages_max,
            age_max,
        } => Keep::Last(wire::KeepLast {
            messages_max,
            age_max: Some(time::span_to_wire(age_max)),
        }),
    };
    wire::HistoryRules {
        keep: Some(keep),
        durable: Some(rules.durable),
        directed: Some(rules.directed),
        waiting: rules.waiting.map(|waiting| wire::Waiting {
            messages_max: waiting.messages_max,
            age_max: Some(time::span_to_wire(waiting.age_max)),
        }),
    }
}
