//! One order for all in a room whose messages have offsets (P3): within an epoch an offset is one
//! message and a message one offset, whoever tells of it; nobody goes back, and nobody passes over
//! what was for them. Sockets that are told no offsets are judged at the end, by what others were
//! told. Knows no rules.

use std::collections::BTreeSet;

use super::hash::Table;
use super::line::{Body, Kind, Stand};
use super::message::{Messages, Receiver};
use super::violation::{Violation, broken};

/// Epochs have fewer messages in any world.
const OFFSET_MAX: u64 = 1 << 24;

/// What was said at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// This message.
    Message(u32),
    /// One too short to say which it is, from this client.
    Small { hash: u64, from: Option<u128> },
}

/// All orders.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    /// By room and epoch; in each by offset.
    lives: Table<(u32, u64), Vec<Slot>>,
    /// Where a message was told to be.
    placed: Table<u32, Stand>,
    /// How far somebody inside is, and the rules' revision when they were told so.
    stands: Table<u32, (Stand, u64)>,
    /// Where somebody inside came in, in the epoch that counts.
    came_in: Table<u32, u64>,
    /// Rooms that had offsets.
    rooms: BTreeSet<u32>,
    /// What sockets that are told no offsets got, in order.
    untold: Vec<(Receiver, u32)>,
}

#[derive(Debug, Default)]
struct Slot {
    said: Option<Said>,
    /// Who passed it over before it was known what was said there.
    passed: Vec<(u32, u32, Option<u128>)>,
}

impl Said {
    /// What a message is, for comparing.
    pub(crate) fn new(message: Option<u32>, body: Body, from: Option<u128>) -> Self {
        let kind = match body.kind {
            Kind::Text => 0,
            Kind::Binary => 1,
        };
        message.map_or(
            Self::Small {
                hash: body.hash ^ kind,
                from,
            },
            Self::Message,
        )
    }

    /// Whether both may be one: who reads events is not told of whom they are.
    fn may_be(self, other: Self) -> bool {
        match (self, other) {
            (Self::Small { hash, from }, Self::Small { hash: of, from: by }) => {
                hash == of && (from == by || from.is_none() || by.is_none())
            }
            (Self::Message(_), Self::Message(_)) => self == other,
            (Self::Message(_), Self::Small { .. }) | (Self::Small { .. }, Self::Message(_)) => {
                false
            }
        }
    }

    fn is_owed(
        self,
        messages: &Messages,
        (socket, room): (u32, u32),
        client: Option<u128>,
    ) -> bool {
        match self {
            Self::Message(number) => messages.is_owed(number, socket, client),
            Self::Small { from, .. } => {
                let both = from.zip(client);
                both.is_some_and(|(from, client)| from != client)
                    && !messages.hearings.may_be_deaf(socket, room)
            }
        }
    }
}

impl Orders {
    /// Somebody inside is told how far the room is.
    pub(crate) fn stand(&mut self, entry: u32, room: u32, stand: Stand, rules: u64) {
        self.rooms.insert(room);
        self.came_in.insert(entry, stand.offset);
        self.stands.insert(entry, (stand, rules));
    }

    /// How far somebody inside is.
    pub(crate) fn stand_of(&self, entry: u32) -> Option<Stand> {
        self.stands.get(&entry).map(|&(stand, _)| stand)
    }

    /// The offset after which somebody inside has heard all.
    pub(crate) fn came_in(&self, entry: u32) -> Option<u64> {
        self.came_in.get(&entry).copied()
    }

    /// What is known of these offsets, the second not included.
    pub(crate) fn between(
        &self,
        room: u32,
        epoch: u64,
        from: u64,
        until: u64,
    ) -> impl Iterator<Item = (u64, Said)> {
        let slots = self
            .lives
            .get(&(room, epoch))
            .map_or(&[][..], Vec::as_slice);
        let end = place(until.min(OFFSET_MAX)).min(slots.len());
        let start = place(from.min(OFFSET_MAX)).min(end);
        let said = (from..).zip(&slots[start..end]);
        said.filter_map(|(offset, slot)| slot.said.map(|said| (offset, said)))
    }

    /// The messages that are known to be in a room up to an offset.
    pub(crate) fn up_to(&self, room: u32, through: u64) -> BTreeSet<u32> {
        let lives = self.lives.iter().filter(|((of, _), _)| *of == room);
        let end = place(through.min(OFFSET_MAX));
        let slots = lives.flat_map(|(_, slots)| slots.iter().take(end + 1));
        let said = slots.filter_map(|slot| slot.said);
        let messages = said.filter_map(|said| match said {
            Said::Message(message) => Some(message),
            Said::Small { .. } => None,
        });
        messages.collect()
    }

    /// Somebody got a message at this offset.
    pub(crate) fn live(
        &mut self,
        to: Receiver,
        said: Said,
        offset: u64,
        messages: &Messages,
    ) -> Result<(), Violation> {
        let Some((stand, _)) = self.stands.get_mut(&to.entry) else {
            return broken("P3", format!("{to:?} got offset {offset} and has no epoch"));
        };
        let (epoch, before) = (stand.epoch, stand.offset);
        if offset <= before || offset > OFFSET_MAX {
            return broken("P3", format!("{to:?} got {offset} after {before}"));
        }
        stand.offset = offset;
        let slots = slots(&mut self.lives, to.room, epoch, offset);
        // Where something may be missed, what is missing is judged by what was told of it.
        let first = if messages.skips(to.room) {
            offset
        } else {
            before + 1
        };
        for between in &mut slots[place(first)..place(offset)] {
            match between.said {
                Some(said) if said.is_owed(messages, (to.socket, to.room), to.client) => {
                    return broken("P3", format!("{to:?} got {offset} and never {said:?}"));
                }
                Some(_) => {}
                None => between.passed.push((to.entry, to.socket, to.client)),
            }
        }
        self.is_at(to, said, Stand { epoch, offset }, messages)
    }

