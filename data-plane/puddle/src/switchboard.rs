//! One a node: puddles, the client of the control plane, and backends' calls
//! joined. Owns the watch's cursor, one resolve for many askers, the calls under
//! way and what every puddle has applied. Never touches a socket or a clock.

mod chain;
mod event;
mod action;
mod watch;
mod resolves;
mod errands;
mod applied;
mod calls;
mod merge;
mod told;

use core::time::Duration;
use std::collections::BTreeSet;

use porthouse_model::{PolicyKey, Revision, Time, TokenHash};

pub use action::{Action, CallResult, ToPuddle};
pub use chain::{Chain, Position};
pub use event::{Call, CallId, Event, RequestId, Snapshot, WatchEnd, WatchId};

use self::applied::Applied;
use self::calls::Calls;
use self::errands::Errands;
use self::resolves::{Asker, Resolves};
use self::watch::{Heard, Watch};
use crate::input::PuddleId;
use crate::output::Deadline;
use crate::policy::{Asked, Clock, Found, Policy, PolicyLimits};
use crate::question::{Answer, Question, QuestionId};
use crate::seed::{Chance, Seed};

/// A switchboard's settings: every limit, by name.
#[derive(Clone, Debug)]
pub struct SwitchboardSettings {
    /// How many puddles the node has; 1 to 64.
    pub puddles: u8,
    /// What its chances grow from.
    pub seed: Seed,
    /// Questions of all puddles waiting for an answer; past it one is answered
    /// [`crate::Answer::Unavailable`] at once.
    pub questions_max: usize,
    /// Requests to resolve under way.
    pub requests_max: usize,
    /// Keys in one request to resolve; the control plane takes 256.
    pub keys_per_request_max: usize,
    /// Passwords and sign-ins under way; more wait their turn.
    pub errands_max: usize,
    /// From a question to its request, and from a request to its end; past it
    /// the question is answered [`crate::Answer::Unavailable`].
    pub request_time_max: Duration,
    /// Backends' calls under way; past it [`CallResult::TooMany`].
    pub calls_max: usize,
    /// From a call to its completion; past it [`CallResult::Unavailable`].
    pub call_time_max: Duration,
    /// Rooms or sockets in one page; a call that asks for more gets this many.
    pub page_max: usize,
    /// Silence of the watch, opening included, after which it is opened anew.
    pub watch_silence_max: Duration,
    /// The first wait before the watch is opened anew; it doubles.
    pub backoff_min: Duration,
    /// The longest such wait.
    pub backoff_max: Duration,
    /// What the node knows of itself, for its backends and for all its puddles.
    pub policy_entries_max: usize,
    /// How long the node believes that something does not exist, though the log
    /// would tell that it was made.
    pub absent_time_max: Duration,
    /// How long it is believed that an API key does not exist.
    pub key_absent_time_max: Duration,
    /// How old knowledge of an API key may be: past it
    /// [`CallResult::Unavailable`].
    pub key_staleness_max: Duration,
}

impl SwitchboardSettings {
    /// The defaults, for a node of so many puddles.
    #[must_use]
    pub fn new(puddles: u8, seed: Seed) -> Self {
        Self {
            puddles,
            seed,
            questions_max: 65_536,
            requests_max: 64,
            keys_per_request_max: 256,
            errands_max: 256,
            request_time_max: Duration::from_secs(10),
            calls_max: 1_024,
            call_time_max: Duration::from_secs(5),
            page_max: 1_000,
            watch_silence_max: Duration::from_secs(3),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
            policy_entries_max: 100_000,
            absent_time_max: Duration::from_mins(5),
            key_absent_time_max: Duration::from_secs(10),
            key_staleness_max: Duration::from_mins(15),
        }
    }
}

