//! Lines of the handshake of `porthouse.raw.v1`, at a door that asks twice: nobody
//! starts whose answers were not right, or who was not told `admitted`.
#![no_main]

use porthouse_fuzz::{House, line};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut house = House::shaking();
    for one in data.split(|byte| *byte == 0).take(16) {
        house.receives(&line(one));
    }
    let told = String::from_utf8_lossy(&house.take()).into_owned();
    if let Some(started) = told.find("{\"op\":\"started\"") {
        assert_eq!(house.judged_right(), 2, "both were asked: {told}");
        assert!(told[..started].contains("\"op\":\"admitted\""), "{told}");
    }
});
