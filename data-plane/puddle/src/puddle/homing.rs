//! A room's home and the puddles that have the room: what is asked goes there,
//! what it says comes back, and when the home is here no hop is made.
//!
//! Owns the asks that are not answered yet. What a home answers is in `home`.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use porthouse_model::{Refused, Revision, RoomId, RoomName};
use porthouse_rules::Hearing;

use super::Puddle;
use super::keeping::Wish;
use super::people::Request;
use super::resting::is_rated;
use crate::home::{
    Answer, Ask, Asker, Deferred, FromHome, Gone, Guest, Said, ToHome, Unsaid, Welcome,
    counts_guests, home_of, keeps,
};
use crate::hop::{Hop, RoomMessage};
use crate::input::{Changed, ChangedItem, PuddleId, SocketId};
use crate::room::{Governed, Interest, Room, RoomIndex};
use crate::sequence::Event;
use crate::socket::Who;
use crate::wire::multiplexed::Id;

/// What this puddle has asked of homes.
#[derive(Debug, Default)]
pub(super) struct Asking {
    asked: u64,
    /// What is done with each answer.
    pub pending: BTreeMap<u64, Pending>,
    /// Who waits in which door for a home's welcome.
    /// And with which ask.
    pub arriving: BTreeMap<(SocketId, RoomName), u64>,
    /// Who waits for an answer about a room's people.
    pub requesting: BTreeSet<(SocketId, RoomName)>,
    /// The welcome by which somebody is let in at this moment.
    welcome: Option<Welcome>,
}

/// For whom something was asked.
#[derive(Debug)]
pub(super) enum Pending {
    /// Somebody in a room's door.
    Arrival(SocketId, RoomName),
    /// A request about a room's people.
    Request(RoomName, Request),
    /// Somebody who wants a receipt.
    Sending(SocketId, RoomName, Wish),
    /// Somebody who posts over plain HTTP.
    Posting(SocketId, RoomName),
    /// Somebody whose message waits for what is known of its key.
    Claiming(SocketId, Arc<RoomMessage>, Wish),
    /// Somebody who reads what was said in this room of the name.
    Reading(SocketId, (RoomName, Option<RoomId>), Option<Id>),
}

impl Pending {
    fn room(&self) -> &RoomName {
        match self {
            Self::Arrival(_, room)
            | Self::Sending(_, room, _)
            | Self::Posting(_, room)
            | Self::Reading(_, (room, _), _)
            | Self::Request(room, _) => room,
            Self::Claiming(_, message, _) => &message.room,
        }
    }
}

impl Asking {
    /// The welcome by which somebody comes in now, if the room's home gave one.
    pub(super) const fn take_welcome(&mut self) -> Option<Welcome> {
        self.welcome.take()
    }
}

impl Puddle {
    /// The puddle that is a room's home.
    pub(super) fn home_of(&self, room: &RoomName) -> PuddleId {
        home_of(room, self.settings.puddles)
    }

    /// Everybody in front of this door hears all now. Goes on at once, or when
    /// the room's home has said where it stands.
    pub(super) fn hear(&mut self, id: SocketId, room: &RoomName) {
        let Some(index) = self.rooms.find(room) else {
            return;
        };
        let Some(sequence) = self.entry(id, room).map(|entry| entry.sequence) else {
            return;
        };
        let known = self.rooms.get(index);
        if !sequence.is_listening() || known.interest != Interest::Confirmed {
            return;
        }
        let arrives = sequence.is_joining() && counts_guests(&known.governed);
        if !self.is_tallied(id, room, index) {
            return;
        }
        if !arrives {
            return self.advance(id, room, Event::Enlisted);
        }
        let asked = self.asking.arriving.contains_key(&(id, room.clone()));
        if asked || !self.may_make(id, room, index) {
            return;
        }
        let makes = self.entry(id, room).and_then(|entry| entry.makes);
        let ask = self.pend(Pending::Arrival(id, room.clone()));
        self.asking.arriving.insert((id, room.clone()), ask);
        if let Some(guest) = self.guest(id) {
            let resumes = self.resumes(id, room);
            let heard = self.heard_last(id, room);
            let rights = self.see(id, room, false).rights();
            let guest = Guest {
                makes,
                hearing: rights.map_or(Hearing::Named, |rights| rights.hearing),
                resumes,
                heard,
                ..guest
            };
            let governed = self.rooms.get(index).governed.clone();
            self.ask_home(room, governed, ask, Ask::Arrive(guest));
        }
    }

