//! One resolve for many askers: keys waiting to be asked for, requests under
//! way, and who waits for which. Owns the askers; never what was found.
//!
//! An asker joins a request under way only if that request must be at least as
//! new as the asker needs. Nothing is asked before the log is followed, so no
//! answer is from before the changes that will be told. While the watch is
//! broken, requests go on: each answer is at least as new as what its asker has
//! applied, and the watch goes on from the last change that was told, so that
//! none after the answer is missed; where it cannot, all is asked anew.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use porthouse_model::{PolicyKey, Revision, Time};

use super::SwitchboardSettings;
use super::action::Action;
use super::event::RequestId;
use crate::input::PuddleId;
use crate::question::QuestionId;

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asker {
    /// The puddle; `None`: the node itself.
    pub(super) puddle: Option<PuddleId>,
    pub(super) question: QuestionId,
}

/// All resolves of a node.
#[derive(Debug)]
pub(super) struct Resolves {
    waiting: BTreeMap<PolicyKey, Waiting>,
    /// The waiting keys, the first to be given up first.
    queue: BTreeSet<(Time, PolicyKey)>,
    requests: BTreeMap<RequestId, Request>,
    /// Where to join: the newest request about a key.
    flying: BTreeMap<PolicyKey, (RequestId, usize)>,
    /// Puddles' alone.
    askers: usize,
    askers_max: usize,
    requests_max: usize,
    keys_max: usize,
    time_max: Duration,
}

#[derive(Debug)]
struct Waiting {
    min_revision: Revision,
    until: Time,
    askers: Vec<Asker>,
}

#[derive(Debug)]
struct Request {
    keys: Vec<PolicyKey>,
    askers: Vec<Vec<Asker>>,
    min_revision: Revision,
    until: Time,
}

/// What came of a request.
#[derive(Debug)]
pub(super) enum Landed {
    /// An answer to each of these, by key in the order of the request.
    Answered(Vec<Vec<Asker>>),
    /// None that is one.
    Unavailable(Vec<Asker>),
}

impl Resolves {
    pub(super) const fn new(settings: &SwitchboardSettings) -> Self {
        Self {
            waiting: BTreeMap::new(),
            queue: BTreeSet::new(),
            requests: BTreeMap::new(),
            flying: BTreeMap::new(),
            askers: 0,
            askers_max: settings.questions_max,
            requests_max: settings.requests_max,
            keys_max: settings.keys_per_request_max,
            time_max: settings.request_time_max,
        }
    }

    /// Takes a question; not if as many wait as may.
    #[must_use]
    pub(super) fn ask(
        &mut self,
        now: Time,
        asker: Asker,
        key: PolicyKey,
        min_revision: Revision,
    ) -> bool {
        // The node asks once what puddles ask, and its backends' calls are counted.
        if asker.puddle.is_some() {
            if self.askers >= self.askers_max {
                return false;
            }
            self.askers += 1;
        }
        if let Some((request, at)) = self.flying.get(&key) {
            let request = self
                .requests
                .get_mut(request)
                .expect("what flies is under way");
            if request.min_revision >= min_revision {
                request.askers[*at].push(asker);
                return true;
            }
        }
        self.wait(
            key,
            Waiting {
                min_revision,
                until: now + self.time_max,
                askers: vec![asker],
            },
        );
        true
    }

    /// The next request to put out. Call it until `None`, while the log is
    /// followed.
    pub(super) fn next(&mut self, now: Time, request: RequestId) -> Option<Action> {
        if self.queue.is_empty() || self.requests.len() >= self.requests_max {
            return None;
        }
        let mut put_out = Request {
            keys: Vec::new(),
            askers: Vec::new(),
            min_revision: Revision(0),
            until: now + self.time_max,
        };
        while put_out.keys.len() < self.keys_max
            && let Some((_, key)) = self.queue.pop_first()
        {
            let waiting = self.waiting.remove(&key).expect("what is queued waits");
            put_out.min_revision = put_out.min_revision.max(waiting.min_revision);
            put_out.askers.push(waiting.askers);
            self.flying
                .insert(key.clone(), (request, put_out.keys.len()));
            put_out.keys.push(key);
        }
        let (keys, min_revision) = (put_out.keys.clone(), put_out.min_revision);
        self.requests.insert(request, put_out);
        Some(Action::Resolve {
            request,
            keys,
            min_revision,
        })
    }

