//! A puddle's black box: the last of what came to it, so that what it did can be
//! done again, bit for bit, by `cargo sim --replay`.
//!
//! Owns a bounded ring of whole turns, its form as a file, and the replay. What
//! a shell's writes answered is kept with the inputs, for a puddle goes on by it;
//! of what the puddle did only a hash is kept, which says in which turn a replay
//! first differs. Never a file, a clock or a thread: those are the shell's.
//!
//! A puddle cannot be written down, so a turn can only be done again after all
//! turns before it. Once the first has fallen out of the ring, what is left is
//! shown, and only what sockets sent that connected since is read again.

mod code;
mod words;
mod rules;
mod hops;
mod inputs;
mod fold;
mod watching;
mod dump;
mod replay;

use std::collections::VecDeque;

use porthouse_model::Time;

use self::code::Kept as _;
use self::inputs::write_input;
use self::watching::Watching;
use crate::input::Input;
use crate::output::{Deadline, Shell};
use crate::puddle::Puddle;
use crate::seed::Seeds;
use crate::settings::Settings;

pub use code::Garbled;
pub use dump::{Dump, End, NotABox};
pub use replay::{Replay, Turn};

/// Stands where a turn's inputs end. No input begins so.
const SETTLED: u8 = 0;
/// What a turn costs beside its bytes: its length, kept twice.
const TURN_COST: usize = 8;

/// The ring of one puddle; or none, and then it costs a branch an input.
#[derive(Debug, Default)]
pub struct BlackBox(Option<Box<Ring>>);

#[derive(Debug)]
struct Ring {
    bytes_max: usize,
    /// How the puddle began.
    began: Vec<u8>,
    /// Whole turns, the oldest first, one after the other.
    turns: VecDeque<u8>,
    /// The length of each.
    lengths: VecDeque<u32>,
    /// Turns that have fallen out.
    lost: u64,
    /// The turn under way.
    turn: Vec<u8>,
    /// When its last input came.
    last: Time,
    /// The turn under way is longer than all that may be kept.
    too_long: bool,
    /// For what an output is written into before it is hashed.
    scratch: Vec<u8>,
}

impl BlackBox {
    /// Keeps nothing.
    #[must_use]
    pub const fn off() -> Self {
        Self(None)
    }

    /// Keeps so many bytes of turns; 0 keeps nothing. It takes that memory as it
    /// fills, and at most as much again while a turn is under way.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self((bytes_max > 0).then(|| Box::new(Ring::new(bytes_max))))
    }

    /// A puddle begins like this. What was of another is forgotten.
    pub fn begin(&mut self, settings: &Settings, seeds: &Seeds, now: Time) {
        if let Some(ring) = &mut self.0 {
            let mut fresh = Ring::new(ring.bytes_max);
            settings.write(&mut fresh.began);
            seeds.write(&mut fresh.began);
            now.write(&mut fresh.began);
            **ring = fresh;
        }
    }

    /// [`Puddle::handle`], kept before it is done: a panic comes after.
    pub fn handle(&mut self, puddle: &mut Puddle, now: Time, input: Input<'_>) {
        if let Some(ring) = &mut self.0 {
            ring.hear(now, &input);
        }
        puddle.handle(now, input);
    }

    /// [`Puddle::settle`], with what its shell answers.
    pub fn settle(
        &mut self,
        puddle: &mut Puddle,
        now: Time,
        shell: &mut impl Shell,
    ) -> Option<Deadline> {
        let mut watching = match &mut self.0 {
            None => Watching::nothing(shell),
            Some(ring) => ring.watch(now, shell),
        };
        let deadline = puddle.settle(now, &mut watching);
        watching.finish();
        if let Some(ring) = &mut self.0 {
            ring.keep();
        }
        deadline
    }

    /// What is kept, as the bytes of a file; nothing where nothing is.
    #[must_use]
    pub fn dump(&self, end: &End) -> Option<Vec<u8>> {
        self.0.as_ref().map(|ring| dump::written(ring, end))
    }
}

impl Ring {
    fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            began: Vec::new(),
            turns: VecDeque::new(),
            lengths: VecDeque::new(),
            lost: 0,
            turn: Vec::new(),
            last: Time::ZERO,
            too_long: false,
            scratch: Vec::new(),
        }
    }

    fn hear(&mut self, now: Time, input: &Input<'_>) {
        if self.too_long {
            return;
        }
        // So that not even one read makes more of the turn than may be kept.
        let read = match input {
            Input::Received { bytes, .. } => bytes.len(),
            Input::Connected { .. }
            | Input::Writable { .. }
            | Input::Lost { .. }
            | Input::Hopped { .. }
            | Input::Restarted { .. }
            | Input::Answered { .. }
            | Input::Changed(_)
            | Input::Fresh { .. }
            | Input::Resync { .. }
            | Input::Ordered { .. }
            | Input::Follow { .. }
            | Input::Unfollow { .. }
            | Input::Bridged { .. }
            | Input::Wall(_)
            | Input::Drain { .. } => 0,
        };
        if self.turn.len() + read > self.bytes_max {
            self.give_up();
            return;
        }
        self.stamp(now);
        write_input(input, &mut self.turn);
    }

    /// When something happened: the first of a turn by the clock, each other
    /// since the one before.
    fn stamp(&mut self, now: Time) {
        if self.turn.is_empty() {
            now.write(&mut self.turn);
            self.last = now;
        }
        let since = now.as_nanos().saturating_sub(self.last.as_nanos());
        since.write(&mut self.turn);
        self.last = self.last.max(now);
    }

    /// Looks on while the turn is settled.
    fn watch<'a, S: Shell>(&'a mut self, now: Time, shell: &'a mut S) -> Watching<'a, S> {
        // Before it is done: a panic comes after.
        self.stamp(now);
        self.turn.push(SETTLED);
        Watching::new(shell, &mut self.turn, &mut self.scratch)
    }

    /// The turn is put into the ring, and the oldest give way to it.
    fn keep(&mut self) {
        if self.turn.len() + TURN_COST > self.bytes_max {
            self.give_up();
        }
        if self.too_long {
            self.lost += self.lengths.len() as u64 + 1;
            self.lengths.clear();
            self.turns.clear();
            self.too_long = false;
        } else {
            let length = u32::try_from(self.turn.len()).expect("a ring is shorter than 4 GiB");
            while self.held() + self.turn.len() + TURN_COST > self.bytes_max {
                self.forget_oldest();
            }
            self.turns.extend(&self.turn);
            self.lengths.push_back(length);
        }
        self.turn.clear();
    }

    fn held(&self) -> usize {
        self.turns.len() + self.lengths.len() * TURN_COST
    }

    fn forget_oldest(&mut self) {
        let length = self.lengths.pop_front().expect("a turn fits an empty ring");
        self.turns.drain(..length as usize);
        self.lost += 1;
    }

    /// This turn cannot be kept, and so none before it can be done again.
    fn give_up(&mut self) {
        self.too_long = true;
        self.turn = Vec::new();
    }
}
