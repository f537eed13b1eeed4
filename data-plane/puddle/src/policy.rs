//! A puddle's knowledge of what the control plane said, by revision, and how
//! fresh it is. Owns the cache, the questions about it and the order in which
//! answers and changes count. Never judges anybody, and never asks by itself.

use core::time::Duration;
use std::sync::Arc;

use porthouse_model::{
    Member, PolicyKey, Revision, Room, RoomId, RoomName, Session, SessionId, Time, TokenHash,
    UserId,
};
use porthouse_rules::Rules;

use crate::input::Changed;
use crate::question::{Answer, Question, QuestionId};
use crate::seed::Hasher;
use crate::settings::Settings;

/// A persistent room with its rules compiled.
#[derive(Debug)]
pub struct RoomPolicy {
    /// As the control plane has it.
    pub room: Room,
    /// Its rules, compiled.
    pub rules: Rules,
}

impl RoomPolicy {
    /// Compiles a room's rules. Rules that this version cannot compile, which a
    /// newer control plane may send, are replaced by ones that admit nobody.
    #[must_use]
    pub fn compile(room: Room) -> Self {
        let rules = Rules::compile(room.rules.clone()).unwrap_or_else(|_| Rules::shut());
        Self { room, rules }
    }
}

/// What is known of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found<T> {
    /// It stands like this.
    Present(T),
    /// There is no such thing.
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
    /// A session has ended.
    Session(SessionId),
}

/// What one puddle knows.
#[derive(Debug)]
pub(crate) struct Policy {
    applied: Revision,
}

impl Policy {
    /// Knows nothing, until the first [`Self::resync`].
    pub(crate) fn new(settings: &Settings, hasher: Hasher) -> Self {
        let _ = (settings, hasher);
        Self {
            applied: Revision(0),
        }
    }

    /// How a room stands; `None`: it must be asked.
    pub(crate) fn room(&mut self, now: Time, name: &RoomName) -> Option<Found<Arc<RoomPolicy>>> {
        let _ = (now, name);
        None
    }

    /// How a session stands; `None`: it must be asked. Its expiry is the caller's
    /// to judge, by the wall clock.
    pub(crate) fn session(&mut self, now: Time, token: &TokenHash) -> Option<Found<Arc<Session>>> {
        let _ = (now, token);
        None
    }

    /// How a membership stands; `None`: it must be asked. Its expiry is the
    /// caller's to judge, by the wall clock.
    pub(crate) fn member(
        &mut self,
        now: Time,
        room: RoomId,
        user: UserId,
    ) -> Option<Found<Member>> {
        let _ = (now, room, user);
        None
    }

    /// Asks about something that is not known. One question a key is under way.
    pub(crate) fn ask(&mut self, key: PolicyKey) -> Asked {
        let _ = key;
        Asked::TooMany
    }

    /// Names a question of the caller's own: a password or a sign-in. Counts
    /// among the questions under way until it is answered; `None`: too many.
    pub(crate) fn reserve(&mut self) -> Option<QuestionId> {
        None
    }

    /// Takes an answer. The answer to a sign-in is kept too, unless what was
    /// applied meanwhile ended the session: after it, look the session up by its
    /// token, and ask for it as for any other.
    pub(crate) fn answered(&mut self, now: Time, question: QuestionId, answer: &Answer) -> Outcome {
        let _ = (now, question, answer);
        Outcome::NotMine
    }

    /// Applies the next revision.
    pub(crate) fn change(&mut self, changed: &Changed) -> Vec<Touched> {
        self.applied = changed.revision;
        Vec::new()
    }

    /// The log was cut or rewound, or is followed for the first time from here.
    /// What no socket needs is forgotten; the rest is believed as of the old
    /// revision until each has its answer: see [`Self::due`].
    pub(crate) fn resync(&mut self, now: Time, revision: Revision) {
        let _ = now;
        self.applied = revision;
    }

    /// The next question that a resync must put out now; call it each turn until
    /// `None`.
    pub(crate) fn due(&mut self, now: Time) -> Option<(QuestionId, Question)> {
        let _ = now;
        None
    }

    /// When [`Self::due`] must be called again.
    pub(crate) fn deadline(&self) -> Option<Time> {
        None
    }

    /// The control plane was heard: there is nothing after this revision.
    pub(crate) fn fresh(&mut self, now: Time, revision: Revision) {
        let _ = (now, revision);
    }

    /// What is known holds at least at this revision.
    pub(crate) fn applied(&self) -> Revision {
        self.applied
    }

    /// How old that is: the time since there was word that nothing came after
    /// it. [`Duration::MAX`] before the first.
    pub(crate) fn age(&self, now: Time) -> Duration {
        now.since(Time::ZERO)
    }

    /// A live socket needs this, which is known: it is kept until as many
    /// [`Self::unpin`]. A transient room's name is pinned too.
    pub(crate) fn pin(&mut self, key: &PolicyKey) {
        let _ = key;
    }

    /// A live socket needs this no longer.
    pub(crate) fn unpin(&mut self, key: &PolicyKey) {
        let _ = key;
    }

    /// Checks every invariant.
    pub(crate) fn check(&self) {}
}
