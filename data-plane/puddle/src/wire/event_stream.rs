//! Server-sent events (WHATWG HTML, section 9.2): what a room says as lines of
//! text that no message can break out of. Owns the events' names; decides
//! nothing.

use data_encoding::BASE64;
use porthouse_model::{MessageKind, Refusal, Retry};

use super::event_id;
use super::explanation::Explanation;
use crate::home::Stand;

/// Says nothing, and shows that somebody is there.
pub(crate) const KEEP_ALIVE: &[u8] = b":\n\n";

/// Appends a message; one that has a place has that as its id. Its text is one `data` line for each of its own, so that
/// nothing in it begins another field or ends the event. Lines end in three ways
/// there, and a reader makes one of them of all: text with a carriage return goes
/// in base64, as binary does, to arrive as it was.
pub(crate) fn message(stand: Option<Stand>, kind: MessageKind, payload: &[u8], out: &mut Vec<u8>) {
    if let Some(stand) = stand {
        event_id::line(stand, out);
    }
    match kind {
        MessageKind::Text if payload.contains(&b'\r') => encoded("text", payload, out),
        MessageKind::Text => {
            out.extend_from_slice(b"event: message\n");
            data(payload, out);
        }
        MessageKind::Binary => encoded("binary", payload, out),
    }
}

/// Appends how far the room is: from here a reader goes on that hears nothing
/// more. No event, for there is no data (section 9.2.6).
pub(crate) fn place(stand: Stand, out: &mut Vec<u8>) {
    event_id::line(stand, out);
    out.push(b'\n');
}

/// Appends that all comes that its reader missed, or that something may be
/// missing.
pub(crate) fn recovered(recovered: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(
        format!("event: recovered\ndata: {{\"recovered\":{recovered}}}\n\n").as_bytes(),
    );
}

/// Appends that the room's offsets begin anew.
pub(crate) fn epoch(stand: Stand, out: &mut Vec<u8>) {
    let Stand { epoch, offset } = stand;
    event_id::line(stand, out);
    out.extend_from_slice(
        format!("event: epoch\ndata: {{\"epoch\":{epoch},\"offset\":{offset}}}\n\n").as_bytes(),
    );
}

/// Appends why nothing more comes; a reader that connects again by itself is told
/// when.
pub(crate) fn closed(refusal: &Refusal, out: &mut Vec<u8>) {
    if let Retry::AfterMs(ms) = refusal.retry() {
        out.extend_from_slice(format!("retry: {ms}\n").as_bytes());
    }
    out.extend_from_slice(b"event: closed\n");
    let explanation =
        serde_json::to_vec(&Explanation::of(refusal)).expect("an explanation is JSON");
    data(&explanation, out);
}

/// Appends that so many messages are missing here, for the reader was too slow.
pub(crate) fn gap(dropped: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("event: gap\ndata: {{\"dropped\":{dropped}}}\n\n").as_bytes());
}

fn encoded(event: &str, payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("event: {event}\n").as_bytes());
    data(BASE64.encode(payload).as_bytes(), out);
}

/// The `data` lines, and the line that ends the event.
fn data(text: &[u8], out: &mut Vec<u8>) {
    for line in text.split(|byte| *byte == b'\n') {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use porthouse_model::{Denial, RefusalId, Refused};
    use proptest::prelude::*;

    use super::*;

    /// The events of a stream, as section 9.2.6 reads them: name and data.
    fn events(stream: &[u8]) -> Vec<(String, String)> {
        let text = String::from_utf8(stream.to_vec()).expect("an event stream is UTF-8");
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let (mut name, mut data, mut events) = (String::new(), String::new(), Vec::new());
        for line in text.split('\n') {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut name),
                "data" => data = data + value + "\n",
                _ => {}
            }
            if line.is_empty() && !data.is_empty() {
                let whole = data.strip_suffix('\n').expect("each line adds one");
                events.push((std::mem::take(&mut name), whole.to_owned()));
                data.clear();
            }
        }
        events
    }

    fn sent(kind: MessageKind, payload: &[u8]) -> Vec<(String, String)> {
        let mut out = Vec::new();
        message(None, kind, payload, &mut out);
        out.extend_from_slice(KEEP_ALIVE);
        events(&out)
    }

    #[test]
    fn a_message_shaped_like_an_event_is_one_event() {
        for text in [
            "x\nevent: admin",
            "x\n\nevent: admin\ndata: y\n\n",
            "\n",
            "",
            " x",
            "data: x",
            ":",
        ] {
            let told = sent(MessageKind::Text, text.as_bytes());
            assert_eq!(told, [("message".to_owned(), text.to_owned())]);
        }
        let returns = "x\r\revent: admin\rdata: y\r\r";
        let coded = BASE64.encode(returns.as_bytes());
        let told = sent(MessageKind::Text, returns.as_bytes());
        assert_eq!(told, [("text".to_owned(), coded)]);
    }

    #[test]
    fn what_ends_a_stream_says_why_and_when_to_come_again() {
        let mut out = Vec::new();
        let refusal = |refused| Denial::of(refused).named(RefusalId(0xab));
        closed(&refusal(Refused::Draining), &mut out);
        assert!(out.starts_with(b"retry: 1000\nevent: closed\ndata: {\"code\":1012,"));
        closed(&refusal(Refused::MembersOnly), &mut out);
        let told = events(&out);
        assert!(told[1].1.contains(r#""rule":"visibility.private""#));
        assert!(told[1].1.contains(r#""refusal_id":"00000000000000ab""#));
    }

    proptest! {
        #[test]
        fn every_message_arrives_as_it_was(text: String, bytes: Vec<u8>) {
            let told = sent(MessageKind::Text, text.as_bytes());
            prop_assert_eq!(told.len(), 1);
            let (name, data) = &told[0];
            if name == "message" {
                prop_assert_eq!(data, &text);
            } else {
                prop_assert_eq!(BASE64.decode(data.as_bytes()), Ok(text.into_bytes()));
            }
            let told = sent(MessageKind::Binary, &bytes);
            prop_assert_eq!(&told[0].0, "binary");
            prop_assert_eq!(BASE64.decode(told[0].1.as_bytes()), Ok(bytes));
        }
    }
}
