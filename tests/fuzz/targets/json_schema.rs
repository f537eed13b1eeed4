//! JSON Schema: no message makes one panic, and one value is one.
#![no_main]

use std::sync::LazyLock;

use porthouse_fuzz::formats::{compile, one_value};
use porthouse_model::Format;
use porthouse_rules::Rules;

const SCHEMA: &str = r##"{"type":"object","properties":{"a":{"$ref":"#"},"b":{"pattern":"^[a-z]*$"}},
    "items":{"type":"integer"},"uniqueItems":true,"maxProperties":3}"##;

static RULES: LazyLock<Rules> =
    LazyLock::new(|| compile(Format::JsonSchema(SCHEMA.into())).expect("a schema"));

libfuzzer_sys::fuzz_target!(|data: &[u8]| one_value(&RULES, data));
