//! Compiling: a room's rules are checked once, when they are written or arrive,
//! and asked many times. Owns the compiled form; never a decision.

use core::fmt;
use std::borrow::Cow;

use porthouse_model::{Audience, ConnectionRules, RoomRules};

use crate::check;
use crate::format::Compiled;
use crate::hours::Hours;

/// A room's rules, checked and compiled.
#[derive(Clone, Debug)]
pub struct Rules {
    source: RoomRules,
    pub(crate) hours: Option<Hours>,
    pub(crate) format: Compiled,
}

impl PartialEq for Rules {
    /// The same rules compile to the same.
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Rules {}

/// Why rules were refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFault {
    /// The field, as a path below the room's rules: `connection.hours.zone`,
    /// `entry.steps[1]`.
    pub field: Cow<'static, str>,
    /// What it must be, for a person.
    pub needed: Cow<'static, str>,
}

impl RuleFault {
    pub(crate) fn new(
        field: impl Into<Cow<'static, str>>,
        needed: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            field: field.into(),
            needed: needed.into(),
        }
    }
}

impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.needed)
    }
}

impl std::error::Error for RuleFault {}

impl Rules {
    /// Checks and compiles a room's rules.
    ///
    /// # Errors
    ///
    /// [`RuleFault`] with the first field that is out of bounds, contradicts
    /// another, or could never be satisfied by anybody.
    pub fn compile(rules: RoomRules) -> Result<Self, RuleFault> {
        check::check(&rules)?;
        let hours = rules.connection.hours.as_ref().map(Hours::compile);
        Ok(Self {
            hours: hours.transpose()?,
            format: Compiled::compile(&rules.messages)?,
            source: rules,
        })
    }

    /// Rules that admit nobody: what stands in where a room's rules cannot be
    /// kept.
    #[must_use]
    pub fn shut() -> Self {
        let connection = ConnectionRules {
            audience: Audience::Nobody,
            ..ConnectionRules::default()
        };
        Self {
            source: RoomRules {
                connection,
                ..RoomRules::default()
            },
            hours: None,
            format: Compiled::Any,
        }
    }

    /// Rules as they stand when the room is open, whatever is said there: enough
    /// to say who may ever do what.
    pub(crate) fn opened(source: &RoomRules) -> Self {
        Self {
            source: source.clone(),
            hours: None,
            format: Compiled::Any,
        }
    }

    /// The rules as they were written.
    #[must_use]
    pub const fn source(&self) -> &RoomRules {
        &self.source
    }
}

#[cfg(test)]
mod tests {
    use porthouse_model::{Content, Format, MessageRules, OpeningHours, Role};

    use super::*;

    fn fault(rules: RoomRules) -> String {
        let fault = Rules::compile(rules).expect_err("cannot be kept");
        fault.field.into_owned()
    }

    fn messages(messages: MessageRules) -> RoomRules {
        RoomRules {
            messages,
            ..RoomRules::default()
        }
    }

    #[test]
    fn a_rule_that_cannot_be_kept_is_named() {
        let silent = messages(MessageRules {
            bytes_max: 0,
            ..MessageRules::default()
        });
        assert_eq!(fault(silent), "messages.bytes_max");
        let mut nowhere = RoomRules::default();
        nowhere.connection.hours = Some(OpeningHours {
            zone: "Nowhere".to_owned(),
            spans: Vec::new(),
        });
        assert_eq!(fault(nowhere), "connection.hours.zone");
        let mut both = RoomRules::default();
        both.broadcast.never.insert(Role::MEMBER);
        both.broadcast.always.insert(Role::MEMBER);
        assert_eq!(fault(both), "broadcast.never");
    }

    #[test]
    fn a_format_that_no_message_could_have_is_refused() {
        let room = |content, format| {
            messages(MessageRules {
                content,
                format,
                ..MessageRules::default()
            })
        };
        let expression = || Format::Expression("a".into());
        let refused = room(Content::Binary, expression());
        assert_eq!(fault(refused), "messages.format");
        assert_eq!(fault(room(Content::Text, Format::Cbor)), "messages.format");
        let kept = Rules::compile(room(Content::Text, expression()));
        assert!(kept.is_ok());
    }

    #[test]
    fn the_default_rules_compile() {
        assert!(Rules::compile(RoomRules::default()).is_ok());
    }

    #[test]
    fn rules_are_small_until_they_say_something() {
        assert!(size_of::<Rules>() <= size_of::<RoomRules>() + 64);
    }
}
