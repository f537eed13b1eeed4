//! What the control plane says: answers let entries go on, changes are judged
//! for everybody they touch, before anything else is written to them.

use porthouse_model::{PolicyKey, Refused, Revision, RoomName, TokenHash, UserId};
use porthouse_rules::{Entry as Judgement, Passed};

use super::door::Seen;
use super::{Puddle, Verifying};
use crate::home::Gone;
use crate::input::{Changed, SocketId};
use crate::policy::{Found, Named, Outcome, Touched};
use crate::question::{Answer, QuestionId, SignInVerdict};
use crate::room::{Governed, RoomIndex};
use crate::sequence::{Attempts, Door, Event, Manner, Sequence};
use crate::socket::{Ending, Entry, Knock, LeadsTo, Opening, Origin, Phase, Who};
use crate::wire::multiplexed::Event as Told;

impl Puddle {
    pub(super) fn answered(&mut self, question: QuestionId, answer: Answer) {
        match self.policy.answered(self.now, question, &answer) {
            Outcome::Known(key) => {
                self.asked_about(&key);
                self.known(&key);
            }
            Outcome::AskAgain { question, what } => self.ask(question, what, None),
            Outcome::Unavailable(key) => {
                self.asked_about(&key);
                for id in self.waiting.remove(&key).unwrap_or_default() {
                    self.unavailable(id, &key);
                }
            }
            Outcome::NotMine => {
                let signed_in = match &answer {
                    Answer::SignIn(SignInVerdict::Right { token, .. }) => Some(*token),
                    Answer::SignIn(_)
                    | Answer::Resolved { .. }
                    | Answer::Verified(_)
                    | Answer::Unavailable => None,
                };
                self.verified(question, answer);
                if let Some(token) = signed_in {
                    self.heard_of_session(token);
                }
            }
        }
    }

    /// A session is known because somebody signed in: whoever waits for it goes on,
    /// though what they asked has no answer yet.
    pub(super) fn heard_of_session(&mut self, token: TokenHash) {
        let key = PolicyKey::Session(token);
        if self.waiting.contains_key(&key) && self.policy.session(self.now, &token).is_some() {
            self.known(&key);
        }
    }

    /// Something became known: who is inside by it is judged, who waits goes on.
    fn known(&mut self, key: &PolicyKey) {
        match key {
            PolicyKey::Room(name) => self.touch(&Touched::Room(name.clone())),
            PolicyKey::Member(room, user) => self.touch(&Touched::Member(*room, *user)),
            PolicyKey::Block(room, user) => self.touch(&Touched::Block(*room, *user)),
            PolicyKey::Session(token) => {
                if let Some(session) = self.signed_in.session_of(token) {
                    let touched = match self.policy.session(self.now, token) {
                        Some(Found::Absent) => Touched::Session(session),
                        Some(Found::Present(_)) | None => Touched::Device(session),
                    };
                    self.touch(&touched);
                }
            }
            PolicyKey::Endpoint(address) => self.touch(&Touched::Endpoint(address.clone())),
            PolicyKey::ApiKey(_) => {}
        }
        let waiting = self.waiting.remove(key).unwrap_or_default();
        if matches!(key, PolicyKey::Room(_)) {
            // Whoever waits for a room knocks at its door, and has looked again.
            return;
        }
        for id in waiting {
            self.route(id);
            self.look_at_arrival(id);
            self.look_at_session(id);
            self.look_at_renewal(id);
            self.look_at_renewal_beside(id);
            self.advance_all(id, Event::Look);
        }
    }

    fn unavailable(&mut self, id: SocketId, key: &PolicyKey) {
        self.unroutable(id);
        if let PolicyKey::Session(_) = key {
            self.unjudgeable(id);
            let signs_in = self.lobby_mut(id).is_some_and(|lobby| lobby.is_resolving());
            if signs_in {
                self.refuse_sign_in(id, Refused::ControlPlaneAway);
            }
            self.unavailable_renewal(id, key);
        }
        for room in self.doors_of(id) {
            let event = match self.see(id, &room, false) {
                Seen::Unknown(asked) if asked == *key => Event::Unavailable,
                Seen::Unknown(_) | Seen::Shut(_) | Seen::Open { .. } => Event::Look,
            };
            self.advance(id, &room, event);
        }
    }

