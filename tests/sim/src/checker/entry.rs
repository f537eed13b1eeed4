//! Who is inside which room, since when, and who must be out (P6, P7). Judges no message's bytes.

use super::line::{Body, Edit, Kind, Named, Shape, Stamp, Way, Who};
use super::policy::{Policy, Since, Visitor};
use super::violation::{Violation, broken};
use super::{Checker, Out, STALENESS_SLACK, Socket, TAG_BYTES, index};

/// One socket in one room, from `admitted` until it is told otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) socket: u32,
    pub(crate) room: u32,
    /// The step at which the client knew.
    pub(crate) inside: u64,
    /// That moment.
    pub(crate) at: u64,
    /// The step at which it asked for it, if it did.
    pub(crate) asked: u64,
    pub(crate) open: bool,
    pub(crate) out: Out,
    /// The room changed at this revision: a raw socket may stand before its door again for a
    /// while, and cannot be told.
    pub(crate) unsure: Option<u64>,
    /// Some message of the room came.
    pub(crate) heard: bool,
    /// The step at which a backend knew that it was put out.
    pub(crate) put_out: Option<u64>,
}

/// Whether a change may make somebody a member of a room.
const fn joins(edit: &Edit, user: Option<u32>) -> bool {
    let Some(user) = user else {
        return false;
    };
    match *edit {
        Edit::Member { user: of, .. }
        | Edit::Labelled {
            user: of,
            some: true,
            ..
        } => of == user,
        Edit::Grouped { some, .. } => some,
        Edit::Room { .. }
        | Edit::RoomGone { .. }
        | Edit::Template { .. }
        | Edit::Uncovered { .. }
        | Edit::MemberGone { .. }
        | Edit::Block { .. }
        | Edit::BlockGone { .. }
        | Edit::SessionGone { .. }
        | Edit::SessionIdle { .. }
        | Edit::DeviceRooms { .. }
        | Edit::Port { .. }
        | Edit::PortGone { .. }
        | Edit::Labelled { .. }
        | Edit::IssuerGone { .. }
        | Edit::UserGone { .. } => false,
    }
}

/// A password was given that is right for this version.
pub(crate) fn pass(passed: &mut Vec<(u32, Vec<u64>)>, room: u32, version: u64) {
    match passed.iter_mut().find(|(of, _)| *of == room) {
        Some((_, versions)) if versions.contains(&version) => {}
        Some((_, versions)) => versions.push(version),
        None => passed.push((room, vec![version])),
    }
}

impl Policy {
    /// What a session's end means for a socket that speaks for it.
    pub(crate) fn out_by(&self, session: Option<u32>) -> Out {
        self.out_since(session.and_then(|session| self.ended(session)))
    }

    pub(super) fn out_since(&self, since: Option<Since>) -> Out {
        let cut = since.and_then(|since| self.step_of(since.revision));
        Out {
            since,
            cut,
            waited: None,
            before: None,
        }
    }

    /// The rules' revision, if a message plainly breaks rules the node has applied.
    pub(crate) fn breaks(&self, room: u32, body: Body, named: Named<'_>) -> Option<u64> {
        let door = self.door(room)?;
        let kind = match body.kind {
            Kind::Text => door.text,
            Kind::Binary => door.binary,
        };
        let names_some = !named.to.is_empty() || !named.except.is_empty();
        let asked = door.narrow.shape;
        let is_so = asked == Shape::Plain || asked == body.shape || body.len < TAG_BYTES;
        let keeps = kind && is_so && body.len <= door.bytes_max && (door.named || !names_some);
        let rules = self.rules_of(room);
        (!keeps && rules <= self.applied()).then_some(rules)
    }

    /// The rules' revision, if they plainly let this one say nothing, and the node has
    /// applied all that matters to that.
    pub(crate) fn silences(&self, room: u32, visitor: Visitor<'_>) -> Option<u64> {
        let door = self.door(room)?;
        let speaks = if self.is_device(visitor.session) {
            door.devices_speak
        } else {
            match door.speaks {
                Who::Anyone => true,
                Who::Users => visitor.user.is_some(),
                Who::Members => self.is_member(door.identity, visitor.user),
            }
        };
        let is_heard = self.last_word(room, visitor.user) <= self.applied();
        (!speaks && is_heard).then(|| self.rules_of(room))
    }

    /// The revision of a room's rules.
    pub(crate) fn rules_of(&self, room: u32) -> u64 {
        self.last_word(room, None)
    }
}

impl Out {
    /// They may be inside again, from this step on.
    pub(super) fn allow(&mut self, step: u64) {
        if let Some(cut) = self.cut {
            self.before = Some((cut, step));
        }
        (self.since, self.cut, self.waited) = (None, None, None);
    }

