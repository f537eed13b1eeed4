//! Protobuf: no message of a known kind makes it panic.
#![no_main]

use std::sync::LazyLock;

use porthouse_fuzz::formats::{DESCRIPTORS, compile, protobuf};
use porthouse_rules::Rules;

static RULES: LazyLock<Rules> =
    LazyLock::new(|| compile(protobuf(DESCRIPTORS)).expect("descriptors"));

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = RULES.format(data);
});