    fn verified(&mut self, question: QuestionId, answer: Answer) {
        let verifying = self.verifying.remove(&question);
        if let Some(Verifying::Door(id, _) | Verifying::SignIn(id)) = verifying {
            self.asks_less(id);
        }
        match (verifying, answer) {
            (Some(Verifying::Door(id, room)), answer) => {
                let event = match answer {
                    Answer::Verified(verdict) => Event::Judged(question, verdict),
                    Answer::Resolved { .. } | Answer::SignIn(_) | Answer::Unavailable => {
                        Event::Unjudged(question)
                    }
                };
                self.advance(id, &room, event);
            }
            (Some(Verifying::SignIn(id)), Answer::SignIn(verdict)) => {
                self.signed_in(id, Some(&verdict));
            }
            (Some(Verifying::SignIn(id)), _) => self.signed_in(id, None),
            (Some(Verifying::Ticket(id)), Answer::SignIn(verdict)) => {
                self.redeemed(id, Some(&verdict));
            }
            (Some(Verifying::Ticket(id)), _) => self.redeemed(id, None),
            (None, _) => {}
        }
    }

    pub(super) fn changed(&mut self, changed: &Changed) {
        self.tell_homes(changed);
        let whole = self.policy.settled().is_some();
        for touched in self.policy.change(changed) {
            if let Touched::Room(name) = &touched
                && whole
            {
                self.spare_insiders(name);
            }
            self.touch(&touched);
        }
    }

    /// A room has blocked users from this revision on, and had none before: who
    /// is inside and was not blocked by it need not be asked about.
    fn spare_insiders(&mut self, name: &RoomName) {
        let Some(index) = self.rooms.find(name) else {
            return;
        };
        let Some(Named::Room(policy)) = self.policy.room(self.now, name) else {
            return;
        };
        let Governed::Persistent(before) = &self.rooms.get(index).governed else {
            return;
        };
        let begins = policy.room.blocks.users && !before.room.blocks.users;
        if !begins || before.room.id != policy.room.id {
            return;
        }
        for id in room_sitters(self.rooms.get(index)) {
            let socket = self.sockets.get(id).expect("who sits is here");
            let stay = socket.stay(index).expect("who sits knows it");
            let user = socket.who().user();
            if let Some(user) = user.filter(|user| policy.room.owner != Some(*user)) {
                let seats = &mut self.rooms.get_mut(index).seats;
                if let Some(key) = seats.pin_block(stay.seat, policy.room.id, user) {
                    self.policy.not_blocked(&key);
                    self.policy.pin(&key);
                }
            }
        }
    }

    pub(super) fn resync(&mut self, revision: Revision) {
        self.policy.resync(self.now, revision);
        self.acknowledged = Revision::default();
        self.homes.resync();
    }

    fn touch(&mut self, touched: &Touched) {
        match touched {
            Touched::Session(session) => {
                for id in self.signed_in.of_session(*session) {
                    self.close_refused(id, Refused::SessionEnded);
                }
            }
            Touched::Device(session) => {
                for id in self.signed_in.of_session(*session) {
                    self.device_changed(id);
                }
            }
            Touched::Room(name) => {
                self.judge_room(name);
                let knocking = self.doors.get(name).cloned();
                for id in knocking.unwrap_or_default() {
                    self.advance(id, name, Event::Look);
                }
            }
            Touched::Member(room, user) | Touched::Block(room, user) => {
                self.judge_user(*room, *user);
            }
            Touched::Endpoint(address) => self.judge_arrivals(address),
        }
    }

    fn judge_user(&mut self, room: porthouse_model::RoomId, user: UserId) {
        for id in self.signed_in.of_user(user) {
            for index in self.rooms_of(id) {
                if self.rooms.get(index).governed.id() == Some(room) {
                    self.judge(id, index);
                }
            }
            self.advance_all(id, Event::Look);
        }
    }

    pub(super) fn rooms_of(&self, id: SocketId) -> Vec<RoomIndex> {
        match self.sockets.get(id).map(|socket| &socket.phase) {
            Some(Phase::Raw(stay, _)) => vec![stay.room],
            Some(Phase::Multiplexed(lobby)) => lobby.stays.iter().map(|stay| stay.room).collect(),
            Some(Phase::Upgrading { .. } | Phase::Knocking(_) | Phase::Closing { .. }) | None => {
                Vec::new()
            }
        }
    }

