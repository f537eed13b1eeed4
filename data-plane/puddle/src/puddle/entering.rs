//! A socket before a room's door: the sequence is told what happened, and what
//! it says is done. The last check and the seat are one step of one turn.

use std::sync::Arc;

use porthouse_model::{ClientId, Denial, PolicyKey, Refused, Revision, RoomName, Session, UserId};
use porthouse_rules::{Bucket, Passed};

use super::Puddle;
use super::door::{Seen, SessionSeen};
use super::keeping::first_heard;
use super::returning::GoesOn;
use crate::hop::Hop;
use crate::input::SocketId;
use crate::output::WireForm;
use crate::policy::Asked;
use crate::resume::Claims;
use crate::room::{Governed, Pinned, RoomIndex, Sitter, Steps};
use crate::sequence::{Action, Event, Sequence};
use crate::socket::{Entry, Opening, Origin, Phase, Stay, Who};
use crate::wire::multiplexed::{self, AskedStep};

impl Puddle {
    /// Moves an entry on by one event, and by what follows from it at once.
    pub(super) fn advance(&mut self, id: SocketId, room: &RoomName, event: Event) {
        let mut next = Some(event);
        while let Some(event) = next {
            let Some((action, seen)) = self.step(id, room, event) else {
                return;
            };
            next = self.act(id, room, action, seen);
        }
        self.resume_handshake(id);
    }

    /// Moves an entry on by one event. Answers what is to be done, and how the
    /// door was seen.
    pub(super) fn step(
        &mut self,
        id: SocketId,
        room: &RoomName,
        event: Event,
    ) -> Option<(Action, Seen)> {
        self.recognise(id);
        self.entry(id, room)?;
        let waits = self.is_signing_in(id) || self.is_binding(id);
        if !matches!(event, Event::Late) && waits {
            return None;
        }
        let seen = match self.see(id, room, false) {
            Seen::Open { governed, .. } if !self.admits_to(id, room, &governed) => {
                Seen::Shut(Refused::RoomClosed)
            }
            seen @ (Seen::Unknown(_) | Seen::Shut(_) | Seen::Open { .. }) => seen,
        };
        if self.answered_preflight(id, &seen) {
            return None;
        }
        self.look_at_token(id, room, &seen);
        let sequence = self.entry(id, room)?.sequence;
        let step = sequence.step(event, seen.door(self.page_of(id)));
        if let Some(next) = step.next {
            self.entry_mut(id, room)?.sequence = next;
            self.left_state(id, room, sequence, Some(next));
        }
        Some((step.action, seen))
    }

    /// Moves every entry of a socket on.
    pub(super) fn advance_all(&mut self, id: SocketId, event: Event) {
        for room in self.doors_of(id) {
            self.advance(id, &room, event);
        }
    }

    /// The rooms at whose doors a socket stands.
    pub(super) fn doors_of(&self, id: SocketId) -> Vec<RoomName> {
        match self.sockets.get(id).map(|socket| &socket.phase) {
            Some(Phase::Knocking(knock)) => vec![knock.entry.room.clone()],
            Some(Phase::Multiplexed(lobby)) => lobby
                .entries
                .iter()
                .map(|entry| entry.room.clone())
                .collect(),
            Some(Phase::Upgrading { .. } | Phase::Raw(..) | Phase::Closing { .. }) | None => {
                Vec::new()
            }
        }
    }

    /// Whether an entry may lead into the room that has its name now.
    fn admits_to(&self, id: SocketId, room: &RoomName, governed: &Governed) -> bool {
        self.entry(id, room)
            .is_some_and(|entry| entry.admits_to(governed.verified_as()))
    }

    fn is_signing_in(&mut self, id: SocketId) -> bool {
        self.lobby_mut(id)
            .is_some_and(|lobby| lobby.is_signing_in())
    }

