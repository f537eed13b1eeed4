//! A client comes back by a token to where it was: whose the token is, judged at
//! the door; what it is worth, said by the room's home; and the next token.
//!
//! Owns no state: entries and lobbies keep it, `resume` seals it.

use core::time::Duration;

use porthouse_model::{ChangeItem, Revision, RoomName, Session};
use porthouse_rules::Passed;

use super::Puddle;
use super::door::Seen;
use crate::home::{Gone, Heard, Resumes, Since, Stand, Welcome, keeps};
use crate::input::SocketId;
use crate::output::WireForm;
use crate::question::Secret;
use crate::resume::{Claims, Holder, PassedAt};
use crate::room::{Governed, Rights};
use crate::sequence::{Attempts, Event, Manner, Sequence};
use crate::socket::{Habit, Return};
use crate::wire::multiplexed::{Event as Told, Id, LineError};

/// From where somebody goes on who came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GoesOn {
    /// From after this offset, without anything missing.
    From(u64),
    /// From where the room is: something may be missing.
    Anew,
}

impl Puddle {
    /// A client shows a token; whose it is is looked at when its door is known.
    pub(super) fn shown_token(&self, token: &Secret, offset: Option<u64>) -> Return {
        let opened = self.wall_now().and_then(|now| {
            let age_max = self.settings.resume_time_max;
            let keys = &self.settings.resume_keys;
            keys.open(token.expose(), now, age_max).ok()
        });
        opened.map_or(Return::Lapsed, |claims| {
            let offset = offset.unwrap_or(claims.offset);
            Return::Shown(claims, offset)
        })
    }

    /// The door is known: whoever shows a token of their own has passed the steps
    /// that are in it, and today's rules judge them.
    pub(super) fn look_at_token(&mut self, id: SocketId, room: &RoomName, seen: &Seen) {
        let (Seen::Open { wall, .. }, Some(rights)) = (seen, seen.rights()) else {
            return;
        };
        let Some(entry) = self.entry_mut(id, room) else {
            return;
        };
        if let Some(Return::LastHeard(stand)) = entry.returns.as_deref() {
            let heard = Heard {
                stand: *stand,
                hearing: rights.hearing,
            };
            let judged = if rights.reads() {
                Return::Heard(heard)
            } else {
                Return::Lapsed
            };
            entry.returns = Some(Box::new(judged));
            return;
        }
        let Some(Return::Shown(claims, offset)) = entry.returns.as_deref() else {
            return;
        };
        let own = is_own(claims, *offset, room, seen);
        let judged = wall.filter(|_| own).map(|wall| {
            let resumes = Resumes {
                strand: claims.strand,
                number: claims.number,
                stand: Stand {
                    epoch: claims.epoch,
                    offset: *offset,
                },
                hearing: rights.hearing,
                user: seen.user(),
            };
            (resumes, claims.passed.now(wall))
        });
        let attempts = Attempts::new(&self.settings);
        let Some(entry) = self.entry_mut(id, room) else {
            return;
        };
        match judged {
            Some((resumes, passed)) => {
                entry.returns = Some(Box::new(Return::Own(resumes, passed)));
                entry.sequence = Sequence::again(passed, attempts, Manner::Asked);
            }
            None => entry.returns = Some(Box::new(Return::Lapsed)),
        }
    }

    /// Where somebody in a door was before, if they come to go on from there.
    pub(super) fn resumes(&self, id: SocketId, room: &RoomName) -> Option<Box<Resumes>> {
        match self.entry(id, room)?.returns.as_deref()? {
            Return::Own(resumes, _) => Some(Box::new(*resumes)),
            Return::Shown(..) | Return::LastHeard(_) | Return::Heard(_) | Return::Lapsed => None,
        }
    }

