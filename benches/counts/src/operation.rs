//! What is counted. Each operation is run in rounds, all alike, and says how many
//! of it a round holds; that it does what it says is asserted at its end.

use porthouse_puddle::{BlackBox, SocketId};

use crate::world::World;

/// A message's payload.
const PAYLOAD: [u8; 128] = [b'x'; 128];
/// Messages in one read.
const READ_MESSAGES: usize = 64;
/// Sockets that listen.
const LISTENERS: u32 = 1_000;
/// Sockets that are silent.
const SILENT: u32 = 4_096;
/// Messages of a turn that is assembled.
const TURN_MESSAGES: usize = 8;

/// An operation of the message path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A frame of a raw socket that nobody else hears.
    Frame,
    /// The same over `porthouse.v1`: with a header line.
    Header,
    /// A delivery of a turn with one message, to 1,000 sockets.
    Route,
    /// A delivery of a turn with 8 messages, to 1,000 sockets.
    Assemble,
    /// A raw socket that comes into a known room, and leaves.
    Join,
    /// A turn in which nothing happens, beside 4,096 silent sockets.
    Turn,
    /// The heap of a raw socket that sits in a room and is silent.
    Sit,
    /// [`Self::Frame`], kept in a black box.
    BoxedFrame,
    /// [`Self::Route`], kept in a black box.
    BoxedRoute,
    /// [`Self::Assemble`], kept in a black box.
    BoxedAssemble,
}

/// What is counted of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Instructions, by callgrind.
    Instructions,
    /// Bytes of heap that are still in use at the end, by DHAT.
    Bytes,
}

impl Operation {
    /// Each.
    pub(crate) const ALL: [Self; 10] = [
        Self::Frame,
        Self::Header,
        Self::Route,
        Self::Assemble,
        Self::Join,
        Self::Turn,
        Self::Sit,
        Self::BoxedFrame,
        Self::BoxedRoute,
        Self::BoxedAssemble,
    ];

    /// What it is called.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Frame => "frame",
            Self::Header => "header",
            Self::Route => "route",
            Self::Assemble => "assemble",
            Self::Join => "join",
            Self::Turn => "turn",
            Self::Sit => "sit",
            Self::BoxedFrame => "frame_boxed",
            Self::BoxedRoute => "route_boxed",
            Self::BoxedAssemble => "assemble_boxed",
        }
    }

    /// All names.
    pub(crate) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// The one of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// How many a round holds.
    pub(crate) const fn per_round(self) -> u32 {
        match self {
            Self::Frame | Self::Header | Self::BoxedFrame => 64,
            Self::Route | Self::BoxedRoute => LISTENERS,
            Self::Assemble | Self::BoxedAssemble => LISTENERS * 8,
            Self::Join | Self::Turn | Self::Sit => 1,
        }
    }

    /// Runs so many rounds.
    pub(crate) fn run(self, rounds: u32) {
        match self {
            Self::Frame => say(off(), 0, rounds, &raw_frames(READ_MESSAGES)),
            Self::Route => say(off(), LISTENERS, rounds, &raw_frames(1)),
            Self::Assemble => say(off(), LISTENERS, rounds, &raw_frames(TURN_MESSAGES)),
            Self::BoxedFrame => say(on(), 0, rounds, &raw_frames(READ_MESSAGES)),
            Self::BoxedRoute => say(on(), LISTENERS, rounds, &raw_frames(1)),
            Self::BoxedAssemble => say(on(), LISTENERS, rounds, &raw_frames(TURN_MESSAGES)),
            Self::Header => say_multiplexed(rounds),
            Self::Join => join(rounds),
            Self::Turn => turn(rounds),
            Self::Sit => sit(rounds),
        }
    }

    /// What is counted of it.
    pub(crate) const fn unit(self) -> Unit {
        match self {
            Self::Frame
            | Self::Header
            | Self::Route
            | Self::Assemble
            | Self::Join
            | Self::Turn
            | Self::BoxedFrame
            | Self::BoxedRoute
            | Self::BoxedAssemble => Unit::Instructions,
            Self::Sit => Unit::Bytes,
        }
    }

    /// Rounds of two runs, whose difference is counted. The first are for what is made
    /// once; where memory is counted, tables that double are full at both.
    pub(crate) const fn rounds(self) -> [u32; 2] {
        match self.unit() {
            Unit::Instructions => [20, 120],
            Unit::Bytes => [1 << 10, 1 << 12],
        }
    }
}

const fn off() -> BlackBox {
    BlackBox::off()
}

/// A box so small that what is kept first has to give way.
fn on() -> BlackBox {
    BlackBox::new(256 * 1024)
}

/// The socket of a slot.
pub(crate) const fn socket(slot: u32) -> SocketId {
    SocketId {
        slot,
        generation: 0,
    }
}

