//! What the owner of a transient room sets: whatever it is, it has one reply, and
//! the socket stays.
#![no_main]

use porthouse_fuzz::{House, masked};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut house = House::multiplexed();
    house.receives(&masked(1, b"{\"op\":\"join\",\"room\":\"den\",\"id\":1}"));
    let told = String::from_utf8_lossy(&house.take()).into_owned();
    assert!(told.contains("\"op\":\"admitted\""), "{told}");
    let set = [b"{\"op\":\"rules\",\"room\":\"den\",\"id\":2}\n", data].concat();
    let opcode = if std::str::from_utf8(data).is_ok() {
        1
    } else {
        2
    };
    house.receives(&masked(opcode, &set));
    let told = String::from_utf8_lossy(&house.take()).into_owned();
    assert_eq!(told.matches("\"id\":2").count(), 1, "one reply: {told}");
    house.receives(&masked(1, b"{\"op\":\"ping\",\"id\":3}"));
    let told = String::from_utf8_lossy(&house.take()).into_owned();
    assert!(told.contains("{\"op\":\"pong\",\"id\":3}"), "{told}");
});