    /// How far the reader of a stream in a door was, if it may read what came
    /// after.
    pub(super) fn heard_last(&self, id: SocketId, room: &RoomName) -> Option<Box<Heard>> {
        match self.entry(id, room)?.returns.as_deref()? {
            Return::Heard(heard) => Some(Box::new(*heard)),
            Return::Shown(..) | Return::Own(..) | Return::LastHeard(_) | Return::Lapsed => None,
        }
    }

    /// The room's home knows of a token that it is worth nothing any more, nor
    /// the steps that were passed by it: the entry begins anew with those passed
    /// since.
    pub(super) fn lapsed(&mut self, id: SocketId, room: &RoomName) {
        self.asking.arriving.remove(&(id, room.clone()));
        self.made(id, room);
        let attempts = Attempts::new(&self.settings);
        let Some(entry) = self.entry_mut(id, room) else {
            return;
        };
        let before = entry.sequence;
        let Some(Return::Own(_, by_token)) = entry.returns.as_deref() else {
            // Another entry than the one whose token it was: it asks for itself.
            return self.hear(id, room);
        };
        let passed = without(before.passed(), *by_token);
        let anew = Sequence::again(passed, attempts, Manner::Asked);
        entry.sequence = anew;
        entry.returns = Some(Box::new(Return::Lapsed));
        self.left_state(id, room, before, Some(anew));
        self.advance(id, room, Event::Look);
    }

    /// From where somebody goes on who is let in now; nothing, if they did not
    /// come to.
    pub(super) fn goes_on(
        &self,
        id: SocketId,
        room: &RoomName,
        welcome: Option<&Welcome>,
        rights: Rights,
    ) -> Option<GoesOn> {
        let returns = self.entry(id, room)?.returns.as_deref()?;
        let since = welcome.and_then(|welcome| welcome.since.as_ref());
        if let Return::Heard(heard) = returns {
            let missed = welcome.and_then(|welcome| welcome.missed.as_ref());
            let same = heard.hearing == rights.hearing && rights.reads();
            return Some(match missed {
                Some(Since::Recovered(_)) if same => GoesOn::From(heard.stand.offset),
                Some(Since::Recovered(_) | Since::Gap) | None => GoesOn::Anew,
            });
        }
        Some(match (returns, since) {
            (Return::Own(own, _), Some((resumes, Since::Recovered(_))))
                if own == resumes && own.hearing == rights.hearing =>
            {
                GoesOn::From(own.stand.offset)
            }
            (
                Return::Own(..)
                | Return::Shown(..)
                | Return::LastHeard(_)
                | Return::Heard(_)
                | Return::Lapsed,
                _,
            ) => GoesOn::Anew,
        })
    }

    /// What somebody who is let in now may claim when they come back.
    pub(super) fn claims(
        &self,
        id: SocketId,
        (room, governed): (&RoomName, &Governed),
        passed: &Passed,
        session: Option<&Session>,
        welcome: &Welcome,
    ) -> Option<Box<Claims>> {
        let form = self.sockets.get(id)?.form;
        if form != WireForm::Multiplexed || !keeps(governed.rules().source()) {
            return None;
        }
        let (thread, wall) = (welcome.thread?, self.wall_now()?);
        Some(Box::new(Claims {
            holder: self.holder(id, session),
            room: room.clone(),
            room_id: governed.verified_as(),
            passed: PassedAt::then(*passed, wall),
            issued: wall,
            epoch: welcome.stand.epoch,
            offset: thread.floor,
            strand: thread.strand,
            number: thread.number,
        }))
    }

    /// The token that says this, if there is a key to seal it under.
    pub(super) fn seal(&mut self, claims: &Claims) -> Option<String> {
        let keys = &self.settings.resume_keys;
        keys.seal(claims, self.chance.next())
    }

