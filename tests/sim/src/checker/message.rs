//! Every message that was said, and who has received it: unchanged, in order, once, and only by
//! those it was for (P1, P2, P10). Knows no doors.

use std::collections::BTreeSet;

use super::hash::Table;
use super::hearing::Hearings;
use super::line::{Body, Edit, Kind, Named};
use super::violation::{Violation, broken};

/// A message long enough to carry its number.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "what was seen of it, each by itself"
)]
struct Message {
    sender: Option<u32>,
    room: u32,
    /// Its place among those of its sender in its room.
    place: usize,
    body: Body,
    to: Box<[u128]>,
    except: Box<[u128]>,
    sent: Moment,
    /// The revision of the room's rules it was found to break.
    breaks: Option<u64>,
    /// Its sender was out already.
    forbidden: bool,
    accepted: bool,
    /// Somebody got a later one instead.
    missed: bool,
    /// The client that said it, where it is known.
    from: Option<u128>,
    /// It was sent more than once.
    again: bool,
    /// Entries that did so where who reads too slowly misses something.
    skipped_by: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) step: u64,
    pub(crate) at: u64,
}

/// What is judged when a message is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) from: Option<u128>,
    pub(crate) breaks: Option<u64>,
    pub(crate) forbidden: bool,
}

/// Who receives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receiver {
    pub(crate) entry: u32,
    pub(crate) socket: u32,
    pub(crate) client: Option<u128>,
    pub(crate) room: u32,
    /// The step at which it knew that it was inside.
    pub(crate) inside: u64,
    /// The revision of the room's rules.
    pub(crate) rules: u64,
    /// The step from which no puddle takes the room for the one of its name before.
    pub(crate) known: u64,
    /// Whether it is told what it misses.
    pub(crate) is_told: bool,
}

type SenderRoom = (u32, u32);

#[derive(Debug, Default)]
pub(crate) struct Messages {
    all: Vec<Message>,
    by_sender: Table<SenderRoom, Vec<u32>>,
    last: Table<(u32, u32), usize>,
    small_sent: Table<(u32, u64), u32>,
    small_got: Table<(u32, u64), u32>,
    /// Rooms in which who reads too slowly misses something, and stays.
    skipping: BTreeSet<u32>,
    /// Rooms in which messages wait for who is away, once at least.
    waiting: BTreeSet<u32>,
    /// What was said before this may be lost on its way: a part of the node panicked.
    lost_before: u64,
    /// How many messages an entry was told it misses, and is not known to.
    told: Table<u32, u32>,
    pub(super) hearings: Hearings,
}

/// So long after a panic all have heard of it.
const PANIC_HEARD: u64 = 1_000_000_000;

/// Stands for a backend where a sender's socket would.
const BACKEND: u32 = u32::MAX;

impl Messages {
    /// How many were said so far.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// A part of the node panicked: until all have heard of it, what is said may go to the one
    /// that is gone.
    pub(crate) fn may_be_lost(&mut self, at: u64) {
        self.lost_before = at + PANIC_HEARD;
    }

    /// Whether what was said then may be lost.
    pub(crate) const fn is_lost(&self, at: u64) -> bool {
        at < self.lost_before
    }

