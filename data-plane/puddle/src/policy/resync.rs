//! The way back after the log was cut or rewound: everything that live sockets
//! stand on is asked for again, sessions first, a window at a time. Owns what is
//! left to ask; never the entries.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use porthouse_model::{PolicyKey, Revision, Time};

/// Questions of a resync under way: four full requests of the switchboard.
const WINDOW: usize = 1_024;

/// How long after an unanswered question it is put again.
const RETRY: Duration = Duration::from_secs(1);

/// A resync under way.
#[derive(Debug)]
pub(super) struct Resync {
    /// The last revision told of the log that is followed now.
    pub(super) told: Revision,
    /// When it was last heard that nothing is after that.
    pub(super) heard: Time,
    /// What is not known yet.
    left: BTreeMap<PolicyKey, Step>,
    ask: VecDeque<PolicyKey>,
    again: BTreeSet<(Time, PolicyKey)>,
    under_way: usize,
}

/// Where a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// In `ask` or `again`.
    Queued,
    /// A question about it is under way.
    Asked,
}

impl Resync {
    pub(super) fn new(now: Time, revision: Revision, mut keys: Vec<PolicyKey>) -> Self {
        keys.sort_by_key(|key| match key {
            PolicyKey::Session(_) | PolicyKey::ApiKey(_) => 0,
            PolicyKey::Member(..) | PolicyKey::Block(..) | PolicyKey::Endpoint(_) => 1,
            PolicyKey::Room(_) => 2,
        });
        Self {
            told: revision,
            heard: now,
            left: keys.iter().map(|key| (key.clone(), Step::Queued)).collect(),
            ask: keys.into(),
            again: BTreeSet::new(),
            under_way: 0,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.left.is_empty()
    }

    /// What must be asked next, or is already: it comes back by
    /// [`Self::unanswered`] if nothing comes of it.
    pub(super) fn next(&mut self, now: Time) -> Option<PolicyKey> {
        if self.under_way >= WINDOW {
            return None;
        }
        while self.again.first().is_some_and(|(due, _)| *due <= now) {
            self.ask.extend(self.again.pop_first().map(|(_, key)| key));
        }
        while let Some(key) = self.ask.pop_front() {
            if let Some(step) = self.left.get_mut(&key) {
                *step = Step::Asked;
                return Some(key);
            }
        }
        None
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.again.first().map(|(due, _)| *due)
    }

    /// One of the window's questions goes out.
    pub(super) const fn asked(&mut self) {
        self.under_way += 1;
    }

    /// One of the window's questions has ended.
    pub(super) const fn answered(&mut self) {
        self.under_way -= 1;
    }

    pub(super) fn unanswered(&mut self, now: Time, key: &PolicyKey) {
        if let Some(step @ Step::Asked) = self.left.get_mut(key) {
            *step = Step::Queued;
            self.again.insert((now + RETRY, key.clone()));
        }
    }

    /// It is known, or nobody needs it any more.
    pub(super) fn settled(&mut self, key: &PolicyKey) {
        self.left.remove(key);
    }

    pub(super) fn left(&self) -> impl Iterator<Item = &PolicyKey> {
        self.left.keys()
    }
}
