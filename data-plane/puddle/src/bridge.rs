//! What a puddle asks of the store that keeps durable rooms, and how that
//! answers. Owns the words alone: the store is the shell's.

use core::time::Duration;

use porthouse_model::{RoomId, RoomName};

/// Names one request to the store; each has exactly one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreRequest(pub u64);

/// A room, as the store knows it: another room of the same name is another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredRoom {
    /// The room's identity, or that of the template that covers its name.
    pub id: RoomId,
    /// Its name.
    pub name: RoomName,
}

/// A record's place in the store, which gives it. Places of one room grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(pub u64);

/// What is asked of the store, about one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToStore {
    /// All its records.
    Read {
        /// The most bytes to answer; past it the newest are.
        bytes_max: usize,
    },
    /// One more record, if the room's last is the one at this mark: so two who
    /// write never both do.
    Append {
        /// The last; [`Mark::default`]: there is none.
        after: Mark,
        /// The record.
        record: Box<[u8]>,
        /// How long it is kept; `None`: until it is forgotten.
        lasts: Option<Duration>,
    },
    /// Forget its records up to this one.
    Forget {
        /// The last of them.
        through: Mark,
    },
    /// Forget all of it: the room was deleted.
    ForgetRoom,
}

/// What a store answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromStore {
    /// The records, in order.
    Read(Vec<Record>),
    /// It is kept: whatever one process does, it will be there.
    Appended(Mark),
    /// The records are gone.
    Forgotten,
    /// The record is longer than the store takes: nothing was done, and it never
    /// will be.
    TooLong,
    /// Another record came after the mark that was given: nothing was done.
    Overtaken,
    /// It was not done, or it is not known whether it was.
    Failed,
}

/// A record, as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place.
    pub mark: Mark,
    /// As it was given.
    pub bytes: Box<[u8]>,
}
