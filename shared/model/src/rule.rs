//! A room's rules as data: what an owner may ask of those who enter and speak.
//! Never judges anything; porthouse-rules does.

use core::time::Duration;

/// The longest message a room takes unless its rules say otherwise, in bytes.
pub const MESSAGE_BYTES_DEFAULT: u32 = 64 * 1024;

/// The longest message any room's rules may allow, in bytes.
pub const MESSAGE_BYTES_LIMIT: u32 = 16 * 1024 * 1024;

/// A message's kind, which is its frame's opcode (RFC 6455, section 5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// Valid UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// Which version of a room's password somebody must have given. Grows with each
/// change, so that whoever gave an older one is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PasswordVersion(pub u64);

/// Who may enter at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Anyone, signed in or not.
    Anyone,
    /// Signed-in users.
    Users,
    /// The room's members and its owner.
    Members,
    /// Nobody.
    Nobody,
}

/// Which kinds of messages a room takes. A room that takes none cannot be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// Text and binary.
    Any,
    /// Text only.
    Text,
    /// Binary only.
    Binary,
}

/// How long without word from the control plane a room goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Staleness {
    /// How long it may still admit.
    pub admit_max: Duration,
    /// How long it may still deliver; `None`: without limit.
    pub deliver_max: Option<Duration>,
}

impl Default for Staleness {
    /// Admit for 15 minutes, deliver without limit.
    fn default() -> Self {
        Self {
            admit_max: Duration::from_mins(15),
            deliver_max: None,
        }
    }
}

/// A room's rules.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RoomRules {
    /// Who may enter.
    pub audience: Audience,
    /// The password to be given at the door, by version.
    pub password: Option<PasswordVersion>,
    /// Which kinds of messages are taken.
    pub content: Content,
    /// The longest message, in bytes; 1 to [`MESSAGE_BYTES_LIMIT`].
    pub message_bytes_max: u32,
    /// Whether a sender receives its own messages.
    pub echo: bool,
    /// Whether a sender may name receivers and exceptions.
    pub receivers_named: bool,
    /// How long the room goes on without word from the control plane.
    pub staleness: Staleness,
}

impl Default for RoomRules {
    /// Anyone may enter and say anything up to [`MESSAGE_BYTES_DEFAULT`], to all
    /// or to named receivers, and does not hear themselves.
    fn default() -> Self {
        Self {
            audience: Audience::Anyone,
            password: None,
            content: Content::Any,
            message_bytes_max: MESSAGE_BYTES_DEFAULT,
            echo: false,
            receivers_named: true,
            staleness: Staleness::default(),
        }
    }
}
