//! A puddle whose rooms anyone may make, a control plane that knows of none, and a
//! far end that takes all that is written. Nothing here waits.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::io::IoSlice;

use porthouse_model::{Revision, Time, UnixTime};
use porthouse_puddle::{
    Answer, BlackBox, Input, Known, Output, Puddle, PuddleId, Question, QuestionId, Seed, Seeds,
    Settings, Shell, SocketId, TransientMakers, Wrote,
};

/// Of one turn; longer than a flush is ever put off.
const TURN: Duration = Duration::from_millis(10);
/// What the wall clock says.
const WALL_MS: u64 = 3_600_000;
/// Turns that a question and its consequences take at most.
const TURNS_MAX: usize = 100;

/// The world.
pub(crate) struct World {
    pub(crate) puddle: Puddle,
    black_box: BlackBox,
    now: Time,
    far: Far,
}

/// The far end of all sockets, and who is asked.
#[derive(Default)]
struct Far {
    asked: Vec<(QuestionId, Question)>,
    closed: u64,
    writes: u64,
}

impl Shell for Far {
    fn write(&mut self, _socket: SocketId, _bytes: &[IoSlice<'_>]) -> Wrote {
        self.writes += 1;
        Wrote::All
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Ask { question, what, .. } => self.asked.push((question, what)),
            Output::Close { .. } => self.closed += 1,
            Output::Pause { .. }
            | Output::Resume { .. }
            | Output::HandOver { .. }
            | Output::Hop { .. }
            | Output::Bridge { .. }
            | Output::Applied { .. }
            | Output::Reply { .. }
            | Output::Followed { .. }
            | Output::Seen { .. }
            | Output::KeepOut(_) => {}
        }
    }
}

impl World {
    pub(crate) fn new(mut black_box: BlackBox) -> Self {
        let mut settings = Settings::new(PuddleId(0), 1);
        settings.transient_makers = TransientMakers::Anyone;
        let seeds = Seeds::repeatable(Seed(1));
        black_box.begin(&settings, &seeds, Time::ZERO);
        let puddle = Puddle::new(settings, seeds, Time::ZERO);
        let mut world = Self {
            puddle,
            black_box,
            now: Time::ZERO,
            far: Far::default(),
        };
        world.handle(Input::Wall(UnixTime::from_millis(WALL_MS)));
        world.fresh();
        world
    }

    /// A socket that has done nothing yet.
    pub(crate) fn connect(&mut self, socket: SocketId) {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        self.handle(Input::Connected { socket, address });
    }

    /// Bytes come from a socket.
    pub(crate) fn receive(&mut self, socket: SocketId, bytes: &mut [u8]) {
        self.handle(Input::Received { socket, bytes });
    }

    /// A connection is gone.
    pub(crate) fn lose(&mut self, socket: SocketId) {
        self.handle(Input::Lost { socket });
    }

    /// Ends a turn, with as many more as it takes to write to everybody.
    ///
    /// # Panics
    /// When that never comes.
    pub(crate) fn turn(&mut self) {
        self.now = self.now + TURN;
        for _ in 0..TURNS_MAX {
            if !self.slice() {
                return;
            }
        }
        panic!("turns never end");
    }

    /// Ends one turn of that moment. Answers whether another is due at once.
    pub(crate) fn slice(&mut self) -> bool {
        let black_box = &mut self.black_box;
        let due = black_box.settle(&mut self.puddle, self.now, &mut self.far);
        due.is_some_and(|due| due.at <= self.now)
    }

    /// Turns until nobody asks anything.
    ///
    /// # Panics
    /// When that never comes, or a socket was closed.
    pub(crate) fn settle(&mut self) {
        for _ in 0..TURNS_MAX {
            self.turn();
            let asked = std::mem::take(&mut self.far.asked);
            if asked.is_empty() {
                assert_eq!(self.far.closed, 0, "a socket was refused");
                return;
            }
            for (question, _) in asked {
                let answer = Answer::Resolved {
                    revision: Revision(0),
                    known: Known::Absent,
                };
                self.handle(Input::Answered { question, answer });
            }
            self.fresh();
        }
        panic!("questions never end");
    }

    /// How often a socket was written to.
    pub(crate) const fn writes(&self) -> u64 {
        self.far.writes
    }

    /// The control plane is heard: nothing changed.
    pub(crate) fn fresh(&mut self) {
        let revision = Revision(0);
        if self.now == Time::ZERO {
            self.handle(Input::Resync { revision });
        }
        self.handle(Input::Fresh { revision });
    }

    fn handle(&mut self, input: Input<'_>) {
        self.black_box.handle(&mut self.puddle, self.now, input);
    }
}
