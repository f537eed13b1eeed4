//! Header lines of `porthouse.v1`: each frame is one, and each gets its answer.
#![no_main]

use porthouse_fuzz::{House, line};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut house = House::multiplexed();
    for one in data.split(|byte| *byte == 0).take(16) {
        house.receives(&line(one));
    }
});
