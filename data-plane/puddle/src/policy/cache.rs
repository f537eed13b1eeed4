//! Entries by key: bounded, the ones that no live socket needs forgotten least
//! recently used first, each in constant time. Owns them and their index; never
//! decides what may be believed.

use porthouse_model::{PolicyKey, Revision, Time};

use super::clock::Clock;
use super::index::Index;
use crate::question::Known;
use crate::seed::{Hasher, Map};

/// Something known.
#[derive(Debug)]
pub(super) struct Entry {
    /// How it stands.
    pub(super) known: Known,
    /// What changes up to here did is in it.
    pub(super) revision: Revision,
    /// When it is believed no longer; `None`: the log would tell.
    pub(super) expires: Option<Time>,
    /// Where it is from.
    pub(super) source: Source,
    /// What was told of the wall clock when it arrived.
    pub(super) clock: Option<Clock>,
}

/// Where an entry is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Read from a snapshot, in which all of its revision is.
    Read,
    /// Told by the log: more of the same revision may follow.
    Told,
    /// From before the log was cut: its revision means nothing.
    Doubted,
}

impl Entry {
    /// Whether it does not know of this revision, which is being applied.
    pub(super) fn is_before(&self, revision: Revision) -> bool {
        match self.source {
            Source::Read => self.revision < revision,
            Source::Told => self.revision <= revision,
            Source::Doubted => true,
        }
    }

    /// Whether it knows more than an answer read at this revision.
    pub(super) fn is_after(&self, revision: Revision) -> bool {
        match self.source {
            Source::Read | Source::Told => self.revision > revision,
            Source::Doubted => false,
        }
    }
}

/// Entries, and which of them may be forgotten.
#[derive(Debug)]
pub(super) struct Cache {
    places: Map<PolicyKey, usize>,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    /// What exists and what does not stand apart, so that asking for a million
    /// names that do not exist forgets none that does.
    present: Spare,
    absent: Spare,
    index: Index,
    spare_max: usize,
}

#[derive(Debug)]
struct Slot {
    key: PolicyKey,
    entry: Entry,
    pins: u32,
    older: Option<usize>,
    newer: Option<usize>,
}

/// Unpinned entries in the order in which they were used.
#[derive(Debug, Default)]
struct Spare {
    oldest: Option<usize>,
    newest: Option<usize>,
    len: usize,
}

impl Cache {
    /// Keeps so many unpinned entries that exist, and as many that do not.
    pub(super) fn new(spare_max: usize, hasher: Hasher) -> Self {
        Self {
            places: Map::with_hasher(hasher),
            slots: Vec::new(),
            free: Vec::new(),
            present: Spare::default(),
            absent: Spare::default(),
            index: Index::new(hasher),
            spare_max,
        }
    }

    pub(super) const fn index(&self) -> &Index {
        &self.index
    }

    /// The entry, without using it.
    pub(super) fn peek(&self, key: &PolicyKey) -> Option<&Entry> {
        self.places.get(key).map(|at| &self.slot(*at).entry)
    }

    /// The entry, if it is still believed at this moment. A live socket's is: who
    /// is in a transient room knows that no other was made, for the log would
    /// tell.
    pub(super) fn get(&mut self, now: Time, key: &PolicyKey) -> Option<&Entry> {
        let at = *self.places.get(key)?;
        let slot = self.slot(at);
        if slot.pins == 0 {
            if slot.entry.expires.is_some_and(|expires| expires <= now) {
                return None;
            }
            self.unlink(at);
            self.link(at);
        }
        Some(&self.slot(at).entry)
    }

    /// Sets an entry, in place where there is one.
    pub(super) fn put(&mut self, key: PolicyKey, entry: Entry) {
        self.index_out(&key);
        self.index.insert(&key, &entry.known);
        let at = if let Some(&at) = self.places.get(&key) {
            self.unlink(at);
            self.slot_mut(at).entry = entry;
            at
        } else {
            self.add(key, entry)
        };
        self.link(at);
        self.shrink();
    }

    /// A live socket needs it.
    pub(super) fn pin(&mut self, key: &PolicyKey) {
        let at = *self.places.get(key).expect("what is pinned is known");
        self.unlink(at);
        self.slot_mut(at).pins += 1;
    }

    /// A live socket needs it no longer.
    pub(super) fn unpin(&mut self, key: &PolicyKey) {
        let at = *self.places.get(key).expect("what is pinned is known");
        let pins = &mut self.slot_mut(at).pins;
        *pins = pins.checked_sub(1).expect("it was pinned");
        if *pins == 0 {
            self.link(at);
            self.shrink();
        }
    }

    /// How many live sockets need it.
    pub(super) fn pins(&self, key: &PolicyKey) -> u32 {
        self.places.get(key).map_or(0, |at| self.slot(*at).pins)
    }

