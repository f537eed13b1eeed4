//! What may be said and how often, between the wire and the model. Reads no
//! message.

use porthouse_model as model;
use porthouse_model::Format;

use super::super::{BadMessage, InField, v1};
use v1::format::Kind;

/// A format for the wire, where anything goes unsaid.
pub(super) fn format(format: &Format) -> Option<v1::Format> {
    let named = |name: v1::FormatName| Some(Kind::Named(name.into()));
    let kind = match format {
        Format::Any => None,
        Format::Json => named(v1::FormatName::Json),
        Format::MessagePack => named(v1::FormatName::MessagePack),
        Format::Cbor => named(v1::FormatName::Cbor),
        Format::JsonSchema(schema) => Some(Kind::JsonSchema(schema.to_string())),
        Format::Protobuf {
            descriptors,
            message,
        } => Some(Kind::Protobuf(v1::ProtobufFormat {
            descriptors: descriptors.to_vec(),
            message: message.to_string(),
        })),
        Format::Expression(expression) => Some(Kind::Expression(expression.to_string())),
    };
    kind.map(|kind| v1::Format { kind: Some(kind) })
}

impl TryFrom<v1::Format> for Format {
    type Error = BadMessage;

    fn try_from(format: v1::Format) -> Result<Self, BadMessage> {
        const FIELD: &str = "rules.format";
        Ok(match format.kind.in_field(FIELD)? {
            Kind::Named(name) => match v1::FormatName::try_from(name).in_field(FIELD)? {
                v1::FormatName::Unspecified => return Err(BadMessage { field: FIELD }),
                v1::FormatName::Json => Self::Json,
                v1::FormatName::MessagePack => Self::MessagePack,
                v1::FormatName::Cbor => Self::Cbor,
            },
            Kind::JsonSchema(schema) => Self::JsonSchema(schema.into()),
            Kind::Protobuf(format) => Self::Protobuf {
                descriptors: format.descriptors.into(),
                message: format.message.into(),
            },
            Kind::Expression(expression) => Self::Expression(expression.into()),
        })
    }
}

impl From<&model::Rates> for v1::Rates {
    fn from(rates: &model::Rates) -> Self {
        Self {
            per_socket: rates.per_socket.map(Into::into),
            per_client: rates.per_client.map(Into::into),
            per_room: rates.per_room.map(Into::into),
        }
    }
}

impl TryFrom<v1::Rates> for model::Rates {
    type Error = BadMessage;

    fn try_from(rates: v1::Rates) -> Result<Self, BadMessage> {
        let rate = |rate: Option<v1::Rate>| rate.map(TryInto::try_into).transpose();
        Ok(Self {
            per_socket: rate(rates.per_socket)?,
            per_client: rate(rates.per_client)?,
            per_room: rate(rates.per_room)?,
        })
    }
}

impl From<model::Content> for v1::Content {
    fn from(content: model::Content) -> Self {
        match content {
            model::Content::Any => Self::Any,
            model::Content::Text => Self::Text,
            model::Content::Binary => Self::Binary,
        }
    }
}

impl TryFrom<v1::Content> for model::Content {
    type Error = BadMessage;

    fn try_from(content: v1::Content) -> Result<Self, BadMessage> {
        match content {
            v1::Content::Unspecified => Err(BadMessage {
                field: "rules.content",
            }),
            v1::Content::Any => Ok(Self::Any),
            v1::Content::Text => Ok(Self::Text),
            v1::Content::Binary => Ok(Self::Binary),
        }
    }
}
