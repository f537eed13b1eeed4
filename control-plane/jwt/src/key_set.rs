//! An issuer's keys (RFC 7517, section 5). Owns which one a token's header means.

use core::fmt;

use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::json;
use crate::key::{BadKey, Key, Thumbprint};

/// The most bytes of a set of keys.
pub const KEY_SET_BYTES_MAX: usize = 64 * 1024;
/// The most keys of a set, those included that are of no use.
pub const KEYS_MAX: usize = 32;

/// Keys that are trusted, no two of them called the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet(Vec<Key>);

/// Not a set of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadKeySet {
    /// It is longer than a set may be.
    TooLong,
    /// It is not a JSON object with an array of objects as `keys`.
    Form,
    /// There are more keys than a set may have.
    KeysTooMany,
    /// Two keys are called the same, so that a token does not say which it means.
    Ambiguous,
    /// The key at this place, from 0, is not one.
    Key(usize, BadKey),
}

impl fmt::Display for BadKeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "at most {KEY_SET_BYTES_MAX} bytes"),
            Self::Form => f.write_str("a JSON object with an array of objects as `keys`"),
            Self::KeysTooMany => write!(f, "at most {KEYS_MAX} keys"),
            Self::Ambiguous => f.write_str("keys of which no two have the same `kid`"),
            Self::Key(at, bad) => write!(f, "keys[{at}]: {bad}"),
        }
    }
}

impl core::error::Error for BadKeySet {}

impl KeySet {
    /// Reads a set of which every key must be of use: what a person wrote.
    ///
    /// # Errors
    ///
    /// [`BadKeySet`], the first rule that it breaks.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadKeySet> {
        let keys = keys(bytes)?.into_iter().enumerate();
        let keys = keys.map(|(at, key)| Key::read(&key).map_err(|bad| BadKeySet::Key(at, bad)));
        Self::unambiguous(keys.collect::<Result<_, _>>()?)
    }

    /// Reads a set as an issuer publishes it, which may hold keys for other uses
    /// (RFC 7517, section 5): those are passed over.
    ///
    /// # Errors
    ///
    /// [`BadKeySet`], the first rule that it breaks; never of one key.
    pub fn parse_published(bytes: &[u8]) -> Result<Self, BadKeySet> {
        let keys = keys(bytes)?;
        Self::unambiguous(keys.iter().filter_map(|key| Key::read(key).ok()).collect())
    }

    fn unambiguous(keys: Vec<Key>) -> Result<Self, BadKeySet> {
        let mut ids: Vec<_> = keys.iter().filter_map(Key::id).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|two| two[0] == two[1]) {
            return Err(BadKeySet::Ambiguous);
        }
        Ok(Self(keys))
    }

    /// Its keys, as they stand in it.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.0
    }

    /// Whether this key is one of them.
    #[must_use]
    pub fn contains(&self, key: Thumbprint) -> bool {
        self.0.iter().any(|own| own.thumbprint() == key)
    }

    /// The key that a header means: the one it names; or, where it names none, the
    /// only one that can be meant.
    pub(crate) fn meant(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        if id.is_some() {
            return self.0.iter().find(|key| key.id() == id);
        }
        let mut fitting = self.0.iter().filter(|key| key.checks(algorithm));
        let only = fitting.next();
        only.filter(|_| fitting.next().is_none())
    }
}

fn keys(bytes: &[u8]) -> Result<Vec<Map<String, Value>>, BadKeySet> {
    if bytes.len() > KEY_SET_BYTES_MAX {
        return Err(BadKeySet::TooLong);
    }
    let mut set = json::object(bytes).ok_or(BadKeySet::Form)?;
    let Some(Value::Array(keys)) = set.remove("keys") else {
        return Err(BadKeySet::Form);
    };
    if keys.len() > KEYS_MAX {
        return Err(BadKeySet::KeysTooMany);
    }
    let object = |key| match key {
        Value::Object(key) => Ok(key),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(BadKeySet::Form)
        }
    };
    keys.into_iter().map(object).collect()
}