/// Who speaks.
pub(crate) const SPEAKER: SocketId = socket(0);

/// One speaks to so many, a read a turn.
fn say(black_box: BlackBox, listeners: u32, rounds: u32, read: &[u8]) {
    let mut world = World::new(black_box);
    for slot in 0..=listeners {
        enter(&mut world, socket(slot));
    }
    let (before, counted) = (world.puddle.counters(), world.writes());
    let mut bytes = read.to_vec();
    for _ in 0..rounds {
        // Unmasked in place the last time.
        bytes.copy_from_slice(read);
        world.receive(SPEAKER, &mut bytes);
        world.turn();
    }
    let after = world.puddle.counters();
    let messages = (read.len() / raw_frames(1).len()) as u64 * u64::from(rounds);
    assert_eq!(after.messages - before.messages, messages);
    assert_eq!(
        after.deliveries - before.deliveries,
        messages * u64::from(listeners)
    );
    assert_eq!(
        world.writes() - counted,
        u64::from(rounds * listeners),
        "a write a turn"
    );
}

/// One speaks to nobody, over `porthouse.v1`.
fn say_multiplexed(rounds: u32) {
    let mut world = World::new(off());
    open(
        &mut world,
        SPEAKER,
        "/",
        "Sec-WebSocket-Protocol: porthouse.v1\r\n",
    );
    world.receive(
        SPEAKER,
        &mut frame(0x1, br#"{"op":"join","room":"bench","id":1}"#),
    );
    world.settle();
    assert_eq!(world.puddle.counters().admitted, 1);
    let mut message = b"{\"op\":\"send\",\"room\":\"bench\"}\n".to_vec();
    message.extend_from_slice(&PAYLOAD);
    let read = frame(0x2, &message).repeat(READ_MESSAGES);
    let mut bytes = read.clone();
    for _ in 0..rounds {
        bytes.copy_from_slice(&read);
        world.receive(SPEAKER, &mut bytes);
        world.turn();
    }
    let said = world.puddle.counters().messages;
    assert_eq!(said, READ_MESSAGES as u64 * u64::from(rounds));
}

/// One after the other comes into a room where somebody is, and leaves.
fn join(rounds: u32) {
    let mut world = World::new(off());
    enter(&mut world, SPEAKER);
    for generation in 0..rounds {
        let guest = SocketId {
            slot: 1,
            generation,
        };
        enter(&mut world, guest);
        world.lose(guest);
        world.turn();
    }
    assert_eq!(world.puddle.counters().admitted, u64::from(rounds) + 1);
    assert_eq!(world.puddle.counters().sockets, 1);
}

/// Nobody says anything for so many turns.
fn turn(rounds: u32) {
    let mut world = World::new(off());
    for slot in 0..SILENT {
        enter(&mut world, socket(slot));
    }
    let before = world.writes();
    for _ in 0..rounds {
        world.turn();
    }
    assert_eq!(world.writes(), before, "nobody is told anything");
}

/// So many come into a room, and stay to the end of the process.
fn sit(rounds: u32) {
    let mut world = World::new(off());
    for slot in 0..rounds {
        enter(&mut world, socket(slot));
    }
    assert_eq!(world.puddle.counters().sockets, u64::from(rounds));
    std::mem::forget(world);
}

/// A raw socket comes into the room.
pub(crate) fn enter(world: &mut World, socket: SocketId) {
    open(world, socket, "/bench", "");
}

fn open(world: &mut World, socket: SocketId, path: &str, further: &str) {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: porthouse\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{further}\r\n"
    );
    world.connect(socket);
    world.receive(socket, &mut request.into_bytes());
    world.settle();
}

/// Messages of a raw socket, as they are read.
pub(crate) fn raw_frames(count: usize) -> Vec<u8> {
    frame(0x2, &PAYLOAD).repeat(count)
}

/// A client's frame, masked. Its payload is shorter than 64 KiB.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [1, 2, 3, 4];
    let mut bytes = vec![0x80 | opcode];
    if let Ok(length @ 0..126) = u8::try_from(payload.len()) {
        bytes.push(0x80 | length);
    } else {
        bytes.push(0x80 | 0x7e);
        let length = u16::try_from(payload.len()).expect("it is short");
        bytes.extend_from_slice(&length.to_be_bytes());
    }
    bytes.extend_from_slice(&MASK);
    let masked = payload.iter().zip(MASK.into_iter().cycle());
    bytes.extend(masked.map(|(byte, mask)| byte ^ mask));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_does_what_it_says() {
        for operation in Operation::ALL {
            operation.run(3);
            assert_eq!(Operation::named(operation.name()), Some(operation));
        }
    }
}
