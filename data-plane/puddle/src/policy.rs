//! A puddle's knowledge of what the control plane said, by revision, and how
//! fresh it is. Owns the cache, the questions about it and the order in which
//! answers and changes count. Never judges anybody, and never asks by itself.

mod apply;
mod cache;
mod clock;
mod compiled;
mod flight;
mod index;
mod lookup;
mod resync;
mod template;

use core::time::Duration;
use std::sync::Arc;

use porthouse_model::{Address, PolicyKey, Revision, RoomId, RoomName, SessionId, Time, UserId};

use self::cache::{Cache, Entry, Source};
pub(crate) use self::clock::{Clock, Lasting};
pub use self::compiled::{RoomPolicy, TemplatePolicy};
use self::flight::{Flight, Flights};
use self::resync::Resync;
use crate::input::Changed;
use crate::question::{Answer, Known, Question, QuestionId, SignInVerdict};
use crate::seed::Hasher;
use crate::settings::Settings;

/// What is known of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found<T> {
    /// It stands like this.
    Present(T),
    /// There is no such thing.
    Absent,
}

/// What stands under a room's name.
#[derive(Clone, Debug)]
pub(crate) enum Named {
    /// A room of its own.
    Room(Arc<RoomPolicy>),
    /// A template covers it.
    Templated(Arc<TemplatePolicy>),
    /// Nothing.
    Absent,
}

/// What came of asking.
#[derive(Debug)]
pub(crate) enum Asked {
    /// This question must be put out.
    New {
        question: QuestionId,
        what: Question,
    },
    /// A question about it is under way.
    UnderWay,
    /// As many questions are under way as may be.
    TooMany,
}

/// What came of an answer.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// This is known now, perhaps otherwise than before: whoever waits for it
    /// goes on, and whoever is inside by it is judged again.
    Known(PolicyKey),
    /// The answer is older than a change that was applied meanwhile: this
    /// question must be put out, and those who wait go on waiting.
    AskAgain {
        question: QuestionId,
        what: Question,
    },
    /// The control plane could not be asked.
    Unavailable(PolicyKey),
    /// The answer to a question that only the caller knows.
    NotMine,
}

/// Something that a change or an answer touched: whoever is inside by it is
/// judged again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Touched {
    /// A room was made, changed or deleted.
    Room(RoomName),
    /// A membership.
    Member(RoomId, UserId),
    /// A user was blocked in a room, or is no more.
    Block(RoomId, UserId),
    /// A session or a device token has ended.
    Session(SessionId),
    /// A device token opens something else than before.
    Device(SessionId),
    /// What is at an address was made, changed or withdrawn.
    Endpoint(Address),
}

/// How much is kept and asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PolicyLimits {
    /// Questions under way.
    pub(crate) questions_max: usize,
    /// Entries that exist and nobody pins; and as many that do not exist.
    pub(crate) entries_max: usize,
    /// How long it is believed that something does not exist, though the log
    /// would tell that it was made.
    pub(crate) absent_time_max: Duration,
    /// The same of what is made without the log: sessions and API keys.
    pub(crate) unlogged_absent_time_max: Duration,
}

impl From<&Settings> for PolicyLimits {
    fn from(settings: &Settings) -> Self {
        Self {
            questions_max: settings.questions_max,
            entries_max: settings.policy_entries_max,
            absent_time_max: settings.absent_time_max,
            unlogged_absent_time_max: settings.absent_time_max,
        }
    }
}

/// What one asker of the control plane knows.
///
/// The one rule: an answer read at revision R is believed if R is not before
/// what was applied when it was asked for, and no change after R touched its key
/// since. An entry remembers its R, and changes up to R do nothing to it.
#[derive(Debug)]
pub(crate) struct Policy {
    limits: PolicyLimits,
    cache: Cache,
    flights: Flights,
    followed: Followed,
    /// The last revision that was applied with all before it.
    applied: Revision,
    /// When it was heard that nothing is after that.
    heard: Option<Time>,
    /// What was last told of the wall clock.
    clock: Option<Clock>,
}

/// How the log is followed.
#[derive(Debug)]
enum Followed {
    /// Not yet.
    Never,
    /// Everything known is of this log.
    Whole,
    /// Some of what is known is from before it was cut.
    Resyncing(Resync),
}

