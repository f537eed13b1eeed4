//! CBOR: no message makes it panic, and one value is one.
#![no_main]

use std::sync::LazyLock;

use porthouse_fuzz::formats::{compile, one_value};
use porthouse_model::Format;
use porthouse_rules::Rules;

static RULES: LazyLock<Rules> = LazyLock::new(|| compile(Format::Cbor).expect("a format"));

libfuzzer_sys::fuzz_target!(|data: &[u8]| one_value(&RULES, data));
