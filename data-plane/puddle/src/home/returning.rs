//! Somebody comes back to where they were: whether their token is worth
//! something still, and what they missed. Owns neither: ways are in `strands`,
//! messages on the shelf.

use std::sync::Arc;

use porthouse_model::{ClientId, Refused, Revision, RoomId, RoomName, Time, UserId};

use super::guests::Guest;
use super::placed::{Placed, Viewer};
use super::strands::{Gone, Resumes, Ruling, Thread};
use super::taking::Since;
use super::{Allowance, Home, Homes, keeps};
use crate::input::{PuddleId, SocketId};
use crate::output::WireForm;
use crate::people::Arrival;
use crate::room::Governed;

impl Homes {
    /// What is known of a user in a room has changed.
    pub(crate) fn touch(&mut self, room: RoomId, user: UserId, revision: Revision) {
        let Some(name) = self.by_id.get(&room) else {
            return;
        };
        let home = self.homes.get_mut(name).expect("a listed home is there");
        home.touched = home.touched.max(revision);
        home.strands.touch(user.into(), revision);
        home.forget_absence(user.into());
    }

    /// A home is found by the identity that its room has now.
    pub(super) fn list(&mut self, room: &RoomName) {
        let Some(home) = self.homes.get_mut(room) else {
            return;
        };
        let id = home.governed.id();
        if home.listed == id {
            return;
        }
        if let Some(before) = std::mem::replace(&mut home.listed, id) {
            self.by_id.remove(&before);
        }
        if let Some(id) = id {
            self.by_id.insert(id, room.clone());
        }
    }

    pub(super) fn check_list(&self) {
        for (room, home) in &self.homes {
            let listed = home.listed.map(|id| self.by_id.get(&id));
            assert!(
                listed.is_none_or(|listed| listed == Some(room)),
                "a home is found by its room's identity"
            );
        }
    }

    /// A client was put out of a room, or of all: it does not come back to where
    /// it was, though it may not have been inside at the moment.
    pub(crate) fn end_strands(&mut self, client: ClientId, room: Option<&RoomName>) {
        let rooms: Vec<RoomName> = match room {
            Some(room) => vec![room.clone()],
            None => self.homes.keys().cloned().collect(),
        };
        for room in rooms {
            self.with(&room, |home, _| {
                home.strands.end(client);
                home.forget_absence(client);
            });
        }
    }
}

impl Home {
    /// Whether somebody would go on by a token that is worth nothing any more.
    /// Whoever is inside by it goes: the newest use is the one that counts.
    pub(super) fn has_lapsed(&mut self, arrival: &Arrival, allowance: &Allowance) -> bool {
        let Some(resumes) = &arrival.guest.resumes else {
            return false;
        };
        self.strands.keep(arrival.now, allowance.resume_time_max);
        if !self.knows(resumes) {
            return true;
        }
        let here = (arrival.from, arrival.guest.socket);
        let before = self.strands.holder(resumes.strand);
        if let Some(before) = before.filter(|before| *before != here) {
            self.people.send_off(before, Refused::Resumed);
        }
        false
    }

    fn knows(&self, resumes: &Resumes) -> bool {
        resumes.stand.epoch == self.epoch && self.strands.knows(resumes, self.ruling)
    }

    /// Somebody comes in. Answers what they missed, if they go on from where they
    /// were, and by what they may come back.
    pub(super) fn go_on(
        &mut self,
        from: PuddleId,
        guest: &Guest,
        now: Time,
        allowance: &Allowance,
    ) -> (Option<(Resumes, Since)>, Option<Thread>) {
        let rules = self.governed.rules().source();
        let resumes = guest.resumes.as_deref().copied();
        if guest.form != WireForm::Multiplexed || !keeps(rules) {
            return (resumes.map(|resumes| (resumes, Since::Gap)), None);
        }
        self.strands.keep(now, allowance.resume_time_max);
        let at = (from, guest.socket);
        let proven = Ruling {
            revision: guest.as_of,
            ..self.ruling
        };
        if let Some(resumes) = resumes
            && self.knows(&resumes)
            && let Some(client) = self.strands.client(resumes.strand)
        {
            let since = self.since(&resumes, client, now, allowance);
            // An anonymous client is another from here on.
            let goes_on = guest.user && matches!(since, Since::Recovered(_));
            let floor = if goes_on {
                resumes.stand.offset
            } else {
                self.offset
            };
            let number = self.strands.go_on(at, guest.client, &resumes, proven);
            let thread = number.map(|number| Thread {
                strand: resumes.strand,
                number,
                floor,
            });
            return (Some((resumes, since)), thread);
        }
        let touched = if guest.as_of < self.touched {
            self.touched
        } else {
            Revision::default()
        };
        let (strand, number) = self.strands.begin(at, guest.client, (proven, touched));
        let thread = Thread {
            strand,
            number,
            floor: self.offset,
        };
        (resumes.map(|resumes| (resumes, Since::Gap)), Some(thread))
    }

    /// Everything that was said after a place in the order, as far as it is
    /// theirs to see, if all of it is still known, and not too much.
    fn since(
        &self,
        resumes: &Resumes,
        client: ClientId,
        now: Time,
        allowance: &Allowance,
    ) -> Since {
        let offset = resumes.stand.offset;
        if offset < self.shelf.older_than(self.retention().age_max, now) {
            return Since::Gap;
        }
        let viewer = Viewer {
            client,
            since: offset,
            hearing: resumes.hearing,
        };
        let is_theirs = |placed: &Placed| viewer.may_see(placed);
        let bytes_max = allowance.recovered_bytes_max;
        let missed = self.shelf.since(offset, self.offset, is_theirs, bytes_max);
        missed.map_or(Since::Gap, Since::Recovered)
    }

    /// Somebody has gone.
    pub(super) fn part(&mut self, at: (PuddleId, SocketId), how: Gone, as_of: Revision, now: Time) {
        let proven = Ruling {
            revision: as_of,
            ..self.ruling
        };
        match how {
            Gone::Outside => self.strands.stay_out(at, now),
            Gone::Cut => self.strands.cut(at, Some(proven), now),
            Gone::Left | Gone::PutOut => self.strands.out(at),
        }
    }

    /// Revisions begin anew: nothing that was proven by them counts.
    pub(super) fn begin_ruling(&mut self) {
        self.strands.end_all();
        self.ruling.revision = Revision::default();
        self.touched = Revision::default();
    }
}

/// Whether two are the same rules, and keep out the same.
pub(super) fn rules_alike(one: &Governed, other: &Governed) -> bool {
    match (one, other) {
        (Governed::Persistent(one), Governed::Persistent(other)) => {
            Arc::ptr_eq(one, other) || one.room == other.room
        }
        (Governed::Templated(one), Governed::Templated(other)) => {
            Arc::ptr_eq(one, other) || one.template == other.template
        }
        (Governed::Transient(one), Governed::Transient(other)) => {
            Arc::ptr_eq(&one.rules, &other.rules) || one.rules.source() == other.rules.source()
        }
        (Governed::Persistent(_) | Governed::Templated(_) | Governed::Transient(_), _) => false,
    }
}