    /// Somebody who had arrived at a room's home has gone.
    pub(super) fn depart(&mut self, room: &RoomName, id: SocketId, gone: Gone) {
        // It concerns no rule.
        let governed = Governed::Transient(self.transient());
        let depart = Ask::Depart { socket: id, gone };
        self.ask_home(room, governed, 0, depart);
    }

    /// What the control plane says counts for the homes here at once, whether
    /// anybody is in the room here or not.
    pub(super) fn tell_homes(&mut self, changed: &Changed) {
        let (revision, transient) = (changed.revision, self.transient());
        for item in &changed.items {
            let (homes, chance) = (&mut self.homes, &mut self.chance);
            let ruled = match item {
                ChangedItem::Room(policy) => {
                    let governed = Governed::Persistent(Arc::clone(policy));
                    homes.ruled(&policy.room.name, &governed, revision, chance);
                    vec![policy.room.name.clone()]
                }
                ChangedItem::RoomGone { id, name, .. } => {
                    homes.deleted(name, *id, chance);
                    self.forget_stored(*id, name);
                    Vec::new()
                }
                ChangedItem::Template(policy) => homes.templated(policy, revision, chance),
                ChangedItem::TemplateGone { prefix, next } => {
                    let governed = match next {
                        Some(next) => Governed::Templated(Arc::clone(next)),
                        None => Governed::Transient(transient.clone()),
                    };
                    homes.untemplated(prefix, &governed, revision, chance)
                }
                ChangedItem::Other(item) => {
                    self.touch_homes(item, revision);
                    Vec::new()
                }
            };
            for room in ruled {
                self.speak_of(&room);
            }
        }
    }

    /// A room's rules changed, or its home began anew: it is told who is inside
    /// already, if that matters to it.
    pub(super) fn report_guests(&mut self, index: RoomIndex) {
        let known = self.rooms.get(index);
        if !counts_guests(&known.governed) {
            return;
        }
        let (name, governed) = (known.name.clone(), known.governed.clone());
        let mut unknown = self.rooms.get_mut(index).seats.report();
        if unknown.is_empty() && self.is_kept(index) && self.stand_of(index).is_none() {
            // Its home knows them all, and is asked how far the room is.
            let sitters = self.rooms.get(index).seats.sitters();
            unknown.extend(sitters.first().map(|sitter| sitter.socket));
        }
        for id in unknown {
            if let Some(guest) = self.guest(id) {
                self.ask_home(&name, governed.clone(), 0, Ask::Here(guest));
            }
        }
    }

    /// A puddle began anew, and with it the homes that were there.
    pub(super) fn home_restarted(&mut self, puddle: PuddleId) {
        self.homes.left_by(self.now, puddle);
        self.wake_judged();
        let deserted: Vec<_> = self.homes.rooms().cloned().collect();
        for room in deserted {
            self.speak_of(&room);
            self.home_deserted(&room);
        }
        let lost = self
            .asking
            .pending
            .iter()
            .filter(|(_, pending)| home_of(pending.room(), self.settings.puddles) == puddle);
        let lost: Vec<u64> = lost.map(|(ask, _)| *ask).collect();
        for ask in lost {
            self.unanswered(ask);
        }
        let theirs = self.rooms.iter().filter(|(_, room)| {
            home_of(&room.name, self.settings.puddles) == puddle && !room.seats.is_empty()
        });
        let theirs: Vec<RoomIndex> = theirs.map(|(index, _)| index).collect();
        for index in theirs {
            self.rooms.get_mut(index).seats.unreport();
            self.end_looking(index);
            self.report_guests(index);
        }
    }

