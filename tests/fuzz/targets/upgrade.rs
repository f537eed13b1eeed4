//! A connection's first bytes: request line, headers, and what follows them.
#![no_main]

use porthouse_fuzz::{House, whole_and_in_pieces};

libfuzzer_sys::fuzz_target!(|data: &[u8]| whole_and_in_pieces(House::new, data));
