//! What is said in a room that keeps its messages goes to the room's home, and
//! comes back from there to everybody, in one order. A key, and what was said
//! before, are asked for there too.
//!
//! Owns nothing: homes keep, `homing` remembers who has asked.

use std::sync::Arc;

use porthouse_model::{ClientId, Refused, RoomId, RoomName};
use porthouse_rules::Hearing;

use super::Puddle;
use super::homing::Pending;
use super::resting::is_rated;
use super::returning::GoesOn;
use crate::home::{
    Ask, Claim, Outcome, Page, Placed, Range, Rated, Said, Saying, Since, Stand, Unsaid, Viewer,
    Welcome, keeps,
};
use crate::hop::{Hop, RoomMessage};
use crate::input::SocketId;
use crate::outbox::Lane;
use crate::output::WireForm;
use crate::room::{Governed, Message, Rights, RoomIndex, deliver, encode};
use crate::socket::{Habit, Phase, Reading};
use crate::upgrade::Post;
use crate::wire::multiplexed::{Event as Told, Id, Level, LineError, Place};

/// What a sender wants to be told, and how it names the message.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish {
    /// The request that wants a receipt.
    pub request: Option<Id>,
    /// Of this level.
    pub level: Level,
    /// The sender's own name for the message.
    pub key: Option<Arc<str>>,
}

impl Wish {
    /// What is promised where nothing was stored.
    pub(super) fn unstored(mut self) -> Self {
        if self.level == Level::Stored {
            self.level = Level::Relayed;
        }
        self
    }
}

impl Puddle {
    /// A message that the room's rules allow goes its way: at once, or by the
    /// room's home where that has to put it in order, judge it, or know its key.
    pub(super) fn speak(
        &mut self,
        index: RoomIndex,
        id: SocketId,
        message: Message<'_>,
        wish: Wish,
    ) {
        let room = self.rooms.get(index);
        if keeps(room.governed.rules().source()) {
            return self.say_by_home(index, id, message, wish);
        }
        if let (Some(key), Some(client)) = (wish.key.clone(), message.from) {
            return self.claim(index, id, client, key, message, wish);
        }
        let name = wish.request.as_ref().map(|_| room.name.clone());
        self.say(index, Some(id.slot), message);
        if let Some(name) = name {
            self.receipt(id, &name, &wish, None);
        }
    }

    /// One message over plain HTTP goes its way; its sender is answered when it
    /// is taken.
    pub(super) fn post(
        &mut self,
        index: RoomIndex,
        id: SocketId,
        message: Message<'_>,
        (key, rated): (Option<Arc<str>>, Rated),
    ) {
        let room = self.rooms.get(index);
        let (name, governed) = (room.name.clone(), room.governed.clone());
        if !keeps(governed.rules().source()) {
            if let (Some(key), Some(client)) = (key, message.from) {
                let wish = Wish {
                    key: Some(Arc::clone(&key)),
                    ..Wish::default()
                };
                let message = Arc::new(copied(&name, &governed, message));
                let ask = self.pend(Pending::Claiming(id, message, wish));
                return self.ask_home(&name, governed, ask, Ask::Claim { client, key });
            }
            self.say(index, None, message);
            return self.answer_post(id, &name);
        }
        self.counters.messages += 1;
        let saying = Saying {
            message: Arc::new(copied(&name, &governed, message)),
            speaker: id,
            key,
            waits: false,
            rated,
        };
        let ask = self.pend(Pending::Posting(id, name.clone()));
        self.ask_home(&name, governed, ask, Ask::Send(saying));
    }

    fn say_by_home(&mut self, index: RoomIndex, id: SocketId, message: Message<'_>, wish: Wish) {
        self.counters.messages += 1;
        let room = self.rooms.get(index);
        let (name, governed) = (room.name.clone(), room.governed.clone());
        let saying = Saying {
            message: Arc::new(copied(&name, &governed, message)),
            speaker: id,
            key: wish.key.clone(),
            waits: true,
            rated: Rated::Client,
        };
        let ask = if wish.request.is_some() {
            self.pend(Pending::Sending(id, name.clone(), wish))
        } else {
            0
        };
        let is_judged = is_rated(&governed) && self.home_of(&name) != self.settings.puddle;
        self.ask_home(&name, governed, ask, Ask::Send(saying));
        if is_judged {
            self.await_judgement(id);
        }
    }