    /// A client asks for a token of now, and of the session it has now.
    pub(super) fn give_token(&mut self, id: SocketId, request: Option<&Id>, room: &RoomName) {
        if !self.behaves(id, Habit::Move, request) {
            return;
        }
        let Some((index, _)) = self.seat_in(id, room) else {
            return self.outside(id, request);
        };
        let session = self.session_of(id);
        let holder = self.holder(id, session.as_deref());
        let wall = self.wall_now();
        let claims = self.lobby_mut(id).and_then(|lobby| {
            let mut claims = lobby.claims.iter_mut();
            claims.find_map(|(of, claims)| (*of == index).then_some(claims))
        });
        let sealed = claims.zip(wall).map(|(claims, wall)| {
            claims.issued = wall;
            claims.holder = holder;
            (**claims).clone()
        });
        let token = sealed.and_then(|claims| self.seal(&claims));
        let Some(token) = token else {
            let never = LineError::new("resume", "a room that keeps its messages in order");
            return self.tell_error(id, request, &never);
        };
        let event = Told::Resume {
            id: request,
            room,
            resume: &token,
        };
        self.tell(id, |out| event.frame(out));
    }

    /// A socket is put out of all its rooms, and comes back to none.
    pub(super) fn leave_rooms(&mut self, id: SocketId) {
        for index in self.rooms_of(id) {
            let Some(stay) = self.sockets.get(id).and_then(|socket| socket.stay(index)) else {
                continue;
            };
            if self.lobby_mut(id).is_some() {
                self.outbox.cut_room(id.slot, index);
                self.leave_room(id, index, stay.seat, Gone::PutOut);
                self.forget_stay(id, index);
            } else {
                let room = self.rooms.get_mut(index);
                room.seats.sitter_mut(stay.seat).goes = Some(Gone::PutOut);
            }
        }
    }

    /// Something changed that is no room: whoever it concerns is not back by what
    /// was known before.
    pub(super) fn touch_homes(&mut self, item: &ChangeItem, revision: Revision) {
        match item {
            ChangeItem::Member(member) => self.homes.touch(member.room, member.user, revision),
            ChangeItem::Block(block) => self.homes.touch(block.room, block.user, revision),
            ChangeItem::MemberGone { room, user } | ChangeItem::BlockGone { room, user } => {
                self.homes.touch(*room, *user, revision);
            }
            ChangeItem::Room(_)
            | ChangeItem::RoomGone { .. }
            | ChangeItem::Template(_)
            | ChangeItem::TemplateGone { .. }
            | ChangeItem::Session(_)
            | ChangeItem::DeviceToken(..)
            | ChangeItem::SessionGone(_)
            | ChangeItem::UserGone(_)
            | ChangeItem::ApiKeyGone(_)
            | ChangeItem::Endpoint(_)
            | ChangeItem::EndpointGone(_) => {}
        }
    }

    fn holder(&self, id: SocketId, session: Option<&Session>) -> Holder {
        session.map_or_else(
            || Holder::Anonymous(self.client_of(id, None)),
            |session| Holder::Session(session.id),
        )
    }
}

/// The steps that were passed beside these.
fn without(passed: Passed, these: Passed) -> Passed {
    let earlier = |age: &Duration| these.second_factor.is_none_or(|then| *age < then);
    Passed {
        password: passed
            .password
            .filter(|_| passed.password != these.password),
        second_factor: passed.second_factor.filter(earlier),
        room_code: passed
            .room_code
            .filter(|_| passed.room_code != these.room_code),
        approval: passed.approval && !these.approval,
        hook: passed.hook.filter(|_| passed.hook != these.hook),
    }
}

/// Whether a token is for this door, and of whoever stands before it.
fn is_own(claims: &Claims, offset: u64, name: &RoomName, seen: &Seen) -> bool {
    let Seen::Open {
        governed, session, ..
    } = seen
    else {
        return false;
    };
    let holds = match (claims.holder, session) {
        (Holder::Session(of), Some(session)) => session.id == of,
        (Holder::Anonymous(_), None) => true,
        (Holder::Session(_), None) | (Holder::Anonymous(_), Some(_)) => false,
    };
    holds
        && claims.room == *name
        && claims.room_id == governed.verified_as()
        && offset >= claims.offset
}