    /// A room changed: everybody in it is judged by how it stands now. Another
    /// room of the same name begins empty.
    fn judge_room(&mut self, name: &RoomName) {
        let Some(index) = self.rooms.find(name) else {
            return;
        };
        let now = match self.policy.room(self.now, name) {
            None => return,
            Some(Named::Absent) => self.still_transient(index),
            Some(Named::Templated(policy)) => Governed::Templated(policy),
            Some(Named::Room(policy)) => Governed::Persistent(policy),
        };
        let room = self.rooms.get_mut(index);
        let ended = room.governed.id().is_some_and(|id| now.id() != Some(id));
        if room.governed.verified_as() != now.verified_as() {
            room.seats.forget_passed();
        }
        let shown = |governed: &Governed| governed.rules().source().presence.shown;
        // Another room's home knows of nobody who looks.
        let looks_elsewhere =
            shown(&room.governed) != shown(&now) || room.governed.id() != now.id();
        room.governed = now;
        if looks_elsewhere {
            self.end_looking(index);
        }
        self.note_strictness(index);
        self.note_order(index);
        self.report_guests(index);
        // Where its home is here, there may be no place for anybody, and no room any more.
        if self.rooms.find(name) != Some(index) {
            return;
        }
        let sitters: Vec<SocketId> = room_sitters(self.rooms.get(index));
        for id in sitters {
            if ended {
                self.put_out(id, index, Refused::RoomClosed);
            } else {
                self.judge(id, index);
            }
        }
    }

    /// How a room that the control plane does not know is governed: as it was,
    /// if it was transient before.
    pub(super) fn still_transient(&self, index: RoomIndex) -> Governed {
        match &self.rooms.get(index).governed {
            Governed::Transient(transient) => Governed::Transient(transient.clone()),
            Governed::Persistent(_) | Governed::Templated(_) => {
                Governed::Transient(self.transient())
            }
        }
    }

    /// Everybody in a room is judged by how it stands now.
    pub(super) fn judge_all(&mut self, index: RoomIndex) {
        for id in room_sitters(self.rooms.get(index)) {
            self.judge(id, index);
        }
    }

    /// May this socket still be in this room?
    pub(super) fn judge(&mut self, id: SocketId, index: RoomIndex) {
        let Some(socket) = self.sockets.get(id) else {
            return;
        };
        let Some(stay) = socket.stay(index) else {
            return;
        };
        let room = self.rooms.get(index);
        let sitter = room.seats.sitter(stay.seat);
        let (name, passed) = (room.name.clone(), sitter.passed.passed());
        let seen = self.see(id, &name, true);
        let Some(judgement) = self.judgement(id, &seen, &passed) else {
            return self.ask_again(id, index, &name, passed);
        };
        match judgement {
            Judgement::Admit => {
                let rights = seen.rights().expect("only an open door admits");
                self.rooms.get_mut(index).seats.entitle(stay.seat, rights);
                self.stays(id, index, seen.until());
                self.keep_looking(id, index);
            }
            Judgement::Refuse(refused) => self.put_out(id, index, refused),
            Judgement::Ask(_) => self.ask_again(id, index, &name, passed),
        }
    }

    /// How somebody who passed these steps stands by a door that is seen so; none
    /// where something must be known first.
    pub(super) fn judgement(
        &self,
        id: SocketId,
        seen: &Seen,
        passed: &Passed,
    ) -> Option<Judgement> {
        match seen.door(self.page_of(id)) {
            Door::Shut(refused) => Some(Judgement::Refuse(refused)),
            Door::Unknown => None,
            Door::Open { rules, visitor, .. } => Some(rules.enter(&visitor, passed)),
        }
    }

    fn stays(&mut self, id: SocketId, index: RoomIndex, until: porthouse_model::Time) {
        match self.sockets.get_mut(id).map(|socket| &mut socket.phase) {
            Some(Phase::Raw(stay, _)) => stay.until = until,
            Some(Phase::Multiplexed(lobby)) => {
                for stay in lobby.stays.iter_mut().filter(|stay| stay.room == index) {
                    stay.until = until;
                }
            }
            Some(Phase::Upgrading { .. } | Phase::Knocking(_) | Phase::Closing { .. }) | None => {}
        }
        self.stay_ends(id, index, until);
        self.arm(id);
    }

