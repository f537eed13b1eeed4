//! Who connects, is asked, shows something, and is told that they are inside. Owns nothing.

use super::line::{Door, Resumes, Shown, Stamp, Stand, Way};
use super::violation::{Violation, broken};
use super::{Checker, Socket, entry, index};

impl Checker {
    pub(super) fn connect(
        &mut self,
        (socket, network): (u32, u32),
        (room, way): (Option<u32>, Way),
        session: Option<u32>,
        bogus: bool,
    ) {
        assert_eq!(
            self.sockets.len(),
            index(socket),
            "sockets are numbered in order"
        );
        let user = session.and_then(|session| self.policy.user(session));
        let out = self.policy.out_by(session);
        let until = session.and_then(|session| self.policy.until(session));
        self.sockets.push(Socket {
            raw_room: room,
            way,
            network,
            session,
            user,
            bogus,
            client: session.and_then(|session| self.policy.client(session)),
            begun: self.at,
            begun_step: self.step,
            until,
            out,
            ..Socket::default()
        });
    }

    pub(super) fn upgraded(
        &mut self,
        socket: u32,
        admits: bool,
        written: Stamp,
    ) -> Result<(), Violation> {
        let at = self.at;
        let known = self.socket(socket);
        known.upgraded = true;
        let Some(room) = known.raw_room else {
            return Ok(());
        };
        if known.way == Way::Handshake {
            known.requests.challenge(room, at);
            return Ok(());
        }
        if admits && known.bogus {
            return broken(
                "P6",
                format!("socket {socket} entered by a token of nobody"),
            );
        }
        if admits {
            return self.enter(socket, room, written);
        }
        self.insert(socket, room, written);
        Ok(())
    }

    /// A handshake is over: what comes now is of the room.
    pub(super) fn started(&mut self, socket: u32, written: Stamp) -> Result<(), Violation> {
        let known = self.socket(socket);
        let Some(room) = known.raw_room.filter(|_| known.way == Way::Handshake) else {
            return broken("P15", format!("socket {socket} has started, unasked"));
        };
        known.requests.admit(room);
        self.enter(socket, room, written)?;
        self.is_let_in_once(socket, room)
    }

    /// The codes it was let in by have let nobody else in.
    fn is_let_in_once(&mut self, socket: u32, room: u32) -> Result<(), Violation> {
        let door = self.policy.door(room);
        let codes = door.into_iter().flat_map(Door::codes);
        let rules = self.policy.rules_of(room);
        self.codes.admit((socket, room), codes, rules)
    }

    pub(super) fn authenticated(&mut self, socket: u32, session: Option<u32>) {
        self.socket(socket).session = session;
        let user = session.and_then(|session| self.policy.user(session));
        let out = self.policy.out_by(session);
        let client = session.and_then(|session| self.policy.client(session));
        let until = session.and_then(|session| self.policy.until(session));
        let known = self.socket(socket);
        known.recognised = true;
        (known.user, known.out, known.client) = (user, out, client);
        known.until = until;
    }

    pub(super) fn admitted(
        &mut self,
        socket: u32,
        (room, stand, recovered): (u32, Option<Stand>, Option<bool>),
        client: u128,
        written: Stamp,
    ) -> Result<(), Violation> {
        let known = self.socket(socket);
        if known.client.is_some_and(|known| known != client) {
            return broken("P14", format!("socket {socket} was told two client ids"));
        }
        known.client = Some(client);
        known.requests.admit(room);
        self.may_be_back(socket, room);
        self.socket(socket).put_back.retain(|(of, ..)| *of != room);
        self.enter(socket, room, written)?;
        self.is_let_in_once(socket, room)?;
        self.is_let_in_today(socket, room)?;
        if let Some(stand) = stand {
            self.has_gone_on(socket, room, (stand, recovered == Some(true)))?;
        }
        let applied = self.policy.applied_at(written.step);
        self.stands(socket, room, stand, applied);
        let entry = self.entry(socket, room);
        self.recovered
            .admit((socket, room), entry, recovered, stand)
    }

    /// It is closed.
    pub(super) fn close(&mut self, socket: u32) {
        let entries = std::mem::take(&mut self.socket(socket).entries);
        for (room, entry) in entries {
            self.entries[index(entry)].open = false;
            self.out_of(socket, room);
        }
    }

    /// It is gone.
    pub(super) fn ended(&mut self, socket: u32) {
        self.close(socket);
        let known = self.socket(socket);
        known.over = true;
        known.requests.clear();
    }

    /// A room refuses it, or puts it out.
    pub(super) fn refused(
        &mut self,
        socket: u32,
        room: u32,
        rule: &str,
        id: Option<u64>,
    ) -> Result<(), Violation> {
        let asked = id.and_then(|id| self.socket(socket).requests.asked_at(id));
        self.socket(socket).requests.refuse(room);
        self.recovered.refuse(socket, room);
        self.codes.forget(socket, room);
        self.leave(socket, room);
        self.socket(socket).put_back.retain(|(of, ..)| *of != room);
        match asked {
            Some(asked) => self.refusal_holds(socket, room, rule, asked),
            None => self.leading_holds(socket, room, rule),
        }
    }

