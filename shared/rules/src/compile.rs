//! Compiling: a room's rules are checked once, when they are written or arrive,
//! and asked many times. Owns the compiled form; never a decision.

use core::fmt;
use core::time::Duration;

use porthouse_model::{Audience, ConnectionRules, MESSAGE_BYTES_LIMIT, RoomRules};

/// The shortest staleness bound that can be kept: word is sent each second, and
/// three may be missed.
const STALENESS_MIN: Duration = Duration::from_secs(5);

/// A room's rules, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules(RoomRules);

/// Why rules were refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFault {
    /// The field, as a path below the room's rules.
    pub field: &'static str,
    /// What it must be.
    pub needed: &'static str,
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
    /// [`RuleFault`] with the first field that cannot be kept.
    pub fn compile(rules: RoomRules) -> Result<Self, RuleFault> {
        if !(1..=MESSAGE_BYTES_LIMIT).contains(&rules.messages.bytes_max) {
            return Err(RuleFault {
                field: "messages.bytes_max",
                needed: "1 to 16,777,216 bytes",
            });
        }
        if rules.staleness.admit_max < STALENESS_MIN {
            return Err(RuleFault {
                field: "staleness.admit_max",
                needed: "5 s or more",
            });
        }
        if rules
            .staleness
            .deliver_max
            .is_some_and(|span| span < STALENESS_MIN)
        {
            return Err(RuleFault {
                field: "staleness.deliver_max",
                needed: "5 s or more, or unset for no limit",
            });
        }
        Ok(Self(rules))
    }

    /// Rules that admit nobody: what stands in where a room's rules cannot be
    /// kept.
    #[must_use]
    pub fn shut() -> Self {
        Self(RoomRules {
            connection: ConnectionRules {
                audience: Audience::Nobody,
                ..ConnectionRules::default()
            },
            ..RoomRules::default()
        })
    }

    /// The rules as they were written.
    #[must_use]
    pub const fn source(&self) -> &RoomRules {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use porthouse_model::{MessageRules, Staleness};

    use super::*;

    #[test]
    fn a_rule_that_cannot_be_kept_is_named() {
        let fault = |rules| Rules::compile(rules).expect_err("cannot be kept").field;
        let silent = RoomRules {
            messages: MessageRules {
                bytes_max: 0,
                ..MessageRules::default()
            },
            ..RoomRules::default()
        };
        assert_eq!(fault(silent), "messages.bytes_max");

        let staleness = |admit_max, deliver_max| RoomRules {
            staleness: Staleness {
                admit_max,
                deliver_max,
            },
            ..RoomRules::default()
        };
        let shut = staleness(Duration::ZERO, None);
        assert_eq!(fault(shut), "staleness.admit_max");
        let brief = staleness(STALENESS_MIN, Some(Duration::from_secs(1)));
        assert_eq!(fault(brief), "staleness.deliver_max");
    }

    #[test]
    fn the_default_rules_compile() {
        assert!(Rules::compile(RoomRules::default()).is_ok());
    }
}