impl Policy {
    /// Knows nothing, until the first [`Self::resync`].
    pub(crate) fn new(limits: impl Into<PolicyLimits>, hasher: Hasher) -> Self {
        let limits = limits.into();
        Self {
            limits,
            cache: Cache::new(limits.entries_max, hasher),
            flights: Flights::new(limits.questions_max, hasher),
            followed: Followed::Never,
            applied: Revision(0),
            heard: None,
            clock: None,
        }
    }

    /// The wall clock says this now: what arrives from here on ends by it.
    pub(crate) fn wall(&mut self, clock: Clock) {
        self.clock = Some(clock);
    }

    /// What was last told of the wall clock.
    pub(crate) const fn clock(&self) -> Option<Clock> {
        self.clock
    }

    /// Whether something is being asked about.
    pub(crate) fn is_asked(&self, key: &PolicyKey) -> bool {
        self.flights.about(key)
    }

    /// Asks about something that is not known. One question a key is under way.
    pub(crate) fn ask(&mut self, key: PolicyKey) -> Asked {
        if self.flights.about(&key) {
            return Asked::UnderWay;
        }
        if self.flights.is_full() {
            return Asked::TooMany;
        }
        let (question, what) = self.put_out(key, self.told(), false);
        Asked::New { question, what }
    }

    /// Names a question of the caller's own: a password or a sign-in. Counts
    /// among the questions under way until it is answered; `None`: too many.
    pub(crate) fn reserve(&mut self) -> Option<QuestionId> {
        let min_revision = self.told();
        let own = Flight {
            key: None,
            min_revision,
            resyncs: false,
        };
        (!self.flights.is_full()).then(|| self.flights.start(own))
    }

    /// A name that was reserved is not asked under.
    pub(crate) fn give_back(&mut self, question: QuestionId) {
        if let Some(flight) = self.flights.take(question) {
            self.flights.finish(&flight);
        }
    }

    /// Takes an answer. The answer to a sign-in is kept too, unless what was
    /// applied meanwhile ended the session: after it, look the session up by its
    /// token, and ask for it as for any other.
    pub(crate) fn answered(&mut self, now: Time, question: QuestionId, answer: &Answer) -> Outcome {
        let Some(flight) = self.flights.take(question) else {
            return Outcome::NotMine;
        };
        let ended = match answer {
            Answer::Resolved { known, .. } => self.flights.ended(known),
            Answer::SignIn(SignInVerdict::Right { session, .. }) => {
                self.flights.ended(&Known::Session(Arc::clone(session)))
            }
            Answer::SignIn(
                SignInVerdict::CodeNeeded { .. }
                | SignInVerdict::Wrong
                | SignInVerdict::Gone
                | SignInVerdict::Later(_),
            )
            | Answer::Verified(_)
            | Answer::Unavailable => Revision(0),
        };
        self.flights.finish(&flight);
        let min_revision = flight.min_revision.max(ended);
        match flight.key {
            Some(key) => self.resolved(now, key, min_revision, flight.resyncs, answer),
            None => self.signed_in(now, min_revision, answer),
        }
    }

    /// Applies the next revision. What it answers may have nobody inside.
    pub(crate) fn change(&mut self, changed: &Changed) -> Vec<Touched> {
        let revision = changed.revision;
        assert_eq!(
            revision.0,
            self.told().0 + 1,
            "revisions come in order, none missing"
        );
        let mut touched = Vec::new();
        for item in &changed.items {
            self.apply(revision, item, &mut touched);
        }
        match &mut self.followed {
            Followed::Resyncing(resync) => resync.told = revision,
            Followed::Whole => self.applied = revision,
            Followed::Never => unreachable!("a log is followed from a resync"),
        }
        self.finish_resync();
        // What ended with its user's sessions and was told again has not ended.
        touched.retain(|touched| match touched {
            Touched::Session(id) => self.cache.index().session(*id).is_none(),
            Touched::Room(_)
            | Touched::Member(..)
            | Touched::Block(..)
            | Touched::Device(_)
            | Touched::Endpoint(_) => true,
        });
        touched
    }

    /// The log was cut or rewound, or is followed for the first time from here.
    /// What no socket needs is forgotten; the rest is believed as of the old
    /// revision, and no fresher, until each has its answer: see [`Self::due`].
    pub(crate) fn resync(&mut self, now: Time, revision: Revision) {
        self.flights.restart(revision);
        let resync = Resync::new(now, revision, self.cache.doubt());
        self.followed = Followed::Resyncing(resync);
        self.finish_resync();
    }

