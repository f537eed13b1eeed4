//! A member's role in a room: a short name that rules speak of. Gives no right
//! by itself.

use core::fmt;
use core::str::FromStr;

use crate::name::BadName;

/// The longest role, in bytes.
const BYTES_MAX: usize = 16;

/// A member's role: 1 to 16 of `a-z 0-9 - _`, beginning with a letter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Role([u8; BYTES_MAX]);

impl Role {
    /// A member to whom no role was given.
    pub const MEMBER: Self = Self(*b"member\0\0\0\0\0\0\0\0\0\0");
    /// A member who keeps order.
    pub const MODERATOR: Self = Self(*b"moderator\0\0\0\0\0\0\0");

    /// The role's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0);
        core::str::from_utf8(&self.0[..end.unwrap_or(BYTES_MAX)]).expect("a role is ASCII")
    }
}

impl FromStr for Role {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        let valid = (1..=BYTES_MAX).contains(&text.len())
            && text.as_bytes()[0].is_ascii_lowercase()
            && text.bytes().all(allowed);
        if !valid {
            return Err(BadName {
                what: "role",
                rule: "1 to 16 of a-z 0-9 - _, starting with a letter",
            });
        }
        let mut bytes = [0; BYTES_MAX];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self(bytes))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_read_back_as_written() {
        for text in ["a", "speaker", "sixteen-bytes-ok"] {
            assert_eq!(
                text.parse::<Role>().map(|role| role.to_string()),
                Ok(text.to_owned())
            );
        }
        assert_eq!("moderator".parse(), Ok(Role::MODERATOR));
        assert_eq!("member".parse(), Ok(Role::MEMBER));
    }

    #[test]
    fn what_is_no_role_is_refused() {
        for text in ["", "Speaker", "1st", "seventeen-bytes-x", "a b", "a\0"] {
            assert!(text.parse::<Role>().is_err(), "{text}");
        }
    }
}