    /// An ask whose answer went with the home it was asked of.
    fn unanswered(&mut self, ask: u64) {
        match self.asking.pending.remove(&ask) {
            Some(Pending::Arrival(id, room)) => {
                self.asking.arriving.remove(&(id, room.clone()));
                self.made(id, &room);
                self.hear(id, &room);
            }
            Some(Pending::Request(room, request)) => self.ask_request(&room, request),
            Some(pending) => self.answered_by_home(pending, Err(Refused::Busy)),
            None => {}
        }
    }

    /// Asks a room's home. Nothing is hopped when it is here.
    pub(super) fn ask_home(&mut self, room: &RoomName, governed: Governed, ask: u64, what: Ask) {
        let home = self.home_of(room);
        let asked = ToHome {
            room: room.clone(),
            ask,
            governed,
            as_of: self.policy.known_as_of(room),
            what,
        };
        if home == self.settings.puddle {
            self.home_asked(home, asked);
        } else {
            self.peers.send(home, Hop::ToHome(Box::new(asked)));
        }
    }

    /// This puddle is a room's home, and is asked something.
    pub(super) fn home_asked(&mut self, from: PuddleId, asked: ToHome) {
        let ToHome {
            room,
            ask,
            governed,
            as_of,
            what,
        } = asked;
        if let Ask::Depart { .. } | Ask::LookAway | Ask::Unclaim { .. } = what {
            return self.gone_from((from, as_of), &room, &what);
        }
        let (speaker, rated) = (what.speaker(), is_rated(&governed));
        // An owner's reply comes before the news of what it did, which is then none to it.
        let answers_first = matches!(what, Ask::Own { .. });
        // Leaving is told at once; what was asked before may come later.
        let inside = from == self.settings.puddle
            || self.rooms.is_elsewhere(&room, from)
            || speaker.is_some_and(|speaker| self.homes.has_guest(&room, (from, speaker)));
        let by = Asker {
            now: self.now,
            from,
            ask,
            claim: governed.owned(),
            room_id: governed.id(),
        };
        let (homes, chance, settings) = (&mut self.homes, &mut self.chance, &self.settings);
        let answer = if inside {
            homes.at(
                &room,
                (&governed, as_of),
                chance,
                |home, allowance, chance| home.answer(by, what, settings, allowance, chance),
            )
        } else {
            Err(Refused::RoomClosed)
        };
        if !answers_first {
            self.speak_of(&room);
        }
        let said = match (answer, speaker) {
            (Ok(Answer::Said(said)), _) => Some(said),
            (Ok(Answer::Later), _) => None,
            (Ok(Answer::Queued), _) => {
                self.store_of(&room);
                None
            }
            (Ok(Answer::Deferred(what)), _) => {
                let asked = ToHome {
                    room,
                    ask,
                    governed,
                    as_of,
                    what,
                };
                return self.defer_asked(from, asked);
            }
            (Ok(Answer::Outcome(outcome)), Some(speaker)) => {
                self.take(&room, outcome, speaker, ask != 0)
            }
            (Ok(Answer::Outcome(_)), None) => unreachable!("only who speaks is taken up"),
            (Err(refused), Some(speaker)) => Some(Said::Unsaid(speaker, Unsaid::Refused(refused))),
            (Err(refused), None) => Some(Said::Refused(refused)),
        };
        if let Some(speaker) = speaker.filter(|_| !matches!(said, Some(Said::Unsaid(..)))) {
            self.slow_down((from, speaker), &room, rated);
        }
        if let Some(what) = said {
            let room = room.clone();
            self.tell_puddle(from, FromHome { room, ask, what });
        }
        if answers_first {
            self.speak_of(&room);
        }
    }

    /// What is asked waits until the store was read.
    fn defer_asked(&mut self, from: PuddleId, asked: ToHome) {
        let room = asked.room.clone();
        let deferred = Deferred::Asked(from, Box::new(asked));
        let deferred = self
            .homes
            .with(&room, |home, allowance| home.defer(deferred, allowance));
        self.queued(&room, deferred);
    }

