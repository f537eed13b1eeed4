//! What the store is to forget of rooms: all, of a deleted one, and what was kept
//! of one whose history is not to survive any more. Asked again until it is done.
//!
//! Owns what is not forgotten yet, and when it is asked for next.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use porthouse_model::{RoomId, RoomName, Time};

use super::Puddle;
use crate::bridge::{FromStore, Mark, StoredRoom, ToStore};
use crate::home::Done;
use crate::settings::HistoryStore;

/// How long a store that has failed is left alone at first.
const PAUSE: Duration = Duration::from_secs(1);
/// And at most.
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// How much of a room is to be forgotten.
#[derive(Clone, Copy, Debug)]
enum Extent {
    /// What was there up to here.
    Through(Mark),
    /// All.
    All,
}

/// What is to be forgotten.
#[derive(Debug, Default)]
pub(super) struct Forgetting {
    rooms: BTreeMap<StoredRoom, Extent>,
    /// Those that are not asked for at this moment.
    order: VecDeque<StoredRoom>,
    /// The store has failed, and is asked again then.
    again_at: Option<Time>,
    /// How long it is left alone the next time.
    pause: Duration,
}

impl Forgetting {
    /// Whether something of a room is to be forgotten before it is read.
    pub(super) fn concerns(&self, room: &StoredRoom) -> bool {
        self.rooms.contains_key(room)
    }

    /// Whether the store has failed, and is left alone.
    pub(super) const fn rests(&self) -> bool {
        self.again_at.is_some()
    }

    /// When the store is asked again.
    pub(super) const fn deadline(&self) -> Option<Time> {
        self.again_at
    }

    /// A record came to be there by what was asked before.
    pub(super) fn appended(&mut self, room: &StoredRoom, mark: Mark) {
        if let Some(Extent::Through(through)) = self.rooms.get_mut(room) {
            *through = mark.max(*through);
        }
    }

    fn add(&mut self, room: StoredRoom, extent: Extent, rooms_max: usize) {
        if let Some(before) = self.rooms.get_mut(&room) {
            *before = match (*before, extent) {
                (Extent::Through(one), Extent::Through(other)) => Extent::Through(one.max(other)),
                (Extent::All, _) | (_, Extent::All) => Extent::All,
            };
        } else if self.rooms.len() < rooms_max {
            self.order.push_back(room.clone());
            self.rooms.insert(room, extent);
        } else {
            tracing::warn!(room = %room.name, limit = "store.forgets_max", "ends by its age");
        }
    }

    /// The next of which nothing is under way.
    fn next(
        &mut self,
        now: Time,
        is_busy: impl Fn(&StoredRoom) -> bool,
    ) -> Option<(StoredRoom, ToStore)> {
        if self.again_at.is_some_and(|again_at| again_at > now) {
            return None;
        }
        self.again_at = None;
        let at = self.order.iter().position(|room| !is_busy(room))?;
        let room = self.order.remove(at)?;
        let what = match self.rooms.get(&room)? {
            Extent::All => ToStore::ForgetRoom,
            Extent::Through(through) => ToStore::Forget { through: *through },
        };
        Some((room, what))
    }

    /// The store answers.
    fn told(&mut self, room: StoredRoom, answer: &FromStore, now: Time) {
        if *answer == FromStore::Forgotten {
            self.rooms.remove(&room);
            self.pause = Duration::ZERO;
        } else {
            self.pause = (self.pause * 2).clamp(PAUSE, PAUSE_MAX);
            self.again_at = Some(now + self.pause);
            self.order.push_back(room);
        }
    }
}

impl Puddle {
    /// A room was deleted: the store forgets it.
    pub(super) fn forget_stored(&mut self, id: RoomId, name: &RoomName) {
        let is_ours = self.home_of(name) == self.settings.puddle;
        if self.settings.history_store == HistoryStore::Bridged && is_ours {
            let name = name.clone();
            let room = StoredRoom { id, name };
            let rooms_max = self.settings.store.forgets_max;
            self.storing.forgetting.add(room, Extent::All, rooms_max);
        }
    }

    /// A room's history is not to survive any more.
    pub(super) fn forget_through(&mut self, room: StoredRoom, through: Mark) {
        let rooms_max = self.settings.store.forgets_max;
        let extent = Extent::Through(through);
        self.storing.forgetting.add(room, extent, rooms_max);
    }

    /// What is to be forgotten now, if anything.
    pub(super) fn next_to_forget(&mut self) -> Option<(StoredRoom, ToStore)> {
        let (forgetting, now) = (&mut self.storing.forgetting, self.now);
        let under_way = &self.storing.under_way;
        forgetting.next(now, |room| {
            under_way.values().any(|asked| asked.stored == *room)
        })
    }

    /// The store has forgotten, or not yet.
    pub(super) fn forgotten(&mut self, room: StoredRoom, answer: &FromStore) {
        let name = room.name.clone();
        self.storing.forgetting.told(room, answer, self.now);
        self.store_of(&name);
    }

    /// Whether a room's home waits until the store has forgotten. While the store
    /// does not answer, nobody is left waiting for that.
    pub(super) fn waits_to_forget(&mut self, room: &RoomName) -> bool {
        let forgetting = &self.storing.forgetting;
        let home = self.homes.get(room);
        let stored = home.and_then(|home| home.stored());
        if !stored.is_some_and(|stored| forgetting.concerns(stored)) {
            return false;
        }
        if forgetting.rests() {
            self.homes.with(room, |home, _| home.give_up());
            let undone: Vec<(RoomName, Done)> = self.homes.take_undone();
            for (room, done) in undone {
                self.done_at(&room, done);
            }
        }
        true
    }
}