    /// A key in a room that is not kept: only whether it is new is asked. Nothing
    /// more is read from the socket before that is known, for what it says later
    /// may not overtake.
    fn claim(
        &mut self,
        index: RoomIndex,
        id: SocketId,
        client: ClientId,
        key: Arc<str>,
        message: Message<'_>,
        wish: Wish,
    ) {
        let room = self.rooms.get(index);
        let (name, governed) = (room.name.clone(), room.governed.clone());
        let message = Arc::new(copied(&name, &governed, message));
        let ask = self.pend(Pending::Claiming(id, message, wish));
        self.ask_home(&name, governed, ask, Ask::Claim { client, key });
        if self.is_pending(ask)
            && let Some(socket) = self.sockets.get_mut(id)
        {
            socket.reading = Reading::Claiming;
            self.outputs.push(crate::Output::Pause { socket: id });
        }
    }

    /// What came of a key in a room that is not kept.
    pub(super) fn claimed(
        &mut self,
        id: SocketId,
        message: &RoomMessage,
        wish: &Wish,
        claim: Result<Claim, Refused>,
    ) {
        let room = message.room.clone();
        let inside = self
            .rooms
            .find(&room)
            .filter(|index| self.rooms.get(*index).governed.id() == message.room_id)
            .filter(|index| {
                let socket = self.sockets.get(id);
                socket.is_some_and(|socket| socket.stay(*index).is_some())
                    || self.is_posting(id, &room)
            });
        match (claim, inside) {
            (Ok(Claim::New), Some(index)) if self.is_posting(id, &room) => {
                self.say(index, None, Message::of(message));
                self.answer_post(id, &room);
            }
            (Ok(Claim::Known(_)), _) if self.is_posting(id, &room) => {
                self.answer_post(id, &room);
            }
            (Ok(Claim::New), Some(index)) => {
                self.say(index, Some(id.slot), Message::of(message));
                self.receipt(id, &room, wish, None);
            }
            (Ok(Claim::Known(offset)), _) => self.receipt(id, &room, wish, offset),
            (Ok(Claim::New), None) => {
                if let (Some(client), Some(key)) = (message.from, wish.key.clone()) {
                    let governed = Governed::Transient(self.transient());
                    self.ask_home(&room, governed, 0, Ask::Unclaim { client, key });
                }
                self.unsaid(id, &room, Some(wish), Unsaid::Refused(Refused::RoomClosed));
            }
            (Ok(Claim::Expired), _) => {
                self.unsaid(id, &room, Some(wish), Unsaid::Refused(Refused::KeyExpired));
            }
            (Ok(Claim::Full), _) => self.unsaid(id, &room, Some(wish), Unsaid::TooManyKeys),
            (Err(refused), _) => self.unsaid(id, &room, Some(wish), Unsaid::Refused(refused)),
        }
        if self
            .sockets
            .get(id)
            .is_some_and(|socket| socket.reading == Reading::Claiming)
        {
            self.resume(id);
        }
    }

    pub(super) fn receipt(
        &mut self,
        id: SocketId,
        room: &RoomName,
        wish: &Wish,
        offset: Option<u64>,
    ) {
        let Some(request) = &wish.request else {
            return;
        };
        let receipt = Told::Receipt {
            id: request,
            room,
            level: wish.level,
            offset,
        };
        self.reply(id, |out| receipt.frame(out));
    }

    /// Something was not said after all. A raw socket is closed: there is no
    /// other way to say so.
    pub(super) fn unsaid(
        &mut self,
        id: SocketId,
        room: &RoomName,
        wish: Option<&Wish>,
        why: Unsaid,
    ) {
        let request = wish.and_then(|wish| wish.request.as_ref());
        match (why, self.sockets.get(id).map(|socket| &socket.phase)) {
            (Unsaid::Refused(refused), Some(Phase::Multiplexed(_))) => {
                self.refuse_said(id, request, room, refused);
            }
            (Unsaid::TooManyKeys, Some(Phase::Multiplexed(_))) => {
                let full = LineError::new(
                    "keys_per_client_max",
                    "fewer keys within the time that they are remembered",
                );
                self.tell(id, |out| Told::error(request, &full).frame(out));
            }
            (Unsaid::Refused(refused), Some(Phase::Raw(..))) => self.close_refused(id, refused),
            (Unsaid::TooManyKeys, Some(Phase::Raw(..))) => {
                unreachable!("a raw message has no key")
            }
            (Unsaid::Refused(refused), Some(Phase::Knocking(_))) => {
                self.refuse_entry(id, room, refused);
            }
            (Unsaid::TooManyKeys, Some(Phase::Knocking(_))) => {
                self.refuse_bad(id, &Post::TOO_MANY_KEYS);
            }
            (_, Some(Phase::Upgrading { .. } | Phase::Closing { .. }) | None) => {}
        }
    }

