//! How a server is spoken to: what a socket says to come in, what a message is,
//! and how those that come are counted. Porthouse's way is [`crate::raw`]; that of
//! each other server is with the benchmark that runs it.

use crate::frames::{Frames, Goodbye, PONG, Piece};
use crate::target::Target;

/// Which socket of a crowd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    /// In which room, counted from 0.
    pub room: usize,
    /// What it does there.
    pub part: Part,
}

/// What a socket does in its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Says what the others hear.
    Speaks,
    /// Hears it, and is counted.
    Listens,
    /// Both: the room returns what is said.
    Echoes,
    /// Is inside and never reads.
    Stalls,
}

/// What was in some bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Messages of the room, whole.
    pub messages: u64,
    /// What the socket owes the server for it, such as a pong.
    pub owed: &'static [u8],
    /// The server closes the socket.
    pub closed: Option<Goodbye>,
}

/// Counts what comes to one socket.
pub trait Meter {
    /// Takes what was read.
    fn take(&mut self, bytes: &[u8], seen: &mut Seen);
    /// Whether the socket is in its room.
    fn is_inside(&self) -> bool;
}

/// How a kind of server is spoken to.
pub trait Speech {
    /// Counts what comes to a socket.
    type Meter: Meter;

    /// The request that opens a socket, with its empty line.
    fn request(&self, target: &Target, who: Who) -> String;
    /// What a socket says once it is open.
    fn greeting(&self, who: Who) -> Vec<u8>;
    /// A meter for a socket that is being opened.
    fn meter(&self, who: Who) -> Self::Meter;
    /// A message of the room, as bytes to write.
    fn message(&self, who: Who, payload: &[u8]) -> Vec<u8>;
}

/// The request of a handshake, with a path and further header lines.
#[must_use]
pub fn handshake(host: &str, path: &str, further: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{further}\r\n"
    )
}

/// Every frame with a message is one.
impl Meter for Frames {
    fn take(&mut self, bytes: &[u8], seen: &mut Seen) {
        Self::take(self, bytes, |piece| match piece {
            Piece::Payload(_) => {}
            Piece::Message => seen.messages += 1,
            Piece::Ping => seen.owed = &PONG,
            Piece::Close(goodbye) => seen.closed = Some(goodbye),
        });
    }

    fn is_inside(&self) -> bool {
        true
    }
}
