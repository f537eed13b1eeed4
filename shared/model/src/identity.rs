//! Identities: 16 bytes each, a type for each kind, written as UUIDs (RFC 9562).
//! Never draws one: whoever makes a thing brings its identity.

use core::fmt;
use core::str::FromStr;

/// Not the 16 bytes, or the hyphenated UUID text, of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadIdentity;

impl fmt::Display for BadIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an identity is a UUID: 32 hexadecimal digits as 8-4-4-4-12")
    }
}

impl std::error::Error for BadIdentity {}

macro_rules! identity {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The identity that is these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Its bytes, as in messages between processes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = BadIdentity;

            fn try_from(bytes: &[u8]) -> Result<Self, BadIdentity> {
                bytes.try_into().map(Self).map_err(|_| BadIdentity)
            }
        }

        impl FromStr for $name {
            type Err = BadIdentity;

            fn from_str(text: &str) -> Result<Self, BadIdentity> {
                parse(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "("))?;
                write(&self.0, f)?;
                f.write_str(")")
            }
        }
    };
}

identity! {
    /// A user of the control plane.
    UserId
}
identity! {
    /// A signed-in session of a user, or a device token of theirs.
    SessionId
}
identity! {
    /// A persistent room. One made again under the same name has another.
    RoomId
}
identity! {
    /// A credential of a backend or a node.
    ApiKeyId
}
identity! {
    /// An endpoint. The one that a freeport is has its user's bytes.
    EndpointId
}
identity! {
    /// Whoever is behind one or more sockets: a user, whose client id is the
    /// user's id, a device, whose client id is its token's, or an anonymous socket
    /// with an id of its own.
    ClientId
}

impl From<UserId> for ClientId {
    fn from(user: UserId) -> Self {
        Self(user.0)
    }
}

/// The client that a device is.
impl From<SessionId> for ClientId {
    fn from(session: SessionId) -> Self {
        Self(session.0)
    }
}

/// A user's freeport.
impl From<UserId> for RoomId {
    fn from(user: UserId) -> Self {
        Self(user.0)
    }
}

/// The endpoint that a user's freeport is.
impl From<UserId> for EndpointId {
    fn from(user: UserId) -> Self {
        Self(user.0)
    }
}

/// Where the hyphens of a UUID stand in its text.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

fn parse(text: &str) -> Result<[u8; 16], BadIdentity> {
    let text = text.as_bytes();
    if text.len() != 36 || HYPHENS.iter().any(|&at| text[at] != b'-') {
        return Err(BadIdentity);
    }
    let mut digits = text
        .iter()
        .filter(|byte| **byte != b'-')
        .map(|byte| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            b'A'..=b'F' => Ok(byte - b'A' + 10),
            _ => Err(BadIdentity),
        });
    let mut bytes = [0; 16];
    for byte in &mut bytes {
        let high = digits.next().ok_or(BadIdentity)??;
        let low = digits.next().ok_or(BadIdentity)??;
        *byte = high << 4 | low;
    }
    Ok(bytes)
}

fn write(bytes: &[u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; 36];
    let mut places = (0..text.len()).filter(|place| !HYPHENS.contains(place));
    for byte in bytes {
        for digit in [byte >> 4, byte & 0xf] {
            let place = places.next().expect("32 digits have 32 places");
            text[place] = DIGITS[usize::from(digit)];
        }
    }
    f.write_str(core::str::from_utf8(&text).expect("digits and hyphens are ASCII"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let user = UserId::from_bytes(*b"0123456789abcdef");
        assert_eq!(user.to_string().parse(), Ok(user));
        assert_eq!(user.to_string(), "30313233-3435-3637-3839-616263646566");
    }

    #[test]
    fn what_is_no_identity_is_refused() {
        for text in [
            "",
            "30313233",
            "30313233-3435-3637-3839-61626364656g",
            "303132333-435-3637-3839-616263646566",
            "30313233-3435-3637-3839-6162636465é",
        ] {
            assert_eq!(text.parse::<ClientId>(), Err(BadIdentity), "{text}");
        }
        assert_eq!(RoomId::try_from(&b"short"[..]), Err(BadIdentity));
    }
}
