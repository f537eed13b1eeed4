//! Protobuf's descriptors as they are written: none makes it panic, and those that
//! are taken can be asked. The first half of the bytes describes, the second is
//! said.
#![no_main]

use porthouse_fuzz::formats::{asked, protobuf};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (descriptors, message) = data.split_at(data.len() / 2);
    asked(protobuf(descriptors), message);
});