    /// A request has ended, with so many answers as of a revision, or none;
    /// `None`: it was given up before. Answers are bounded in bytes: where they
    /// are to the first keys alone, the rest is asked for again.
    pub(super) fn landed(
        &mut self,
        request: RequestId,
        answer: Option<(Revision, usize)>,
    ) -> Option<Landed> {
        let mut landed = self.take(request)?;
        // What is older than asked for, or more than was asked for, is none.
        let answered = answer.filter(|(revision, count)| {
            *revision >= landed.min_revision && (1..=landed.keys.len()).contains(count)
        });
        let Some((_, count)) = answered else {
            let askers: Vec<Asker> = landed.askers.into_iter().flatten().collect();
            self.askers -= of_puddles(&askers);
            return Some(Landed::Unavailable(askers));
        };
        let keys = landed.keys.split_off(count);
        let askers = landed.askers.split_off(count);
        let rest = keys.into_iter().zip(askers);
        for (key, askers) in rest.filter(|(_, askers)| !askers.is_empty()) {
            let waiting = Waiting {
                min_revision: landed.min_revision,
                until: landed.until,
                askers,
            };
            self.wait(key, waiting);
        }
        self.askers -= of_puddles(landed.askers.iter().flatten());
        Some(Landed::Answered(landed.askers))
    }

    /// Who has waited for too long, and waits no more.
    pub(super) fn expire(&mut self, now: Time) -> Vec<Asker> {
        let mut expired = Vec::new();
        while let Some((until, _)) = self.queue.first()
            && *until <= now
            && let Some((_, key)) = self.queue.pop_first()
        {
            let waiting = self.waiting.remove(&key).expect("what is queued waits");
            expired.extend(waiting.askers);
        }
        while let Some((&request, first)) = self.requests.first_key_value()
            && first.until <= now
            && let Some(request) = self.take(request)
        {
            expired.extend(request.askers.into_iter().flatten());
        }
        self.askers -= of_puddles(&expired);
        expired
    }

    /// The log is another: what was asked of the old one is asked of this.
    pub(super) fn restart(&mut self, revision: Revision) {
        for waiting in self.waiting.values_mut() {
            waiting.min_revision = revision;
        }
        while let Some((&request, _)) = self.requests.first_key_value()
            && let Some(Request {
                keys,
                askers,
                until,
                ..
            }) = self.take(request)
        {
            for (key, askers) in keys.into_iter().zip(askers) {
                self.wait(
                    key,
                    Waiting {
                        min_revision: revision,
                        until,
                        askers,
                    },
                );
            }
        }
    }

    /// A puddle asks no more.
    pub(super) fn forget(&mut self, puddle: PuddleId) {
        let mut left = 0;
        let mut keep = |askers: &mut Vec<Asker>| {
            askers.retain(|asker| asker.puddle != Some(puddle));
            left += of_puddles(&*askers);
            !askers.is_empty()
        };
        for request in self.requests.values_mut() {
            for askers in &mut request.askers {
                keep(askers);
            }
        }
        self.waiting.retain(|_, waiting| keep(&mut waiting.askers));
        self.queue.retain(|(_, key)| self.waiting.contains_key(key));
        self.askers = left;
    }

    /// When [`Self::expire`] is due.
    pub(super) fn deadline(&self) -> Option<Time> {
        let waiting = self.queue.first().map(|(until, _)| *until);
        let request = self.requests.values().next().map(|request| request.until);
        waiting.into_iter().chain(request).min()
    }

    pub(super) fn check(&self) {
        let waiting = self.waiting.values().flat_map(|waiting| &waiting.askers);
        let flying = self.requests.values();
        let flying = flying.flat_map(|request| request.askers.iter().flatten());
        assert_eq!(
            of_puddles(waiting.chain(flying)),
            self.askers,
            "an asker is lost"
        );
        assert!(self.askers <= self.askers_max && self.requests.len() <= self.requests_max);
        assert_eq!(self.waiting.len(), self.queue.len());
        for (until, key) in &self.queue {
            assert_eq!(
                self.waiting.get(key).map(|waiting| waiting.until),
                Some(*until)
            );
        }
        for (key, (request, at)) in &self.flying {
            let request = self.requests.get(request).expect("what flies is under way");
            assert_eq!(&request.keys[*at], key);
        }
    }

    /// Joins those who wait for the same, as the first of them waits, as new as
    /// the newest needs.
    fn wait(&mut self, key: PolicyKey, new: Waiting) {
        if let Some(waiting) = self.waiting.get_mut(&key) {
            waiting.askers.extend(new.askers);
            waiting.min_revision = waiting.min_revision.max(new.min_revision);
        } else {
            self.queue.insert((new.until, key.clone()));
            self.waiting.insert(key, new);
        }
    }

    fn take(&mut self, request: RequestId) -> Option<Request> {
        let taken = self.requests.remove(&request)?;
        for key in &taken.keys {
            if self
                .flying
                .get(key)
                .is_some_and(|(newest, _)| *newest == request)
            {
                self.flying.remove(key);
            }
        }
        Some(taken)
    }
}

/// How many of these are puddles.
fn of_puddles<'a>(askers: impl IntoIterator<Item = &'a Asker>) -> usize {
    let askers = askers.into_iter();
    askers.filter(|asker| asker.puddle.is_some()).count()
}