    fn act(&mut self, id: SocketId, room: &RoomName, action: Action, seen: Seen) -> Option<Event> {
        match action {
            Action::Nothing => None,
            Action::Wait => match seen {
                Seen::Unknown(key) => self.wait_for(id, key),
                Seen::Shut(_) | Seen::Open { .. } => None,
            },
            Action::Challenge {
                asked,
                attempts_left,
            } => {
                self.challenge(id, room, AskedStep::of(asked), Some(attempts_left));
                None
            }
            Action::Call => Some(match self.reserve(id) {
                Some(question) => Event::Called(question),
                None => Event::Unavailable,
            }),
            Action::Verify(_) => self.call_hook(id, room, &seen),
            Action::Apply => {
                self.apply(id, room, &seen);
                None
            }
            Action::Welcome => {
                self.welcome(id, room, &seen);
                None
            }
            Action::Enlist => {
                self.enlist(id, room, &seen);
                None
            }
            Action::Admit(_) if self.post_of(id).is_some() => {
                self.let_in(id, room, seen);
                None
            }
            Action::Admit(passed) => {
                self.admit(id, room, passed, seen);
                None
            }
            Action::Refuse(denial) => {
                self.refuse_entry(id, room, denial);
                None
            }
        }
    }

    /// Asks what must be known, unless it is being asked.
    pub(super) fn wait_for(&mut self, id: SocketId, key: PolicyKey) -> Option<Event> {
        if !self.policy.is_asked(&key) && !self.may_ask(id) {
            return Some(Event::Unavailable);
        }
        match self.policy.ask(key.clone()) {
            Asked::New { question, what } => {
                self.askers.insert(key.clone(), id);
                self.asks_more(id);
                self.ask(question, what, Some(id));
            }
            Asked::UnderWay => {}
            Asked::TooMany => return Some(Event::Unavailable),
        }
        self.waiting.entry(key).or_default().insert(id);
        None
    }

    /// Sees to it that what is said on other puddles comes here before anybody
    /// is inside.
    fn enlist(&mut self, id: SocketId, name: &RoomName, seen: &Seen) {
        let Seen::Open { governed, .. } = seen else {
            return;
        };
        let room = match self.open_room(name, governed) {
            Ok(room) => room,
            Err(refused) => return self.refuse_entry(id, name, refused),
        };
        let known = self.rooms.get_mut(room);
        known.entrants.insert(id);
        self.hear(id, name);
    }

    /// Finds or makes a room, and tells the other puddles of a new one.
    fn open_room(&mut self, name: &RoomName, governed: &Governed) -> Result<RoomIndex, Refused> {
        if let Some(room) = self.rooms.find(name) {
            return Ok(room);
        }
        if self.peers.is_clogged(self.others) {
            return Err(Refused::Busy);
        }
        let room = self.rooms.open(name, governed).ok_or(Refused::TooMany)?;
        self.policy.pin(&PolicyKey::Room(name.clone()));
        let visit = self.rooms.get(room).visit;
        for puddle in self.others.iter() {
            self.peers.send(
                puddle,
                Hop::Enter {
                    room: name.clone(),
                    visit,
                },
            );
        }
        Ok(room)
    }

    /// In. What was checked a moment ago in this turn holds.
    fn admit(&mut self, id: SocketId, name: &RoomName, passed: Passed, seen: Seen) {
        let rights = seen.rights().expect("only an open door admits");
        let Seen::Open {
            governed,
            session,
            until,
            ..
        } = seen
        else {
            unreachable!("only an open door admits");
        };
        let room = self.rooms.find(name).expect("who was enlisted has a room");
        let client = self.client_of(id, session.as_deref());
        let pinned = self.pin(&governed, session.as_deref().map(|session| session.user));
        let revision = self.decided_by(&governed);
        let Some(form) = self.sockets.get(id).map(|socket| socket.form) else {
            return;
        };
        let welcome = self.asking.take_welcome();
        let welcome = welcome.map(|welcome| self.fitting(id, welcome));
        let goes_on = self.goes_on(id, name, welcome.as_ref(), rights);
        let claims = welcome.as_ref().and_then(|welcome| {
            self.claims(id, (name, &governed), &passed, session.as_deref(), welcome)
        });
        let since = match (&goes_on, &claims, &welcome) {
            (Some(GoesOn::From(_)), Some(claims), _) => claims.offset,
            (_, _, Some(welcome)) => welcome.stand.offset,
            (_, _, None) => 0,
        };
        let put_back = self.entry(id, name).and_then(|entry| entry.heard);
        let heard = put_back.filter(|_| form == WireForm::Raw);
        let (dropped, first) = welcome.as_ref().map_or_else(Default::default, |welcome| {
            first_heard(welcome, rights, (goes_on, heard))
        });
        let known = self.rooms.get_mut(room);
        known.governed = governed;
        known.entrants.remove(&id);
        let seat = known.seats.add(
            Sitter {
                socket: id,
                client,
                passed: Steps::new(passed),
                pinned,
                rights,
                spoken: Bucket::default(),
                reported: welcome.is_some(),
                goes: None,
                since,
            },
            form,
        );
        self.counters.admitted += 1;
        self.note_strictness(room);
        self.stop_knocking(id, name);
        let stay = Stay { room, seat, until };
        self.arrive(id, name, stay, (client, revision), (goes_on, claims));
        self.hear_of_gap(id, room, dropped);
        self.hear_past(id, room, &first);
        self.tell_place(id, room);
        self.show_crowd(id, name);
        if form != WireForm::Multiplexed {
            self.resume(id);
        }
    }

