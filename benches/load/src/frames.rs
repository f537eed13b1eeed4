//! Frames of a server, taken apart by their headers alone: how many messages came,
//! whether it asks if we are there, and why it closes. Payloads are passed on for
//! those who speak another protocol inside; never kept.

use std::fmt;

/// How a server parts from a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goodbye {
    /// By a close frame with this code.
    Code(u16),
    /// By a close frame without one.
    NoCode,
    /// The connection ended, and nothing was said.
    Silent,
}

impl fmt::Display for Goodbye {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(formatter, "{code}"),
            Self::NoCode => formatter.write_str("no code"),
            Self::Silent => formatter.write_str("no close frame"),
        }
    }
}

/// What a piece of the stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Some of a message's payload.
    Payload(&'a [u8]),
    /// A message's last byte has come.
    Message,
    /// The server wants a pong.
    Ping,
    /// The server closes.
    Close(Goodbye),
}

/// Where in the stream a socket is. Small, as there is one a socket.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    /// The header so far, or a close frame's code so far.
    part: [u8; 10],
    part_bytes: u8,
    first: u8,
    inside: bool,
    left: u64,
}

const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
/// Says that 16 bits of length follow; 64 after the next.
const SHORT: u8 = 0x7e;
const LONG: u8 = 0x7f;
const OPCODE: u8 = 0x0f;
const CONTROL: u8 = 0x08;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;

impl Frames {
    /// Takes what was read, and tells each piece of it in order.
    pub fn take<'a>(&mut self, mut bytes: &'a [u8], mut each: impl FnMut(Piece<'a>)) {
        while !bytes.is_empty() {
            if self.inside {
                bytes = self.body(bytes, &mut each);
            } else {
                bytes = self.header(bytes, &mut each);
            }
        }
    }

    /// Takes a header from the front, or what there is of one.
    fn header<'a>(&mut self, bytes: &'a [u8], each: &mut impl FnMut(Piece<'a>)) -> &'a [u8] {
        let have = usize::from(self.part_bytes);
        // Most headers come whole, and are read where they are.
        let (length, taken) = if let (0, Some(whole)) = (have, length(bytes)) {
            self.first = bytes[0];
            whole
        } else {
            self.part[have] = bytes[0];
            self.part_bytes += 1;
            let Some((length, _)) = length(&self.part[..=have]) else {
                return &bytes[1..];
            };
            self.first = self.part[0];
            (length, 1)
        };
        self.part_bytes = 0;
        self.inside = true;
        self.left = length;
        if length == 0 {
            self.end(each);
        }
        &bytes[taken..]
    }

    /// Takes what belongs to the frame that has begun.
    fn body<'a>(&mut self, bytes: &'a [u8], each: &mut impl FnMut(Piece<'a>)) -> &'a [u8] {
        let all = usize::try_from(self.left).unwrap_or(usize::MAX);
        let (own, rest) = bytes.split_at(all.min(bytes.len()));
        if self.first & CONTROL == 0 {
            each(Piece::Payload(own));
        } else if self.first & OPCODE == CLOSE {
            for byte in own {
                if let Some(place) = self
                    .part
                    .get_mut(usize::from(self.part_bytes))
                    .filter(|_| self.part_bytes < 2)
                {
                    *place = *byte;
                    self.part_bytes += 1;
                }
            }
        }
        self.left -= own.len() as u64;
        if self.left == 0 {
            self.end(each);
        }
        rest
    }

    fn end<'a>(&mut self, each: &mut impl FnMut(Piece<'a>)) {
        self.inside = false;
        let told = match self.first & OPCODE {
            CLOSE => {
                let code = u16::from_be_bytes([self.part[0], self.part[1]]);
                Some(Piece::Close(match self.part_bytes {
                    2 => Goodbye::Code(code),
                    _ => Goodbye::NoCode,
                }))
            }
            PING => Some(Piece::Ping),
            opcode if opcode & CONTROL != 0 => None,
            _ => (self.first & FINAL != 0).then_some(Piece::Message),
        };
        self.part_bytes = 0;
        if let Some(piece) = told {
            each(piece);
        }
    }
}

