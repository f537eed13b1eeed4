//! `Last-Event-ID`, as the reader of a stream shows it: no id makes the stream
//! fail, and only the one that was given goes on without a gap.
#![no_main]

use std::sync::LazyLock;

use porthouse_fuzz::House;

/// The id that the room gives who comes first.
static GIVEN: LazyLock<String> = LazyLock::new(|| {
    let told = stream("");
    let (_, id) = told.split_once("\r\n\r\nid: ").expect("a place");
    id.trim_end().to_owned()
});

libfuzzer_sys::fuzz_target!(|id: &str| {
    let id: String = id.chars().filter(|char| !char.is_control()).collect();
    let told = stream(&format!("Last-Event-ID: {id}\r\n"));
    let shown = id.trim_matches([' ', '\t']);
    if shown.is_empty() {
        assert!(!told.contains("recovered"), "it says nothing");
    } else {
        let recovered = format!("data: {{\"recovered\":{}}}\n", shown == *GIVEN);
        assert!(told.contains(&recovered), "{shown}: {told}");
    }
});

/// What the first in a room of its own that keeps is told.
fn stream(header: &str) -> String {
    let mut house = House::new();
    let request =
        format!("GET /room HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n{header}\r\n");
    house.receives(request.as_bytes());
    let told = String::from_utf8(house.take()).expect("text");
    assert!(told.starts_with("HTTP/1.1 200 "), "{told}");
    told
}
