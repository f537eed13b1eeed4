//! The node's parts as the world holds them: puddles with their slots, mailboxes and rings, and
//! the hands that a puddle's outputs go into. Decides nothing.

use std::collections::{BTreeSet, VecDeque};
use std::io::IoSlice;

use porthouse_puddle::{
    BlackBox, Hop, Output, Puddle, PuddleId, Shell, SocketId, Switchboard, ToPuddle, Wrote,
};

use super::Event;
use super::socket::Socket;
use crate::chance::Chance;
use crate::checker::hash::Fold;
use crate::link::Written;
use crate::plan::Plan;
use crate::plant::Plant;
use crate::queue::{Nanos, Queue};

/// What a puddle is told.
#[derive(Debug)]
pub(crate) enum Told {
    /// By the switchboard.
    Word(ToPuddle),
    /// By the shell: another began anew.
    Restarted(u8),
}

/// One puddle and what lies before it.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) puddle: Puddle,
    /// What came to it, if that is kept.
    pub(crate) black_box: BlackBox,
    /// By slot: how often it was used, and which of the world's sockets has it.
    pub(crate) slots: Vec<(u32, Option<u32>)>,
    pub(crate) free: Vec<u32>,
    pub(crate) told: VecDeque<Told>,
    pub(crate) said: VecDeque<porthouse_puddle::Event>,
    /// By the puddle they come from.
    pub(crate) rings: Vec<VecDeque<Hop>>,
    /// When it is settled next.
    pub(crate) settles_at: Option<Nanos>,
    /// When it is looked at whether it is: deadlines stay where they are while a puddle is
    /// busy, and one look a moment is enough.
    pub(crate) looks: BTreeSet<Nanos>,
    /// It began anew, and nobody has heard of it: what it is told is lost.
    pub(crate) is_deaf: bool,
    /// These began anew, and it has not heard of it.
    pub(crate) deaf_to: BTreeSet<u8>,
    /// It does not run before this.
    pub(crate) asleep_until: Nanos,
}

/// All of them, and the switchboard.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) workers: Vec<Worker>,
    pub(crate) board: Switchboard,
    pub(crate) board_settles_at: Option<Nanos>,
    pub(crate) board_looks: BTreeSet<Nanos>,
}

impl Worker {
    pub(crate) fn new(puddle: Puddle, black_box: BlackBox, puddles: u8) -> Self {
        Self {
            puddle,
            black_box,
            slots: Vec::new(),
            free: Vec::new(),
            told: VecDeque::new(),
            said: VecDeque::new(),
            rings: (0..puddles).map(|_| VecDeque::new()).collect(),
            settles_at: None,
            looks: BTreeSet::new(),
            is_deaf: false,
            deaf_to: BTreeSet::new(),
            asleep_until: 0,
        }
    }

    /// A name for a new connection.
    pub(crate) fn allot(&mut self, socket: u32) -> SocketId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            u32::try_from(self.slots.len() - 1).expect("few sockets")
        });
        let entry = &mut self.slots[at(slot)];
        entry.1 = Some(socket);
        SocketId {
            slot,
            generation: entry.0,
        }
    }

    /// The world's socket of this name, if it is still there.
    pub(crate) fn socket(&self, id: SocketId) -> Option<u32> {
        let &(generation, socket) = self.slots.get(at(id.slot))?;
        socket.filter(|_| generation == id.generation)
    }

    /// The connection is forgotten; the slot is used again with the next generation.
    pub(crate) fn release(&mut self, id: SocketId) {
        let entry = &mut self.slots[at(id.slot)];
        assert!(
            entry.0 == id.generation && entry.1.is_some(),
            "released twice"
        );
        *entry = (entry.0 + 1, None);
        self.free.push(id.slot);
    }
}

/// What a puddle's outputs go into.
pub(crate) struct Hands<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) plant: Option<Plant>,
    pub(crate) queue: &'a mut Queue<Event>,
    pub(crate) chance: &'a mut Chance,
    pub(crate) sockets: &'a mut [Option<Box<Socket>>],
    pub(crate) slots: &'a [(u32, Option<u32>)],
    pub(crate) outputs: &'a mut Vec<Output>,
    pub(crate) stamp: Written,
    pub(crate) hash: &'a mut Fold,
    pub(crate) healed: bool,
    pub(crate) link_delay: Nanos,
    pub(crate) writes: &'a mut u64,
}

impl Shell for Hands<'_> {
    fn write(&mut self, id: SocketId, bytes: &[IoSlice<'_>]) -> Wrote {
        *self.writes += 1;
        for slice in bytes {
            self.hash.bytes(slice);
        }
        let (generation, number) = self.slots[at(id.slot)];
        assert_eq!(
            generation, id.generation,
            "a forgotten socket is written to"
        );
        let number = number.expect("a forgotten socket is written to");
        let breaks = !self.healed && self.is_unlucky(self.plan.habits.gone);
        let Some(socket) = self.sockets[at(number)].as_mut() else {
            return Wrote::Gone;
        };
        if socket.broken || breaks {
            socket.broken = true;
            return Wrote::Gone;
        }
        if self.plant == Some(Plant::CloseLost)
            && bytes
                .first()
                .is_some_and(|slice| slice.first() == Some(&0x88))
        {
            return Wrote::All;
        }
        if self.plant == Some(Plant::BacklogKept) {
            socket.keep(bytes, self.stamp);
            self.arrive(number);
            return Wrote::All;
        }
        let in_part = !self.healed && self.chance.percent(self.plan.habits.part);
        let offered: usize = bytes.iter().map(|slice| slice.len()).sum();
        let most = if in_part {
            self.chance.index(offered.max(1))
        } else {
            usize::MAX
        };
        let wrote = socket.down.write(bytes, most, self.stamp);
        self.arrive(number);
        wrote
    }

    fn output(&mut self, output: Output) {
        self.outputs.push(output);
    }
}

impl Hands<'_> {
    /// So many times in a thousand, and rarer.
    fn is_unlucky(&mut self, times: u64) -> bool {
        times > 0 && self.chance.below(100_000) < times
    }

    fn arrive(&mut self, number: u32) {
        let Some(socket) = self.sockets[at(number)].as_mut() else {
            return;
        };
        if !socket.down_due {
            socket.down_due = true;
            let delay = self.chance.below(2 * self.link_delay);
            self.queue.after(delay, Event::Down(number));
        }
    }
}

pub(crate) fn at(number: u32) -> usize {
    usize::try_from(number).expect("an index")
}

/// A puddle's number as an index.
pub(crate) fn place(puddle: PuddleId) -> usize {
    usize::from(puddle.0)
}
