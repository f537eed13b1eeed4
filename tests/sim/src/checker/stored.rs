//! What a durable room has told anybody is there for who comes afterwards, in its place, as long as
//! it is to be kept: whatever puddle panics, and whatever the store of it does (P4). So is what was
//! said to be stored. And a receipt says what was asked for. Knows no doors.

use std::collections::BTreeSet;

use serde::Serialize;

use super::hash::Table;
use super::line::{Body, Range, Stand};
use super::message::Moment;
use super::ordered::Said;
use super::past::PageEnd;
use super::violation::{Violation, broken};

const SECOND: u64 = 1_000_000_000;
/// Ages are measured by several clocks, one of them told every second.
const AGE_SLACK: u64 = 3_000_000_000;
/// So many bytes a message takes beside its own, at the most.
const BESIDE_BYTES: usize = 512;
/// And so many a client that it names.
const NAMED_BYTES: usize = 32;

/// What a receipt promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// It was taken.
    #[default]
    Accepted,
    /// It has its place.
    Relayed,
    /// It survives.
    Stored,
}

/// How much a durable room keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Kept {
    pub(crate) messages_max: u32,
    pub(crate) seconds_max: u32,
}

/// A message that a durable room has told of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) message: u32,
    pub(crate) stand: Stand,
    /// When it was said first.
    pub(crate) sent: Moment,
    /// When somebody knew it by.
    known: u64,
    /// All that was said in the room until it was.
    before: Spoken,
}

/// What a backend wants forgotten.
#[derive(Debug)]
struct Purge {
    call: u64,
    room: u32,
    messages: BTreeSet<u32>,
    /// At which step it was told that this is done.
    done: Option<u64>,
}

/// How much was said in a room, at the most.
#[derive(Clone, Copy, Debug, Default)]
struct Spoken {
    messages: u64,
    bytes: usize,
}

/// What durable rooms have told.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// By room, in the order in which it was heard of.
    told: Table<u32, Vec<Told>>,
    known: BTreeSet<u32>,
    /// What is known to be at a place.
    places: Table<(u32, u64, u64), u32>,
    spoken: Table<u32, Spoken>,
    /// What had been said when a message was, in rooms that are durable.
    said: Table<u32, (Moment, Spoken)>,
    /// Of what a room keeps no more bytes are kept than these.
    bytes_max: usize,
    /// Up to where a backend wanted a room purged, whatever came of it.
    purged: Table<u32, u64>,
    /// By the backend's call.
    purges: Vec<Purge>,
}

