//! Lines of a sibling, and of the raw socket beside it: before a door that asks,
//! or as the owner of a room. A question is never put to the raw socket.
#![no_main]

use porthouse_fuzz::{House, Which, line};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((room, lines)) = data.split_first() else {
        return;
    };
    let mut house = House::sibling(if room.is_multiple_of(2) {
        "asks"
    } else {
        "den"
    });
    for one in lines.split(|byte| *byte == 0).take(16) {
        // What begins with `>` goes over the raw socket.
        match one.strip_prefix(b">") {
            Some(raw) => house.receives_at(Which::Beside, &line(raw)),
            None => house.receives(&line(one)),
        }
    }
    let raw = String::from_utf8_lossy(&house.take_of(Which::Beside)).into_owned();
    assert!(!raw.contains("\"op\":\"challenge\""), "{raw}");
    if raw.contains("{\"op\":\"started\"") && room.is_multiple_of(2) {
        assert_eq!(house.judged_right(), 2, "both were asked: {raw}");
    }
});
