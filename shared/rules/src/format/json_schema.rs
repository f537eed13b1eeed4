//! JSON that satisfies a schema (JSON Schema, draft 2020-12). Owns which schemas
//! are taken: bounded, whole in themselves, cheap to ask. Never fetches anything.

mod bounds;
mod unique;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use crate::compile::RuleFault;
use unique::Unique;

/// The longest schema, in bytes.
pub(super) const SCHEMA_BYTES_MAX: usize = 64 * 1024;

/// The most that one of a schema's expressions may take compiled, in bytes.
const PATTERN_BYTES_MAX: usize = 64 * 1024;

/// A room's schema, compiled.
#[derive(Debug)]
pub(crate) struct JsonSchema(Validator);

impl JsonSchema {
    pub(super) fn compile(schema: &str) -> Result<Self, RuleFault> {
        let fault = |needed: String| RuleFault::new("messages.format.json_schema", needed);
        if schema.len() > SCHEMA_BYTES_MAX {
            return Err(fault(format!("at most {SCHEMA_BYTES_MAX} bytes")));
        }
        let Unique(schema) = serde_json::from_str(schema)
            .map_err(|error| fault(format!("a schema, as JSON: {error}")))?;
        bounds::check(&schema).map_err(fault)?;
        let patterns = PatternOptions::regex()
            .size_limit(PATTERN_BYTES_MAX)
            .dfa_size_limit(PATTERN_BYTES_MAX);
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(patterns)
            .should_validate_formats(false)
            .offline()
            .build(&schema)
            .map_err(|error| fault(format!("a schema of draft 2020-12: {error}")))?;
        Ok(Self(validator))
    }

    /// A key that stands twice is refused: what is judged must be what every
    /// receiver reads.
    pub(super) fn is_valid(&self, message: &[u8]) -> bool {
        serde_json::from_slice(message).is_ok_and(|Unique(value): Unique| self.accepts(&value))
    }

