//! What every target drives: one real puddle whose control plane knows next to
//! nothing, told bytes as a network would bring them. Never decides what is right.

pub mod formats;

use std::io::IoSlice;
use std::sync::Arc;
use std::time::Duration;

use porthouse_model::{
    CodeVersion, EntryStep, Keep, PasswordVersion, PolicyKey, Revision, Room, RoomBlocks, RoomId,
    RoomName, RoomRules, Time, UnixTime,
};
use porthouse_puddle::{
    Answer, FromStore, HistoryStore, Input, Known, Mark, Output, Pass, Proof, Puddle, PuddleId,
    Question, QuestionId, RESUME_KEY_BYTES, Record, ResumeKeys, RoomPolicy, Seed, Seeds, Settings,
    Shell, SocketId, StoreRequest, ToStore, TransientMakers, Verdict, Wrote,
};

/// A puddle with one socket, or two.
pub struct House {
    puddle: Puddle,
    told: Told,
    /// What the store has of the one durable room there is.
    stored: Option<Vec<Record>>,
    /// How many answers were judged right.
    judged_right: usize,
}

/// What the puddle has told its shell.
#[derive(Default)]
struct Told {
    /// To each socket.
    written: [Vec<u8>; 2],
    asked: Vec<(QuestionId, Question)>,
    bridged: Vec<(StoreRequest, ToStore)>,
    /// Each socket.
    open: [bool; 2],
}

/// The one socket, and the one beside it.
#[derive(Clone, Copy)]
pub enum Which {
    /// The first.
    First,
    /// The raw socket of a sibling.
    Beside,
}

impl Which {
    const fn socket(self) -> SocketId {
        SocketId {
            slot: self as u32,
            generation: 0,
        }
    }
}

/// A proxy, which says of whom each connection is, or nothing.
const FROM: &str = "127.0.0.1";
const NOW: Time = Time::from_nanos(1_000_000_000);

impl Shell for Told {
    fn write(&mut self, socket: SocketId, bytes: &[IoSlice<'_>]) -> Wrote {
        for slice in bytes {
            self.written[socket.slot as usize].extend_from_slice(slice);
        }
        Wrote::All
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Ask { question, what, .. } => self.asked.push((question, what)),
            Output::Bridge { request, what, .. } => self.bridged.push((request, what)),
            Output::Close { socket } | Output::HandOver { socket, .. } => {
                self.open[socket.slot as usize] = false;
            }
            _ => {}
        }
    }
}

impl House {
    /// Somebody has connected, and said nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::with(None)
    }

    /// The same with a durable room, `kept`, of which a store has these records.
    #[must_use]
    pub fn durable(records: Vec<Record>) -> Self {
        Self::with(Some(records))
    }

    fn with(stored: Option<Vec<Record>>) -> Self {
        let mut settings = Settings::new(PuddleId(0), 1);
        settings.transient_makers = TransientMakers::Anyone;
        settings.transient_rules.history.keep = Keep::Last {
            messages_max: 100,
            age_max: Duration::from_secs(60),
        };
        settings.hosts.trusted_proxies = vec![FROM.parse().expect("a range")];
        settings.resume_keys = ResumeKeys::new(&[[7; RESUME_KEY_BYTES]]);
        if stored.is_some() {
            settings.history_store = HistoryStore::Bridged;
        }
        let mut house = Self {
            puddle: Puddle::new(settings, Seeds::repeatable(Seed(7)), NOW),
            told: Told::default(),
            stored,
            judged_right: 0,
        };
        let revision = Revision(1);
        house.happens(Input::Wall(UnixTime::from_millis(1_700_000_000_000)));
        house.happens(Input::Resync { revision });
        house.happens(Input::Fresh { revision });
        house.connects(Which::First);
        house
    }

    fn connects(&mut self, which: Which) {
        self.told.open[which as usize] = true;
        self.happens(Input::Connected {
            socket: which.socket(),
            address: FROM.parse().expect("an address"),
        });
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

    /// A socket before the door of a room that asks for a password and a code,
    /// over `porthouse.raw.v1`.
    #[must_use]
    pub fn shaking() -> Self {
        Self::upgraded("/asks", "Sec-WebSocket-Protocol: porthouse.raw.v1\r\n")
    }

    /// A sibling, and the raw socket of its own before this room's door.
    ///
    /// # Panics
    ///
    /// When it is given no secret.
    #[must_use]
    pub fn sibling(room: &str) -> Self {
        let mut house = Self::new();
        let protocol = "Sec-WebSocket-Protocol: porthouse.sibling.v1\r\n";
        house.receives(&handshake("/", protocol));
        let told = String::from_utf8_lossy(&house.take()).into_owned();
        let (_, secret) = told.split_once("\"secret\":\"").expect("a secret");
        let (secret, _) = secret.split_once('"').expect("its end");
        house.connects(Which::Beside);
        let protocol =
            format!("Sec-WebSocket-Protocol: porthouse.raw.v1, porthouse.bind.{secret}\r\n");
        let request = handshake(&format!("/{room}"), &protocol);
        house.receives_at(Which::Beside, &request);
        house
    }

    fn upgraded(target: &str, headers: &str) -> Self {
        let mut house = Self::new();
        house.upgrade(target, headers);
        house
    }

    /// The socket is upgraded.
    pub fn upgrade(&mut self, target: &str, headers: &str) {
        self.receives(&handshake(target, headers));
        assert!(self.take().starts_with(b"HTTP/1.1 101 "), "it is let in");
    }

    /// Bytes come from the socket, and everything that follows from them happens.
    pub fn receives(&mut self, bytes: &[u8]) {
        self.receives_at(Which::First, bytes);
    }

    /// Bytes come from one of the sockets.
    pub fn receives_at(&mut self, which: Which, bytes: &[u8]) {
        if !bytes.is_empty() && self.told.open[which as usize] {
            self.receives_in_pieces(which, bytes, bytes.len());
        }
    }

    /// The same bytes in pieces of this length, all in one turn: between turns
    /// more may be written before the socket is closed.
    fn receives_in_pieces(&mut self, which: Which, bytes: &[u8], piece: usize) {
        for piece in bytes.chunks(piece.max(1)) {
            let input = Input::Received {
                socket: which.socket(),
                bytes: &mut piece.to_vec(),
            };
            self.puddle.handle(NOW, input);
        }
        self.settle();
    }

    /// What was written to the socket since the last time.
    pub fn take(&mut self) -> Vec<u8> {
        self.take_of(Which::First)
    }

    /// What was written to one of the sockets since the last time.
    pub fn take_of(&mut self, which: Which) -> Vec<u8> {
        std::mem::take(&mut self.told.written[which as usize])
    }

    /// How many answers the control plane judged right.
    #[must_use]
    pub const fn judged_right(&self) -> usize {
        self.judged_right
    }

    fn happens(&mut self, input: Input<'_>) {
        self.puddle.handle(NOW, input);
        self.settle();
    }

    /// Ends the turn, and those of the answers that it asked for.
    fn settle(&mut self) {
        self.puddle.settle(NOW, &mut self.told);
        loop {
            let input = if let Some((question, what)) = self.told.asked.pop() {
                let answer = self.answer(&what);
                Input::Answered { question, answer }
            } else if let Some((request, what)) = self.told.bridged.pop() {
                let answer = self.store(what);
                Input::Bridged { request, answer }
            } else {
                break;
            };
            self.puddle.handle(NOW, input);
            self.puddle.settle(NOW, &mut self.told);
        }
        self.puddle.check();
    }
}

