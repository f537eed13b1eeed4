//! The name a client gives a request. Owns what it may be; never reads meaning
//! into it.

use core::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The longest text of an id.
pub(crate) const ID_BYTES_MAX: usize = 64;

/// What an id must be, for a person.
pub(crate) const ID_NEEDED: &str = "an integer of 64 bits, or a string of at most 64 bytes";

/// A client's own name for a request, echoed as it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Id {
    /// An integer from 0.
    Natural(u64),
    /// An integer below 0.
    Negative(i64),
    /// A text.
    Text(Box<str>),
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdVisitor)
    }
}

struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = Id;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ID_NEEDED)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Id, E> {
        Ok(Id::Natural(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Id, E> {
        Ok(Id::Negative(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Id, E> {
        if text.len() > ID_BYTES_MAX {
            return Err(E::invalid_value(
                Unexpected::Other("a longer string"),
                &self,
            ));
        }
        Ok(Id::Text(text.into()))
    }
}
