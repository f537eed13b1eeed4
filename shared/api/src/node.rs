//! What nodes ask the control plane, and its translation to the model, one file
//! a resource. What cannot be translated is an error, never a guess.

mod api_key;
mod block;
mod change;
mod endpoint;
mod member;
mod room;
mod rule;
mod session;
mod template;
mod time;
mod needed;

pub use needed::{Needed, RULES_KNOWN, Withheld, needed, withheld_of, withhold};
pub use time::{timestamp, unix_time};

pub mod resolve;

/// Version 1.
pub mod v1 {
    pub use crate::generated::porthouse::node::v1::*;
}

/// The most bytes of one change, as it is encoded: a write that would make a longer
/// one is refused, for every node must be able to hear it.
pub const CHANGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The longest message that a node takes from the control plane: a change, and what
/// stands around it.
pub const MESSAGE_BYTES_MAX: usize = CHANGE_BYTES_MAX + 64 * 1024;

/// A message that says something the model has no value for. The other side is
/// of another version, or broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadMessage {
    /// The field that is missing or wrong.
    pub field: &'static str,
}

impl core::fmt::Display for BadMessage {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the field `{}` is missing or not valid", self.field)
    }
}

impl core::error::Error for BadMessage {}

/// Names the field that could not be translated.
trait InField<T> {
    fn in_field(self, field: &'static str) -> Result<T, BadMessage>;
}

impl<T, E> InField<T> for Result<T, E> {
    fn in_field(self, field: &'static str) -> Result<T, BadMessage> {
        self.map_err(|_| BadMessage { field })
    }
}

impl<T> InField<T> for Option<T> {
    fn in_field(self, field: &'static str) -> Result<T, BadMessage> {
        self.ok_or(BadMessage { field })
    }
}
