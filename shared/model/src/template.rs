//! Rules for every name with a prefix: what a template is, and which names it
//! covers. Never decides which of several templates counts.

use core::fmt;
use core::str::FromStr;

use crate::identity::RoomId;
use crate::name::{BadName, RoomName};
use crate::rule::RoomRules;

/// How the names begin that a template covers; written `chat:*`. What stands
/// before the `*` is 1 to 128 bytes of a room name's grammar.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamePrefix(RoomName);

impl NamePrefix {
    /// What stands before the `*`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether a name begins like this.
    #[must_use]
    pub fn covers(&self, name: &RoomName) -> bool {
        name.as_str().starts_with(self.as_str())
    }
}

impl FromStr for NamePrefix {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = BadName {
            what: "prefix",
            rule: "1 to 128 of A-Z a-z 0-9 - _ . : ~ and then *, starting with a letter or digit, \
                   without two dots together",
        };
        let before = text.strip_suffix('*').ok_or_else(|| bad.clone())?;
        before.parse().map(Self).map_err(|_| bad)
    }
}

impl fmt::Display for NamePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}*", self.0)
    }
}

impl fmt::Debug for NamePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}*\"", self.0)
    }
}

/// Rules for every name with a prefix that has no room of its own and that no
/// longer prefix covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its identity; by it the steps of an entry are verified, as by a room's.
    pub id: RoomId,
    /// Which names it covers.
    pub prefix: NamePrefix,
    /// The rules of rooms with such a name.
    pub rules: Box<RoomRules>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> RoomName {
        text.parse().expect("a room's name")
    }

    #[test]
    fn a_prefix_covers_what_begins_like_it_and_nothing_else() {
        let prefix: NamePrefix = "chat:*".parse().expect("a prefix");
        assert_eq!((prefix.as_str(), &*prefix.to_string()), ("chat:", "chat:*"));
        assert!(prefix.covers(&name("chat:a")) && prefix.covers(&name("chat:")));
        assert!(!prefix.covers(&name("chat")) && !prefix.covers(&name("Chat:a")));
    }

    #[test]
    fn what_is_no_prefix_is_refused() {
        let long = format!("{}*", "a".repeat(129));
        for text in ["", "*", "chat:", "chat:**", "ch*at", ":*", "a..*", &long] {
            assert!(text.parse::<NamePrefix>().is_err(), "{text}");
        }
    }
}