    /// What was asked is not done.
    pub(super) fn refuse_asked(&mut self, from: PuddleId, asked: ToHome, refused: Refused) {
        let ToHome {
            room, ask, what, ..
        } = asked;
        let what = match what {
            Ask::Send(saying) => Said::Unsaid(saying.speaker, Unsaid::Refused(refused)),
            // Who is inside already stays; nobody waits for an answer.
            Ask::Here(_) | Ask::Depart { .. } | Ask::Unclaim { .. } | Ask::LookAway => return,
            Ask::Arrive(_)
            | Ask::Claim { .. }
            | Ask::Read { .. }
            | Ask::Look(_)
            | Ask::Own { .. } => Said::Refused(refused),
        };
        self.tell_puddle(from, FromHome { room, ask, what });
    }

    /// Somebody is not there, or not looking, any more: no home begins for that.
    fn gone_from(&mut self, (from, as_of): (PuddleId, Revision), room: &RoomName, what: &Ask) {
        let now = self.now;
        self.homes.with(room, |home, allowance| match what {
            Ask::Depart { socket, gone } => {
                home.depart(now, from, (*socket, *gone), as_of, allowance);
                home.undefer_arrival(from, *socket);
            }
            Ask::LookAway => {
                home.people.look_away(from);
                home.undefer_looks(from);
            }
            Ask::Unclaim { client, key } => home.unclaim(*client, key),
            Ask::Arrive(_)
            | Ask::Here(_)
            | Ask::Send(_)
            | Ask::Claim { .. }
            | Ask::Read { .. }
            | Ask::Look(_)
            | Ask::Own { .. } => {}
        });
        self.speak_of(room);
        self.home_deserted(room);
    }

    /// What a home here has to say to a puddle.
    pub(super) fn tell_puddle(&mut self, to: PuddleId, said: FromHome) {
        if to == self.settings.puddle {
            self.home_said(said);
        } else {
            self.peers.send(to, Hop::FromHome(Box::new(said)));
        }
    }

    /// A room's home says something.
    pub(super) fn home_said(&mut self, said: FromHome) {
        let FromHome { room, ask, what } = said;
        let pending = self.asking.pending.remove(&ask);
        if let Said::Unsaid(speaker, _) = &what {
            self.let_rest(*speaker, Duration::ZERO);
        }
        match (what, pending) {
            (Said::Stands(stand), _) => self.stands(&room, stand),
            (Said::Slow(socket, time), _) => self.let_rest(socket, time),
            (Said::Go(socket, refused), _) => self.sent_away(socket, &room, refused),
            (Said::Changed(batch), _) => self.people_changed(&room, &batch),
            (Said::Owned(transient), _) => self.owned(&room, transient, None),
            (Said::Ended(refused), _) => self.ended(&room, refused),
            (Said::Unsaid(id, why), None) => self.unsaid(id, &room, None, why),
            (said, Some(Pending::Request(_, request))) => {
                self.request_done(&room, &request, said);
            }
            (said, Some(pending)) => self.answered_by_home(pending, Ok(said)),
            (
                Said::Welcome(_)
                | Said::Lapsed
                | Said::Refused(_)
                | Said::Taken(_)
                | Said::Stored(_)
                | Said::Claimed(_)
                | Said::Read(_)
                | Said::Present(_)
                | Said::Done(_)
                | Said::Unruly(_),
                None,
            ) => {}
        }
    }

