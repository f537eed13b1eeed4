//! What leaves a queue, beside a queue that is a `Vec` and a rule that looks at
//! it anew for each message.

use std::collections::BTreeMap;
use std::io::IoSlice;

use porthouse_model::SlowConsumer;
use proptest::prelude::*;

use super::{Pressure, SPARE_PART};
use crate::input::SocketId;
use crate::outbox::log::What;
use crate::outbox::{Flushed, Lane, Outbox};
use crate::output::{Output, Shell, WireForm, Wrote};

const SOCKET: SocketId = SocketId {
    slot: 0,
    generation: 0,
};
const FORM: WireForm = WireForm::Multiplexed;
const BYTES_MAX: usize = 600;
/// A frame of these tests: what it is, its room, its number, and as many bytes
/// again as its length says.
const HEAD: usize = 8;

/// What a frame of these tests is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Control,
    Event,
    Message,
    Gap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sent {
    kind: Kind,
    room: u32,
    /// Its number among all; of a gap, how many are missing.
    number: u32,
    bytes: usize,
}

impl Sent {
    fn write(self, out: &mut Vec<u8>) {
        let kind = match self.kind {
            Kind::Control => 0,
            Kind::Event => 1,
            Kind::Message => 2,
            Kind::Gap => 3,
        };
        let room = u8::try_from(self.room).expect("few rooms");
        let bytes = u16::try_from(self.bytes).expect("short");
        out.extend([kind, room]);
        out.extend(bytes.to_be_bytes());
        out.extend(self.number.to_be_bytes());
        out.resize(out.len() + self.bytes - HEAD, b'.');
    }

    /// The frames that bytes are, and nothing else.
    fn read_all(mut bytes: &[u8]) -> Vec<Self> {
        let mut read = Vec::new();
        while let Some((head, _)) = bytes.split_first_chunk::<HEAD>() {
            let [kind, room, long, short, number @ ..] = *head;
            let kinds = [Kind::Control, Kind::Event, Kind::Message, Kind::Gap];
            let sent = Self {
                kind: kinds[usize::from(kind)],
                room: room.into(),
                number: u32::from_be_bytes(number),
                bytes: u16::from_be_bytes([long, short]).into(),
            };
            bytes = &bytes[sent.bytes..];
            read.push(sent);
        }
        assert_eq!(bytes, b"", "no frame is cut");
        read
    }
}

/// Takes so many bytes more.
struct Link {
    takes: usize,
    received: Vec<u8>,
}

impl Shell for Link {
    fn write(&mut self, _: SocketId, bytes: &[IoSlice<'_>]) -> Wrote {
        let offered: Vec<u8> = bytes.iter().flat_map(|slice| slice.to_vec()).collect();
        let taken = offered.len().min(self.takes);
        self.takes -= taken;
        self.received.extend_from_slice(&offered[..taken]);
        if taken == offered.len() {
            Wrote::All
        } else {
            Wrote::Part(taken)
        }
    }

    fn output(&mut self, _: Output) {}
}

/// What happens to a queue.
#[derive(Clone, Debug)]
enum Step {
    Queue(Kind, u32, usize),
    /// The link takes so many bytes; before it does, what was overtaken goes.
    Take(usize),
    /// Too much is queued.
    Keep,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kind = prop_oneof![
        1 => Just(Kind::Control),
        1 => Just(Kind::Event),
        6 => Just(Kind::Message)
    ];
    let step = prop_oneof![
        8 => (kind, 0..4_u32, HEAD..90).prop_map(|(kind, room, bytes)| Step::Queue(kind, room, bytes)),
        1 => (0..300_usize).prop_map(Step::Take),
        1 => Just(Step::Keep),
    ];
    proptest::collection::vec(step, 0..120)
}

fn rules() -> BTreeMap<u32, SlowConsumer> {
    [
        (1, SlowConsumer::DropOldest),
        (2, SlowConsumer::DropNewest),
        (3, SlowConsumer::Conflate),
    ]
    .into()
}

/// The queue as a `Vec`, with how much of its first frame is written.
#[derive(Default)]
struct Model {
    queue: Vec<Sent>,
    begun: usize,
    received: Vec<Sent>,
}

impl Model {
    fn bytes(&self) -> usize {
        self.queue.iter().map(|sent| sent.bytes).sum::<usize>() - self.begun
    }

    fn take(&mut self, mut bytes: usize) {
        while let Some(first) = self.queue.first().copied() {
            let left = first.bytes - self.begun;
            if bytes < left {
                self.begun += bytes;
                return;
            }
            bytes -= left;
            self.begun = 0;
            self.received.push(first);
            self.queue.remove(0);
        }
    }

    /// Where the messages of a rule are that have not begun.
    fn whole(&self, rule: SlowConsumer) -> Vec<usize> {
        let rules = rules();
        let begun = usize::from(self.begun > 0);
        let numbered = self.queue.iter().enumerate().skip(begun);
        let theirs = numbered
            .filter(|(_, sent)| sent.kind == Kind::Message && rules.get(&sent.room) == Some(&rule));
        theirs.map(|(at, _)| at).collect()
    }

    fn conflate(&mut self) {
        while let [first, _, ..] = self.whole(SlowConsumer::Conflate)[..] {
            self.queue.remove(first);
        }
    }