    /// The next question that a resync must put out now; call it each turn until
    /// `None`.
    pub(crate) fn due(&mut self, now: Time) -> Option<(QuestionId, Question)> {
        let Followed::Resyncing(resync) = &mut self.followed else {
            return None;
        };
        while !self.flights.is_full() {
            let key = resync.next(now)?;
            if !self.flights.about(&key) {
                resync.asked();
                let told = resync.told;
                return Some(self.put_out(key, told, true));
            }
        }
        None
    }

    /// When [`Self::due`] must be called again.
    pub(crate) fn deadline(&self) -> Option<Time> {
        match &self.followed {
            Followed::Resyncing(resync) => resync.deadline(),
            Followed::Never | Followed::Whole => None,
        }
    }

    /// The control plane was heard: there is nothing after this revision, which
    /// is the last that was told. Any other word is no progress.
    pub(crate) fn fresh(&mut self, now: Time, revision: Revision) {
        match &mut self.followed {
            Followed::Resyncing(resync) if resync.told == revision => resync.heard = now,
            Followed::Whole if self.applied == revision => self.heard = Some(now),
            Followed::Never | Followed::Whole | Followed::Resyncing(_) => {}
        }
    }

    /// What is known holds at least at this revision.
    pub(crate) const fn applied(&self) -> Revision {
        self.applied
    }

    /// What is known of a room holds at least at this revision: where it was read
    /// since, changes up to there are in it already.
    pub(crate) fn known_as_of(&self, room: &RoomName) -> Revision {
        let known = self.cache.peek(&PolicyKey::Room(room.clone()));
        let read = known.filter(|entry| entry.source != Source::Doubted);
        read.map_or(self.applied, |entry| entry.revision.max(self.applied))
    }

    /// The same, where it may be said: while what live sockets stand on is asked
    /// anew it is of a log that is followed no more.
    pub(crate) const fn settled(&self) -> Option<Revision> {
        match &self.followed {
            Followed::Whole => Some(self.applied),
            Followed::Never | Followed::Resyncing(_) => None,
        }
    }

    /// How old that is: the time since there was word that nothing came after
    /// it. [`Duration::MAX`] before the first.
    pub(crate) fn age(&self, now: Time) -> Duration {
        self.heard.map_or(Duration::MAX, |heard| now.since(heard))
    }

    /// A live socket needs this, which is known, as existing or not: it is kept
    /// until as many [`Self::unpin`].
    pub(crate) fn pin(&mut self, key: &PolicyKey) {
        self.cache.pin(key);
    }

    /// A live socket needs this no longer.
    pub(crate) fn unpin(&mut self, key: &PolicyKey) {
        let doubtful = self
            .cache
            .peek(key)
            .is_some_and(|entry| entry.source == Source::Doubted);
        if doubtful && self.cache.pins(key) == 1 {
            self.cache.remove(key);
            self.made_sure(key);
        } else {
            self.cache.unpin(key);
        }
    }

    /// Checks every invariant.
    pub(crate) fn check(&self) {
        self.flights.check();
        match &self.followed {
            Followed::Never => assert!(self.heard.is_none(), "a log not followed was heard"),
            Followed::Whole => self.cache.check(true),
            Followed::Resyncing(resync) => {
                self.cache.check(false);
                assert!(!resync.is_done(), "a resync ends with its last answer");
                for key in resync.left() {
                    let entry = self.cache.peek(key).expect("what is left to ask is pinned");
                    assert_eq!(
                        entry.source,
                        Source::Doubted,
                        "only what is doubted is left"
                    );
                }
            }
        }
    }

    /// The last revision that was told, applied or not.
    const fn told(&self) -> Revision {
        match &self.followed {
            Followed::Resyncing(resync) => resync.told,
            Followed::Never | Followed::Whole => self.applied,
        }
    }

    /// How anything stands; `None`: it must be asked.
    pub(crate) fn known(&mut self, now: Time, key: &PolicyKey) -> Option<Known> {
        self.cache.get(now, key).map(|entry| entry.known.clone())
    }

