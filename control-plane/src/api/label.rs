//! Texts and labels that callers keep with a resource: their limits, and their
//! form in the database. Never reads anything out of them.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::error::ApiError;

/// The most labels of a resource.
const LABELS_MAX: usize = 64;
/// The most bytes of a label's key.
const KEY_BYTES_MAX: usize = 63;
/// The most bytes of a label's value.
const VALUE_BYTES_MAX: usize = 256;
/// The most bytes of a display name.
const DISPLAY_NAME_BYTES_MAX: usize = 128;
/// The most bytes of a reason.
const REASON_BYTES_MAX: usize = 1024;

/// Labels as they are stored.
pub(crate) fn to_json(field: &str, labels: HashMap<String, String>) -> Result<Value, ApiError> {
    let fit = |(key, value): (&String, &String)| key_fits(key) && value_fits(value);
    if labels.len() > LABELS_MAX || !labels.iter().all(fit) {
        let rule = format!(
            "at most {LABELS_MAX}; keys of 1 to {KEY_BYTES_MAX} of a-z 0-9 . _ - /, \
             values of at most {VALUE_BYTES_MAX} bytes without NUL"
        );
        return Err(ApiError::field(field, rule));
    }
    let stored: Map<_, _> = labels
        .into_iter()
        .map(|(key, value)| (key, Value::String(value)))
        .collect();
    Ok(Value::Object(stored))
}

/// Whether this can be somebody's label.
pub(crate) fn one(field: &str, key: &str, value: &str) -> Result<(), ApiError> {
    let label = HashMap::from([(key.to_owned(), value.to_owned())]);
    to_json(&format!("{field}.label_key"), label).map(drop)
}

/// Labels as they were stored.
pub(crate) fn from_json(stored: Value) -> HashMap<String, String> {
    let Value::Object(stored) = stored else {
        return HashMap::new();
    };
    let label = |(key, value)| match value {
        Value::String(value) => Some((key, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    };
    stored.into_iter().filter_map(label).collect()
}

/// A name for people to read.
pub(crate) fn display_name(field: &str, text: String) -> Result<String, ApiError> {
    readable(field, text, DISPLAY_NAME_BYTES_MAX)
}

/// Why something was done, for people to read.
pub(crate) fn reason(field: &str, text: String) -> Result<String, ApiError> {
    readable(field, text, REASON_BYTES_MAX)
}

fn readable(field: &str, text: String, bytes_max: usize) -> Result<String, ApiError> {
    if text.len() <= bytes_max && !text.chars().any(char::is_control) {
        return Ok(text);
    }
    let rule = format!("at most {bytes_max} bytes, no control characters");
    Err(ApiError::field(field, rule))
}

fn key_fits(key: &str) -> bool {
    let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'/');
    (1..=KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(fits)
}

/// Postgres keeps no NUL in text.
fn value_fits(value: &str) -> bool {
    value.len() <= VALUE_BYTES_MAX && !value.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs
            .iter()
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn labels_come_back_as_they_went() {
        let given = labels(&[("team/a", "Blå"), ("empty", "")]);
        let stored = to_json("labels", given.clone()).expect("labels");
        assert_eq!(from_json(stored), given);
    }

    #[test]
    fn labels_and_texts_past_their_limits_are_refused() {
        let long = "v".repeat(VALUE_BYTES_MAX + 1);
        for pair in [
            ("", "v"),
            ("Key", "v"),
            ("key", long.as_str()),
            ("key", "\0"),
        ] {
            assert!(to_json("labels", labels(&[pair])).is_err(), "{pair:?}");
        }
        assert!(display_name("display_name", "n".repeat(129)).is_err());
        assert!(display_name("display_name", "a\u{7}".to_owned()).is_err());
    }
}
