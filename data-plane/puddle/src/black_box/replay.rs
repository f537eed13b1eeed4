//! The turns of a black box done again by a fresh puddle. What differs from what
//! was done then is found by its hash, at the end of each turn.

use core::mem::take;
use std::collections::BTreeMap;
use std::io::IoSlice;

use porthouse_model::Time;

use super::code::{Garbled, Kept as _, Reader};
use super::dump::Dump;
use super::inputs::read_input;
use super::watching::{Answers, Did};
use super::{End, SETTLED};
use crate::input::{Input, SocketId};
use crate::output::{Output, Shell, Wrote};
use crate::puddle::Puddle;

/// A puddle that does again what another did.
#[derive(Debug)]
pub struct Replay {
    dump: Dump,
    puddle: Puddle,
    /// The next turn's place in the box.
    next: usize,
    /// The generation of each socket that connected, where the beginning is lost.
    known: BTreeMap<u32, u32>,
}

/// A turn that was done again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Its number in the puddle's life.
    pub number: u64,
    /// When it began.
    pub at: Time,
    /// What came in it.
    pub inputs: u64,
    /// How much of it was left out, as it is about what is not known any more.
    pub left_out: u64,
    /// Whether the same was done as then; `None`: that cannot be said, as the
    /// beginning is lost, or the turn was never settled.
    pub same: Option<bool>,
}

impl Replay {
    /// Begins as the puddle began.
    #[must_use]
    pub fn new(dump: Dump) -> Self {
        let puddle = Puddle::new(dump.settings.clone(), dump.seeds.clone(), dump.began);
        Self {
            dump,
            puddle,
            next: 0,
            known: BTreeMap::new(),
        }
    }

    /// What the puddle said when it panicked, if that is why the box was opened.
    #[must_use]
    pub fn panicked(&self) -> Option<&str> {
        match &self.dump.end {
            End::Asked => None,
            End::Panicked(said) => Some(said),
        }
    }

    /// Does the next turn again, and tells each input before it is handled;
    /// `None`: that was all. Where the puddle panicked, this does.
    ///
    /// # Errors
    ///
    /// When the turn is not one that this version writes.
    pub fn turn(&mut self, tell: &mut impl FnMut(Time, &str)) -> Option<Result<Turn, Garbled>> {
        let number = self.next;
        let turn = match self.dump.turns.get_mut(number) {
            Some(turn) => take(turn),
            None => take(&mut self.dump.under_way),
        };
        if turn.is_empty() {
            return None;
        }
        self.next += 1;
        Some(self.again(self.dump.lost + number as u64, &turn, tell))
    }

    fn again(
        &mut self,
        number: u64,
        turn: &[u8],
        tell: &mut impl FnMut(Time, &str),
    ) -> Result<Turn, Garbled> {
        let mut from = Reader(turn);
        let at = Time::read(&mut from)?;
        let mut done = Turn {
            number,
            at,
            inputs: 0,
            left_out: 0,
            same: None,
        };
        let (mut now, mut received) = (at, Vec::new());
        while from.left() > 0 {
            now = Time::from_nanos(now.as_nanos().saturating_add(u64::read(&mut from)?));
            let kind = u8::read(&mut from)?;
            if kind == SETTLED {
                let did = self.settle(now, from)?;
                done.same = did.filter(|_| self.dump.lost == 0);
                return Ok(done);
            }
            let input = read_input(kind, &mut from, &mut received)?;
            done.inputs += 1;
            let knows = self.dump.lost == 0 || self.knows(now, &input);
            tell(now, &shown(&input, knows));
            if knows {
                self.puddle.handle(now, input);
            } else {
                done.left_out += 1;
            }
        }
        Ok(done)
    }

    /// Whether the same was done; `None`: the turn ended before it was settled.
    fn settle(&mut self, now: Time, from: Reader<'_>) -> Result<Option<bool>, Garbled> {
        let mut hands = Hands {
            answers: Answers::new(from)?,
            heeds: self.dump.lost == 0,
            did: Did::default(),
            scratch: Vec::new(),
            garbled: None,
        };
        self.puddle.settle(now, &mut hands);
        if let Some(garbled) = hands.garbled {
            return Err(garbled);
        }
        let did = hands.did.value();
        Ok(hands.answers.did()?.map(|then| then == did))
    }

    /// Without its beginning, a puddle knows of sockets that have connected since
    /// and of nothing else: what is asked and answered is named by numbers that
    /// only its past gave.
    fn knows(&mut self, now: Time, input: &Input<'_>) -> bool {
        let is_here = |known: &BTreeMap<u32, u32>, socket: &SocketId| {
            known.get(&socket.slot) == Some(&socket.generation)
        };
        match input {
            Input::Connected { socket, .. } => {
                let before = self.known.insert(socket.slot, socket.generation);
                // Then the puddle had closed it, perhaps for what is not known now.
                if let Some(generation) = before {
                    let socket = SocketId {
                        generation,
                        ..*socket
                    };
                    self.puddle.handle(now, Input::Lost { socket });
                }
                true
            }
            Input::Received { socket, .. } | Input::Writable { socket } => {
                is_here(&self.known, socket)
            }
            Input::Lost { socket } => {
                let is_here = is_here(&self.known, socket);
                if is_here {
                    self.known.remove(&socket.slot);
                }
                is_here
            }
            Input::Wall(_) => true,
            Input::Hopped { .. }
            | Input::Restarted { .. }
            | Input::Answered { .. }
            | Input::Changed(_)
            | Input::Fresh { .. }
            | Input::Resync { .. }
            | Input::Ordered { .. }
            | Input::Follow { .. }
            | Input::Unfollow { .. }
            | Input::Bridged { .. }
            | Input::Drain { .. } => false,
        }
    }
}

fn shown(input: &Input<'_>, knows: bool) -> String {
    let left_out = if knows { "" } else { "left out: " };
    if let Input::Received { socket, bytes } = input {
        format!(
            "{left_out}Received {{ socket: {socket:?}, bytes: {} of \"{}\" }}",
            bytes.len(),
            bytes.escape_ascii()
        )
    } else {
        format!("{left_out}{input:?}")
    }
}

/// The world, as it answered then.
struct Hands<'a> {
    answers: Answers<'a>,
    heeds: bool,
    did: Did,
    scratch: Vec<u8>,
    garbled: Option<Garbled>,
}

impl Shell for Hands<'_> {
    fn write(&mut self, socket: SocketId, bytes: &[IoSlice<'_>]) -> Wrote {
        self.did.wrote(socket, bytes);
        if !self.heeds {
            return Wrote::All;
        }
        self.answers.take().unwrap_or_else(|garbled| {
            self.garbled = Some(garbled);
            Wrote::Gone
        })
    }

    fn output(&mut self, output: Output) {
        self.did.put_out(&output, &mut self.scratch);
    }
}
