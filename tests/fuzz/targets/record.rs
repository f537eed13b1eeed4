//! Records of a durable room, as a store gives them back: whatever they hold, the
//! room opens, is read, and goes on.
#![no_main]

use porthouse_fuzz::{House, KEPT, masked};
use porthouse_puddle::{Mark, Record};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // A record's first byte says how long it is, in bytes after it.
    let mut rest = data;
    let mut records = Vec::new();
    while let Some((length, more)) = rest.split_first() {
        let length = usize::from(*length).min(more.len());
        let (bytes, more) = more.split_at(length);
        records.push(Record {
            mark: Mark(records.len() as u64 + 1),
            bytes: bytes.into(),
        });
        rest = more;
    }
    let mut house = House::durable(records);
    house.upgrade("/", "Sec-WebSocket-Protocol: porthouse.v1\r\n");
    house.receives(&masked(1, b"{\"op\":\"join\",\"room\":\"kept\",\"id\":1}"));
    let told = String::from_utf8_lossy(&house.take()).into_owned();
    assert!(told.contains("\"op\":\"admitted\""), "{KEPT} opens: {told}");
    house.receives(&masked(
        1,
        b"{\"op\":\"history\",\"room\":\"kept\",\"id\":2}",
    ));
    let told = String::from_utf8_lossy(&house.take()).into_owned();
    assert!(
        told.contains("\"op\":\"history\",\"id\":2"),
        "it is read: {told}"
    );
    let send = b"{\"op\":\"send\",\"room\":\"kept\",\"id\":3,\"receipt\":\"stored\"}\nhello";
    house.receives(&masked(1, send));
    let told = String::from_utf8_lossy(&house.take()).into_owned();
    assert!(told.contains("\"level\":\"stored\""), "it goes on: {told}");
});