    /// A room asks it something; if it was inside, it stands before the door again.
    pub(super) fn challenged(&mut self, socket: u32, room: u32) {
        let (at, step) = (self.at, self.step);
        let entry = self.entry(socket, room);
        let cut = entry.and_then(|entry| self.entries[index(entry)].out.cut);
        self.leave(socket, room);
        let known = self.socket(socket);
        known.requests.challenge(room, at);
        if let Some(cut) = cut {
            known.put_back.push((room, cut, step));
        }
    }

    /// It may be let in again from here on: what it said there before it knew that it was put back
    /// may have been on its way all the time.
    pub(super) fn may_be_back(&mut self, socket: u32, room: u32) {
        let put_back = &self.sockets[index(socket)].put_back;
        for &(of, cut, until) in put_back.iter().filter(|(of, ..)| *of == room) {
            self.messages.pardon_between((socket, of), (cut, until));
        }
    }

    /// What kept it out was not applied already when it asked.
    fn is_let_in_today(&self, socket: u32, room: u32) -> Result<(), Violation> {
        let known = &self.sockets[index(socket)];
        let asked = known.requests.entering_step(room);
        let entry = self.entry(socket, room).expect("just inserted");
        let out = self.entries[index(entry)].out;
        if out.cut.is_some_and(|cut| cut < asked) {
            return broken(
                "P6",
                format!("socket {socket} asked for {room} at step {asked} and is in: {out:?}"),
            );
        }
        Ok(())
    }

    /// A durable room is as far as anybody knew when it asked.
    fn has_gone_on(&self, socket: u32, room: u32, how: (Stand, bool)) -> Result<(), Violation> {
        let asked = self.sockets[index(socket)].requests.entering_step(room);
        let Some(kept) = self.policy.door(room).and_then(|door| door.kept) else {
            return Ok(());
        };
        let is_same = |step| self.policy.is_same_since(room, step);
        self.stored
            .goes_on((room, kept), (asked, self.at), how, is_same)
    }

    /// It shows something at a room's door that is right.
    pub(super) fn shows(&mut self, socket: u32, room: u32, shown: Shown) {
        let known = self.socket(socket);
        entry::pass(&mut known.passed, room, shown.version());
        let client = known.client;
        let rules = self.policy.rules_of(room);
        if rules <= self.policy.applied() {
            self.codes.show((socket, room), (client, rules), shown);
        }
    }

    /// What it has posted was taken.
    pub(super) fn posted(&mut self, socket: u32) -> Result<(), Violation> {
        self.goes_not_away(socket)?;
        let known = self.socket(socket);
        known.upgraded = true;
        if known.bogus {
            return broken("P6", format!("socket {socket} posts by a token of nobody"));
        }
        Ok(())
    }

    /// What it posted is heard, if nothing keeps it out any more.
    pub(super) fn may_post(&mut self, socket: u32) {
        let known = &self.sockets[index(socket)];
        let Some(room) = known.raw_room.filter(|_| known.out.since.is_none()) else {
            return;
        };
        let visitor = Self::visitor(known, room);
        if self.policy.shut_out(room, visitor).is_none() {
            self.messages.pardon((socket, room), Some(0));
        }
    }

    /// An owner's backend has let somebody in, as far as it is asked.
    pub(super) fn decided(&mut self, socket: u32, room: u32, version: u64) {
        entry::pass(&mut self.socket(socket).passed, room, version);
        if self.socket(socket).way == Way::Post {
            return self.may_post(socket);
        }
        let Some(number) = self.entry(socket, room) else {
            return;
        };
        let visitor = Self::visitor(&self.sockets[index(socket)], room);
        let is_shut = self.policy.shut_out(room, visitor).is_some();
        let out = &mut self.entries[index(number)].out;
        let since = out.since;
        let was_deleted = since.is_some_and(|since| {
            let gone = self.policy.gone(room);
            gone.is_some_and(|gone| gone >= since)
        });
        if !is_shut && !was_deleted {
            self.messages.pardon((socket, room), out.cut);
            out.allow(self.step);
        }
    }

    /// What was passed at a room's door counts for whoever goes on from behind it.
    pub(super) fn goes_on(&mut self, socket: u32, room: u32, resumes: Resumes) {
        self.recovered.ask(socket, room, resumes);
        let before = &self.sockets[index(resumes.socket)].passed;
        let before = before.iter().find(|(of, _)| *of == room);
        let versions = before.map_or(Vec::new(), |(_, versions)| versions.clone());
        let passed = &mut self.socket(socket).passed;
        for version in versions {
            entry::pass(passed, room, version);
        }
    }
}
