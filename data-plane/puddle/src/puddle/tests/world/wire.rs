//! Frames as a client sees them: made, and taken apart; and the request before
//! them.

use porthouse_model::MessageKind;

/// The code and reason of the close frame that these bytes end with.
pub(in crate::puddle::tests) fn close_frame(bytes: &[u8]) -> (u16, String) {
    let at = bytes
        .iter()
        .rposition(|byte| *byte == 0x88)
        .expect("a close frame");
    let payload = &bytes[at + 2..];
    assert_eq!(
        payload.len(),
        usize::from(bytes[at + 1]),
        "the close frame is the last"
    );
    let code = u16::from_be_bytes([payload[0], payload[1]]);
    (code, String::from_utf8_lossy(&payload[2..]).into_owned())
}

/// A frame as the server sends it.
pub(in crate::puddle::tests) fn frame(kind: MessageKind, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    crate::wire::frame::message(kind, payload, &mut out);
    out
}

/// A request for an upgrade, with these further header lines.
pub(in crate::puddle::tests) fn upgrade_request(path: &str, lines: &[&str]) -> Vec<u8> {
    let mut request = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    );
    for line in lines {
        request.push_str(line);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    request.into_bytes()
}
