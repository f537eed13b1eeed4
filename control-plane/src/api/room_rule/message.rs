//! What may be said and who receives it, between control.v1 and the model. Reads
//! no message.

use porthouse_api::control::v1 as wire;
use porthouse_model::{BroadcastRules, Content, Format, MessageRules, Rates};
use wire::message_format::Kind;

use crate::api::error::ApiError;

use super::connection::{rate, rate_to_wire, roles, roles_to_wire};

/// Which kinds of messages are taken. Each is a field of its own, so both may be
/// refused until that is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kinds {
    pub(super) text: bool,
    pub(super) binary: bool,
}

impl Kinds {
    pub(super) fn from_wire(rules: &wire::MessageRules) -> Self {
        Self {
            text: rules.text.unwrap_or(true),
            binary: rules.binary.unwrap_or(true),
        }
    }

    pub(super) fn of(content: Content) -> Self {
        Self {
            text: content != Content::Binary,
            binary: content != Content::Text,
        }
    }

    /// The same as the model says it.
    pub(super) fn content(self) -> Result<Content, ApiError> {
        match (self.text, self.binary) {
            (true, true) => Ok(Content::Any),
            (true, false) => Ok(Content::Text),
            (false, true) => Ok(Content::Binary),
            (false, false) => {
                let rule = "a room takes text or binary messages, or both";
                Err(ApiError::field("messages", rule))
            }
        }
    }
}

/// The group as it was sent, without the kinds.
pub(super) fn from_wire(rules: wire::MessageRules) -> Result<MessageRules, ApiError> {
    let default = MessageRules::default();
    let rates = rules.rates.unwrap_or_default();
    Ok(MessageRules {
        content: default.content,
        bytes_max: rules.bytes_max.unwrap_or(default.bytes_max),
        format: format(rules.format.and_then(|format| format.kind)),
        rates: Rates {
            per_socket: rate("messages.rates.per_socket", rates.per_socket)?,
            per_client: rate("messages.rates.per_client", rates.per_client)?,
            per_room: rate("messages.rates.per_room", rates.per_room)?,
        },
    })
}

/// The group as it is sent.
pub(super) fn to_wire(rules: &MessageRules) -> wire::MessageRules {
    let kinds = Kinds::of(rules.content);
    wire::MessageRules {
        text: Some(kinds.text),
        binary: Some(kinds.binary),
        bytes_max: Some(rules.bytes_max),
        format: Some(wire::MessageFormat {
            kind: Some(format_to_wire(&rules.format)),
        }),
        rates: Some(wire::MessageRates {
            per_socket: rules.rates.per_socket.map(rate_to_wire),
            per_client: rules.rates.per_client.map(rate_to_wire),
            per_room: rules.rates.per_room.map(rate_to_wire),
        }),
    }
}

fn format(kind: Option<Kind>) -> Format {
    match kind {
        None | Some(Kind::Any(wire::AnyFormat {})) => Format::Any,
        Some(Kind::Json(wire::JsonFormat {})) => Format::Json,
        Some(Kind::JsonSchema(schema)) => Format::JsonSchema(schema.into()),
        Some(Kind::MessagePack(wire::MessagePackFormat {})) => Format::MessagePack,
        Some(Kind::Cbor(wire::CborFormat {})) => Format::Cbor,
        Some(Kind::Protobuf(format)) => Format::Protobuf {
            descriptors: format.descriptors.into(),
            message: format.message.into(),
        },
        Some(Kind::Expression(expression)) => Format::Expression(expression.into()),
    }
}

fn format_to_wire(format: &Format) -> Kind {
    match format {
        Format::Any => Kind::Any(wire::AnyFormat {}),
        Format::Json => Kind::Json(wire::JsonFormat {}),
        Format::JsonSchema(schema) => Kind::JsonSchema(schema.to_string()),
        Format::MessagePack => Kind::MessagePack(wire::MessagePackFormat {}),
        Format::Cbor => Kind::Cbor(wire::CborFormat {}),
        Format::Protobuf {
            descriptors,
            message,
        } => Kind::Protobuf(wire::ProtobufFormat {
            descriptors: descriptors.to_vec(),
            message: message.to_string(),
        }),
        Format::Expression(expression) => Kind::Expression(expression.to_string()),
    }
}

/// Who receives, as it was sent.
pub(super) fn broadcast_from_wire(
    rules: &wire::BroadcastRules,
) -> Result<BroadcastRules, ApiError> {
    let default = BroadcastRules::default();
    Ok(BroadcastRules {
        echo: rules.echo.unwrap_or(default.echo),
        receivers_named: rules.receivers_named.unwrap_or(default.receivers_named),
        never: roles("broadcast.roles_never", &rules.roles_never)?,
        always: roles("broadcast.roles_always", &rules.roles_always)?,
    })
}

/// Who receives, as it is sent.
pub(super) fn broadcast_to_wire(rules: &BroadcastRules) -> wire::BroadcastRules {
    wire::BroadcastRules {
        echo: Some(rules.echo),
        receivers_named: Some(rules.receivers_named),
        roles_never: roles_to_wire(&rules.never),
        roles_always: roles_to_wire(&rules.always),
    }
}
