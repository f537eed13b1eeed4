//! What is said and what arrives: who it is judged to be for, and every promise about it asked in
//! turn. Owns nothing.

use super::line::{Body, Named, Place, Stamp, Stand};
use super::message::{Moment, Receiver, Standing};
use super::ordered::Said;
use super::past::PageEnd;
use super::recovered::not_recovered;
use super::stored::{Level, Told, is_as_asked};
use super::violation::{Violation, broken};
use super::{Checker, TAG_BYTES, index};

impl Checker {
    pub(super) fn sent(
        &mut self,
        socket: u32,
        room: u32,
        message: u32,
        body: Body,
        named: Named<'_>,
    ) {
        assert_eq!(
            index(message),
            self.messages.len(),
            "messages are numbered in order"
        );
        let door = self.policy.door(room);
        if door.is_some_and(|door| door.narrow.per_room.is_some()) {
            let moment = self.moment();
            self.socket(socket).requests.hold_up(moment);
        }
        let standing = self.standing(socket, room, (body, named));
        let sent = self.moment();
        self.messages
            .say((Some(socket), room), (body, named), sent, standing);
        self.is_to_be_kept(room, message);
    }

    fn standing(&self, socket: u32, room: u32, (body, named): (Body, Named<'_>)) -> Standing {
        let known = &self.sockets[index(socket)];
        let silent = || self.policy.silences(room, Self::visitor(known, room));
        Standing {
            from: known.client,
            breaks: self.policy.breaks(room, body, named).or_else(silent),
            forbidden: self.may_not_speak(socket, room),
        }
    }

    /// The same again, under its key.
    pub(super) fn sent_again(&mut self, socket: u32, room: u32, message: u32, id: u64) {
        let moment = self.moment();
        let level = Level::default();
        self.keys.send((socket, Some(id)), (message, level), moment);
        self.is_to_be_kept(room, message);
        let forbidden = self.may_not_speak(socket, room);
        self.messages.say_again(message, forbidden);
    }

    /// What was sent was taken: its place is known by that.
    pub(super) fn taken(
        &mut self,
        socket: u32,
        room: u32,
        id: u64,
        (level, offset): (Level, Option<u64>),
    ) -> Result<(), Violation> {
        let Some((message, asked)) = self.keys.sent(socket, id) else {
            return broken("P15", format!("socket {socket} got a receipt for {id}"));
        };
        self.is_taken_while_it_drains(message);
        is_as_asked(
            (socket, id),
            asked,
            (level, !self.must_survive(room, message)),
        )?;
        let lasts = self.key_lasts(room, message);
        self.keys.taken(
            (socket, id),
            self.at,
            lasts && self.policy.door(room).is_some(),
        )?;
        let Some(entry) = self.entry(socket, room) else {
            return Ok(());
        };
        let (Some(offset), Some(stand)) = (offset, self.orders.stand_of(entry)) else {
            return Ok(());
        };
        if self.messages.is_small(message) {
            return Ok(());
        }
        let epoch = stand.epoch;
        let to = self.as_receiver(socket, room, entry);
        let stand = Stand { epoch, offset };
        if level == Level::Stored {
            self.survives(room, message, stand)?;
        }
        self.orders
            .is_at(to, Said::Message(message), stand, &self.messages)
    }

    /// Whether nothing but time can have ended a message's key.
    fn key_lasts(&self, room: u32, message: u32) -> bool {
        let first = self.keys.first_sent(message);
        // What a home remembers it forgets when it panics.
        first.is_some_and(|first| {
            self.policy.is_same_since(room, first.step) && !self.messages.is_lost(first.at)
        })
    }

    /// A page of what was said before is whole.
    pub(super) fn page(&mut self, socket: u32, room: u32, end: PageEnd) {
        let Some(entry) = self.entry(socket, room) else {
            return;
        };
        let to = self.as_receiver(socket, room, entry);
        let stand = self.orders.stand_of(entry);
        let kept = self.policy.door(room).and_then(|door| door.kept);
        let (stored, policy, at) = (&self.stored, &self.policy, self.at);
        let (orders, messages) = (&self.orders, &self.messages);
        let may_lack = |told: &Told| {
            !messages.is_owed(told.message, to.socket, to.client)
                || !policy.is_same_since(room, told.sent.step)
        };
        let is_kept = |asked, page: &[_], range| match (kept, stand) {
            (Some(kept), Some(Stand { epoch, .. })) => {
                let page = (epoch, page, range, end);
                stored.holds((room, kept), (asked, at), page, may_lack)
            }
            (Some(_) | None, _) => Ok(()),
        };
        self.past.page(to, end, (orders, messages), is_kept);
    }

    /// Something is said, for the first time or again; in a durable room it may be kept.
    fn is_to_be_kept(&mut self, room: u32, message: u32) {
        let kept = self.policy.door(room).and_then(|door| door.kept);
        if let Some(size) = kept.and_then(|_| self.messages.size_of(message)) {
            let moment = self.moment();
            self.stored.say(room, message, size, moment);
        }
    }

    /// Whether a message was said for all in a room that was durable then, and is the same.
    fn must_survive(&self, room: u32, message: u32) -> bool {
        let is_durable = self
            .policy
            .door(room)
            .is_some_and(|door| door.kept.is_some());
        let for_all = self
            .messages
            .size_of(message)
            .is_some_and(|(_, names)| names == 0);
        let sent = self.messages.sent_at(message);
        let is_same = |sent: Moment| self.policy.is_same_since(room, sent.step);
        is_durable && for_all && sent.is_some_and(is_same)
    }

    /// What comes of before was not purged when it was asked for.
    fn is_not_purged(&self, to: Receiver, message: u32) -> Result<(), Violation> {
        if !self.stored.has_purged(to.room) || self.messages.may_be_twice(message) {
            return Ok(());
        }
        let came = self.entries[index(to.entry)].asked;
        let read = self.past.asked_at(to.socket, to.room);
        let asked = read.map_or(came, |read| read.min(came));
        self.stored.is_there(to.room, message, asked)
    }

    /// A message is told to be at this place, and in a durable room it stays there.
    fn survives(&mut self, room: u32, message: u32, stand: Stand) -> Result<(), Violation> {
        if !self.must_survive(room, message) {
            return Ok(());
        }
        self.stored.tell(room, message, stand, self.step)
    }

    fn as_receiver(&self, socket: u32, room: u32, entry: u32) -> Receiver {
        Receiver {
            entry,
            socket,
            client: self.sockets[index(socket)].client,
            room,
            inside: self.entries[index(entry)].inside,
            rules: self.policy.rules_of(room),
            known: self.policy.known_from(room),
            is_told: self.sockets[index(socket)].is_told(),
        }
    }

    pub(super) fn published(&mut self, room: u32, message: u32, body: Body, named: Named<'_>) {
        assert_eq!(
            index(message),
            self.messages.len(),
            "messages are numbered in order"
        );
        // Whom it names is a backend's own affair.
        let breaks = self.policy.breaks(room, body, Named::default());
        let standing = Standing {
            from: None,
            breaks,
            forbidden: false,
        };
        let sent = self.moment();
        self.messages
            .say((None, room), (body, named), sent, standing);
        self.is_to_be_kept(room, message);
    }

    /// Whoever gets something is inside, and may be.
    pub(super) fn receiver(
        &mut self,
        socket: u32,
        room: Option<u32>,
        (body, written): (Body, Stamp),
    ) -> Result<Receiver, Violation> {
        let known = &self.sockets[index(socket)];
        let room = room.or(known.raw_room);
        let found = known.entries.iter().find(|(of, _)| Some(*of) == room);
        let (Some(room), Some(&(_, number))) = (room, found) else {
            return broken(
                "P6",
                format!("socket {socket} got {body:?} and is not in {room:?}"),
            );
        };
        if known.bogus {
            return broken(
                "P6",
                format!("socket {socket} got something by a token of nobody"),
            );
        }
        let (client, is_told) = (known.client, known.is_told());
        if let Some(show) = known.ticket {
            self.socket(socket).ticket = None;
            self.opened(socket, show)?;
        }
        self.not_put_out(number, written)?;
        self.make_sure(number, written);
        let entry = &self.entries[index(number)];
        let (inside, out) = match entry.unsure {
            Some(_) => (u64::MAX, entry.out),
            None => (entry.inside, entry.out),
        };
        self.still_in(socket, room, out, written)?;
        self.other(socket, written)?;
        Ok(Receiver {
            entry: number,
            socket,
            client,
            room,
            inside,
            rules: self.policy.rules_of(room),
            known: self.policy.known_from(room),
            is_told,
        })
    }

    pub(super) fn delivered(
        &mut self,
        to: Receiver,
        (message, from, body): (Option<u32>, Option<u128>, Body),
        (place, written): (Option<Place>, Stamp),
    ) -> Result<(), Violation> {
        self.past.is_whole(to.socket, to.room)?;
        self.entries[index(to.entry)].heard = true;
        if let Some(message) = message {
            self.is_not_deaf(to, message)?;
        }
        if let (Some(message), false) = (message, place.is_some_and(|place| place.past)) {
            self.stayed(to, message, written);
        }
        let said = Said::new(message, body, from);
        debug_assert!(message.is_none() || body.len >= TAG_BYTES);
        if let (Some(Place { offset, .. }), Some(message)) = (place, message) {
            self.survives(to.room, message, self.place(to, offset))?;
        }
        if let (Some(Place { past: true, .. }), Some(message)) = (place, message) {
            self.is_not_purged(to, message)?;
        }
        match (place, message) {
            (Some(Place { past: true, .. }), Some(message)) => {
                self.messages.receive_past(to, message, body)?;
            }
            (Some(Place { past: true, .. }), None) => self.messages.receive_small_past(to, body)?,
            (_, Some(message)) => self.messages.receive(to, message, body)?,
            (_, None) => self.messages.receive_small(to, body)?,
        }
        match place {
            Some(Place { offset, past: true }) if self.is_missed(to, offset) => {
                let heard = self.orders.live(to, said, offset, &self.messages);
                heard.map_err(not_recovered)?;
                if self.past.is_asked(to.socket, to.room) {
                    let stand = self.place(to, offset);
                    self.past.come(to, (stand, said), false)?;
                }
            }
            Some(Place { offset, past: true }) => {
                self.orders.past(to, said, offset, &self.messages)?;
                // By the rules of before, what is kept may be handed to everybody.
                let is_heard = to.rules <= self.policy.applied_at(written.step);
                let waits = self.policy.door(to.room).is_some_and(|door| door.waits);
                let waits = waits && is_heard;
                let stand = self.place(to, offset);
                self.past.come(to, (stand, said), waits)?;
            }
            Some(Place {
                offset,
                past: false,
            }) => {
                let heard = self.orders.live(to, said, offset, &self.messages);
                if self.recovered.is_up_to_date(to.entry) {
                    heard.map_err(not_recovered)?;
                } else {
                    heard?;
                }
                self.got(to, message)?;
            }
            None => {
                self.orders.untold(to, message)?;
                self.got(to, message)?;
            }
        }
        message.map_or(Ok(()), |message| self.comes_from(message, from))
    }

    /// A reader of events is told that all it missed comes, or that it may not.
    pub(super) fn recovers(&mut self, socket: u32, room: u32, from: Option<Stand>, written: Stamp) {
        let applied = self.policy.applied_at(written.step);
        self.stands(socket, room, from, applied);
        if let (Some(entry), Some(_)) = (self.entry(socket, room), from) {
            self.recovered.hear(entry);
        }
    }

    /// It is told how far the room is: what it missed has come, if it was to.
    pub(super) fn is_placed(
        &mut self,
        (socket, room): (u32, u32),
        stand: Stand,
        written: Stamp,
    ) -> Result<(), Violation> {
        let Some(entry) = self.entry(socket, room) else {
            return Ok(());
        };
        if self.recovered.is_up_to_date(entry) {
            let to = self.as_receiver(socket, room, entry);
            let heard = self.orders.reach(to, stand, &self.messages);
            heard.map_err(not_recovered)?;
        }
        let applied = self.policy.applied_at(written.step);
        self.stands(socket, room, Some(stand), applied);
        Ok(())
    }

    /// The place of this offset, for somebody inside.
    fn place(&self, to: Receiver, offset: u64) -> Stand {
        let epoch = self.orders.stand_of(to.entry).map(|stand| stand.epoch);
        Stand {
            epoch: epoch.unwrap_or_default(),
            offset,
        }
    }

    /// Whether what was said before comes because its receiver has missed it. What
    /// it asked to read may come at the same time, and is not later than that.
    fn is_missed(&self, to: Receiver, offset: u64) -> bool {
        let is_later = |stand: Stand| offset > stand.offset;
        self.recovered.hears(to.entry)
            && (self.orders.stand_of(to.entry).is_some_and(is_later)
                || !self.past.is_asked(to.socket, to.room))
    }

    /// One that has a key comes once.
    fn got(&mut self, to: Receiver, message: Option<u32>) -> Result<(), Violation> {
        let Some(message) = message else {
            return Ok(());
        };
        let lasts = self.key_lasts(to.room, message);
        self.keys.get(to.entry, message, self.at, lasts)
    }

    /// A socket inside is told that messages are missing: it reads too slowly, or more waited for
    /// its client than is handed over.
    pub(super) fn gap(&mut self, socket: u32, room: u32, dropped: u32) -> Result<(), Violation> {
        let entries = &self.sockets[index(socket)].entries;
        match entries.iter().find(|(of, _)| *of == room) {
            Some(&(_, entry)) => {
                let waits = self.messages.waits(room);
                let is_first = !self.entries[index(entry)].heard;
                if dropped > 0 && waits && is_first && !self.messages.skips(room) {
                    return Ok(());
                }
                self.messages.gap(entry, room, dropped)
            }
            None => broken("P2", format!("socket {socket} misses {room}, outside")),
        }
    }

    /// The sender is who the message says it is.
    fn comes_from(&mut self, message: u32, from: Option<u128>) -> Result<(), Violation> {
        let (Some(from), Some(sender)) = (from, self.messages.sender(message)) else {
            return Ok(());
        };
        let known = self.socket(sender);
        match known.client {
            Some(client) if client != from => broken(
                "P1",
                format!("message {message} says it is from another client"),
            ),
            Some(_) => Ok(()),
            None => {
                known.client = Some(from);
                Ok(())
            }
        }
    }

    pub(super) fn other(&mut self, socket: u32, written: Stamp) -> Result<(), Violation> {
        let known = &mut self.sockets[index(socket)];
        if known.recognised {
            let first = known.heard.map_or(written.at, |(first, _)| first);
            known.heard = Some((first, written.at));
            known.out.not_waited_for(written)?;
            known.not_expired(socket, written)?;
            known.not_turned_away(socket, written)?;
        }
        match known.out.cut.filter(|_| known.recognised) {
            Some(cut) if written.step > cut => broken(
                "P7",
                format!("socket {socket} was written to at {written:?}, out since step {cut}"),
            ),
            Some(_) | None => Ok(()),
        }
    }
}