    /// Whoever has a seat is told so, and is heard from here on.
    fn arrive(
        &mut self,
        id: SocketId,
        name: &RoomName,
        stay: Stay,
        (client, revision): (ClientId, Revision),
        (goes_on, claims): (Option<GoesOn>, Option<Box<Claims>>),
    ) {
        let stand = self.stand_of(stay.room);
        let owned = self.rooms.get(stay.room).governed.owned();
        let token = claims.as_deref().and_then(|claims| self.seal(claims));
        let admitted = |id| multiplexed::Event::Admitted {
            id,
            room: name,
            client,
            revision: revision.0,
            owner: owned.map(|owned| owned.owner),
            epoch: stand.map(|stand| stand.epoch),
            offset: match goes_on {
                Some(GoesOn::From(offset)) => Some(offset),
                Some(GoesOn::Anew) | None => stand.map(|stand| stand.offset),
            },
            recovered: goes_on.map(|goes_on| matches!(goes_on, GoesOn::From(_))),
            resume: token.as_deref(),
        };
        let Some(socket) = self.sockets.get_mut(id) else {
            return;
        };
        match &mut socket.phase {
            Phase::Knocking(knock) => {
                let reply_to = knock.entry.reply_to.take();
                let who = std::mem::replace(&mut knock.who, Who::Anonymous);
                let opening = std::mem::replace(&mut knock.opening, Opening::Answered);
                socket.phase = Phase::Raw(stay, who);
                match opening {
                    Opening::Unanswered(request) => {
                        let page = self.page_named(&request);
                        self.accept(id, &request, page.as_deref());
                        self.tell_recovered(id, goes_on);
                    }
                    Opening::Handshake { .. } => {
                        self.tell(id, |out| multiplexed::Event::Started.frame(out));
                    }
                    // Nothing of ours is said here: only to its sibling.
                    Opening::Answered => {
                        self.inform(id, |out| admitted(reply_to.as_ref()).frame(out));
                        let anew = stand.map(|_| GoesOn::Anew);
                        self.tell_recovered(id, anew);
                    }
                }
                self.arm(id);
            }
            Phase::Multiplexed(lobby) => {
                lobby.stays.push(stay);
                let entry = lobby.take_entry(name);
                let reply_to = entry.and_then(|entry| entry.reply_to);
                if let Some(claims) = claims {
                    lobby.claims.push((stay.room, claims));
                }
                self.tell(id, |out| admitted(reply_to.as_ref()).frame(out));
                self.stay_ends(id, stay.room, stay.until);
                self.arm(id);
            }
            Phase::Upgrading { .. } | Phase::Raw(..) | Phase::Closing { .. } => {
                unreachable!("only who knocks is admitted")
            }
        }
    }

    /// Out, before having been in; or, unasked, before being in again.
    pub(super) fn refuse_entry(
        &mut self,
        id: SocketId,
        room: &RoomName,
        denial: impl Into<Denial>,
    ) {
        let denial = denial.into();
        let Some(socket) = self.sockets.get_mut(id) else {
            return;
        };
        match &mut socket.phase {
            Phase::Knocking(knock) => match knock.opening.answer() {
                Some(request) => self.refuse_upgrade(id, Some(&request), denial),
                None => self.close_refused(id, denial),
            },
            Phase::Multiplexed(lobby) => {
                let Some(entry) = lobby.take_entry(room) else {
                    return;
                };
                self.leave_door(id, &entry);
                let refusal = self.refusal(id, Some(room), denial);
                let reply_to = entry.reply_to.as_ref();
                let event = match (entry.origin, reply_to) {
                    (Origin::PutBack, None) => multiplexed::Event::closed(room, &refusal),
                    (Origin::PutBack, Some(_)) | (Origin::Asked | Origin::Moved, _) => {
                        multiplexed::Event::refused(reply_to, Some(room), &refusal)
                    }
                };
                self.tell(id, |out| event.frame(out));
                self.rest(id);
            }
            Phase::Upgrading { .. } | Phase::Raw(..) | Phase::Closing { .. } => {}
        }
    }

