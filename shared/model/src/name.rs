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
    /// `- _ . : ~`, the first a letter or digit, and never two dots together. Or
    /// `@` and a user's name, in which case does not count: that user's freeport,
    /// a room that is there because the user is, and cannot be made.
    RoomName,
    "room",
    "1 to 128 of A-Z a-z 0-9 - _ . : ~, starting with a letter or digit, without two dots \
     together; or @ and a user's name",
    |text| match text.strip_prefix('@') {
        Some(user) => is_username(user),
        None => {
            bounded(text, 128)
                && text.as_bytes()[0].is_ascii_alphanumeric()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:~".contains(&byte))
                && !text.contains("..")
        }
    },
    |text| if text.starts_with('@') { text.to_ascii_lowercase().into() } else { text.into() }
}

impl RoomName {
    /// A user's freeport.
    #[must_use]
    pub fn freeport(user: &Username) -> Self {
        Self(format!("@{user}").into())
    }

    /// Whose freeport it is, if it is one.
    #[must_use]
    pub fn freeport_of(&self) -> Option<Username> {
        let user = self.0.strip_prefix('@')?;
        Some(Username(user.into()))
    }
}

name! {
    /// A user's name: what `UsernameCaseMapped` (RFC 8265, section 3.3) makes of a
    /// text, where that is ASCII. Neither case nor width counts: it is kept in
    /// lower case and narrow. 1 to 64 letters, digits and `- _ .`, the first and
    /// last a letter or digit. The rest of the profile is left out, for such a name
    /// stands in paths, addresses and subjects, and nothing in it looks like
    /// something else.
    Username,
    "user",
    "1 to 64 of A-Z a-z 0-9 - _ ., starting and ending with a letter or digit; case does not count",
    |text| text.len() <= 64 * WIDE_BYTES && is_username(&narrow(text)),
    |text| narrow(text).to_ascii_lowercase().into()
}

name! {
    /// Where an endpoint is reached: `@` and a name like a user's, which is a path
    /// of every node, or a host's name in DNS: labels of `a-z 0-9 -`, at least
    /// two, an internationalised one as its A-labels. Case does not count: it is
    /// kept in lower case.
    Address,
    "endpoint",
    "@ and 1 to 64 of A-Z a-z 0-9 - _ ., starting and ending with a letter or digit; or a host's \
     name with a dot, at most 253 bytes",
    |text| match text.strip_prefix('@') {
        Some(path) => is_username(path),
        None => is_host(text),
    },
    |text| text.to_ascii_lowercase().into()
}

impl Address {
    /// The freeport that is at this address unless an endpoint is: that of the
    /// user of this name. A host is nobody's.
    #[must_use]
    pub fn freeport(&self) -> Option<RoomName> {
        self.0.starts_with('@').then(|| RoomName(self.0.clone()))
    }
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

/// Bytes of a wide character.
const WIDE_BYTES: usize = 3;

/// The profile's width mapping (RFC 8265, section 3.3.2, step 1), as far as it
/// leads to ASCII. Of what is ASCII then the profile's other steps only change
/// case.
fn narrow(text: &str) -> String {
    let narrow = |sign: char| match u32::from(sign) {
        wide @ 0xff01..=0xff5e => char::from_u32(wide - 0xff01 + 0x21).unwrap_or(sign),
        _ => sign,
    };
    text.chars().map(narrow).collect()
}

fn is_username(text: &str) -> bool {
    let bytes = text.as_bytes();
    bounded(text, 64)
        && bytes[0].is_ascii_alphanumeric()
        && bytes[bytes.len() - 1].is_ascii_alphanumeric()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

/// Host names as RFC 1123, section 2.1, has them, without a root dot. One that
/// ends in digits is an address of IPv4.
fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        bounded(label, 63)
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    bounded(text, 253)
        && text.contains('.')
        && text.split('.').all(is_label)
        && !text.rsplit('.').next().is_some_and(is_number)
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
            "@",
            "@a:b",
            "a@b",
            "@@a",
            "@-a",
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

    /// All of Unicode, since what is one name decides who somebody is.
    #[test]
    fn nothing_but_case_and_width_makes_two_texts_one_username() {
        for sign in '\0'..=char::MAX {
            let Ok(name) = sign.to_string().parse::<Username>() else {
                continue;
            };
            let wide = u32::from(sign).checked_sub(0xff01 - 0x21);
            let narrow = wide
                .and_then(|sign| u8::try_from(sign).ok())
                .map(char::from);
            let ascii = if sign.is_ascii() {
                sign
            } else {
                narrow.expect("wide")
            };
            assert_eq!(
                name.as_str(),
                ascii.to_ascii_lowercase().to_string(),
                "{sign:?}"
            );
        }
        let wide: Username = "\u{ff33}ana\u{ff0e}\u{ff11}".parse().expect("a name");
        assert_eq!(wide.as_str(), "sana.1");
        // Compatible with a letter, but no letter of an identifier; two dots in all
        // but name; a letter that looks like one.
        for text in ["\u{212a}", "a\u{2025}b", "\u{430}lice", "a\u{301}"] {
            assert!(text.parse::<Username>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_freeport_is_named_for_its_user() {
        let ada: Username = "Ada".parse().expect("a username");
        let freeport = RoomName::freeport(&ada);
        assert_eq!(freeport, "@ADA".parse().expect("a freeport"));
        assert_eq!(freeport.freeport_of(), Some(ada));
        let lobby: RoomName = "lobby".parse().expect("a name");
        assert_eq!(lobby.freeport_of(), None);
        let address: Address = "@Ada".parse().expect("an address");
        assert_eq!(address.freeport(), Some(freeport));
    }

    #[test]
    fn an_address_is_a_path_or_a_host() {
        for text in [
            "@a",
            "@ada.l",
            "alice.example.com",
            "A.B",
            "xn--bcher-kva.example",
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.as_str(), text.to_ascii_lowercase());
        }
        let long = format!("{}.a", "a.".repeat(126));
        for text in [
            "",
            "@",
            "ada",
            "@a/b",
            "localhost",
            "a.",
            ".a",
            "a..b",
            "-a.b",
            "a-.b",
            "a.b:80",
            "127.0.0.1",
            "[::1]",
            "b\u{fc}cher.example",
            "a_b.c",
            "*.example.com",
            &long,
        ] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
        assert_eq!("a.b".parse::<Address>().expect("a host").freeport(), None);
    }

    #[test]
    fn a_refused_name_says_the_rule() {
        let refused = "a b".parse::<NodeName>().expect_err("a space is refused");
        assert!(refused.to_string().starts_with("not a node name: 1 to 63"));
    }
}