impl House {
    fn answer(&mut self, what: &Question) -> Answer {
        let known = match what {
            Question::Resolve {
                key: PolicyKey::Room(name),
                ..
            } if self.stored.is_some() && name.as_str() == KEPT => {
                Known::Room(Arc::new(RoomPolicy::compile(kept(name))))
            }
            Question::Resolve {
                key: PolicyKey::Room(name),
                ..
            } if name.as_str() == ASKS => Known::Room(Arc::new(RoomPolicy::compile(asks(name)))),
            Question::Resolve { .. } => Known::Absent,
            Question::Verify(what) => return Answer::Verified(self.verdict(&what.proof)),
            Question::SignIn { .. } => return Answer::Unavailable,
        };
        Answer::Resolved {
            revision: Revision(1),
            known,
        }
    }

    fn verdict(&mut self, proof: &Proof) -> Verdict {
        let right = match proof {
            Proof::Password(password) if password.expose() == RIGHT => {
                Pass::Password(PasswordVersion(1))
            }
            Proof::RoomCode(code) if code.expose() == RIGHT => Pass::RoomCode(CodeVersion(1)),
            Proof::Password(_)
            | Proof::SecondFactor(_)
            | Proof::RoomCode(_)
            | Proof::Hook { .. } => return Verdict::Wrong,
        };
        self.judged_right += 1;
        Verdict::Right(right)
    }

    fn store(&mut self, what: ToStore) -> FromStore {
        let records = self.stored.get_or_insert_default();
        match what {
            ToStore::Read { .. } => FromStore::Read(records.clone()),
            ToStore::Append { record, .. } => {
                let last = records.last().map_or(0, |last| last.mark.0);
                let mark = Mark(last + 1);
                let bytes = record;
                records.push(Record { mark, bytes });
                FromStore::Appended(mark)
            }
            ToStore::Forget { through } => {
                records.retain(|record| record.mark > through);
                FromStore::Forgotten
            }
            ToStore::ForgetRoom => {
                records.clear();
                FromStore::Forgotten
            }
        }
    }
}

/// The durable room's name.
pub const KEPT: &str = "kept";

fn kept(name: &RoomName) -> Room {
    let mut rules = RoomRules::default();
    rules.history.durable = true;
    rules.history.directed = true;
    rules.history.keep = Keep::Last {
        messages_max: 100,
        age_max: Duration::from_secs(366 * 24 * 60 * 60),
    };
    room(1, name, rules)
}

/// The room that asks.
const ASKS: &str = "asks";
/// The answer to all that it asks.
const RIGHT: &str = "right";

fn asks(name: &RoomName) -> Room {
    let mut rules = RoomRules::default();
    rules.entry.steps = vec![
        EntryStep::Password(PasswordVersion(1)),
        EntryStep::RoomCode(CodeVersion(1)),
    ];
    room(2, name, rules)
}

fn room(id: u8, name: &RoomName, rules: RoomRules) -> Room {
    Room {
        id: RoomId::from_bytes([id; 16]),
        name: name.clone(),
        rules: Box::new(rules),
        owner: None,
        blocks: RoomBlocks::default(),
    }
}

fn handshake(target: &str, headers: &str) -> Vec<u8> {
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         {headers}\r\n"
    );
    request.into_bytes()
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
    pieces.receives_in_pieces(Which::First, bytes, usize::from(*piece));
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

/// A line in a frame: text where it can be, so that both kinds are read.
#[must_use]
pub fn line(bytes: &[u8]) -> Vec<u8> {
    let opcode = if bytes.is_ascii() { 1 } else { 2 };
    masked(opcode, bytes)
}
