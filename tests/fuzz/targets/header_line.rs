//! Header lines of `porthouse.v1`: each frame is one, and each gets its answer.
#![no_main]

use porthouse_fuzz::{House, masked};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut house = House::multiplexed();
    for line in data.split(|byte| *byte == 0).take(16) {
        let opcode = if line.is_ascii() { 1 } else { 2 };
        house.receives(&masked(opcode, line));
    }
});
