//! Rooms in which somebody inside, or the owner's backend, lets in who waits: nobody is inside whom
//! neither has let in, and who may not do so themselves (P6). Decisions are taken for made from
//! when they were said until a while after they were answered, as they take their way.

use super::line::Door;
use super::policy::Visitor;
use super::{Checker, index};

/// Stands for a version where somebody must be let in. No version is it.
pub(crate) const APPROVAL: u64 = u64::MAX;

/// A decision takes its way to the room's home, and from there to who waits.
const WAY: u64 = 3_000_000_000;

/// Who was let in, where, and until when that may still be done.
#[derive(Debug, Default)]
pub(crate) struct Decisions {
    made: Vec<Decision>,
}

#[derive(Clone, Copy, Debug)]
struct Decision {
    by: By,
    room: u32,
    client: u128,
    /// `None`: it was not answered yet.
    until: Option<u64>,
}

/// Who decides: a socket by a request, or a backend by a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Socket(u32, u64),
    Backend(u64),
}

impl Door {
    /// Whether somebody is let in by others, or needs nobody for that.
    pub(super) fn is_approved(&self, visitor: Visitor<'_>, is_member: bool) -> bool {
        let bit = |user: u32| self.invites >> user & 1 == 1;
        let invites = is_member && visitor.user.is_some_and(bit);
        !self.approval || invites || visitor.passed.contains(&APPROVAL)
    }
}

impl Checker {
    /// Somebody lets a client in: all of its sockets that wait are meant.
    pub(super) fn lets_in(&mut self, by: By, room: u32, client: u128) {
        let until = None;
        let decision = Decision {
            by,
            room,
            client,
            until,
        };
        self.decisions.made.push(decision);
        for number in 0..self.sockets.len() {
            let known = &self.sockets[number];
            // Who has no name is told it when they are let in.
            let is_meant = known.client.is_none_or(|known| known == client);
            let socket = u32::try_from(number).expect("a socket's number");
            let waits = known.raw_room == Some(room)
                || known.requests.is_waiting(room)
                || self.entry(socket, room).is_some();
            if is_meant && waits && !known.over {
                self.decided(socket, room, APPROVAL);
            }
        }
    }

    /// A decision was answered, and is made soon.
    pub(super) fn is_made(&mut self, by: By) {
        let until = self.at + WAY;
        let meant = self.decisions.made.iter_mut();
        for decision in meant.filter(|decision| decision.by == by) {
            decision.until = Some(until);
        }
    }

    /// Somebody comes in, whom a decision has let in that was on its way when they asked.
    pub(super) fn is_let_in(&mut self, socket: u32, room: u32) {
        let known = &self.sockets[index(socket)];
        let asked = match known.raw_room {
            Some(_) => known.begun,
            None => known.requests.entering_since(room).unwrap_or(known.begun),
        };
        let is_meant = |decision: &Decision| {
            decision.room == room
                && known.client.is_none_or(|client| client == decision.client)
                && decision.until.is_none_or(|until| until >= asked)
        };
        if self.decisions.made.iter().any(is_meant) {
            super::entry::pass(&mut self.socket(socket).passed, room, APPROVAL);
        }
    }

    /// Who asks to come in anew is to be let in anew.
    pub(super) fn waits_anew(&mut self, socket: u32, room: u32) {
        if self.entry(socket, room).is_some() {
            return;
        }
        let passed = self.socket(socket).passed.iter_mut();
        for (_, versions) in passed.filter(|(of, _)| *of == room) {
            versions.retain(|version| *version != APPROVAL);
        }
    }
}