    /// Out of a room, at once: nothing more of what was said there is written.
    pub(super) fn put_out(&mut self, id: SocketId, index: RoomIndex, refused: Refused) {
        let Some(socket) = self.sockets.get(id) else {
            return;
        };
        let Some(stay) = socket.stay(index) else {
            return;
        };
        match socket.phase {
            Phase::Raw(..) => {
                let room = self.rooms.get_mut(index);
                room.seats.sitter_mut(stay.seat).goes = Some(Gone::refused(refused));
                self.close_refused(id, refused);
            }
            Phase::Multiplexed(_) => {
                let name = self.rooms.get(index).name.clone();
                self.outbox.cut_room(id.slot, index);
                self.leave_room(id, index, stay.seat, Gone::refused(refused));
                self.forget_stay(id, index);
                let refusal = self.refusal(id, Some(&name), refused);
                self.tell(id, |out| Told::closed(&name, &refusal).frame(out));
                self.rest(id);
            }
            Phase::Upgrading { .. } | Phase::Knocking(_) | Phase::Closing { .. } => {
                unreachable!("who has a seat is inside")
            }
        }
    }

    /// Out of a room and before its door again, with the steps passed before.
    fn ask_again(&mut self, id: SocketId, index: RoomIndex, name: &RoomName, passed: Passed) {
        let until = self.now + self.settings.entry_time_max;
        let attempts = Attempts::new(&self.settings);
        let governed = &self.rooms.get(index).governed;
        // What was passed at a template is of no use at another.
        let bound = governed.id().is_some() || passed != Passed::default();
        let leads_to = governed.verified_as().filter(|_| bound);
        let sequence = Sequence::again(passed, attempts, self.manner_inside(id));
        let entry = Entry {
            origin: Origin::PutBack,
            leads_to: leads_to.map_or(LeadsTo::Any, LeadsTo::Only),
            ..Entry::new(name.clone(), sequence, until)
        };
        if self.put_before(id, index, entry) {
            self.advance(id, name, Event::Look);
        }
    }

    /// How a socket that is inside can be asked.
    pub(super) fn manner_inside(&self, id: SocketId) -> Manner {
        if self.hears_us(id) {
            Manner::Asked
        } else {
            Manner::Silent
        }
    }

    /// Out of a room, at once, and before a door. Answers whether it was inside.
    pub(super) fn put_before(&mut self, id: SocketId, index: RoomIndex, entry: Entry) -> bool {
        let room = entry.room.clone();
        let Some(socket) = self.sockets.get_mut(id) else {
            return false;
        };
        let Some(stay) = socket.stay(index) else {
            return false;
        };
        let queued = self.outbox.bytes(id.slot);
        self.outbox.cut_room(id.slot, index);
        let left = self.rooms.get(index);
        let has_all = self.outbox.bytes(id.slot) == queued && left.name == room;
        let entry = Entry {
            heard: left.stand.filter(|_| has_all),
            ..entry
        };
        match &mut socket.phase {
            Phase::Raw(_, who) => {
                let who = std::mem::replace(who, Who::Anonymous);
                socket.phase = Phase::Knocking(Box::new(Knock {
                    who,
                    entry,
                    opening: Opening::Answered,
                }));
            }
            Phase::Multiplexed(lobby) => {
                lobby.forget_stay(index);
                lobby.ends.forget(Ending::Stay(index));
                lobby.entries.push(entry);
            }
            Phase::Upgrading { .. } | Phase::Knocking(_) | Phase::Closing { .. } => {
                unreachable!("who has a seat is inside")
            }
        }
        self.doors.entry(room).or_default().insert(id);
        self.leave_room(id, index, stay.seat, Gone::PutOut);
        self.cut_beside(id);
        self.arm(id);
        true
    }

    /// Remembers whether a room stops delivering when there is no word.
    pub(super) fn note_strictness(&mut self, index: RoomIndex) {
        let rules = self.rooms.get(index).governed.rules();
        let age_max = rules.source().staleness.deliver_max;
        self.strict.note(index, age_max);
    }

    /// Rooms that do not deliver what may be stale put everybody out, retryably,
    /// before anything is written in this turn.
    pub(super) fn keep_staleness(&mut self) {
        for index in self.strict.stale(self.policy.age(self.now)) {
            for id in room_sitters(self.rooms.get(index)) {
                self.put_out(id, index, Refused::Stale);
            }
        }
    }

    /// What a resync still has to ask.
    pub(super) fn keep_resyncing(&mut self) {
        while let Some((question, what)) = self.policy.due(self.now) {
            self.ask(question, what, None);
        }
    }
}

pub(super) fn room_sitters(room: &crate::room::Room) -> Vec<SocketId> {
    room.seats
        .sitters()
        .iter()
        .map(|sitter| sitter.socket)
        .collect()
}