    /// This puddle is the home: something was said there. Answers what its sender
    /// is told.
    pub(super) fn take(
        &mut self,
        room: &RoomName,
        outcome: Outcome,
        speaker: SocketId,
        wanted: bool,
    ) -> Option<Said> {
        match outcome {
            Outcome::Placed(placed) => {
                let offset = placed.offset();
                self.spread(room, &placed);
                wanted.then_some(Said::Taken(Some(offset)))
            }
            Outcome::Known(offset) => wanted.then_some(Said::Taken(offset)),
            Outcome::Unsaid(why) => Some(Said::Unsaid(speaker, why)),
        }
    }

    /// Every puddle that has the room is told what was said, this one included.
    pub(super) fn spread(&mut self, room: &RoomName, placed: &Arc<Placed>) -> u64 {
        for puddle in self.rooms.elsewhere(room).iter() {
            self.peers.send(puddle, Hop::Placed(Arc::clone(placed)));
        }
        self.tell_followers_of(placed);
        self.placed(placed)
    }

    /// Something was said in a room, and has its place. Answers for how many
    /// sockets here it was queued.
    pub(super) fn placed(&mut self, placed: &Placed) -> u64 {
        let Some(index) = self.rooms.find(&placed.message.room) else {
            return 0;
        };
        let room = self.rooms.get(index);
        if room.governed.id() != placed.message.room_id {
            return 0;
        }
        let epoch = placed.stand.epoch;
        if room.stand.is_none_or(|stand| stand.epoch != epoch) {
            let offset = placed.stand.offset - 1;
            self.stands_at(index, Stand { epoch, offset });
        }
        let room = self.rooms.get_mut(index);
        room.stand = Some(placed.stand);
        let room = self.rooms.get(index);
        let message = Message {
            place: Place {
                stand: Some(placed.stand),
                past: false,
            },
            ..Message::of(&placed.message)
        };
        let echo = room.governed.rules().source().broadcast.echo;
        let speaker = placed
            .speaker
            .filter(|(puddle, _)| !echo && *puddle == self.settings.puddle)
            .filter(|(_, socket)| self.sockets.get(*socket).is_some());
        let silent = speaker.map(|(_, socket)| socket.slot);
        let receivers = deliver(room, index, message, silent, &mut self.outbox);
        self.counters.deliveries += receivers;
        // Its home has other rules than are known here, older ones or newer.
        self.note_order(index);
        receivers
    }

    /// Somebody comes in by this. One room says no more first than half of what a
    /// socket may have queued; what does not fit beside what others said in this
    /// turn, they are told to have missed.
    pub(super) fn fitting(&self, id: SocketId, mut welcome: Welcome) -> Welcome {
        let (queued, most) = (
            self.outbox.bytes(id.slot),
            self.settings.socket_backlog_bytes_max,
        );
        if queued > most / 2 && queued + welcome.bytes() > most {
            welcome.forgo();
        }
        welcome
    }

    /// One socket hears what was said before it came, or was away.
    pub(super) fn hear_past(&mut self, id: SocketId, index: RoomIndex, past: &[Arc<Placed>]) {
        let Some(form) = self.sockets.get(id).map(|socket| socket.form) else {
            return;
        };
        let lane = Lane::Room(index);
        let room = self.rooms.get(index);
        for placed in past {
            let said = &placed.message;
            let place = Place {
                stand: Some(placed.stand),
                past: true,
            };
            let message = Message {
                place,
                ..Message::of(said)
            };
            let frame = self
                .outbox
                .frame(form, lane, |out| encode(form, &room.name, message, out));
            self.outbox.push(id.slot, frame, lane);
        }
        self.counters.deliveries += past.len() as u64;
    }

    /// The same on a raw socket's sibling.
    fn hear_past_beside(&mut self, id: SocketId, room: &RoomName, past: &[Arc<Placed>]) {
        for placed in past {
            let place = Place {
                stand: Some(placed.stand),
                past: true,
            };
            let message = Message {
                place,
                ..Message::of(&placed.message)
            };
            let form = WireForm::Multiplexed;
            self.inform(id, |out| encode(form, room, message, out));
        }
        self.counters.deliveries += past.len() as u64;
    }

