//! The store of these tests: records in memory, and what can go wrong on the way.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use porthouse_model::RoomName;

use super::World;
use crate::{FromStore, Input, Mark, Record, StoreRequest, StoredRoom, ToStore};

/// Which puddle asked, and what.
type Asked = (usize, StoreRequest, StoredRoom, ToStore);

/// The store, and how it behaves.
#[derive(Default)]
pub(in crate::puddle::tests) struct Store {
    pub(in crate::puddle::tests) rooms: BTreeMap<StoredRoom, Vec<Record>>,
    marks: u64,
    /// Nothing is done, and everything fails.
    pub(in crate::puddle::tests) down: bool,
    /// So many appends are done, but said to have failed.
    pub(in crate::puddle::tests) acks_lost: u32,
    /// Requests wait while it is set.
    pub(in crate::puddle::tests) stands: bool,
    /// What waits.
    waiting: VecDeque<Asked>,
    /// What nobody waits for any more, and has not come yet.
    late: Vec<Asked>,
    /// It takes no longer record, if any.
    pub(in crate::puddle::tests) record_bytes_max: Option<usize>,
    /// How long each record that was added is kept.
    pub(in crate::puddle::tests) lasts: Vec<Option<Duration>>,
    /// Reads that were answered.
    pub(in crate::puddle::tests) reads: u32,
}

impl World {
    pub(super) fn ask_store(&mut self, (at, request, room, what): Asked) {
        if self.store.stands {
            return self.store.waiting.push_back((at, request, room, what));
        }
        let answer = self.store.answer(room, what);
        self.puddles[at].handle(self.now, Input::Bridged { request, answer });
    }

    /// The store answers the first that waits, and all runs; what is asked then
    /// waits.
    pub(in crate::puddle::tests) fn release_one(&mut self) {
        let (at, request, room, what) = self.store.waiting.pop_front().expect("one waits");
        let answer = self.store.answer(room, what);
        self.puddles[at].handle(self.now, Input::Bridged { request, answer });
        self.run();
    }

    /// The store answers what waits, and all runs.
    pub(in crate::puddle::tests) fn release_store(&mut self) {
        self.store.stands = false;
        for asked in std::mem::take(&mut self.store.waiting) {
            self.ask_store(asked);
        }
        self.run();
    }
}

impl Store {
    /// About which rooms something waits.
    pub(in crate::puddle::tests) fn waits_about(&self) -> Vec<RoomName> {
        let waiting = self.waiting.iter();
        waiting.map(|(_, _, room, _)| room.name.clone()).collect()
    }

    /// How many records it has.
    pub(in crate::puddle::tests) fn records(&self) -> usize {
        self.rooms.values().map(Vec::len).sum()
    }

    /// What waits is never answered, as when the puddle begins anew; it is done
    /// all the same if it is an append.
    pub(in crate::puddle::tests) fn lose_waiting(&mut self) {
        self.stands = false;
        for (_, _, room, what) in std::mem::take(&mut self.waiting) {
            self.answer(room, what);
        }
    }

    /// What waits is never answered, and comes later.
    pub(in crate::puddle::tests) fn delay_waiting(&mut self) {
        self.stands = false;
        self.late.extend(self.waiting.drain(..));
    }

    /// What was late comes.
    pub(in crate::puddle::tests) fn land(&mut self) {
        for (_, _, room, what) in std::mem::take(&mut self.late) {
            self.answer(room, what);
        }
    }

    fn answer(&mut self, room: StoredRoom, what: ToStore) -> FromStore {
        if self.down {
            return FromStore::Failed;
        }
        let records = self.rooms.entry(room).or_default();
        let last = records.last().map_or(Mark::default(), |last| last.mark);
        match what {
            ToStore::Read { .. } => {
                self.reads += 1;
                FromStore::Read(records.clone())
            }
            ToStore::Append { after, .. } if last > after => FromStore::Overtaken,
            ToStore::Append { record, .. }
                if self.record_bytes_max.is_some_and(|max| record.len() > max) =>
            {
                FromStore::TooLong
            }
            ToStore::Append { record, lasts, .. } => {
                self.lasts.push(lasts);
                self.marks += 1;
                let mark = Mark(self.marks);
                let bytes = record;
                records.push(Record { mark, bytes });
                match self.acks_lost.checked_sub(1) {
                    None => FromStore::Appended(mark),
                    Some(left) => {
                        self.acks_lost = left;
                        FromStore::Failed
                    }
                }
            }
            ToStore::Forget { through } => {
                records.retain(|record| record.mark > through);
                FromStore::Forgotten
            }
            ToStore::ForgetRoom => {
                records.clear();
                FromStore::Forgotten
            }
        }
    }
}
