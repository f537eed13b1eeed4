//! Roles that hear nothing, and those that hear everything (P6, P10). Whoever may have such a role
//! is excused; whoever has it for certain is judged.

use std::collections::{BTreeMap, BTreeSet};

use super::Checker;
use super::index;
use super::line::Edit;
use super::message::Receiver;
use super::violation::{Violation, broken};

/// Which sockets may hear nothing where they are, or everything.
#[derive(Debug, Default)]
pub(crate) struct Hearings {
    /// By room, the users whose role there hears so, each by a bit.
    never: BTreeMap<u32, u64>,
    always: BTreeMap<u32, u64>,
    /// Sockets of theirs, by room.
    deaf: BTreeSet<(u32, u32)>,
    overhear: BTreeSet<(u32, u32)>,
}

impl Hearings {
    /// Whether it may be that this socket hears nothing there.
    pub(super) fn may_be_deaf(&self, socket: u32, room: u32) -> bool {
        !self.deaf.is_empty() && self.deaf.contains(&(socket, room))
    }

    /// Whether it may be that it hears what is for others.
    pub(super) fn may_overhear(&self, socket: u32, room: u32) -> bool {
        !self.overhear.is_empty() && self.overhear.contains(&(socket, room))
    }

    fn note(&mut self, socket: u32, room: u32, user: Option<u32>) {
        let Some(user) = user else {
            return;
        };
        let has =
            |roles: &BTreeMap<u32, u64>| roles.get(&room).is_some_and(|bits| bits >> user & 1 == 1);
        if has(&self.never) {
            self.deaf.insert((socket, room));
        }
        if has(&self.always) {
            self.overhear.insert((socket, room));
        }
    }
}

impl Checker {
    /// Rooms have such roles, and somebody inside may have one.
    pub(super) fn note_hearing(&mut self, edits: &[Edit]) {
        for edit in edits {
            let Edit::Room { room, door } = *edit else {
                continue;
            };
            let hearings = &mut self.messages.hearings;
            if door.narrow.never | door.narrow.always == 0 {
                continue;
            }
            *hearings.never.entry(room).or_default() |= door.narrow.never;
            *hearings.always.entry(room).or_default() |= door.narrow.always;
            for entry in self.entries.iter().filter(|entry| entry.room == room) {
                let user = self.sockets[index(entry.socket)].user;
                hearings.note(entry.socket, room, user);
            }
        }
    }

    /// Somebody comes into a room that may have such roles.
    pub(super) fn hears_as(&mut self, socket: u32, room: u32) {
        let user = self.sockets[index(socket)].user;
        self.messages.hearings.note(socket, room, user);
    }

    /// The step from which the node knows that somebody is a member whose role is one of these.
    fn has_role_since(&self, socket: u32, room: u32, of: impl Fn(u64, u64) -> u64) -> Option<u64> {
        let known = &self.sockets[index(socket)];
        let (door, user) = (self.policy.door(room)?, known.user?);
        let bits = of(door.narrow.never, door.narrow.always);
        let is_certain = bits >> user & 1 == 1
            && !self.policy.is_device(known.session)
            && self.policy.is_member(door.identity, Some(user));
        let word = self.policy.last_word(room, Some(user));
        is_certain.then(|| self.policy.step_of(word))?
    }

    /// The step from which somebody hears everything for certain, whoever is named.
    pub(super) fn overhears_since(&self, socket: u32, room: u32) -> Option<u64> {
        if !self.messages.hearings.may_overhear(socket, room) {
            return None;
        }
        self.has_role_since(socket, room, |_, always| always)
    }

    /// Nobody hears anything whose role hears nothing.
    pub(super) fn is_not_deaf(&self, to: Receiver, message: u32) -> Result<(), Violation> {
        if !self.messages.hearings.may_be_deaf(to.socket, to.room) {
            return Ok(());
        }
        let since = self.has_role_since(to.socket, to.room, |never, _| never);
        let sent = self.messages.sent_at(message).map(|sent| sent.step);
        match since.zip(sent) {
            Some((since, sent)) if sent > since => broken(
                "P6",
                format!("{to:?} got {message}, and has heard nothing by its role since {since}"),
            ),
            Some(_) | None => Ok(()),
        }
    }
}