    /// Somebody has heard all up to this place.
    pub(crate) fn reach(
        &mut self,
        to: Receiver,
        stand: Stand,
        messages: &Messages,
    ) -> Result<(), Violation> {
        let before = self.stand_of(to.entry);
        let Some(before) = before.filter(|before| before.epoch == stand.epoch) else {
            return broken("P3", format!("{to:?} is at {stand:?}, after {before:?}"));
        };
        if stand.offset < before.offset || stand.offset > OFFSET_MAX {
            return broken("P3", format!("{to:?} is at {stand:?}, after {before:?}"));
        }
        if messages.skips(to.room) {
            return Ok(());
        }
        let slots = slots(&mut self.lives, to.room, stand.epoch, stand.offset);
        for between in &mut slots[place(before.offset + 1)..=place(stand.offset)] {
            match between.said {
                Some(said) if said.is_owed(messages, (to.socket, to.room), to.client) => {
                    return broken(
                        "P3",
                        format!("{to:?} is at {stand:?} and never got {said:?}"),
                    );
                }
                Some(_) => {}
                None => between.passed.push((to.entry, to.socket, to.client)),
            }
        }
        Ok(())
    }

    /// Somebody is told of a message that has this offset.
    pub(crate) fn past(
        &mut self,
        to: Receiver,
        said: Said,
        offset: u64,
        messages: &Messages,
    ) -> Result<(), Violation> {
        let Some(Stand { epoch, .. }) = self.stand_of(to.entry) else {
            return broken("P3", format!("{to:?} heard of {offset} and has no epoch"));
        };
        self.is_at(to, said, Stand { epoch, offset }, messages)
    }

    /// Somebody got a message without an offset.
    pub(crate) fn untold(&mut self, to: Receiver, message: Option<u32>) -> Result<(), Violation> {
        match self.stands.get(&to.entry) {
            // Rules may have ended the order.
            Some(&(_, rules)) if rules == to.rules => {
                broken("P3", format!("{to:?} got {message:?} without its offset"))
            }
            Some(_) => Ok(()),
            None => {
                if let (true, Some(message)) = (self.rooms.contains(&to.room), message) {
                    self.untold.push((to, message));
                }
                Ok(())
            }
        }
    }

    /// A message is at this place, and at no other.
    pub(crate) fn is_at(
        &mut self,
        to: Receiver,
        said: Said,
        stand: Stand,
        messages: &Messages,
    ) -> Result<(), Violation> {
        if stand.offset == 0 || stand.offset > OFFSET_MAX {
            return broken("P3", format!("{to:?} was told of {stand:?}"));
        }
        let slots = slots(&mut self.lives, to.room, stand.epoch, stand.offset);
        let slot = &mut slots[place(stand.offset)];
        match slot.said {
            Some(other) if !other.may_be(said) => {
                return broken(
                    "P3",
                    format!("{to:?}: {stand:?} is {said:?}, and {other:?}"),
                );
            }
            Some(Said::Small { from: None, .. }) => {
                slot.said = Some(said);
                return Ok(());
            }
            Some(_) => return Ok(()),
            None => slot.said = Some(said),
        }
        for (entry, socket, client) in std::mem::take(&mut slot.passed) {
            if said.is_owed(messages, (socket, to.room), client) {
                let who = format!("socket {socket} ({entry})");
                return broken("P3", format!("{who} passed {said:?} over, at {stand:?}"));
            }
        }
        let Said::Message(number) = said else {
            return Ok(());
        };
        match self.placed.insert(number, stand) {
            Some(other) if other != stand && !messages.may_be_twice(number) => broken(
                "P3",
                format!("{to:?}: message {number} is at {stand:?}, and at {other:?}"),
            ),
            Some(_) | None => Ok(()),
        }
    }

    /// Those who were told no offsets got everything in the same order.
    pub(crate) fn finish(&self, messages: &Messages) -> Result<(), Violation> {
        let mut last: Table<u32, Stand> = Table::default();
        for &(to, message) in &self.untold {
            let Some(&stand) = self.placed.get(&message) else {
                continue;
            };
            if messages.may_be_twice(message) {
                continue;
            }
            let before = last.insert(to.entry, stand);
            let goes_back =
                |before: Stand| before.epoch == stand.epoch && before.offset >= stand.offset;
            if before.is_some_and(goes_back) {
                return broken(
                    "P3",
                    format!("{to:?} got {message} at {stand:?}, after {before:?}"),
                );
            }
        }
        Ok(())
    }
}

/// The offsets of an epoch, at least up to this one.
fn slots(
    lives: &mut Table<(u32, u64), Vec<Slot>>,
    room: u32,
    epoch: u64,
    offset: u64,
) -> &mut [Slot] {
    let life = lives.entry((room, epoch)).or_default();
    if life.len() <= place(offset) {
        life.resize_with(place(offset) + 1, Slot::default);
    }
    life
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).expect("a small offset")
}
