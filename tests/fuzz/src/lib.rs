//! What every target drives: one real puddle whose control plane knows nothing,
//! told bytes as a network would bring them. Never decides what is right.

use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr};

use porthouse_model::{Revision, Time, UnixTime};
use porthouse_puddle::{
    Answer, Input, Known, Output, Puddle, PuddleId, Question, QuestionId, Seed, Seeds, Settings, Shell,
    SocketId, TransientMakers, Wrote,
};

/// A puddle with one socket.
pub struct House {
    puddle: Puddle,
    told: Told,
}

/// What the puddle has told its shell.
#[derive(Default)]
struct Told {
    written: Vec<u8>,
    asked: Vec<(QuestionId, Question)>,
    open: bool,
}

const SOCKET: SocketId = SocketId {
    slot: 0,
    generation: 0,
};
const NOW: Time = Time::from_nanos(1_000_000_000);

impl Shell for Told {
    fn write(&mut self, _: SocketId, bytes: &[IoSlice<'_>]) -> Wrote {
        for slice in bytes {
            self.written.extend_from_slice(slice);
        }
        Wrote::All
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Ask { question, what } => self.asked.push((question, what)),
            Output::Close { .. } | Output::HandOver { .. } => self.open = false,
            _ => {}
        }
    }
}

impl House {
    /// Somebody has connected, and said nothing yet.
    #[must_use]
    pub fn new() -> Self {
        let mut settings = Settings::new(PuddleId(0), 1);
        settings.transient_makers = TransientMakers::Anyone;
        let mut house = Self {
            puddle: Puddle::new(settings, Seeds::repeatable(Seed(7)), NOW),
            told: Told::default(),
        };
        let revision = Revision(1);
        house.happens(Input::Wall(UnixTime::from_millis(1_700_000_000_000)));
        house.happens(Input::Resync { revision });
        house.happens(Input::Fresh { revision });
        house.told.open = true;
        house.happens(Input::Connected {
            socket: SOCKET,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        });
        house
    }

    /// A raw socket in a room of its own.
    #[must_use]
    pub fn raw() -> Self {
        Self::upgraded("/room", "")
    }

    /// A socket at the primary bridge, in no room yet.
    #[must_use]
    pub fn multiplexed() -> Self {
        Self::upgraded("/", "Sec-WebSocket-Protocol: porthouse.v1\r\n")
    }

    fn upgraded(target: &str, headers: &str) -> Self {
        let mut house = Self::new();
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             {headers}\r\n"
        );
        house.receives(request.as_bytes());
        assert!(house.take().starts_with(b"HTTP/1.1 101 "), "it is let in");
        house
    }

    /// Bytes come from the socket, and everything that follows from them happens.
    pub fn receives(&mut self, bytes: &[u8]) {
        if bytes.is_empty() || !self.told.open {
            return;
        }
        self.receives_in_pieces(bytes, bytes.len());
    }

    /// The same bytes in pieces of this length, all in one turn: between turns
    /// more may be written before the socket is closed.
    fn receives_in_pieces(&mut self, bytes: &[u8], piece: usize) {
        for piece in bytes.chunks(piece.max(1)) {
            let input = Input::Received {
                socket: SOCKET,
                bytes: &mut piece.to_vec(),
            };
            self.puddle.handle(NOW, input);
        }
        self.settle();
    }

    /// What was written to the socket since the last time.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.told.written)
    }

    fn happens(&mut self, input: Input<'_>) {
        self.puddle.handle(NOW, input);
        self.settle();
    }

    /// Ends the turn, and those of the answers that it asked for.
    fn settle(&mut self) {
        self.puddle.settle(NOW, &mut self.told);
        while let Some((question, what)) = self.told.asked.pop() {
            let answer = match what {
                Question::Resolve { .. } => Answer::Resolved {
                    revision: Revision(1),
                    known: Known::Absent,
                },
                _ => Answer::Unavailable,
            };
            self.puddle
                .handle(NOW, Input::Answered { question, answer });
            self.puddle.settle(NOW, &mut self.told);
        }
        self.puddle.check();
    }
}

impl Default for House {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs the bytes whole and in pieces: a cut is no meaning, so both are told the
/// same. The first byte says how long a piece is.
pub fn whole_and_in_pieces(house: fn() -> House, data: &[u8]) {
    let Some((piece, bytes)) = data.split_first() else {
        return;
    };
    let mut whole = house();
    whole.receives(bytes);
    let mut pieces = house();
    pieces.receives_in_pieces(bytes, usize::from(*piece));
    assert_eq!(whole.take(), pieces.take(), "a cut means nothing");
}

/// A frame as a client sends it (RFC 6455, section 5.2), under a mask of zeros.
#[must_use]
pub fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(len @ 0..=125), _) => frame.push(0x80 | len),
        (_, Ok(len)) => {
            frame.push(0xfe);
            frame.extend_from_slice(&len.to_be_bytes());
        }
        (_, Err(_)) => {
            frame.push(0xff);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}