    pub(super) fn remove(&mut self, key: &PolicyKey) {
        self.index_out(key);
        if let Some(at) = self.places.remove(key) {
            self.unlink(at);
            self.slots[at] = None;
            self.free.push(at);
        }
    }

    /// The log was cut: unpinned entries are forgotten, the others are
    /// doubted. Answers their keys, in an order that depends on what happened alone.
    pub(super) fn doubt(&mut self) -> Vec<PolicyKey> {
        while let Some(at) = self.present.oldest.or(self.absent.oldest) {
            self.forget(at);
        }
        let pinned = self.slots.iter_mut().flatten();
        let doubted = pinned.map(|slot| {
            slot.entry.source = Source::Doubted;
            slot.key.clone()
        });
        doubted.collect()
    }

    pub(super) fn check(&self, whole: bool) {
        let mut indexed = 0;
        let mut pinned = 0;
        for (at, slot) in self.slots.iter().enumerate() {
            let Some(slot) = slot else { continue };
            assert_eq!(
                self.places.get(&slot.key),
                Some(&at),
                "a place leads elsewhere"
            );
            let doubted = slot.entry.source == Source::Doubted;
            assert!(
                !doubted || slot.pins > 0,
                "what is doubted is kept for nobody"
            );
            assert!(!doubted || !whole, "an entry of another log is left");
            pinned += usize::from(slot.pins > 0);
            indexed += usize::from(match slot.entry.known {
                Known::Session(_)
                | Known::ApiKey(_)
                | Known::Member(_)
                | Known::Block(_)
                | Known::Templated(_) => true,
                Known::Absent => matches!(slot.key, PolicyKey::Room(_)),
                Known::Room(_) | Known::Endpoint(_) => false,
            });
        }
        assert_eq!(
            self.index.len(),
            indexed,
            "the index holds what the cache holds"
        );
        assert_eq!(
            self.places.len(),
            pinned + self.present.len + self.absent.len
        );
        assert_eq!(self.places.len() + self.free.len(), self.slots.len());
        assert!(self.present.len <= self.spare_max && self.absent.len <= self.spare_max);
    }

    fn add(&mut self, key: PolicyKey, entry: Entry) -> usize {
        let slot = Some(Slot {
            key: key.clone(),
            entry,
            pins: 0,
            older: None,
            newer: None,
        });
        let at = if let Some(at) = self.free.pop() {
            self.slots[at] = slot;
            at
        } else {
            self.slots.push(slot);
            self.slots.len() - 1
        };
        self.places.insert(key, at);
        at
    }

    fn index_out(&mut self, key: &PolicyKey) {
        if let Some(&at) = self.places.get(key) {
            let slot = self.slots[at].as_ref().expect("a place leads to a slot");
            self.index.remove(key, &slot.entry.known);
        }
    }

    fn shrink(&mut self) {
        for absent in [false, true] {
            let spare = if absent { &self.absent } else { &self.present };
            if let Some(oldest) = spare.oldest.filter(|_| spare.len > self.spare_max) {
                self.forget(oldest);
            }
        }
    }

    fn forget(&mut self, at: usize) {
        let key = self.slot(at).key.clone();
        self.remove(&key);
    }

    fn slot(&self, at: usize) -> &Slot {
        self.slots[at].as_ref().expect("a place leads to a slot")
    }

    fn slot_mut(&mut self, at: usize) -> &mut Slot {
        self.slots[at].as_mut().expect("a place leads to a slot")
    }

    fn spare(&mut self, at: usize) -> &mut Spare {
        match self.slot(at).entry.known {
            Known::Absent => &mut self.absent,
            Known::Room(_)
            | Known::Templated(_)
            | Known::Session(_)
            | Known::Member(_)
            | Known::Block(_)
            | Known::ApiKey(_)
            | Known::Endpoint(_) => &mut self.present,
        }
    }

    /// Makes an unpinned entry the last to be forgotten.
    fn link(&mut self, at: usize) {
        if self.slot(at).pins > 0 {
            return;
        }
        let spare = self.spare(at);
        spare.len += 1;
        let older = spare.newest.replace(at);
        match older {
            Some(older) => self.slot_mut(older).newer = Some(at),
            None => self.spare(at).oldest = Some(at),
        }
        let slot = self.slot_mut(at);
        (slot.older, slot.newer) = (older, None);
    }

    /// Takes an unpinned entry out of the order, before it changes.
    fn unlink(&mut self, at: usize) {
        let slot = self.slot(at);
        if slot.pins > 0 {
            return;
        }
        let (older, newer) = (slot.older, slot.newer);
        match older {
            Some(older) => self.slot_mut(older).newer = newer,
            None => self.spare(at).oldest = newer,
        }
        match newer {
            Some(newer) => self.slot_mut(newer).older = older,
            None => self.spare(at).newest = older,
        }
        self.spare(at).len -= 1;
    }
}