    /// Something that was asked has its answer; or it never will, and it is
    /// refused.
    fn answered_by_home(&mut self, pending: Pending, answer: Result<Said, Refused>) {
        let answer = match answer {
            Ok(Said::Refused(refused)) => Err(refused),
            answer => answer,
        };
        match (pending, answer) {
            (Pending::Arrival(id, room), Ok(Said::Welcome(welcome))) => {
                self.welcomed(id, &room, Ok(welcome));
            }
            (Pending::Arrival(id, room), Ok(Said::Lapsed)) => self.lapsed(id, &room),
            (Pending::Arrival(id, room), Err(refused)) => self.welcomed(id, &room, Err(refused)),
            (Pending::Sending(id, room, wish), Ok(Said::Taken(offset))) => {
                self.receipt(id, &room, &wish.unstored(), offset);
            }
            (Pending::Sending(id, room, wish), Ok(Said::Stored(offset))) => {
                self.receipt(id, &room, &wish, offset);
            }
            (Pending::Sending(id, room, wish), Ok(Said::Unsaid(_, why))) => {
                self.unsaid(id, &room, Some(&wish), why);
            }
            (Pending::Sending(id, room, wish), Err(refused)) => {
                self.unsaid(id, &room, Some(&wish), Unsaid::Refused(refused));
            }
            (Pending::Posting(id, room), Ok(Said::Taken(_) | Said::Stored(_))) => {
                self.answer_post(id, &room);
            }
            (Pending::Posting(id, room), Ok(Said::Unsaid(_, why))) => {
                self.unsaid(id, &room, None, why);
            }
            (Pending::Posting(id, room), Err(refused)) => {
                self.unsaid(id, &room, None, Unsaid::Refused(refused));
            }
            (Pending::Claiming(id, message, wish), Ok(Said::Claimed(claim))) => {
                self.claimed(id, &message, &wish, Ok(claim));
            }
            (Pending::Claiming(id, message, wish), Err(refused)) => {
                self.claimed(id, &message, &wish, Err(refused));
            }
            (Pending::Reading(id, room, request), Ok(Said::Read(page))) => {
                self.heard_past(id, request.as_ref(), room, Ok(page));
            }
            (Pending::Reading(id, room, request), Err(refused)) => {
                self.heard_past(id, request.as_ref(), room, Err(refused));
            }
            (Pending::Request(room, request), Err(refused)) => {
                self.request_done(&room, &request, Said::Refused(refused));
            }
            (pending, Ok(said)) => unreachable!("{said:?} is no answer to {pending:?}"),
        }
    }

    /// The room's home answers somebody in the door. If they do not come in in
    /// this turn, they are not there.
    fn welcomed(&mut self, id: SocketId, room: &RoomName, answer: Result<Welcome, Refused>) {
        self.asking.arriving.remove(&(id, room.clone()));
        self.made(id, room);
        let welcome = match answer {
            Ok(welcome) => welcome,
            Err(refused) => {
                if self.entry(id, room).is_some() {
                    self.refuse_entry(id, room, refused);
                }
                return;
            }
        };
        // By its owner's rules it may have offsets.
        if let Some(transient) = welcome.transient.clone() {
            self.owned(room, transient, None);
        }
        self.stands(room, welcome.stand);
        self.asking.welcome = Some(welcome);
        self.advance(id, room, Event::Enlisted);
        if self.asking.welcome.take().is_some() {
            self.depart(room, id, Gone::Outside);
        }
    }

    /// Somebody has left a room whose home may be here.
    pub(super) fn home_deserted(&mut self, room: &RoomName) {
        if !self.rooms.is_live(room) {
            self.homes.emptied(room, self.now);
        }
    }

    /// Whether what is said in a room cannot go on its way now: then who says it
    /// is not read.
    pub(super) fn is_held_up(&self, room: &Room) -> bool {
        if !keeps(room.governed.rules().source()) {
            return self.peers.is_clogged(room.elsewhere);
        }
        let home = self.home_of(&room.name);
        if home == self.settings.puddle {
            self.peers.is_clogged(room.elsewhere)
        } else {
            self.peers.is_asked_out(home)
        }
    }

    /// Whether something that was asked is not answered yet.
    pub(super) fn is_pending(&self, ask: u64) -> bool {
        self.asking.pending.contains_key(&ask)
    }

    pub(super) fn pend(&mut self, pending: Pending) -> u64 {
        self.asking.asked += 1;
        self.asking.pending.insert(self.asking.asked, pending);
        self.asking.asked
    }

    pub(super) fn guest(&self, id: SocketId) -> Option<Guest> {
        let session = match self.sockets.get(id)?.who() {
            Who::Anonymous => None,
            Who::Session(holder) => holder.session.as_deref(),
        };
        Some(Guest {
            socket: id,
            client: self.client_of(id, session),
            user: session.is_some_and(|session| session.device.is_none()),
            username: session.map(|session| session.username.clone()),
            posts: self.post_of(id).is_some(),
            form: self.sockets.get(id)?.form,
            makes: None,
            hearing: Hearing::Named,
            waited: None,
            resumes: None,
            heard: None,
            as_of: self.policy.applied(),
        })
    }
}
