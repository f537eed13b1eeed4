//! NATS over its WebSocket listener: its protocol's lines inside frames, one
//! subject. Knows of the protocol what a subscriber to one subject sees.

use std::process::Command;

use porthouse_load::frames::{self, BINARY, Frames, Goodbye, Piece};
use porthouse_load::speech::{Meter, Part, Seen, Speech, Who, handshake};
use porthouse_load::target::Target;

use super::{Place, found};

/// `PONG` in a client's frame.
const PONG: [u8; 12] = *b"\x82\x86\0\0\0\0PONG\r\n";
/// The longest line that is looked at; the server's own words are longer, and
/// only their beginnings matter.
const LINE_BYTES_MAX: usize = 64;

/// Its program and configuration.
pub(super) fn command(place: &Place) -> anyhow::Result<Command> {
    let text = format!(
        "listen: \"127.0.0.1:-1\"
max_connections: 20000
websocket {{ listen: \"{}\", no_tls: true, compression: false }}
",
        place.address
    );
    let configuration = place.configure("nats.conf", &text)?;
    let mut command = Command::new(found("nats-server")?);
    // Its scheduler has the one core that the process has.
    command.arg("-c").arg(configuration).env("GOMAXPROCS", "1");
    Ok(command)
}

/// One subject.
#[derive(Clone, Copy)]
pub(super) struct Nats;

impl Speech for Nats {
    type Meter = Lines;

    fn request(&self, target: &Target, _who: Who) -> String {
        handshake(&target.host, "/", "")
    }

    fn greeting(&self, who: Who) -> Vec<u8> {
        let hello = "CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":false}\r\n";
        let subscription = match who.part {
            Part::Speaks => "",
            Part::Listens | Part::Echoes | Part::Stalls => "SUB bench 1\r\n",
        };
        let mut bytes = Vec::new();
        let lines = format!("{hello}{subscription}PING\r\n");
        frames::encode(&mut bytes, BINARY, lines.as_bytes());
        bytes
    }

    fn meter(&self, _who: Who) -> Lines {
        Lines::default()
    }

    fn message(&self, _who: Who, payload: &[u8]) -> Vec<u8> {
        let mut lines = format!("PUB bench {}\r\n", payload.len()).into_bytes();
        lines.extend_from_slice(payload);
        lines.extend_from_slice(b"\r\n");
        let mut bytes = Vec::new();
        frames::encode(&mut bytes, BINARY, &lines);
        bytes
    }
}

/// Where in the protocol's stream a socket is.
#[derive(Default)]
pub(super) struct Lines {
    frames: Frames,
    inner: Inner,
}

#[derive(Default)]
struct Inner {
    line: Vec<u8>,
    /// Of a message's payload and its end.
    left: usize,
    inside: bool,
}

impl Meter for Lines {
    fn take(&mut self, bytes: &[u8], seen: &mut Seen) {
        let inner = &mut self.inner;
        self.frames.take(bytes, |piece| match piece {
            Piece::Payload(payload) => inner.take(payload, seen),
            Piece::Message => {}
            Piece::Ping => seen.owed = &frames::PONG,
            Piece::Close(goodbye) => seen.closed = Some(goodbye),
        });
    }

    fn is_inside(&self) -> bool {
        self.inner.inside
    }
}

impl Inner {
    fn take(&mut self, mut bytes: &[u8], seen: &mut Seen) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let own = self.left.min(bytes.len());
                self.left -= own;
                bytes = &bytes[own..];
                seen.messages += u64::from(self.left == 0);
                continue;
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let own = &bytes[..end.map_or(bytes.len(), |end| end + 1)];
            let space = LINE_BYTES_MAX.saturating_sub(self.line.len());
            self.line.extend_from_slice(&own[..own.len().min(space)]);
            bytes = &bytes[own.len()..];
            if end.is_some() {
                self.line(seen);
                self.line.clear();
            }
        }
    }

    fn line(&mut self, seen: &mut Seen) {
        let line = std::str::from_utf8(&self.line)
            .unwrap_or_default()
            .trim_end();
        if let Some(message) = line.strip_prefix("MSG ") {
            let bytes = message
                .rsplit(' ')
                .next()
                .and_then(|text| text.parse().ok());
            self.left = bytes.map_or(0, |bytes: usize| bytes + 2);
        } else if line == "PONG" {
            self.inside = true;
        } else if line == "PING" {
            seen.owed = &PONG;
        } else if line.starts_with("-ERR") {
            seen.closed = Some(Goodbye::NoCode);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_however_the_stream_is_cut() {
        let lines =
            b"INFO {\"x\":1}\r\nPONG\r\nMSG bench 1 3\r\nabc\r\nMSG bench 1 0\r\n\r\nPING\r\n";
        let mut stream = vec![0x82, u8::try_from(lines.len()).expect("short")];
        stream.extend_from_slice(lines);
        for size in [1, 3, 7, stream.len()] {
            let (mut meter, mut seen) = (Lines::default(), Seen::default());
            for bytes in stream.chunks(size) {
                meter.take(bytes, &mut seen);
            }
            assert!(meter.is_inside());
            assert_eq!(
                (seen.messages, seen.owed),
                (2, &PONG[..]),
                "in steps of {size}"
            );
        }
    }
}