    /// An entry is over: its socket no longer knocks.
    pub(super) fn leave_door(&mut self, id: SocketId, entry: &Entry) {
        self.stop_knocking(id, &entry.room);
        self.left_state(id, &entry.room, entry.sequence, None);
    }

    /// What an entry had by its state, it has no longer.
    pub(super) fn left_state(
        &mut self,
        id: SocketId,
        room: &RoomName,
        before: Sequence,
        now: Option<Sequence>,
    ) {
        let kept = |has: fn(&Sequence) -> bool| now.as_ref().is_some_and(has);
        if before.is_waiting() && !kept(Sequence::is_waiting) {
            self.withdraw(id, room);
        }
        if before.is_enlisted() && !kept(Sequence::is_enlisted) {
            // Unless it could not be opened.
            if let Some(index) = self.rooms.find(room) {
                self.rooms.get_mut(index).entrants.remove(&id);
                self.close_room_if_empty(index);
            }
        }
    }

    /// The policy's revision somebody is let in by; 0 for a transient room.
    pub(super) fn decided_by(&self, governed: &Governed) -> Revision {
        match governed {
            Governed::Persistent(_) | Governed::Templated(_) => self.policy.applied(),
            Governed::Transient(_) => Revision::default(),
        }
    }

    fn stop_knocking(&mut self, id: SocketId, room: &RoomName) {
        if let Some(knocking) = self.doors.get_mut(room) {
            knocking.remove(&id);
            if knocking.is_empty() {
                self.doors.remove(room);
            }
        }
    }

    /// What of a user decided that they come in, kept known while they stay.
    fn pin(&mut self, governed: &Governed, user: Option<UserId>) -> Option<Box<Pinned>> {
        let Governed::Persistent(policy) = governed else {
            return None;
        };
        let user = user.filter(|user| policy.room.owner != Some(*user))?;
        let pinned = Pinned {
            room: policy.room.id,
            user,
            member: policy.rules.membership_matters(),
            block: policy.room.blocks.users,
        };
        for key in pinned.keys() {
            self.policy.pin(&key);
        }
        (pinned.member || pinned.block).then(|| Box::new(pinned))
    }

    /// A socket whose session is known now is found by it.
    pub(super) fn recognise(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.get(id) else {
            return;
        };
        let Who::Session(holder) = socket.who() else {
            return;
        };
        if holder.session.is_some() {
            return;
        }
        let token = holder.token;
        let SessionSeen::Live(session, _) = self.see_session(&token) else {
            return;
        };
        self.policy.pin(&PolicyKey::Session(token));
        self.signed_in.add(token, &session, id);
        let socket = self.sockets.get_mut(id).expect("it was there");
        if let Some(Who::Session(holder)) = socket.who_mut() {
            holder.session = Some(Arc::clone(&session));
        }
    }

    /// The session by which a socket comes, as far as it is known.
    pub(super) fn session_of(&self, id: SocketId) -> Option<Arc<Session>> {
        match self.sockets.get(id)?.who() {
            Who::Session(holder) => holder.session.clone(),
            Who::Anonymous => None,
        }
    }

    pub(super) fn entry(&self, id: SocketId, room: &RoomName) -> Option<&Entry> {
        match &self.sockets.get(id)?.phase {
            Phase::Knocking(knock) => (knock.entry.room == *room).then_some(&knock.entry),
            Phase::Multiplexed(lobby) => lobby.entries.iter().find(|entry| entry.room == *room),
            Phase::Upgrading { .. } | Phase::Raw(..) | Phase::Closing { .. } => None,
        }
    }

    pub(super) fn entry_mut(&mut self, id: SocketId, room: &RoomName) -> Option<&mut Entry> {
        match &mut self.sockets.get_mut(id)?.phase {
            Phase::Knocking(knock) => (knock.entry.room == *room).then_some(&mut knock.entry),
            Phase::Multiplexed(lobby) => lobby.entries.iter_mut().find(|entry| entry.room == *room),
            Phase::Upgrading { .. } | Phase::Raw(..) | Phase::Closing { .. } => None,
        }
    }
}
