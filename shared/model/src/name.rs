//! Names people give to things, and the grammar that keeps them out of trouble:
//! a name that parsed is safe in a path, a subject, a log line and a header.

use core::borrow::Borrow;
use core::fmt;
use core::str::FromStr;
use std::sync::Arc;

/// Why a name was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadName {
    /// What was being named: `room`, `user`, `node`.
    pub what: &'static str,
    /// What such a name must be.
    pub rule: &'static str,
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a {} name: {}", self.what, self.rule)
    }
}

impl std::error::Error for BadName {}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $valid:expr, $fold:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name's text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        /// Looked up by what was written, without parsing it.
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                let valid: fn(&str) -> bool = $valid;
                let fold: fn(&str) -> Arc<str> = $fold;
                if valid(text) {
                    Ok(Self(fold(text)))
                } else {
                    Err(BadName { what: $what, rule: $rule })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

name! {
    /// A room's name. Case counts. 1 to 128 bytes of ASCII letters, digits and
    /// `- _ . : ~`, the first a letter or digit, and never two dots together.
    RoomName,
    "room",
    "1 to 128 of A-Z a-z 0-9 - _ . : ~, starting with a letter or digit, without two dots together",
    |text| {
        bounded(text, 128)
            && text.as_bytes()[0].is_ascii_alphanumeric()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:~".contains(&byte))
            && !text.contains("..")
    },
    |text| text.into()
}

name! {
    /// A user's name. Case does not count: it is kept in lower case. 1 to 64
    /// bytes of ASCII letters, digits and `- _ .`, the first and last a letter
    /// or digit.
    Username,
    "user",
    "1 to 64 of A-Z a-z 0-9 - _ ., starting and ending with a letter or digit; case does not count",
    |text| {
        let bytes = text.as_bytes();
        bounded(text, 64)
            && bytes[0].is_ascii_alphanumeric()
            && bytes[bytes.len() - 1].is_ascii_alphanumeric()
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
    },
    |text| text.to_ascii_lowercase().into()
}

name! {
    /// A node's configured name: 1 to 63 bytes of `a-z`, `0-9` and `-`, the
    /// first a letter or digit.
    NodeName,
    "node",
    "1 to 63 of a-z 0-9 -, starting with a letter or digit",
    |text| {
        bounded(text, 63)
            && text.as_bytes()[0] != b'-'
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    },
    |text| text.into()
}

fn bounded(text: &str, bytes_max: usize) -> bool {
    !text.is_empty() && text.len() <= bytes_max
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_taken_as_they_are() {
        for text in ["lobby", "chat:42", "a", "Room_1.2~x", &"r".repeat(128)] {
            assert_eq!(text.parse::<RoomName>().expect(text).as_str(), text);
        }
    }

    #[test]
    fn names_that_could_mean_something_elsewhere_are_refused() {
        for text in [
            "",
            "-",
            ".",
            "..",
            "a..b",
            "a/b",
            "a*",
            "a>",
            "@a",
            "%2f",
            "a b",
            "a\0",
            "a\n",
            "caf\u{e9}",
            "a\u{202e}b",
            "\u{430}",
            &"r".repeat(129),
        ] {
            assert!(text.parse::<RoomName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_username_has_one_spelling() {
        let ada: Username = "Ada.L".parse().expect("a username");
        assert_eq!(ada, "aDA.l".parse().expect("a username"));
        assert_eq!(ada.as_str(), "ada.l");
        assert!("ada.".parse::<Username>().is_err());
    }

    #[test]
    fn a_refused_name_says_the_rule() {
        let refused = "a b".parse::<NodeName>().expect_err("a space is refused");
        assert!(refused.to_string().starts_with("not a node name: 1 to 63"));
    }
}