    fn put_out(
        &mut self,
        key: PolicyKey,
        min_revision: Revision,
        resyncs: bool,
    ) -> (QuestionId, Question) {
        let flight = Flight {
            key: Some(key.clone()),
            min_revision,
            resyncs,
        };
        (
            self.flights.start(flight),
            Question::Resolve { key, min_revision },
        )
    }

    fn resolved(
        &mut self,
        now: Time,
        key: PolicyKey,
        min_revision: Revision,
        resyncs: bool,
        answer: &Answer,
    ) -> Outcome {
        let read = match answer {
            Answer::Resolved { revision, known } if fits(&key, known) => Some((*revision, known)),
            Answer::Resolved { .. }
            | Answer::Verified(_)
            | Answer::SignIn(_)
            | Answer::Unavailable => None,
        };
        if let Some((revision, _)) = read
            && revision < min_revision
        {
            let (question, what) = self.put_out(key, min_revision.max(self.told()), resyncs);
            return Outcome::AskAgain { question, what };
        }
        if let Followed::Resyncing(resync) = &mut self.followed {
            if resyncs {
                resync.answered();
            }
            if read.is_none() {
                resync.unanswered(now, &key);
            }
        }
        let Some((revision, known)) = read else {
            return Outcome::Unavailable(key);
        };
        self.learn(now, &key, revision, known.clone());
        Outcome::Known(key)
    }

    /// A session that somebody else asked to be opened, if what was read is not
    /// older than what was told.
    pub(crate) fn overheard(&mut self, now: Time, answer: &Answer) {
        self.signed_in(now, self.told(), answer);
    }

    fn signed_in(&mut self, now: Time, min_revision: Revision, answer: &Answer) -> Outcome {
        if let Answer::SignIn(SignInVerdict::Right {
            session,
            token,
            revision,
            ..
        }) = answer
            && *revision >= min_revision
        {
            let known = Known::Session(Arc::clone(session));
            self.learn(now, &PolicyKey::Session(*token), *revision, known);
        }
        Outcome::NotMine
    }

    /// Keeps what was read at a revision, unless newer is known.
    fn learn(&mut self, now: Time, key: &PolicyKey, revision: Revision, known: Known) {
        let newer = self
            .cache
            .peek(key)
            .is_some_and(|entry| entry.is_after(revision));
        if !newer {
            let absent = matches!(known, Known::Absent);
            let absent_time_max = if is_logged(key) {
                self.limits.absent_time_max
            } else {
                self.limits.unlogged_absent_time_max
            };
            let expires = absent.then(|| now + absent_time_max);
            self.cache.put(
                key.clone(),
                Entry {
                    known,
                    revision,
                    expires,
                    source: Source::Read,
                    clock: self.clock,
                },
            );
        }
        self.made_sure(key);
    }

    fn made_sure(&mut self, key: &PolicyKey) {
        if let Followed::Resyncing(resync) = &mut self.followed {
            resync.settled(key);
            self.finish_resync();
        }
    }

    fn finish_resync(&mut self) {
        if let Followed::Resyncing(resync) = &self.followed
            && resync.is_done()
        {
            self.applied = resync.told;
            self.heard = Some(resync.heard);
            self.followed = Followed::Whole;
        }
    }
}

/// Whether the log tells when such a thing is made.
const fn is_logged(key: &PolicyKey) -> bool {
    match key {
        PolicyKey::Room(_)
        | PolicyKey::Member(..)
        | PolicyKey::Block(..)
        | PolicyKey::Endpoint(_) => true,
        PolicyKey::Session(_) | PolicyKey::ApiKey(_) => false,
    }
}

/// Whether an answer is one to this key.
fn fits(key: &PolicyKey, known: &Known) -> bool {
    match known {
        Known::Room(policy) => *key == PolicyKey::Room(policy.room.name.clone()),
        Known::Templated(policy) => {
            matches!(key, PolicyKey::Room(name) if policy.template.prefix.covers(name))
        }
        Known::Session(_) => matches!(key, PolicyKey::Session(_)),
        Known::Member(member) => *key == PolicyKey::Member(member.room, member.user),
        Known::Block(block) => *key == PolicyKey::Block(block.room, block.user),
        Known::ApiKey(_) => matches!(key, PolicyKey::ApiKey(_)),
        Known::Endpoint(endpoint) => *key == PolicyKey::Endpoint(endpoint.address.clone()),
        Known::Absent => true,
    }
}

#[cfg(test)]
pub(crate) mod tests;