    fn accepts(&self, value: &Value) -> bool {
        self.0.is_valid(value)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn refused(schema: &str) -> String {
        let fault = JsonSchema::compile(schema).expect_err("refused");
        assert_eq!(fault.field, "messages.format.json_schema");
        fault.needed.into_owned()
    }

    fn room(schema: &Value) -> JsonSchema {
        JsonSchema::compile(&schema.to_string()).expect("a schema")
    }

    #[test]
    fn a_message_satisfies_the_schema_or_is_refused() {
        let room = room(&json!({
            "type": "object",
            "properties": { "text": { "type": "string", "pattern": "^[a-z]+$" }, "n": { "$ref": "#/$defs/n" } },
            "required": ["text"],
            "additionalProperties": false,
            "$defs": { "n": { "type": "integer", "minimum": 1 } },
        }));
        for (message, valid) in [
            (r#"{"text":"hi"}"#, true),
            (r#"{"text":"hi","n":3}"#, true),
            (r#"{"text":"hi","n":0}"#, false),
            (r#"{"text":"HI"}"#, false),
            (r#"{"text":"hi","x":1}"#, false),
            (r#"{"text":"hi","text":"hi"}"#, false),
            (r#"{"text":"hi"} "#, true),
            (r#"{"text":"hi"}x"#, false),
            ("[]", false),
            ("", false),
        ] {
            assert_eq!(room.is_valid(message.as_bytes()), valid, "{message}");
        }
        assert!(!room.is_valid(b"\xff"));
    }

    #[test]
    fn a_schema_may_speak_of_itself() {
        let room = room(&json!({
            "type": "object",
            "properties": { "left": { "$ref": "#" }, "right": { "$ref": "#" } },
            "additionalProperties": false,
        }));
        assert!(room.is_valid(br#"{"left":{"left":{}},"right":{}}"#));
        assert!(!room.is_valid(br#"{"left":{"middle":{}}}"#));
        let deep = |depth| r#"{"left":"#.repeat(depth) + "{}" + &"}".repeat(depth);
        assert!(room.is_valid(deep(100).as_bytes()));
        assert!(!room.is_valid(deep(100_000).as_bytes()));
    }

    #[test]
    fn nothing_is_fetched() {
        for reference in [
            "https://example.com/a",
            "file:///etc/passwd",
            "other.json",
            "#name",
        ] {
            let schema = json!({ "properties": { "a": { "$ref": reference } } });
            assert!(
                refused(&schema.to_string()).contains("#/$defs/"),
                "{reference}"
            );
        }
        assert!(refused(r##"{"$dynamicRef":"#a"}"##).contains("$dynamicRef"));
        assert!(refused(r#"{"items":{"$id":"https://a/"}}"#).contains("$id"));
        assert!(refused(r#"{"$schema":"https://example.com/mine"}"#).contains("2020-12"));
        assert!(refused(r##"{"$ref":"#/$defs/none"}"##).contains("#/$defs/none"));
    }

    #[test]
    fn a_schema_that_costs_exponentially_is_refused_when_it_is_written() {
        let mut definitions = String::from(r#""d0":{"type":"object"}"#);
        for level in 1..30 {
            let below = level - 1;
            let twice = format!(r##"{{"$ref":"#/$defs/d{below}"}}"##);
            write!(definitions, r#","d{level}":{{"allOf":[{twice},{twice}]}}"#).expect("a string");
        }
        let schema = format!(r##"{{"$ref":"#/$defs/d29","$defs":{{{definitions}}}}}"##);
        assert!(refused(&schema).contains("10000"));
    }

    /// Twice each level, were the same question not remembered.
    #[test]
    fn a_schema_that_asks_itself_twice_stays_cheap() {
        let below = json!({ "properties": { "a": { "$ref": "#" } } });
        let room = room(&json!({ "anyOf": [
            { "allOf": [below, { "required": ["x"] }] },
            { "allOf": [below, { "required": ["y"] }] },
            { "not": { "required": ["a"] } },
        ] }));
        let message = r#"{"a":"#.repeat(120) + "{}" + &"}".repeat(120);
        assert!(!room.is_valid(message.as_bytes()));
    }

    #[test]
    fn what_would_cost_too_much_is_refused_when_it_is_written() {
        assert!(refused(&" ".repeat(SCHEMA_BYTES_MAX + 1)).contains("65536 bytes"));
        let deep = r#"{"not":"#.repeat(100) + "{}" + &"}".repeat(100);
        assert!(refused(&deep).contains("deep"));
        let patterns: Vec<Value> = (0..65)
            .map(|at| json!({ "pattern": format!("a{at}") }))
            .collect();
        assert!(refused(&json!({ "anyOf": patterns }).to_string()).contains("64"));
        assert!(refused(r#"{"pattern":"\\w{2000}{50}"}"#).contains("schema"));
        assert!(refused(r#"{"pattern":"(a)\\1"}"#).contains("schema"));
        assert!(refused(r##"{"allOf":[{"$ref":"#"}]}"##).contains("itself"));
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        for schema in [
            "",
            "{",
            "[]",
            "1",
            r#"{"type":"text"}"#,
            r#"{"type":1}"#,
            r#"{"a":1,"a":2}"#,
        ] {
            refused(schema);
        }
    }

    proptest! {
        #[test]
        fn no_schema_and_no_bytes_make_it_panic(schema in "[\\[\\]{}:,\"$a-z#/0-9]{0,40}", bytes: Vec<u8>) {
            if let Ok(room) = JsonSchema::compile(&schema) {
                let _ = room.is_valid(&bytes);
            }
        }

        #[test]
        fn what_is_built_by_the_schema_is_taken(numbers in prop::collection::vec(0_u32..100, 0..50)) {
            let room = room(&json!({ "items": { "type": "integer", "maximum": 99 } }));
            prop_assert!(room.is_valid(json!(numbers).to_string().as_bytes()));
            prop_assert!(!room.is_valid(json!([numbers, 100]).to_string().as_bytes()));
        }
    }
}