/// A header's payload length and its own, if all of it is here.
#[inline]
fn length(bytes: &[u8]) -> Option<(u64, usize)> {
    let kind = bytes.get(1)? & 0x7f;
    if kind < SHORT {
        return Some((u64::from(kind), 2));
    }
    if kind == SHORT {
        let length = bytes.get(2..4)?.try_into().ok()?;
        return Some((u64::from(u16::from_be_bytes(length)), 4));
    }
    let length = bytes.get(2..10)?.try_into().ok()?;
    Some((u64::from_be_bytes(length), 10))
}

/// A client's frame with a message: masked by zeros, which leaves the payload as
/// it is.
pub fn encode(into: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    let length = payload.len();
    into.push(FINAL | opcode);
    if length < usize::from(SHORT) {
        into.push(MASKED | u8::try_from(length).unwrap_or_default());
    } else if let Ok(short) = u16::try_from(length) {
        into.push(MASKED | SHORT);
        into.extend_from_slice(&short.to_be_bytes());
    } else {
        into.push(MASKED | LONG);
        into.extend_from_slice(&(length as u64).to_be_bytes());
    }
    into.extend_from_slice(&[0; 4]);
    into.extend_from_slice(payload);
}

/// The opcode of binary messages.
pub const BINARY: u8 = 2;
/// The opcode of texts.
pub const TEXT: u8 = 1;
/// A client's pong.
pub const PONG: [u8; 6] = [FINAL | 0xa, 0x80, 0, 0, 0, 0];

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages of each length of header, a ping, a pong, a message in fragments,
    /// an empty one, and a close frame.
    fn stream() -> Vec<u8> {
        let mut bytes = vec![0x82, 3, 1, 2, 3];
        bytes.extend_from_slice(&[0x89, 2, 9, 9]);
        bytes.extend_from_slice(&[0x82, 126, 0, 200]);
        bytes.extend_from_slice(&[7; 200]);
        bytes.extend_from_slice(&[0x8a, 0]);
        bytes.extend_from_slice(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        bytes.extend_from_slice(&vec![8; 65_536]);
        bytes.extend_from_slice(&[0x01, 1, b'a', 0x80, 1, b'b', 0x81, 0]);
        bytes.extend_from_slice(&[0x88, 4, 0x10, 0x05, b'o', b'k']);
        bytes
    }

    fn told(steps: impl Iterator<Item = Vec<u8>>) -> (usize, usize, usize, Option<Goodbye>) {
        let (mut frames, mut payload, mut messages, mut pings) = (Frames::default(), 0, 0, 0);
        let mut closed = None;
        for bytes in steps {
            frames.take(&bytes, |piece| match piece {
                Piece::Payload(some) => payload += some.len(),
                Piece::Message => messages += 1,
                Piece::Ping => pings += 1,
                Piece::Close(goodbye) => closed = Some(goodbye),
            });
        }
        (payload, messages, pings, closed)
    }

    #[test]
    fn frames_are_counted_however_the_stream_is_cut() {
        let stream = stream();
        let expected = (3 + 200 + 65_536 + 2, 5, 1, Some(Goodbye::Code(4_101)));
        for size in [1, 2, 3, 5, 7, 131, 4_096, stream.len()] {
            let steps = stream.chunks(size).map(<[u8]>::to_vec);
            assert_eq!(told(steps), expected, "in steps of {size}");
        }
    }

    #[test]
    fn a_close_frame_without_a_code_has_none() {
        assert_eq!(
            told(std::iter::once(vec![0x88, 0])),
            (0, 0, 0, Some(Goodbye::NoCode))
        );
    }

    #[test]
    fn what_a_client_says_has_the_shortest_header() {
        for (length, header) in [(3, 6), (125, 6), (126, 8), (65_535, 8), (65_536, 14)] {
            let mut bytes = Vec::new();
            encode(&mut bytes, BINARY, &vec![1; length]);
            assert_eq!(bytes.len(), header + length);
        }
    }
}