    fn keep(&mut self) {
        self.conflate();
        if self.bytes() <= BYTES_MAX {
            return;
        }
        let enough = BYTES_MAX - BYTES_MAX / SPARE_PART;
        while self.bytes() > enough {
            let oldest = self.whole(SlowConsumer::DropOldest).first().copied();
            let newest = || self.whole(SlowConsumer::DropNewest).last().copied();
            let Some(at) = oldest.or_else(newest) else {
                return;
            };
            self.queue.remove(at);
        }
    }
}

/// Queues, takes and thins, as the puddle does.
struct Tested {
    outbox: Outbox,
    link: Link,
    /// Whether the socket is told what it misses.
    told: bool,
    dropped: u64,
    bytes: usize,
}

impl Tested {
    fn new(told: bool) -> Self {
        let mut outbox = Outbox::default();
        outbox.open(0);
        let link = Link {
            takes: 0,
            received: Vec::new(),
        };
        Self {
            outbox,
            link,
            told,
            dropped: 0,
            bytes: 0,
        }
    }

    fn queue(&mut self, sent: Sent) {
        let (lane, room) = (Lane::Room(sent.room), sent.room);
        let span = match sent.kind {
            Kind::Control => self
                .outbox
                .frame(FORM, Lane::Control, |out| sent.write(out)),
            Kind::Event | Kind::Gap => self.outbox.frame(FORM, lane, |out| sent.write(out)),
            Kind::Message => self.outbox.message(FORM, room, |out| sent.write(out)),
        };
        let lane = if sent.kind == Kind::Control {
            Lane::Control
        } else {
            lane
        };
        self.outbox.push(0, span, lane);
        self.flush();
    }

    fn flush(&mut self) {
        self.bytes = loop {
            match self.outbox.flush(SOCKET, &mut self.link) {
                Flushed::Clean => break 0,
                Flushed::More => {}
                Flushed::Blocked { bytes } => break bytes,
                Flushed::Gone => unreachable!("the link stands"),
            }
        };
        while self.outbox.next().is_some() {}
        self.outbox.end_turn();
        self.outbox.check();
    }

    fn take(&mut self, bytes: usize) {
        self.thin(Pressure::Resumed);
        self.link.takes = bytes;
        self.outbox.unblock(0);
        self.flush();
        self.link.takes = 0;
    }

    fn keep(&mut self) {
        self.thin(Pressure::Backlog {
            bytes_max: BYTES_MAX,
        });
    }

    fn thin(&mut self, pressure: Pressure) {
        let told = self.told;
        let gap = |room, number| {
            if !told {
                return None;
            }
            let mut out = Vec::new();
            let gap = Sent {
                kind: Kind::Gap,
                room,
                number,
                bytes: HEAD,
            };
            gap.write(&mut out);
            Some(out)
        };
        let thinned = self.outbox.thin(0, FORM, &rules(), pressure, gap);
        self.dropped += thinned.dropped;
        self.bytes = thinned.bytes;
        self.outbox.check();
        if thinned.dropped > 0 {
            self.no_gap_follows_another();
        }
    }

    fn no_gap_follows_another(&self) {
        let frames = self.outbox.logs.frames(self.outbox.queues[0].spans());
        let mut last = BTreeMap::new();
        for frame in frames.into_iter().filter(|frame| frame.whole) {
            if let Some(room) = frame.what.room() {
                let before = last.insert(room, frame.what);
                let two = [Some(frame.what), before];
                let gaps = two.map(|what| matches!(what, Some(What::Gap { .. })));
                assert_ne!(gaps, [true; 2], "one gap a run");
            }
        }
    }
}

proptest! {
    #[test]
    fn a_queue_loses_what_the_rules_say_and_nothing_else(steps in steps()) {
        let (mut tested, mut model) = (Tested::new(false), Model::default());
        let mut numbers = 0..;
        for step in steps.into_iter().chain([Step::Take(1_000_000)]) {
            match step {
                Step::Queue(kind, room, bytes) => {
                    let number = numbers.next().expect("they do not end");
                    let sent = Sent { kind, room, number, bytes };
                    tested.queue(sent);
                    model.queue.push(sent);
                }
                Step::Take(bytes) => {
                    tested.take(bytes);
                    model.conflate();
                    model.take(bytes);
                }
                Step::Keep => {
                    tested.keep();
                    model.keep();
                }
            }
            prop_assert_eq!(tested.bytes, model.bytes());
        }
        prop_assert_eq!(Sent::read_all(&tested.link.received), model.received);
    }

    #[test]
    fn whatever_is_missing_is_told_once_where_it_is(steps in steps()) {
        let mut tested = Tested::new(true);
        let mut said: Vec<Sent> = Vec::new();
        for step in steps.into_iter().chain([Step::Take(1_000_000)]) {
            match step {
                Step::Queue(kind, room, bytes) => {
                    let number = u32::try_from(said.len()).expect("few");
                    said.push(Sent { kind, room, number, bytes });
                    tested.queue(Sent { kind, room, number, bytes });
                }
                Step::Take(bytes) => tested.take(bytes),
                Step::Keep => tested.keep(),
            }
        }
        let heard = Sent::read_all(&tested.link.received);
        let controls = |all: &[Sent]| -> Vec<Sent> {
            all.iter().filter(|sent| sent.kind == Kind::Control).copied().collect()
        };
        prop_assert_eq!(controls(&heard), controls(&said));
        for room in 0..4 {
            let of = |sent: &&Sent| sent.room == room && sent.kind != Kind::Control;
            let mut said = said.iter().filter(of);
            for heard in heard.iter().filter(of) {
                if heard.kind == Kind::Gap {
                    prop_assert!(heard.number > 0, "a gap is of something");
                    for _ in 0..heard.number {
                        prop_assert_eq!(said.next().map(|sent| sent.kind), Some(Kind::Message));
                    }
                } else {
                    prop_assert_eq!(Some(heard), said.next());
                }
            }
            prop_assert_eq!(said.next(), None, "what was said last is told or missing");
        }
        let gaps = heard.iter().filter(|sent| sent.kind == Kind::Gap);
        prop_assert_eq!(gaps.map(|gap| u64::from(gap.number)).sum::<u64>(), tested.dropped);
    }
}