/// What a switchboard has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SwitchboardCounters {
    /// Requests to resolve.
    pub resolves: u64,
    /// Questions that were answered [`Answer::Unavailable`].
    pub unavailable: u64,
    /// Revisions that were told.
    pub changes: u64,
    /// Times the watch was opened.
    pub openings: u64,
    /// Times the log was followed anew, the first included.
    pub resyncs: u64,
    /// Calls that were refused because as many as may be were under way.
    pub calls_refused: u64,
}

/// One a node. Events come in, a turn is settled, actions go out.
#[derive(Debug)]
pub struct Switchboard {
    settings: SwitchboardSettings,
    watch: Watch,
    resolves: Resolves,
    errands: Errands,
    applied: Applied,
    calls: Calls,
    /// What the node knows itself: API keys, for which it asks, and all that a
    /// puddle asked for, so that what one knows the others are told, whether the
    /// control plane can be reached or not.
    known: Policy,
    /// Puddles that began anew and have had no word of freshness since: they
    /// would take what the node knows for as new as their beginning.
    unheard: BTreeSet<PuddleId>,
    drains: Option<Time>,
    requests: u64,
    counters: SwitchboardCounters,
    out: Vec<Action>,
}

impl Switchboard {
    /// A switchboard that has heard nothing. Settle it at once: it opens the
    /// watch.
    #[must_use]
    pub fn new(settings: SwitchboardSettings, now: Time) -> Self {
        assert!(
            (1..=64).contains(&settings.puddles),
            "a node has 1 to 64 puddles"
        );
        let mut chance = Chance::new(settings.seed);
        let limits = PolicyLimits {
            questions_max: settings.questions_max,
            entries_max: settings.policy_entries_max,
            absent_time_max: settings.absent_time_max,
            unlogged_absent_time_max: settings.key_absent_time_max,
        };
        Self {
            known: Policy::new(limits, chance.hasher()),
            unheard: BTreeSet::new(),
            watch: Watch::new(&settings, now, chance),
            resolves: Resolves::new(&settings),
            errands: Errands::new(&settings),
            applied: Applied::new(settings.puddles),
            calls: Calls::new(&settings),
            drains: None,
            requests: 0,
            counters: SwitchboardCounters::default(),
            out: Vec::new(),
            settings,
        }
    }

    /// Something happened. Never fails.
    pub fn handle(&mut self, now: Time, event: Event) {
        self.watch.expire(now);
        match event {
            Event::Asked {
                puddle,
                question,
                what,
            } => self.asked(now, puddle, question, what),
            Event::Applied { puddle, revision } => self.settled(puddle, revision),
            Event::Replied {
                puddle,
                order,
                reply,
            } => self.calls.replied(puddle, order, reply),
            Event::PuddleRestarted { puddle } => self.puddle_restarted(puddle),
            Event::WatchOpened { watch, head } => {
                let heard = self.watch.opened(now, watch, head);
                self.heard(now, heard, None);
                if heard != Heard::Nothing {
                    self.acknowledge_again();
                }
            }
            Event::Changed {
                watch,
                change,
                payload,
                chain,
            } => {
                let heard = self
                    .watch
                    .changed(now, watch, change.revision, &payload, chain);
                self.heard(now, heard, Some(change));
            }
            Event::Progress { watch, head } => {
                let heard = self.watch.progress(now, watch, head);
                self.heard(now, heard, None);
            }
            Event::WatchLost { watch, reason } => self.watch.lost(now, watch, reason),
            Event::Resolved { request, found } => self.resolved(now, request, found),
            Event::Verified { request, verdict } => {
                self.errand_ended(now, request, verdict.map(Answer::Verified));
            }
            Event::SignedIn { request, verdict } => {
                self.errand_ended(now, request, verdict.map(Answer::SignIn));
            }
            Event::Called { call, what } => self.called(now, call, what),
            Event::CallDropped { call } => self.calls.drop_call(call),
            Event::Wall(wall) => self.known.wall(Clock::new(now, wall)),
            Event::Drain { until } => {
                self.drains = Some(until);
                self.tell_all(&ToPuddle::Drain { until });
            }
        }
    }

