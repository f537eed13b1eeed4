//! What a message's bytes must be: each format compiled once, then asked once a
//! message. Never builds what it can walk over, and never looks at who speaks.

mod cbor;
mod cursor;
mod expression;
mod json;
mod json_schema;
mod message_pack;
mod protobuf;

use std::sync::Arc;

use porthouse_model::{Content, Format, MessageRules};

use crate::compile::RuleFault;
use expression::Expression;
use json_schema::JsonSchema;
use protobuf::Protobuf;

/// The deepest nesting of a message in any format: what is deeper is refused, so
/// that no receiver is made to recurse further.
pub const MESSAGE_DEPTH_MAX: u32 = 128;

/// A room's format, compiled. What is large is shared between clones.
#[derive(Clone, Debug)]
pub(crate) enum Compiled {
    Any,
    Json,
    JsonSchema(Arc<JsonSchema>),
    MessagePack,
    Cbor,
    Protobuf(Arc<Protobuf>),
    Expression(Arc<Expression>),
}

impl Compiled {
    pub(crate) fn compile(rules: &MessageRules) -> Result<Self, RuleFault> {
        let compiled = match &rules.format {
            Format::Any => Self::Any,
            Format::Json => Self::Json,
            Format::JsonSchema(schema) => Self::JsonSchema(Arc::new(JsonSchema::compile(schema)?)),
            Format::MessagePack => Self::MessagePack,
            Format::Cbor => Self::Cbor,
            Format::Protobuf {
                descriptors,
                message,
            } => Self::Protobuf(Arc::new(Protobuf::compile(descriptors, message)?)),
            Format::Expression(expression) => {
                Self::Expression(Arc::new(Expression::compile(expression)?))
            }
        };
        compiled.agrees_with(rules.content)?;
        Ok(compiled)
    }

    /// A format that no message of the room's kinds could ever have is a mistake.
    fn agrees_with(&self, content: Content) -> Result<(), RuleFault> {
        let agrees = match (self, content) {
            (Self::MessagePack | Self::Cbor | Self::Protobuf(_), Content::Text)
            | (Self::Expression(_), Content::Binary) => false,
            (_, Content::Any)
            | (Self::Any | Self::Json | Self::JsonSchema(_), Content::Text | Content::Binary)
            | (Self::MessagePack | Self::Cbor | Self::Protobuf(_), Content::Binary)
            | (Self::Expression(_), Content::Text) => true,
        };
        if agrees {
            return Ok(());
        }
        Err(RuleFault::new(
            "messages.format",
            "a format that the room's kinds of messages can have: text for an expression, \
             binary for MessagePack, CBOR and protobuf",
        ))
    }

    /// Whether a message is in the format. Linear in its length, whatever it is.
    pub(crate) fn takes(&self, message: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Json => json::is_valid(message),
            Self::JsonSchema(schema) => schema.is_valid(message),
            Self::MessagePack => message_pack::is_valid(message),
            Self::Cbor => cbor::is_valid(message),
            Self::Protobuf(protobuf) => protobuf.is_valid(message),
            Self::Expression(expression) => expression.is_match(message),
        }
    }
}
