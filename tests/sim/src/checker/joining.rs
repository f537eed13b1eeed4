//! How often one network comes into a room (P6): from when somebody asked to be let in, to when
//! they were told that they are. Knows no doors.

use std::collections::BTreeMap;

use super::line::Stamp;
use super::message::Moment;
use super::narrow::{Pace, Spell, in_pace};
use super::violation::Violation;
use super::{Checker, index};

/// Who has asked, and who came in.
#[derive(Debug, Default)]
pub(crate) struct Joins {
    /// By socket and room: when, and which of the rooms of its name.
    asked: BTreeMap<(u32, u32), (Moment, u64)>,
    /// By that and the network.
    came: BTreeMap<(u64, u32), (Pace, Vec<Spell>)>,
}

impl Checker {
    /// Somebody outside asks to be let in, where that counts.
    pub(super) fn asks_in(&mut self, socket: u32, room: u32) {
        let door = self.policy.door(room);
        let Some(identity) = door
            .filter(|door| door.narrow.joins.is_some())
            .map(|door| door.identity)
        else {
            return;
        };
        let known = &self.sockets[index(socket)];
        let is_outside = self.entry(socket, room).is_none() && !known.requests.is_waiting(room);
        if is_outside && self.is_heard_of(room, self.step) {
            let asked = (self.moment(), identity);
            self.joins.asked.insert((socket, room), asked);
        }
    }

    /// It is put there by somebody else.
    pub(super) fn is_moved(&mut self, socket: u32, (from, to): (u32, u32)) {
        let at = self.at;
        self.joins.asked.remove(&(socket, to));
        self.leave(socket, from);
        self.socket(socket).requests.challenge(to, at);
    }

    /// It is inside by what it asked.
    pub(super) fn comes_in(&mut self, socket: u32, room: u32, written: Stamp) {
        if self.joins.asked.is_empty() {
            return;
        }
        let Some((sent, life)) = self.joins.asked.remove(&(socket, room)) else {
            return;
        };
        let door = self.policy.door(room);
        let door = door.filter(|door| door.identity == life);
        let Some(pace) = door.and_then(|door| door.narrow.joins) else {
            return;
        };
        let network = self.sockets[index(socket)].network;
        let came = self.joins.came.entry((life, network));
        let spell = Spell {
            sent,
            heard: written,
        };
        came.or_insert((pace, Vec::new())).1.push(spell);
    }

    /// No network came in more often than it may.
    pub(super) fn came_slowly(&mut self) -> Result<(), Violation> {
        for (whose, (pace, came)) in &mut self.joins.came {
            let is_same = |from: &Spell, heard: u64| !self.crowds.is_lost(from.sent.step, heard);
            in_pace(came, (Some(*pace), 0), is_same, &format!("{whose:?}"))?;
        }
        Ok(())
    }
}