    /// A client reads what was said in a room.
    pub(super) fn history(
        &mut self,
        id: SocketId,
        request: Option<Id>,
        name: &RoomName,
        range: Range,
    ) {
        if !self.behaves(id, Habit::Read, request.as_ref()) {
            return;
        }
        let index = self.rooms.find(name);
        let seat = index.and_then(|index| Some((index, self.sockets.get(id)?.stay(index)?)));
        let Some((index, stay)) = seat else {
            return self.outside(id, request.as_ref());
        };
        let room = self.rooms.get(index);
        let sitter = room.seats.sitter(stay.seat);
        if !sitter.rights.reads() {
            return self.refuse_line(id, request.as_ref(), Some(name), Refused::HistoryRefused);
        }
        let viewer = Viewer {
            client: sitter.client,
            since: sitter.since,
            hearing: sitter.rights.hearing,
        };
        let governed = room.governed.clone();
        if !keeps(governed.rules().source()) {
            let nothing = Told::History {
                id: request.as_ref(),
                room: name,
                count: 0,
                through: 0,
                complete: false,
            };
            return self.inform(id, |out| nothing.frame(out));
        }
        let room = (name.clone(), governed.id());
        let ask = self.pend(Pending::Reading(id, room, request));
        self.ask_home(name, governed, ask, Ask::Read { range, viewer });
    }

    /// What was read comes, if it may still be seen: not in another room of the
    /// name.
    pub(super) fn heard_past(
        &mut self,
        id: SocketId,
        request: Option<&Id>,
        (name, room_id): (RoomName, Option<RoomId>),
        page: Result<Page, Refused>,
    ) {
        let name = &name;
        let page = match page {
            Ok(page) => page,
            Err(refused) => return self.refuse_line(id, request, Some(name), refused),
        };
        let index = self.rooms.find(name);
        let seat = index.and_then(|index| Some((index, self.sockets.get(id)?.stay(index)?)));
        let Some((index, stay)) = seat else {
            return self.outside(id, request);
        };
        if self.rooms.get(index).governed.id() != room_id {
            return self.refuse_line(id, request, Some(name), Refused::Stale);
        }
        let rights = self.rooms.get(index).seats.sitter(stay.seat).rights;
        if !rights.reads() {
            return self.refuse_line(id, request, Some(name), Refused::HistoryRefused);
        }
        if self.beside(id).is_some() {
            self.hear_past_beside(id, name, &page.messages);
        } else {
            self.hear_past(id, index, &page.messages);
        }
        let history = Told::History {
            id: request,
            room: name,
            count: page.messages.len(),
            through: page.through,
            complete: page.complete,
        };
        self.inform(id, |out| history.frame(out));
    }

    pub(super) fn outside(&mut self, id: SocketId, request: Option<&Id>) {
        let outside = LineError::new("room", "a room this socket is in: join it first");
        self.tell_error(id, request, &outside);
    }
}

/// What somebody who comes in hears first, and how much is missing in front. The
/// latest message is not told again to who cannot be told that it is the same.
pub(super) fn first_heard(
    welcome: &Welcome,
    rights: Rights,
    (goes_on, heard): (Option<GoesOn>, Option<Stand>),
) -> (u32, Vec<Arc<Placed>>) {
    if rights.hearing == Hearing::Never {
        return (0, Vec::new());
    }
    let since = welcome.since.as_ref().map(|(_, since)| since);
    let since = since.or(welcome.missed.as_ref());
    if let (Some(Since::Recovered(missed)), Some(GoesOn::From(_))) = (since, goes_on) {
        return (0, missed.clone());
    }
    let is_heard = |latest: &Placed| {
        let same = heard.filter(|heard| heard.epoch == latest.stand.epoch);
        same.is_some_and(|heard| latest.stand.offset <= heard.offset)
    };
    let latest = welcome.latest.iter().filter(|_| rights.reads());
    let latest = latest.filter(|latest| !is_heard(latest));
    let first = welcome.waited.iter().chain(latest).cloned().collect();
    (welcome.dropped, first)
}

/// A message to be carried.
fn copied(room: &RoomName, governed: &Governed, message: Message<'_>) -> RoomMessage {
    RoomMessage {
        room: room.clone(),
        room_id: governed.id(),
        from: message.from,
        kind: message.kind,
        payload: message.payload.into(),
        to: message.to.into(),
        except: message.except.into(),
    }
}
