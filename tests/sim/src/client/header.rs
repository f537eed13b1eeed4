//! The header lines of `porthouse.v1` as a client has them. Written from the protocol's text,
//! apart from the node's.

use std::borrow::Cow;
use std::fmt::Write;

use serde::Deserialize;

/// What a server says in a header line.
#[derive(Debug, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "fields as they are written")]
pub(crate) struct Said<'a> {
    #[serde(borrow)]
    pub(crate) op: Cow<'a, str>,
    pub(crate) id: Option<u64>,
    #[serde(borrow)]
    pub(crate) room: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) to: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) from: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) client: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) rule: Option<Cow<'a, str>>,
    pub(crate) epoch: Option<u64>,
    pub(crate) offset: Option<u64>,
    pub(crate) recovered: Option<bool>,
    #[serde(borrow)]
    pub(crate) level: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) resume: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) step: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) history: bool,
    pub(crate) dropped: Option<u32>,
    pub(crate) count: Option<u64>,
    pub(crate) through: Option<u64>,
    #[serde(default)]
    pub(crate) complete: bool,
    pub(crate) seq: Option<u64>,
    #[serde(borrow)]
    pub(crate) present: Option<Vec<There<'a>>>,
    #[serde(borrow, default)]
    pub(crate) joined: Vec<There<'a>>,
    #[serde(borrow, default)]
    pub(crate) clients: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) left: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) updated: Vec<There<'a>>,
    #[serde(default)]
    pub(crate) more: bool,
    #[serde(default)]
    pub(crate) ended: bool,
}

/// A client that is there.
#[derive(Debug, Deserialize)]
pub(crate) struct There<'a> {
    #[serde(borrow)]
    pub(crate) client: Cow<'a, str>,
    pub(crate) devices: Devices,
}

/// Its sockets.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Devices {
    pub(crate) raw: u32,
    pub(crate) multiplexed: u32,
}

impl<'a> Said<'a> {
    /// Reads a frame: its header line, and what follows.
    pub(crate) fn read(frame: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let end = frame.iter().position(|byte| *byte == b'\n');
        let (line, payload) = match end {
            Some(end) => (&frame[..end], &frame[end + 1..]),
            None => (frame, &[][..]),
        };
        let said = serde_json::from_slice(line).ok()?;
        Some((said, payload))
    }
}

/// What a client asks in a header line.
#[derive(Debug)]
pub(crate) struct Asking {
    line: String,
}

impl Asking {
    pub(crate) fn new(op: &str) -> Self {
        Self {
            line: format!(r#"{{"op":"{op}""#),
        }
    }

    pub(crate) fn id(mut self, id: u64) -> Self {
        write!(self.line, r#","id":{id}"#).expect("a string takes all");
        self
    }

    /// A field whose text needs no escapes.
    pub(crate) fn text(mut self, name: &str, text: &str) -> Self {
        write!(self.line, r#","{name}":"{text}""#).expect("a string takes all");
        self
    }

    /// A number, if there is one.
    pub(crate) fn number(mut self, name: &str, number: Option<u64>) -> Self {
        if let Some(number) = number {
            write!(self.line, r#","{name}":{number}"#).expect("a string takes all");
        }
        self
    }

    pub(crate) fn clients(mut self, name: &str, clients: &[u128]) -> Self {
        if clients.is_empty() {
            return self;
        }
        let list: Vec<String> = clients
            .iter()
            .map(|client| format!("{:?}", uuid(*client)))
            .collect();
        write!(self.line, r#","{name}":[{}]"#, list.join(",")).expect("a string takes all");
        self
    }

    /// The line, without its newline.
    pub(crate) fn end(mut self) -> String {
        self.line.push('}');
        self.line
    }
}

/// A client id's text.
pub(crate) fn uuid(client: u128) -> String {
    let hex = format!("{client:032x}");
    [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-")
}

/// A client id from its text.
pub(crate) fn client_id(text: &str) -> Option<u128> {
    let hex: String = text.chars().filter(|char| *char != '-').collect();
    u128::from_str_radix(&hex, 16)
        .ok()
        .filter(|_| hex.len() == 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_is_read_as_it_is_written() {
        let client = 0x1234_5678_9abc_def0_u128 << 60;
        assert_eq!(client_id(&uuid(client)), Some(client));
        assert_eq!(client_id("1234"), None);
    }

    #[test]
    fn a_line_says_what_was_put_in_it() {
        let line = Asking::new("send")
            .id(7)
            .text("room", "r")
            .clients("to", &[1])
            .end();
        let id = uuid(1);
        assert_eq!(
            line,
            format!(r#"{{"op":"send","id":7,"room":"r","to":["{id}"]}}"#)
        );
    }

    #[test]
    fn a_message_is_told_from_its_header() {
        let (said, payload) =
            Said::read(b"{\"op\":\"message\",\"room\":\"r\"}\na\nb").expect("a line");
        assert_eq!(
            (said.op.as_ref(), said.room.as_deref()),
            ("message", Some("r"))
        );
        assert_eq!(payload, b"a\nb");
    }
}
