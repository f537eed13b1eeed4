//! Transactions of the model that meet, by one drawn list of steps: begun, numbered, committed or
//! undone on a few connections. Who is given the lock next is not the model's to say: of those who
//! wait it may be any. Runs no world.

use porthouse_model::RoomRules;

use crate::chance::Chance;
use crate::control::{Commit, Control, Feed, Frame, Intent, Numbering, TransactionId, room_name};

/// What is done next on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A transaction that makes a room.
    Begin {
        /// On which connection.
        on: usize,
        /// Which room; each is made once.
        room: u32,
    },
    /// It takes its number, or waits for it.
    Number {
        /// On which connection.
        on: usize,
    },
    /// It is committed.
    Commit {
        /// On which connection.
        on: usize,
    },
    /// It is undone, numbered or not.
    RollBack {
        /// On which connection.
        on: usize,
    },
}

/// How far a connection's transaction is.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Idle,
    Begun(TransactionId),
    Waits(TransactionId),
    Numbered(TransactionId),
}

/// The model, a few connections to it, and a reader.
#[derive(Debug)]
pub struct Interleaved {
    control: Control,
    commit: Commit,
    chance: Chance,
    connections: Vec<Stage>,
    rooms: u32,
    reader: Feed,
}

impl Interleaved {
    /// The model and the steps of a seed on so many connections. Where it is `wrong`, numbers are
    /// given without the lock.
    ///
    /// # Panics
    ///
    /// Never: a log that is empty can be read from its beginning.
    #[must_use]
    pub fn new(seed: u64, connections: usize, wrong: bool) -> Self {
        let mut chance = Chance::new(seed);
        let numbering = if wrong {
            Numbering::Unlocked
        } else {
            Numbering::Locked
        };
        let control = Control::new(chance.fork(), (1, 1), numbering);
        Self {
            reader: Feed::open(&control, None, 0).expect("its own head"),
            control,
            commit: Commit::default(),
            chance,
            connections: vec![Stage::Idle; connections],
            rooms: 0,
        }
    }

    /// The name of a room.
    #[must_use]
    pub fn room(room: u32) -> String {
        room_name(room).to_string()
    }

    /// What is done next, on a connection that does not wait.
    pub fn draw(&mut self) -> Step {
        let free = (0..self.connections.len())
            .filter(|&on| !matches!(self.connections[on], Stage::Waits(_)));
        let free: Vec<usize> = free.collect();
        let on = *self.chance.pick(&free);
        match self.connections[on] {
            Stage::Idle => {
                self.rooms += 1;
                let room = self.rooms;
                Step::Begin { on, room }
            }
            Stage::Begun(_) if self.chance.one_in(6) => Step::RollBack { on },
            Stage::Begun(_) => Step::Number { on },
            Stage::Numbered(_) if self.chance.one_in(4) => Step::RollBack { on },
            Stage::Numbered(_) => Step::Commit { on },
            Stage::Waits(_) => unreachable!("it is not free"),
        }
    }

    /// Does it. Answers whether it is done: who takes a number may have to wait.
    ///
    /// # Panics
    ///
    /// When the connection is not there yet.
    pub fn apply(&mut self, step: Step) -> bool {
        match step {
            Step::Begin { on, room } => {
                let intent = Intent::PutRoom {
                    room,
                    rules: Box::new(RoomRules::default()),
                };
                self.connections[on] = Stage::Begun(self.commit.begin(intent));
                true
            }
            Step::Number { on } => {
                let id = self.under_way(on);
                let done = self.commit.number(id, &self.control);
                self.connections[on] = if done {
                    Stage::Numbered(id)
                } else {
                    Stage::Waits(id)
                };
                done
            }
            Step::Commit { on } => {
                let id = self.under_way(on);
                self.commit.end(id, &mut self.control);
                self.connections[on] = Stage::Idle;
                true
            }
            Step::RollBack { on } => {
                let id = self.under_way(on);
                self.commit.roll_back(id);
                self.connections[on] = Stage::Idle;
                true
            }
        }
    }

    fn under_way(&self, on: usize) -> TransactionId {
        match self.connections[on] {
            Stage::Begun(id) | Stage::Numbered(id) => id,
            Stage::Idle | Stage::Waits(_) => panic!("{on} has nothing to do"),
        }
    }

    /// On which connections a number is waited for that one of them is given now.
    #[must_use]
    pub fn goes_on(&self) -> Vec<usize> {
        let may = self.commit.waiting();
        let waits = |on: &usize| match self.connections[*on] {
            Stage::Waits(id) => may.contains(&id),
            Stage::Idle | Stage::Begun(_) | Stage::Numbered(_) => false,
        };
        (0..self.connections.len()).filter(waits).collect()
    }

    /// Of those that may, this one goes on.
    ///
    /// # Panics
    ///
    /// When it may not.
    pub fn went_on(&mut self, on: usize) {
        let Stage::Waits(id) = self.connections[on] else {
            panic!("{on} does not wait")
        };
        self.commit.hand(id);
        self.connections[on] = Stage::Numbered(id);
    }

    /// The revisions that a reader hears of that it has not heard of yet.
    pub fn heard(&mut self) -> Vec<u64> {
        let frames = self.reader.read(&self.control).into_iter();
        let revision = |frame| match frame {
            Frame::Change(row) => Some(row.change.revision.0),
            Frame::Opened { .. } | Frame::Progress { .. } => None,
        };
        frames.filter_map(revision).collect()
    }

    /// The names of the rooms that whoever looks now sees, and the revision.
    #[must_use]
    pub fn seen(&self) -> (Vec<String>, u64) {
        let there = (1..=self.rooms).filter(|&room| self.control.room(room).is_some());
        let mut names: Vec<String> = there.map(Self::room).collect();
        names.sort();
        (names, self.control.head().revision.0)
    }
}
