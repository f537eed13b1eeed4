//! Questions under way, and what was changed under them. Owns the names of all
//! of a puddle's questions and the tombstones: what an answer must know to be
//! believed. Never keeps an answer.

use std::collections::{BTreeMap, BTreeSet};

use porthouse_model::{
    ApiKeyId, NamePrefix, PolicyKey, Revision, RoomId, RoomName, SessionId, UserId,
};

use super::template;
use crate::question::{Known, QuestionId};
use crate::seed::{Hasher, Map};

/// A question under way.
#[derive(Debug)]
pub(super) struct Flight {
    /// About what; `None`: about something only the caller knows.
    pub(super) key: Option<PolicyKey>,
    /// An answer from before this is not believed: it is what was applied when
    /// the question was asked, and later the last change to the key.
    pub(super) min_revision: Revision,
    /// Whether a resync asks.
    pub(super) resyncs: bool,
}

/// All questions of a puddle that are under way.
#[derive(Debug)]
pub(super) struct Flights {
    next: u64,
    by_question: BTreeMap<QuestionId, Flight>,
    by_key: Map<PolicyKey, QuestionId>,
    /// The rooms among them, for what changes under a prefix.
    names: BTreeSet<RoomName>,
    ended: Ended,
    questions_max: usize,
}

impl Flights {
    pub(super) fn new(questions_max: usize, hasher: Hasher) -> Self {
        Self {
            next: 0,
            by_question: BTreeMap::new(),
            by_key: Map::with_hasher(hasher),
            names: BTreeSet::new(),
            ended: Ended::new(questions_max),
            questions_max,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.by_question.len() >= self.questions_max
    }

    pub(super) fn about(&self, key: &PolicyKey) -> bool {
        self.by_key.contains_key(key)
    }

    pub(super) fn start(&mut self, flight: Flight) -> QuestionId {
        let question = QuestionId(self.next);
        self.next += 1;
        self.ended.watchers += usize::from(flight.sees_ends());
        if let Some(key) = &flight.key {
            let other = self.by_key.insert(key.clone(), question);
            assert_eq!(other, None, "one question a key is under way");
            if let PolicyKey::Room(name) = key {
                self.names.insert(name.clone());
            }
        }
        self.by_question.insert(question, flight);
        question
    }

    /// What was asked, and under what name it ends now. Nothing that ended
    /// meanwhile is forgotten before [`Self::finish`].
    pub(super) fn take(&mut self, question: QuestionId) -> Option<Flight> {
        let flight = self.by_question.remove(&question)?;
        if let Some(key) = &flight.key {
            self.by_key.remove(key);
            if let PolicyKey::Room(name) = key {
                self.names.remove(name);
            }
        }
        Some(flight)
    }

    /// The flight's answer was judged.
    pub(super) fn finish(&mut self, flight: &Flight) {
        if flight.sees_ends() {
            self.ended.unwatch();
        }
    }

    /// A tombstone: the key changed here, so an answer from before is not
    /// believed.
    pub(super) fn touch(&mut self, key: &PolicyKey, revision: Revision) {
        if let Some(question) = self.by_key.get(key) {
            let flight = self.by_question.get_mut(question);
            let flight = flight.expect("a key's question is under way");
            flight.min_revision = flight.min_revision.max(revision);
        }
    }

    /// A tombstone for every name with a prefix.
    pub(super) fn touch_names(&mut self, prefix: &NamePrefix, revision: Revision) {
        let covered: Vec<_> = template::covered(&self.names, prefix).cloned().collect();
        for name in covered {
            self.touch(&PolicyKey::Room(name), revision);
        }
    }

    /// A tombstone for what is not asked for by its identity.
    pub(super) fn end(&mut self, what: Mortal, revision: Revision) {
        self.ended.insert(what, revision);
    }

    /// The oldest answer of this content that is believed, as far as ends go.
    pub(super) fn ended(&self, known: &Known) -> Revision {
        self.ended.last(known)
    }

    /// The log was cut: answers must be of the log that is followed from here.
    pub(super) fn restart(&mut self, revision: Revision) {
        for flight in self.by_question.values_mut() {
            flight.min_revision = revision;
            flight.resyncs = false;
        }
        self.ended.clear();
    }

    pub(super) fn check(&self) {
        let keyed = self
            .by_question
            .iter()
            .filter_map(|(question, flight)| flight.key.as_ref().map(|key| (question, key)));
        let mut keys = 0;
        for (question, key) in keyed {
            assert_eq!(self.by_key.get(key), Some(question), "a question is lost");
            keys += 1;
        }
        assert_eq!(self.by_key.len(), keys);
        assert!(self.names.len() <= keys, "a name is of a question");
        assert!(self.by_question.len() <= self.questions_max);
        let watchers = self
            .by_question
            .values()
            .filter(|flight| flight.sees_ends());
        assert_eq!(self.ended.watchers, watchers.count());
        assert!(self.ended.watchers > 0 || self.ended.at.is_empty());
    }
}

impl Flight {
    /// Whether what its answer brings may end by the end of something else than
    /// its key.
    const fn sees_ends(&self) -> bool {
        match &self.key {
            Some(
                PolicyKey::Session(_)
                | PolicyKey::ApiKey(_)
                | PolicyKey::Member(..)
                | PolicyKey::Block(..),
            )
            | None => true,
            Some(PolicyKey::Room(_) | PolicyKey::Endpoint(_)) => false,
        }
    }
}

/// Something that ends for good, by itself or with all that hangs on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mortal {
    /// A session.
    Session(SessionId),
    /// All sessions of a user.
    User(UserId),
    /// All memberships and blocks of a room.
    Room(RoomId),
    /// An API key.
    ApiKey(ApiKeyId),
}

/// What ended while somebody asked for something that ends with it: whose a
/// session is, for one, only the answer tells.
#[derive(Debug)]
struct Ended {
    at: BTreeMap<Mortal, Revision>,
    /// When more ended than is remembered: all before this are doubted.
    floor: Revision,
    watchers: usize,
    ends_max: usize,
}

impl Ended {
    const fn new(ends_max: usize) -> Self {
        Self {
            at: BTreeMap::new(),
            floor: Revision(0),
            watchers: 0,
            ends_max,
        }
    }

    fn insert(&mut self, what: Mortal, revision: Revision) {
        if self.watchers == 0 {
            return;
        }
        if self.at.len() >= self.ends_max {
            self.at.clear();
            self.floor = revision;
        }
        self.at.insert(what, revision);
    }

    fn last(&self, known: &Known) -> Revision {
        let at = |what| self.at.get(&what).copied().unwrap_or_default();
        let ended = match known {
            Known::Session(session) => {
                at(Mortal::Session(session.id)).max(at(Mortal::User(session.user)))
            }
            Known::ApiKey(api_key) => at(Mortal::ApiKey(api_key.id)),
            Known::Member(member) => at(Mortal::Room(member.room)),
            Known::Block(block) => at(Mortal::Room(block.room)),
            Known::Room(_) | Known::Templated(_) | Known::Endpoint(_) | Known::Absent => {
                return Revision(0);
            }
        };
        ended.max(self.floor)
    }

    fn unwatch(&mut self) {
        self.watchers -= 1;
        if self.watchers == 0 {
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.at.clear();
        self.floor = Revision(0);
    }
}