    /// Ends a turn: due deadlines, then the actions, in their order. Answers when
    /// it must be settled again at the latest.
    pub fn settle(&mut self, now: Time, actions: &mut Vec<Action>) -> Option<Deadline> {
        self.watch.expire(now);
        self.expire(now);
        if let Some((watch, from)) = self.watch.open(now) {
            self.counters.openings += 1;
            self.out.push(Action::OpenWatch { watch, from });
        }
        self.put_out(now);
        if let Some(revision) = self.applied.next() {
            self.out.push(Action::Acknowledge { revision });
        }
        for (call, result) in self.calls.completed(now) {
            self.out.push(Action::Complete { call, result });
        }
        actions.append(&mut self.out);
        self.deadline()
    }

    /// Where the log that is followed was left; `None`: none is followed.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.watch.position()
    }

    /// Whether the watch is open.
    #[must_use]
    pub const fn is_watching(&self) -> bool {
        self.watch.is_open()
    }

    /// What it has done.
    #[must_use]
    pub const fn counters(&self) -> &SwitchboardCounters {
        &self.counters
    }

    /// Checks every invariant; for the simulator and debug builds.
    ///
    /// # Panics
    ///
    /// When one is broken.
    pub fn check(&self) {
        self.watch.check();
        self.resolves.check();
        self.errands.check();
        self.calls.check();
        self.known.check();
        let told = self.watch.position().map(|position| position.revision);
        if let Some(told) = told {
            assert!(
                self.applied.acknowledged() <= Some(told),
                "acknowledged before it was told"
            );
            assert_eq!(self.known.applied(), told, "the node knows what it tells");
        }
    }

    fn asked(&mut self, now: Time, puddle: PuddleId, question: QuestionId, what: Question) {
        let asker = Asker {
            puddle: Some(puddle),
            question,
        };
        let taken = match what {
            Question::Resolve { key, min_revision } => {
                return self.resolve(now, asker, key, min_revision);
            }
            Question::Verify(what) => {
                let request = self.name_request();
                let errand = Action::Verify { request, what };
                self.errands.ask(now, asker, errand)
            }
            Question::SignIn { by, address } => {
                let request = self.name_request();
                let errand = Action::SignIn {
                    request,
                    by,
                    address,
                };
                self.errands.ask(now, asker, errand)
            }
        };
        if !taken {
            self.answer(now, asker, Answer::Unavailable);
        }
    }

    /// A puddle's question is answered by what the node knows, or put out; then
    /// the node asks too, to know it for the others.
    fn resolve(&mut self, now: Time, asker: Asker, key: PolicyKey, min_revision: Revision) {
        let heard = asker
            .puddle
            .is_none_or(|puddle| !self.unheard.contains(&puddle));
        let known = self.known.answer(now, &key);
        let enough = |revision: Revision| heard && revision >= min_revision;
        if let Some((revision, known)) = known.filter(|(revision, _)| enough(*revision)) {
            return self.answer(now, asker, Answer::Resolved { revision, known });
        }
        if !self.resolves.ask(now, asker, key.clone(), min_revision) {
            return self.answer(now, asker, Answer::Unavailable);
        }
        if let Asked::New { question, what } = self.known.ask(key) {
            self.ask_for_node(now, question, what);
        }
    }

    fn settled(&mut self, puddle: PuddleId, revision: Revision) {
        if let Some(position) = self.watch.position() {
            self.applied.settled(puddle, revision, position.revision);
        }
    }

    fn puddle_restarted(&mut self, puddle: PuddleId) {
        self.unheard.insert(puddle);
        self.resolves.forget(puddle);
        self.errands.forget(puddle);
        self.calls.forget(puddle);
        if let Some(position) = self.watch.position() {
            let revision = position.revision;
            self.applied.restart_one(puddle, revision);
            self.tell(puddle, ToPuddle::Resync { revision });
        }
        if let Some(until) = self.drains {
            self.tell(puddle, ToPuddle::Drain { until });
        }
    }

    fn called(&mut self, now: Time, call: CallId, what: Call) {
        if self.calls.is_full() {
            self.counters.calls_refused += 1;
            return self.complete(call, CallResult::TooMany);
        }
        match what {
            Call::Key { hash } => self.key_called(now, call, hash),
            what @ (Call::Publish(_)
            | Call::Purge { .. }
            | Call::ListRooms { .. }
            | Call::ListPresent { .. }
            | Call::Move { .. }
            | Call::ListWaiting { .. }
            | Call::DecideWaiting { .. }
            | Call::Recall(_)
            | Call::Foresee(_)
            | Call::ListSockets { .. }
            | Call::Kick { .. }) => {
                for (puddle, message) in self.calls.order(now, call, what) {
                    self.tell(puddle, message);
                }
            }
        }
    }

    fn key_called(&mut self, now: Time, call: CallId, hash: TokenHash) {
        if self.known.age(now) <= self.settings.key_staleness_max
            && let Some(result) = self.key_result(now, &hash)
        {
            return self.complete(call, result);
        }
        match self.known.ask(PolicyKey::ApiKey(hash)) {
            Asked::New { question, what } => {
                self.calls.wait_for_key(now, call, hash);
                self.ask_for_node(now, question, what);
            }
            Asked::UnderWay => self.calls.wait_for_key(now, call, hash),
            Asked::TooMany => {
                self.counters.calls_refused += 1;
                self.complete(call, CallResult::TooMany);
            }
        }
    }

    /// What is known of an API key, by the wall clock.
    fn key_result(&mut self, now: Time, hash: &TokenHash) -> Option<CallResult> {
        self.known.api_key(now, hash).map(|found| {
            CallResult::Key(match found {
                Found::Present(key) => key.lasts(now).then_some(key.what),
                Found::Absent => None,
            })
        })
    }

    fn ask_for_node(&mut self, now: Time, question: QuestionId, what: Question) {
        let asker = Asker {
            puddle: None,
            question,
        };
        let taken = match what {
            Question::Resolve { key, min_revision } => {
                self.resolves.ask(now, asker, key, min_revision)
            }
            Question::Verify(_) | Question::SignIn { .. } => {
                unreachable!("an API key is resolved")
            }
        };
        if !taken {
            self.answer(now, asker, Answer::Unavailable);
        }
    }

    /// Gives up what has waited for too long.
    fn expire(&mut self, now: Time) {
        let expired = self
            .resolves
            .expire(now)
            .into_iter()
            .chain(self.errands.expire(now));
        for asker in expired.collect::<Vec<_>>() {
            self.answer(now, asker, Answer::Unavailable);
        }
    }

    /// Puts out what may be asked.
    fn put_out(&mut self, now: Time) {
        while let Some(errand) = self.errands.next(now) {
            self.out.push(errand);
        }
        while self.watch.position().is_some()
            && let Some(resolve) = self.resolves.next(now, RequestId(self.requests))
        {
            self.requests += 1;
            self.counters.resolves += 1;
            self.out.push(resolve);
        }
    }

    fn deadline(&self) -> Option<Deadline> {
        let requests = self
            .resolves
            .deadline()
            .into_iter()
            .chain(self.errands.deadline());
        let requests = requests.map(|at| Deadline {
            at,
            reason: "a question waits too long",
        });
        let calls = self.calls.deadline();
        let calls = calls.map(|at| Deadline {
            at,
            reason: "a call waits too long",
        });
        requests.chain(calls).chain([self.watch.deadline()]).min()
    }

    fn name_request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests - 1)
    }

    fn complete(&mut self, call: CallId, result: CallResult) {
        self.out.push(Action::Complete { call, result });
    }
}

#[cfg(test)]
mod tests;
