//! What is kept of what was said, between the wire and the model. Keeps nothing.

use porthouse_model as model;
use porthouse_model::Keep as Kept;

use super::super::time::{duration, span};
use super::super::{BadMessage, InField, v1};
use v1::history_rules::Keep;

impl From<&model::HistoryRules> for v1::HistoryRules {
    fn from(rules: &model::HistoryRules) -> Self {
        Self {
            keep: match rules.keep {
                Kept::None => None,
                Kept::Latest => Some(Keep::Latest(v1::KeepLatest {})),
                Kept::Last {
                    messages_max,
                    age_max,
                } => Some(Keep::Last(v1::Bounds {
                    messages_max,
                    age_max: Some(span(age_max)),
                })),
            },
            durable: rules.durable,
            directed: rules.directed,
            waiting: rules.waiting.map(|waiting| v1::Bounds {
                messages_max: waiting.messages_max,
                age_max: Some(span(waiting.age_max)),
            }),
        }
    }
}

impl TryFrom<v1::HistoryRules> for model::HistoryRules {
    type Error = BadMessage;

    fn try_from(rules: v1::HistoryRules) -> Result<Self, BadMessage> {
        let age = |bounds: v1::Bounds, field| bounds.age_max.and_then(duration).in_field(field);
        Ok(Self {
            keep: match rules.keep {
                None => Kept::None,
                Some(Keep::Latest(v1::KeepLatest {})) => Kept::Latest,
                Some(Keep::Last(bounds)) => Kept::Last {
                    messages_max: bounds.messages_max,
                    age_max: age(bounds, "rules.history.last.age_max")?,
                },
            },
            durable: rules.durable,
            directed: rules.directed,
            waiting: rules
                .waiting
                .map(|bounds| {
                    Ok(model::Waiting {
                        messages_max: bounds.messages_max,
                        age_max: age(bounds, "rules.history.waiting.age_max")?,
                    })
                })
                .transpose()?,
        })
    }
}
