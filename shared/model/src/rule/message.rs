//! What may be said in a room, how often, and to whom it goes.

use core::num::NonZeroU32;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::role::Role;

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

/// What a message's bytes must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Anything.
    Any,
    /// JSON (RFC 8259).
    Json,
    /// JSON that satisfies this schema (JSON Schema, draft 2020-12).
    JsonSchema(Arc<str>),
    /// One `MessagePack` value.
    MessagePack,
    /// One CBOR data item (RFC 8949).
    Cbor,
    /// One protobuf message.
    Protobuf {
        /// A serialised `google.protobuf.FileDescriptorSet`.
        descriptors: Arc<[u8]>,
        /// The message's full name in it.
        message: Arc<str>,
    },
    /// Text that this regular expression matches, whole; matched in linear time.
    Expression(Arc<str>),
}

/// So many a second, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many a second, on the average.
    pub per_second: NonZeroU32,
    /// How many at once, after a pause.
    pub burst: NonZeroU32,
}

/// How often something may be said; `None`: as often as it can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rates {
    /// By one socket.
    pub per_socket: Option<Rate>,
    /// By one client, over all its sockets in the room.
    pub per_client: Option<Rate>,
    /// By everybody in the room together.
    pub per_room: Option<Rate>,
}

/// What may be said.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MessageRules {
    /// Which kinds of messages are taken.
    pub content: Content,
    /// The longest message, in bytes; 1 to [`MESSAGE_BYTES_LIMIT`].
    pub bytes_max: u32,
    /// What its bytes must be.
    pub format: Format,
    /// How often.
    pub rates: Rates,
}

impl Default for MessageRules {
    /// Anything up to [`MESSAGE_BYTES_DEFAULT`].
    fn default() -> Self {
        Self {
            content: Content::Any,
            bytes_max: MESSAGE_BYTES_DEFAULT,
            format: Format::Any,
            rates: Rates::default(),
        }
    }
}

/// Who receives what is said.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BroadcastRules {
    /// Whether a sender receives its own messages.
    pub echo: bool,
    /// Whether a sender may name receivers and exceptions.
    pub receivers_named: bool,
    /// Members of these roles never receive.
    pub never: BTreeSet<Role>,
    /// Members of these roles always receive, whoever is named.
    pub always: BTreeSet<Role>,
}

impl Default for BroadcastRules {
    /// To all others, or to named receivers.
    fn default() -> Self {
        Self {
            echo: false,
            receivers_named: true,
            never: BTreeSet::new(),
            always: BTreeSet::new(),
        }
    }
}