    /// Somebody says something.
    pub(crate) fn say(
        &mut self,
        (sender, room): (Option<u32>, u32),
        (body, named): (Body, Named<'_>),
        sent: Moment,
        standing: Standing,
    ) {
        let number = u32::try_from(self.all.len()).expect("fewer than 2^32 messages");
        if body.len < TAG_BYTES {
            *self.small_sent.entry((room, small(body))).or_default() += 1;
        }
        let row = self
            .by_sender
            .entry((sender.unwrap_or(BACKEND), room))
            .or_default();
        let place = row.len();
        row.push(number);
        self.all.push(Message {
            sender,
            room,
            place,
            body,
            to: named.to.into(),
            except: named.except.into(),
            sent,
            breaks: standing.breaks,
            forbidden: standing.forbidden,
            accepted: false,
            missed: false,
            from: standing.from,
            again: false,
            skipped_by: Vec::new(),
        });
    }

    /// Somebody says it again.
    pub(crate) fn say_again(&mut self, message: u32, forbidden: bool) {
        let message = &mut self.all[index(message)];
        (message.again, message.missed, message.breaks) = (true, false, None);
        message.forbidden &= forbidden;
        // Who passed the first one over may get this one, in its own place.
        message.skipped_by.clear();
    }

    /// Somebody who was out of a room since then may be in again: what they said meanwhile may
    /// arrive only now.
    pub(crate) fn pardon(&mut self, sender: (u32, u32), out_since: Option<u64>) {
        if let Some(since) = out_since {
            self.pardon_between(sender, (since, u64::MAX));
        }
    }

    /// The same of what they said from the one step until the other.
    pub(crate) fn pardon_between(&mut self, sender: (u32, u32), (since, until): (u64, u64)) {
        let row = self.by_sender.get(&sender).into_iter().flatten();
        for &number in row.rev() {
            let message = &mut self.all[index(number)];
            if message.sent.step < since {
                return;
            }
            message.forbidden &= message.sent.step > until;
        }
    }

    /// Somebody may speak in a room from here on: what they said before may arrive only now.
    pub(crate) fn may_speak(&mut self, sender: (u32, u32)) {
        let row = self.by_sender.get(&sender).into_iter().flatten();
        for &number in row {
            self.all[index(number)].breaks = None;
        }
    }

    /// Whether it is too short to say which it is.
    pub(crate) fn is_small(&self, message: u32) -> bool {
        self.all
            .get(index(message))
            .is_none_or(|message| message.body.len < TAG_BYTES)
    }

    /// Whether it may have more than one place: its epoch ended, or its key was forgotten.
    pub(crate) fn may_be_twice(&self, message: u32) -> bool {
        self.all
            .get(index(message))
            .is_some_and(|message| message.again)
    }

    /// Whether it was for all but some, and not this client's own.
    pub(crate) fn is_kept_from_some(&self, message: u32, client: Option<u128>) -> bool {
        self.all.get(index(message)).is_some_and(|message| {
            let some = message.to.is_empty() && !message.except.is_empty();
            some && !message.may_be_own(client)
        })
    }

    /// Its length, and how many clients it names.
    pub(crate) fn size_of(&self, message: u32) -> Option<(Body, usize)> {
        let message = self.all.get(index(message))?;
        Some((message.body, message.to.len() + message.except.len()))
    }

    /// When it was said.
    pub(crate) fn sent_at(&self, message: u32) -> Option<Moment> {
        self.all.get(index(message)).map(|message| message.sent)
    }

    /// The socket that said it.
    pub(crate) fn sender(&self, message: u32) -> Option<u32> {
        self.all.get(index(message))?.sender
    }

    /// One too short to say which it is.
    pub(crate) fn receive_small(&mut self, to: Receiver, body: Body) -> Result<(), Violation> {
        let key = small(body);
        let sent = self.small_sent.get(&(to.room, key)).copied().unwrap_or(0);
        let got = self.small_got.entry((to.entry, key)).or_default();
        *got += 1;
        if *got > sent {
            return broken(
                "P1",
                format!("{to:?} got {body:?} {got} times, it was said {sent} times"),
            );
        }
        Ok(())
    }

    /// One that says which it is.
    pub(crate) fn receive(
        &mut self,
        to: Receiver,
        number: u32,
        body: Body,
    ) -> Result<(), Violation> {
        let overhears = self.hearings.may_overhear(to.socket, to.room);
        let message = self.is_as_said(to, number, body)?;
        if message.is_hidden_from(to.client) && !overhears {
            return broken("P10", format!("{to:?} got {number}, which was not for it"));
        }
        if message.breaks == Some(to.rules) {
            return broken("P6", format!("{to:?} got {number}, which the rules refuse"));
        }
        if message.again {
            return Ok(());
        }
        let (sender, place) = (message.sender, message.place);
        self.in_order(to, sender, place, number)
    }

    /// One that was said before: whoever hears of it now need not have been inside then, and is
    /// shown their own whoever they named.
    pub(crate) fn receive_past(
        &mut self,
        to: Receiver,
        number: u32,
        body: Body,
    ) -> Result<(), Violation> {
        let overhears = self.hearings.may_overhear(to.socket, to.room);
        let message = self.is_as_said(to, number, body)?;
        if message.is_hidden_from(to.client) && !message.may_be_own(to.client) && !overhears {
            return broken(
                "P10",
                format!("{to:?} heard of {number}, which was not for it"),
            );
        }
        Ok(())
    }

    /// One that was said before, too short to say which it is.
    pub(crate) fn receive_small_past(&self, to: Receiver, body: Body) -> Result<(), Violation> {
        if self.small_sent.contains_key(&(to.room, small(body))) {
            return Ok(());
        }
        broken("P1", format!("{to:?} heard of {body:?}, which nobody said"))
    }

    /// Unchanged, in their room, and of somebody who could say it.
    fn is_as_said(&mut self, to: Receiver, number: u32, body: Body) -> Result<&Message, Violation> {
        let Some(message) = self.all.get_mut(index(number)) else {
            return broken(
                "P1",
                format!("{to:?} got message {number}, which nobody said"),
            );
        };
        let said = message.body;
        if (said.kind, said.len, said.hash) != (body.kind, body.len, body.hash) {
            return broken(
                "P1",
                format!("{to:?} got {number} as {body:?}, it was {said:?}"),
            );
        }
        if message.room != to.room {
            return broken(
                "P10",
                format!("{to:?} got {number} of room {}", message.room),
            );
        }
        if message.forbidden {
            return broken("P6", format!("{to:?} got {number} of one who was out"));
        }
        message.accepted = true;
        let skipped_by = std::mem::take(&mut message.skipped_by);
        if message.missed {
            return broken(
                "P2",
                format!("{number} was missed by one and got by {to:?}"),
            );
        }
        for entry in skipped_by {
            self.miss(entry, number)?;
        }
        Ok(&self.all[index(number)])
    }

    /// Whether a socket in the room must hear this one, as far as anybody can tell.
    pub(crate) fn is_owed(&self, number: u32, socket: u32, client: Option<u128>) -> bool {
        self.all.get(index(number)).is_some_and(|message| {
            let may_miss = self.hearings.may_be_deaf(socket, message.room)
                || message.may_be_hidden_from(client);
            message.sender != Some(socket) && !message.again && !may_miss
        })
    }

    fn in_order(
        &mut self,
        to: Receiver,
        sender: Option<u32>,
        place: usize,
        number: u32,
    ) -> Result<(), Violation> {
        let row_key = sender.unwrap_or(BACKEND);
        let last = self.last.insert((to.entry, row_key), place);
        if last.is_some_and(|last| last >= place) {
            return broken(
                "P2",
                format!("{to:?} got {number} after a later one, or twice"),
            );
        }
        // What a backend says takes no fixed way, and has no order among puddles.
        let Some(sender) = sender.filter(|&sender| sender != to.socket) else {
            return Ok(());
        };
        let row = &self.by_sender[&(sender, to.room)];
        let first = last.map_or(0, |last| last + 1);
        let mut told_of = Vec::new();
        for &between in row[first..place].iter().rev() {
            let skipped = &mut self.all[index(between)];
            if skipped.sent.step <= to.inside {
                break;
            }
            // Who has not heard of the room speaks in the one before.
            let elsewhere = skipped.sent.step <= to.known;
            let on_its_way = skipped.sent.at < self.lost_before;
            let loose = skipped.body.len < TAG_BYTES || skipped.again || elsewhere || on_its_way;
            let loose = loose || self.hearings.may_be_deaf(to.socket, to.room);
            if loose || skipped.may_be_hidden_from(to.client) {
                continue;
            }
            if self.skipping.contains(&to.room) {
                match (to.is_told, skipped.accepted) {
                    (true, true) => told_of.push(between),
                    (true, false) => skipped.skipped_by.push(to.entry),
                    (false, _) => {}
                }
                continue;
            }
            skipped.missed = true;
            if skipped.accepted {
                return broken("P2", format!("{to:?} got {number} and never {between}"));
            }
        }
        told_of
            .into_iter()
            .try_for_each(|missed| self.miss(to.entry, missed))
    }

    /// Which rooms' readers may miss something.
    pub(crate) fn note_rules(&mut self, edits: &[Edit]) {
        for edit in edits {
            let Edit::Room { room, door } = edit else {
                continue;
            };
            if door.skips {
                self.skipping.insert(*room);
            }
            if door.hands_over {
                self.waiting.insert(*room);
            }
        }
    }

    /// Whether who reads too slowly there may miss something.
    pub(crate) fn skips(&self, room: u32) -> bool {
        self.skipping.contains(&room)
    }

    /// Whether messages may have waited there for who comes in.
    pub(crate) fn waits(&self, room: u32) -> bool {
        self.waiting.contains(&room)
    }

    /// Somebody is told that so many messages are missing.
    pub(crate) fn gap(&mut self, entry: u32, room: u32, dropped: u32) -> Result<(), Violation> {
        if !self.skipping.contains(&room) || dropped == 0 {
            return broken(
                "P2",
                format!("entry {entry} misses {dropped} of room {room}"),
            );
        }
        *self.told.entry(entry).or_default() += dropped;
        Ok(())
    }

    /// One who is told what it misses has missed this.
    fn miss(&mut self, entry: u32, number: u32) -> Result<(), Violation> {
        match self.told.entry(entry).or_default() {
            0 => broken("P2", format!("entry {entry} never got {number}, untold")),
            left => {
                *left -= 1;
                Ok(())
            }
        }
    }

    /// Whether this one should have come to somebody who was inside all along, and did not.
    pub(crate) fn never_came(&self, to: Receiver, number: u32) -> bool {
        if self.hearings.may_be_deaf(to.socket, to.room) {
            return false;
        }
        let message = &self.all[index(number)];
        let Some(sender) = message.sender.filter(|&sender| sender != to.socket) else {
            return false;
        };
        let is_due = message.room == to.room
            && message.body.len >= TAG_BYTES
            && !message.again
            && !message.may_be_hidden_from(to.client);
        let last = self.last.get(&(to.entry, sender));
        let came = last.is_some_and(|&last| last >= message.place);
        is_due && !came && !self.skipping.contains(&to.room)
    }

    /// Messages from `first` on that were said before `until` and should have come, and did not.
    pub(crate) fn lacking(
        &self,
        to: Receiver,
        first: usize,
        until: u64,
        (paced, overhears): (bool, Option<u64>),
        is_inside: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        if self.hearings.may_be_deaf(to.socket, to.room) {
            return None;
        }
        let lacks = |(at, message): (usize, &Message)| {
            let overhears = overhears.is_some_and(|since| since < message.sent.step);
            let sender = message.sender.filter(|&sender| sender != to.socket)?;
            // What the room's pace refuses nobody hears.
            let is_taken = message.accepted || !paced;
            let due = message.room == to.room
                && is_taken
                && message.sent.at < until
                && message.body.len >= TAG_BYTES
                && !message.forbidden
                && message.breaks.is_none()
                && is_inside(sender)
                && (overhears || !message.may_be_hidden_from(to.client));
            let last = self.last.get(&(to.entry, sender));
            let came = last.is_some_and(|&last| last >= message.place);
            let misses = self.skipping.contains(&to.room)
                && (!to.is_told || self.told.get(&to.entry).is_some_and(|left| *left > 0));
            (due && !came && !misses).then(|| u32::try_from(at).expect("a message's number"))
        };
        self.all.iter().enumerate().skip(first).find_map(lacks)
    }
}

/// Messages at least this long carry their number.
pub(crate) const TAG_BYTES: usize = 8;

impl Message {
    fn is_hidden_from(&self, client: Option<u128>) -> bool {
        let named = |names: &[u128]| client.is_some_and(|client| names.contains(&client));
        (!self.to.is_empty() && !named(&self.to)) || named(&self.except)
    }

    /// This client said it, or nobody can tell.
    fn may_be_own(&self, client: Option<u128>) -> bool {
        self.sender.is_some() && (self.from.is_none() || self.from == client)
    }

    /// Hidden, or nobody can tell.
    fn may_be_hidden_from(&self, client: Option<u128>) -> bool {
        self.is_hidden_from(client) || (client.is_none() && !self.except.is_empty())
    }
}

fn small(body: Body) -> u64 {
    let kind = match body.kind {
        Kind::Text => 0,
        Kind::Binary => 1,
    };
    body.hash ^ kind
}

fn index(message: u32) -> usize {
    usize::try_from(message).expect("an index")
}
