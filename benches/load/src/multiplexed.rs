//! Porthouse's multiplexed sockets, `porthouse.v1`: one room each, every message
//! with its header line. Knows of the lines which is which, by how they begin.

use crate::frames::{self, BINARY, Frames, Goodbye, PONG, Piece, TEXT};
use crate::speech::{Meter, Part, Seen, Speech, Who, handshake};
use crate::target::Target;

/// So much of a line says which it is.
const BEGINNING_BYTES: usize = 16;

/// Sockets that are in one room over `porthouse.v1`.
#[derive(Clone)]
pub struct Multiplexed {
    room: String,
    counted: Counted,
}

/// What counts as a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    /// What somebody said.
    Said,
    /// That the socket came in: what it says is that it leaves and comes again.
    Entries,
}

impl Multiplexed {
    /// They speak and hear.
    #[must_use]
    pub fn in_room(name: &str) -> Self {
        Self {
            room: name.to_owned(),
            counted: Counted::Said,
        }
    }

    /// Those that echo leave and come in again, and each time counts.
    #[must_use]
    pub fn coming_and_going(name: &str) -> Self {
        Self {
            room: name.to_owned(),
            counted: Counted::Entries,
        }
    }

    fn join(&self) -> Vec<u8> {
        let line = format!("{{\"op\":\"join\",\"room\":\"{}\"}}", self.room);
        let mut bytes = Vec::new();
        frames::encode(&mut bytes, TEXT, line.as_bytes());
        bytes
    }
}

impl Speech for Multiplexed {
    type Meter = Lines;

    fn request(&self, target: &Target, _who: Who) -> String {
        handshake(
            &target.host,
            "/",
            "Sec-WebSocket-Protocol: porthouse.v1\r\n",
        )
    }

    fn greeting(&self, _who: Who) -> Vec<u8> {
        self.join()
    }

    fn meter(&self, who: Who) -> Lines {
        let counts = match (self.counted, who.part) {
            (Counted::Entries, Part::Echoes) => b"{\"op\":\"admitted\"".as_slice(),
            (Counted::Entries, Part::Speaks | Part::Listens | Part::Stalls)
            | (Counted::Said, _) => b"{\"op\":\"message\"",
        };
        Lines {
            frames: Frames::default(),
            inner: Inner {
                counts,
                beginning: [0; BEGINNING_BYTES],
                beginning_bytes: 0,
                inside: false,
            },
        }
    }

    fn message(&self, who: Who, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.counted == Counted::Entries && who.part == Part::Echoes {
            let line = format!("{{\"op\":\"leave\",\"room\":\"{}\"}}", self.room);
            frames::encode(&mut bytes, TEXT, line.as_bytes());
            bytes.extend_from_slice(&self.join());
            return bytes;
        }
        let mut message = format!("{{\"op\":\"send\",\"room\":\"{}\"}}\n", self.room).into_bytes();
        message.extend_from_slice(payload);
        frames::encode(&mut bytes, BINARY, &message);
        bytes
    }
}

/// Counts lines of one kind.
pub struct Lines {
    frames: Frames,
    inner: Inner,
}

struct Inner {
    /// How those that count begin.
    counts: &'static [u8],
    /// How this one does.
    beginning: [u8; BEGINNING_BYTES],
    beginning_bytes: usize,
    inside: bool,
}

impl Meter for Lines {
    fn take(&mut self, bytes: &[u8], seen: &mut Seen) {
        let inner = &mut self.inner;
        self.frames.take(bytes, |piece| match piece {
            Piece::Payload(some) => inner.begin(some),
            Piece::Message => inner.end(seen),
            Piece::Ping => seen.owed = &PONG,
            Piece::Close(goodbye) => seen.closed = Some(goodbye),
        });
    }

    fn is_inside(&self) -> bool {
        self.inner.inside
    }
}

impl Inner {
    fn begin(&mut self, some: &[u8]) {
        let space = BEGINNING_BYTES - self.beginning_bytes;
        let own = some.len().min(space);
        let end = self.beginning_bytes + own;
        self.beginning[self.beginning_bytes..end].copy_from_slice(&some[..own]);
        self.beginning_bytes = end;
    }

    fn end(&mut self, seen: &mut Seen) {
        let line = &self.beginning[..self.beginning_bytes];
        // Its first entry is how a socket comes in, and no message.
        seen.messages += u64::from(line.starts_with(self.counts) && self.inside);
        self.inside |= line.starts_with(b"{\"op\":\"admitted\"");
        if line.starts_with(b"{\"op\":\"refused\"") || line.starts_with(b"{\"op\":\"closed\"") {
            seen.closed = Some(Goodbye::NoCode);
        }
        self.beginning_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(into: &mut Vec<u8>, text: &str) {
        into.push(0x81);
        into.push(u8::try_from(text.len()).expect("short"));
        into.extend_from_slice(text.as_bytes());
    }

    fn seen(speech: &Multiplexed, part: Part, size: usize) -> (u64, bool) {
        let mut stream = Vec::new();
        for text in [
            "{\"op\":\"admitted\",\"room\":\"bench\"}",
            "{\"op\":\"message\",\"room\":\"bench\"}\nhello",
            "{\"op\":\"left\",\"room\":\"bench\"}",
            "{\"op\":\"admitted\",\"room\":\"bench\"}",
            "{\"op\":\"message\",\"room\":\"bench\"}\n{\"op\":\"admitted\"}",
        ] {
            line(&mut stream, text);
        }
        let mut meter = speech.meter(Who { room: 0, part });
        let mut seen = Seen::default();
        for bytes in stream.chunks(size) {
            meter.take(bytes, &mut seen);
        }
        assert_eq!(seen.closed, None);
        (seen.messages, meter.is_inside())
    }

    #[test]
    fn messages_and_entries_are_counted_however_the_stream_is_cut() {
        for size in [1, 3, 16, 1_000] {
            let speaking = Multiplexed::in_room("bench");
            assert_eq!(seen(&speaking, Part::Listens, size), (2, true));
            let coming = Multiplexed::coming_and_going("bench");
            assert_eq!(seen(&coming, Part::Echoes, size), (1, true));
            assert_eq!(seen(&coming, Part::Listens, size), (2, true));
        }
    }

    #[test]
    fn who_is_refused_is_not_waited_for() {
        let mut stream = Vec::new();
        line(&mut stream, "{\"op\":\"refused\",\"code\":4003}");
        let who = Who {
            room: 0,
            part: Part::Listens,
        };
        let mut meter = Multiplexed::in_room("bench").meter(who);
        let mut seen = Seen::default();
        meter.take(&stream, &mut seen);
        assert_eq!(seen.closed, Some(Goodbye::NoCode));
    }
}
