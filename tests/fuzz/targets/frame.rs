//! Frames of a raw socket inside a room: any bytes, whole and cut anywhere.
#![no_main]

use porthouse_fuzz::{House, whole_and_in_pieces};

libfuzzer_sys::fuzz_target!(|data: &[u8]| whole_and_in_pieces(House::raw, data));