impl Stored {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            ..Self::default()
        }
    }

    /// Somebody says something in a durable room, for the first time or again.
    pub(crate) fn say(
        &mut self,
        room: u32,
        message: u32,
        (body, names): (Body, usize),
        at: Moment,
    ) {
        let spoken = self.spoken.entry(room).or_default();
        let before = *spoken;
        spoken.messages += 1;
        spoken.bytes += body.len + BESIDE_BYTES + names * NAMED_BYTES;
        self.said.entry(message).or_insert((at, before));
    }

    /// It is told of at this place, by somebody who has it or whose receipt says that it is stored.
    pub(crate) fn tell(
        &mut self,
        room: u32,
        message: u32,
        stand: Stand,
        known: u64,
    ) -> Result<(), Violation> {
        let key = (room, stand.epoch, stand.offset);
        if let Some(other) = self.places.insert(key, message)
            && other != message
        {
            return broken(
                "P4",
                format!("{stand:?} of room {room} is {message}, and was {other}"),
            );
        }
        let Some(&(sent, before)) = self.said.get(&message) else {
            return Ok(());
        };
        if self.known.insert(message) {
            self.told.entry(room).or_default().push(Told {
                message,
                stand,
                sent,
                known,
                before,
            });
        }
        Ok(())
    }

    /// A backend wants these messages of a room forgotten, up to that offset.
    pub(crate) fn purge(
        &mut self,
        call: u64,
        (room, through): (u32, u64),
        messages: BTreeSet<u32>,
    ) {
        let purged = self.purged.entry(room).or_default();
        *purged = through.max(*purged);
        self.purges.push(Purge {
            call,
            room,
            messages,
            done: None,
        });
    }

    /// And is told that they are.
    pub(crate) fn purged(&mut self, call: u64, step: u64) {
        let called = self.purges.iter_mut().find(|purge| purge.call == call);
        if let Some(purge) = called {
            purge.done = Some(step);
        }
    }

    /// Whether anything of a room was purged.
    pub(crate) fn has_purged(&self, room: u32) -> bool {
        self.purges.iter().any(|purge| purge.room == room)
    }

    /// What was purged is not heard of by who asked for it afterwards.
    pub(crate) fn is_there(&self, room: u32, message: u32, asked: u64) -> Result<(), Violation> {
        let is_gone = |purge: &&Purge| {
            purge.room == room
                && purge.done.is_some_and(|done| done < asked)
                && purge.messages.contains(&message)
        };
        match self.purges.iter().find(is_gone) {
            Some(Purge { call, done, .. }) => broken(
                "P4",
                format!("{message} is heard of by who asked at {asked}, purged by {call} {done:?}"),
            ),
            None => Ok(()),
        }
    }

    /// Whether it must be there still.
    fn is_due(&self, room: u32, told: &Told, kept: Kept, at: u64) -> bool {
        let now = self.spoken.get(&room).copied().unwrap_or_default();
        let messages = now.messages - told.before.messages;
        let bytes = now.bytes - told.before.bytes;
        let purged = self.purged.get(&room).copied().unwrap_or_default();
        messages <= u64::from(kept.messages_max)
            && bytes <= self.bytes_max
            && at + AGE_SLACK < told.sent.at + u64::from(kept.seconds_max) * SECOND
            && told.stand.offset > purged
    }

    /// Who asked at that step to come in is told that the room is so far.
    pub(crate) fn goes_on(
        &self,
        (room, kept): (u32, Kept),
        (asked, at): (u64, u64),
        (stand, recovered): (Stand, bool),
        is_same_since: impl Fn(u64) -> bool,
    ) -> Result<(), Violation> {
        let all = self.told.get(&room).into_iter().flatten().rev();
        let last = all.clone().find(|told| told.known < asked);
        let Some(last) = last.filter(|last| self.is_due(room, last, kept, at)) else {
            return Ok(());
        };
        let goes_on =
            last.stand.epoch == stand.epoch && (recovered || last.stand.offset <= stand.offset);
        if goes_on || !is_same_since(last.sent.step) {
            return Ok(());
        }
        broken(
            "P4",
            format!("room {room} is at {stand:?} for who asked at {asked}, and {last:?} was told"),
        )
    }

    /// What was asked for at that step and is read holds all that was told before, and must be
    /// there still.
    pub(crate) fn holds(
        &self,
        (room, kept): (u32, Kept),
        (asked, at): (u64, u64),
        (epoch, page, range, end): (u64, &[(u64, Said)], Range, PageEnd),
        may_lack: impl Fn(&Told) -> bool,
    ) -> Result<(), Violation> {
        let first = match (range.last, page.first()) {
            (Some(0), _) => return Ok(()),
            (Some(_), Some(&(first, _))) => first,
            (Some(_) | None, _) => range.since.unwrap_or(0) + 1,
        };
        let until = range.before.unwrap_or(u64::MAX);
        let until = until.min(end.through.saturating_add(1));
        for told in self.told.get(&room).into_iter().flatten().rev() {
            let offset = told.stand.offset;
            let is_meant = told.stand.epoch == epoch && (first..until).contains(&offset);
            if !is_meant || told.known >= asked {
                continue;
            }
            // Those before it are older.
            if !self.is_due(room, told, kept, at) {
                return Ok(());
            }
            let holds = page.binary_search_by_key(&offset, |&(offset, _)| offset);
            if holds.is_err() && !may_lack(told) {
                return broken(
                    "P4",
                    format!("of room {room}, {range:?} is {end:?} and lacks {told:?}"),
                );
            }
        }
        Ok(())
    }
}

/// A receipt says what was asked for; of what is for some, and is not kept, that it has its place.
pub(crate) fn is_as_asked(
    (socket, id): (u32, u64),
    asked: Level,
    (level, named): (Level, bool),
) -> Result<(), Violation> {
    let hollow = named && (asked, level) == (Level::Stored, Level::Relayed);
    if level == asked || hollow {
        return Ok(());
    }
    broken(
        "P4",
        format!("socket {socket} asked by {id} for {asked:?} and got {level:?}"),
    )
}