    /// Nobody who was told that it is applied sees that it is not.
    pub(super) fn not_waited_for(self, written: Stamp) -> Result<(), Violation> {
        match self.waited {
            Some(waited) if written.step > waited => {
                broken("P9", format!("something begins at {written:?}: {self:?}"))
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn is_broken_by(&self, written: Stamp) -> bool {
        let within = |(from, until)| from < written.step && written.step < until;
        self.cut.is_some_and(|cut| written.step > cut) || self.before.is_some_and(within)
    }
}

impl Checker {
    /// After the node has applied what made it unsure, whoever gets something is inside.
    pub(super) fn make_sure(&mut self, number: u32, written: Stamp) {
        let entry = &mut self.entries[index(number)];
        let Some(revision) = entry.unsure else {
            return;
        };
        if self
            .policy
            .step_of(revision)
            .is_some_and(|step| written.step > step)
        {
            (entry.unsure, entry.inside, entry.at) = (None, self.step, self.at);
            self.stays(number, written.step);
        }
    }

    /// So long after the last change nobody stands before a door and is still inside.
    pub(super) fn all_sure(&mut self) {
        for entry in self
            .entries
            .iter_mut()
            .filter(|entry| entry.unsure.is_some())
        {
            (entry.unsure, entry.inside, entry.at) = (None, self.step, self.at);
        }
    }

    /// Somebody is told that they are inside.
    pub(super) fn enter(
        &mut self,
        socket: u32,
        room: u32,
        written: Stamp,
    ) -> Result<(), Violation> {
        if self.socket(socket).bogus {
            return broken(
                "P6",
                format!("socket {socket} entered by a token of nobody"),
            );
        }
        self.goes_not_away(socket)?;
        self.socket(socket).recognised = true;
        if let Some(show) = self.socket(socket).ticket.take() {
            self.opened(socket, show)?;
        }
        self.comes_in(socket, room, written);
        self.is_let_in(socket, room);
        self.not_kept_out(socket, room, written)?;
        self.insert(socket, room, written);
        self.admitted_in_time(socket, room)?;
        let number = self.entry(socket, room).expect("just inserted");
        self.stays(number, written.step);
        let out = self.entries[index(number)].out;
        // Behind a backlog `admitted` may be written when it is no longer so, with what takes it
        // back right behind it; what was said inside may not.
        if self.sockets[index(socket)].raw_room.is_some() {
            self.still_in(socket, room, out, written)?;
        }
        self.other(socket, written)
    }

    pub(super) fn insert(&mut self, socket: u32, room: u32, written: Stamp) {
        self.leave(socket, room);
        let number = u32::try_from(self.entries.len()).expect("fewer than 2^32 entries");
        let known = &self.sockets[index(socket)];
        let since = self.policy.shut_out(room, Self::visitor(known, room));
        let rules = self.policy.rules_of(room);
        self.stirred.insert(room, self.at);
        // It may have been let in, and not have read so, before the node heard of the change.
        let heard = self.policy.step_of(rules);
        let is_heard = heard.is_some_and(|heard| heard < written.step);
        let changes = known.raw_room.is_some() && rules > 0 && !is_heard;
        self.entries.push(Entry {
            socket,
            room,
            inside: self.step,
            at: self.at,
            asked: known.requests.entering_step(room),
            open: true,
            out: self.policy.out_since(since),
            unsure: changes.then_some(rules),
            heard: false,
            put_out: None,
        });
        self.socket(socket).entries.push((room, number));
        self.hears_as(socket, room);
    }

    pub(super) fn entry(&self, socket: u32, room: u32) -> Option<u32> {
        let entries = &self.sockets[index(socket)].entries;
        entries
            .iter()
            .find(|(of, _)| *of == room)
            .map(|&(_, entry)| entry)
    }

    pub(super) fn leave(&mut self, socket: u32, room: u32) {
        if let Some(entry) = self.entry(socket, room) {
            self.entries[index(entry)].open = false;
            self.codes.forget(socket, room);
            self.socket(socket).entries.retain(|(of, _)| *of != room);
            self.socket(socket).is_out_of(room);
            self.out_of(socket, room);
        }
    }

    /// What a socket had asked of a room ends with its stay there.
    pub(super) fn out_of(&mut self, socket: u32, room: u32) {
        self.stirred.insert(room, self.at);
        self.past.leave(socket, room);
        self.socket(socket).requests.excuse(room);
        self.views.end(socket, room);
    }

    /// After a commit: since when is who out?
    pub(super) fn shut_doors(&mut self, edits: &[Edit]) {
        let now = Since {
            revision: self.policy.head,
            at: self.at,
        };
        let step = self.step;
        let is_gone = |room| {
            let gone = |edit: &Edit| matches!(edit, Edit::RoomGone { room: of } if *of == room);
            edits.iter().any(gone)
        };
        let made: Vec<u32> = edits
            .iter()
            .filter_map(|edit| match edit {
                Edit::Room { room, door } if self.identities.insert(door.identity) => Some(*room),
                Edit::Uncovered { room } => Some(*room),
                Edit::Room { .. }
                | Edit::RoomGone { .. }
                | Edit::Template { .. }
                | Edit::Member { .. }
                | Edit::MemberGone { .. }
                | Edit::Block { .. }
                | Edit::BlockGone { .. }
                | Edit::SessionGone { .. }
                | Edit::SessionIdle { .. }
                | Edit::DeviceRooms { .. }
                | Edit::Port { .. }
                | Edit::PortGone { .. }
                | Edit::Labelled { .. }
                | Edit::Grouped { .. }
                | Edit::IssuerGone { .. }
                | Edit::UserGone { .. } => None,
            })
            .collect();
        let is_edited = |room| {
            let same = |edit: &Edit| matches!(edit, Edit::Room { room: of, .. } if *of == room);
            edits.iter().any(same)
        };
        for known in self.sockets.iter_mut().filter(|known| !known.over) {
            if known.out.since.is_none() {
                known.out.since = known.session.and_then(|session| self.policy.ended(session));
            }
            let joins = edits.iter().any(|edit| joins(edit, known.user));
            for &(room, entry) in &known.entries {
                let entry = &mut self.entries[index(entry)];
                if joins {
                    self.messages.may_speak((entry.socket, room));
                }
                let shut = self.policy.shut_out(room, Self::visitor(known, room));
                let was_deleted = entry
                    .out
                    .since
                    .is_some_and(|since| self.policy.gone(room).is_some_and(|gone| gone >= since));
                // What is on its way while a transient room becomes a persistent one may
                // reach neither.
                if made.contains(&room) || (known.raw_room.is_some() && is_edited(room)) {
                    entry.unsure = Some(now.revision);
                }
                match shut {
                    _ if is_gone(room) && self.policy.gone(room) == Some(now) => {
                        entry.out.since = entry.out.since.or(Some(now));
                    }
                    Some(since) => entry.out.since = entry.out.since.or(Some(since)),
                    None if was_deleted => {}
                    None => {
                        self.messages.pardon((entry.socket, room), entry.out.cut);
                        entry.out.allow(step);
                    }
                }
            }
        }
        self.judge_posts(edits);
        self.lead_elsewhere(edits);
        // Said to be applied before it was committed: out from here on.
        self.cut();
    }

    /// What was posted and nobody has heard yet may be said now.
    fn judge_posts(&mut self, edits: &[Edit]) {
        for number in 0..self.sockets.len() {
            let known = &self.sockets[number];
            if known.way != Way::Post || known.over {
                continue;
            }
            let (room, user) = (known.raw_room, known.user);
            let socket = u32::try_from(number).expect("a socket's number");
            let joins = edits.iter().any(|edit| joins(edit, user));
            if let Some(room) = room.filter(|_| joins) {
                self.messages.may_speak((socket, room));
            }
            self.may_post(socket);
        }
    }

    /// After an acknowledgement: who is out from this step on?
    pub(super) fn cut(&mut self) {
        let (applied, step) = (self.policy.applied(), self.step);
        let cut = |out: &mut Out| {
            if out.cut.is_none() && out.since.is_some_and(|since| since.revision <= applied) {
                out.cut = Some(step);
            }
        };
        for known in self.sockets.iter_mut().filter(|known| !known.over) {
            cut(&mut known.out);
            known.led_out().for_each(cut);
            for &(_, entry) in &known.entries {
                cut(&mut self.entries[index(entry)].out);
            }
        }
    }

    /// An administrator is told that everything up to here is applied.
    pub(super) fn waited(&mut self, revision: u64) {
        let step = self.step;
        let wait = |out: &mut Out| {
            let is_meant = out.since.is_some_and(|since| since.revision <= revision);
            if is_meant && out.waited.is_none() {
                out.waited = Some(step);
            }
        };
        for known in self.sockets.iter_mut().filter(|known| !known.over) {
            wait(&mut known.out);
            known.led_out().for_each(wait);
            for &(_, entry) in &known.entries {
                wait(&mut self.entries[index(entry)].out);
            }
        }
    }

    /// Whoever was out when the faults healed was closed since.
    pub(super) fn are_closed(&self) -> Result<(), Violation> {
        let healed = self.healed.unwrap_or_default();
        for (number, known) in self.sockets.iter().enumerate() {
            let mut outs = [known.out.cut, known.led_cut()].into_iter().flatten();
            let is_out = outs.any(|cut| cut < healed);
            let is_out = known.recognised && (is_out || known.is_expired(self.at));
            if is_out && !known.over {
                return broken(
                    "P8",
                    format!("socket {number} was never closed: {:?}", known.out),
                );
            }
        }
        Ok(())
    }

    /// Nobody is let in by a word that is too old: what was asked for so long after somebody was
    /// shut out is refused.
    fn admitted_in_time(&self, socket: u32, room: u32) -> Result<(), Violation> {
        let known = &self.sockets[index(socket)];
        let (asked, step) = match known.raw_room {
            Some(_) => (Some(known.begun), known.begun_step),
            None => (
                known.requests.entering_since(room),
                known.requests.entering_step(room),
            ),
        };
        let entry = self.entry(socket, room).expect("just inserted");
        let since = self.entries[index(entry)].out.since.or(known.out.since);
        let admit_max = self.policy.admit_max(room, step);
        let (Some(asked), Some(since), Some(admit_max)) = (asked, since, admit_max) else {
            return Ok(());
        };
        if asked > since.at + admit_max + STALENESS_SLACK {
            return broken(
                "P6",
                format!("socket {socket} asked for {room} at {asked} and is in, out {since:?}"),
            );
        }
        Ok(())
    }

    /// A frame of this room may begin for this socket at that moment.
    pub(super) fn still_in(
        &self,
        socket: u32,
        room: u32,
        out: Out,
        written: Stamp,
    ) -> Result<(), Violation> {
        out.not_waited_for(written)?;
        self.sockets[index(socket)].not_expired(socket, written)?;
        self.sockets[index(socket)].not_elsewhere((socket, room), written)?;
        self.is_not_closed(socket, room, written)?;
        if out.is_broken_by(written) {
            return broken(
                "P6",
                format!("socket {socket} is in {room} at {written:?}: {out:?}"),
            );
        }
        let deliver_max = self.policy.deliver_max(room, written.step);
        let since = out.since.or(self.sockets[index(socket)].out.since);
        let (Some(deliver_max), Some(since)) = (deliver_max, since) else {
            return Ok(());
        };
        if written.at > since.at + deliver_max + STALENESS_SLACK {
            return broken(
                "P8",
                format!("socket {socket} is in {room} too long after {since:?}"),
            );
        }
        Ok(())
    }

    /// What this socket sends to this room now can be no message.
    pub(super) fn may_not_speak(&self, socket: u32, room: u32) -> bool {
        let known = &self.sockets[index(socket)];
        if known.bogus
            || known.out.cut.is_some()
            || known.led_cut().is_some()
            || known.is_expired(self.at)
        {
            return true;
        }
        if known.way == Way::Post {
            let shut = self.policy.shut_out(room, Self::visitor(known, room));
            return shut.is_some_and(|since| since.revision <= self.policy.applied());
        }
        match self.entry(socket, room) {
            // What a raw socket sends before the door may be kept until it is in again.
            Some(_) if known.raw_room.is_some() => false,
            // It may have answered already what puts it in again.
            _ if known.requests.is_entering(room) => false,
            Some(entry) => self.entries[index(entry)].out.cut.is_some(),
            None => true,
        }
    }

    /// A refusal by a rule that did not hold any more when it was asked for.
    pub(super) fn refusal_holds(
        &self,
        socket: u32,
        room: u32,
        rule: &str,
        asked: u64,
    ) -> Result<(), Violation> {
        let known = &self.sockets[index(socket)];
        let judged = [
            "visibility.private",
            "transient.makers",
            "connection.user_required",
            "connection.roles",
            "connection.origins",
        ];
        if !judged.contains(&rule) || self.policy.door(room).is_none() || known.out.since.is_some()
        {
            return Ok(());
        }
        let visitor = Visitor {
            user: known.user,
            session: known.session,
            page: known.page,
            passed: &[],
        };
        let door = self.policy.door(room);
        let password_aside =
            door.is_some_and(|door| door.approval || door.needs().next().is_some());
        let allowed = password_aside || self.policy.shut_out(room, visitor).is_none();
        let word = self.policy.step_of(self.policy.last_word(room, known.user));
        if allowed && !password_aside && word.is_some_and(|step| step < asked) {
            return broken(
                "P17",
                format!("socket {socket} is refused by {rule} in {room}"),
            );
        }
        Ok(())
    }

    /// What a socket may know of its visitor at a room's door.
    pub(super) fn visitor(socket: &Socket, room: u32) -> Visitor<'_> {
        let passed = socket.passed.iter().find(|(of, _)| *of == room);
        Visitor {
            user: socket.user,
            session: socket.session,
            page: socket.page,
            passed: passed.map_or(&[][..], |(_, versions)| versions),
        }
    }
}
