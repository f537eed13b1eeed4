//! A header line's values as they are read: borrowed where that can be, and
//! bounded while they are read. Owns no field's meaning.

use std::borrow::Cow;

use core::fmt;

use porthouse_model::ClientId;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};

use super::LineError;

/// The most fields of a line that mean nothing.
const FIELDS_MAX: usize = 32;
/// What is shown of something found.
const FOUND_BYTES_MAX: usize = 32;

/// A string, borrowed where it holds no escapes.
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

/// A list of client ids, sorted and each once; `None` if there are too many.
pub(super) struct Clients {
    pub(super) clients_max: usize,
}

impl<'de> DeserializeSeed<'de> for Clients {
    type Value = Option<Vec<ClientId>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Clients {
    type Value = Option<Vec<ClientId>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut clients = Vec::new();
        while let Some(Text(text)) = list.next_element::<Text<'de>>()? {
            if clients.len() == self.clients_max {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(None);
            }
            clients.push(text.parse().map_err(A::Error::custom)?);
        }
        clients.sort_unstable();
        clients.dedup();
        Ok(Some(clients))
    }
}

/// Fields that mean nothing to us: each once, and not too many.
#[derive(Default)]
pub(super) struct Unknown<'a> {
    names: Vec<Cow<'a, str>>,
}

impl<'a> Unknown<'a> {
    pub(super) fn add(&mut self, name: Cow<'a, str>) -> Result<(), LineError> {
        if self.names.len() >= FIELDS_MAX {
            return Err(LineError::new(
                "header.fields_max",
                "at most 32 unknown fields",
            ));
        }
        if self.names.contains(&name) {
            return Err(LineError {
                found: Some(shown(&name)),
                ..LineError::new("header", "an object whose keys all differ")
            });
        }
        self.names.push(name);
        Ok(())
    }
}

/// As much of a text as is shown.
pub(super) fn shown(text: &str) -> String {
    text[..text.floor_char_boundary(FOUND_BYTES_MAX)].to_owned()
}
