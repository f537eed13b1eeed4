//! Random schedules of a whole node's knowledge: puddles with their caches, a
//! watch that breaks, lags and is cut, answers late and out of order.

use core::cmp::Ordering;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use porthouse_model::{ChangeItem, MessageKind, PolicyKey, Resolved, Revision, Time};
use proptest::prelude::*;

use crate::input::{Publish, PuddleId};
use crate::output::Reply;
use crate::policy::tests::model::{ControlPlane, name, same, session};
use crate::policy::tests::schedule::{all_keys, items, keys};
use crate::policy::{Asked, Outcome, Policy, PolicyLimits};
use crate::question::{Known, Question, QuestionId};
use crate::seed::{Chance, Seed};
use crate::switchboard::{
    Action, Call, CallId, Event, Position, RequestId, Snapshot, Switchboard, SwitchboardSettings,
    ToPuddle, WatchEnd, WatchId,
};

const PUDDLES: u8 = 2;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Commit(ChangeItem),
    SignIn(u8),
    /// The control plane sends one more word on the watch.
    Send,
    /// One word of the watch arrives.
    Deliver,
    Break,
    /// The position of the next opening is unknown.
    Compact,
    /// The database is restored to what it was so many revisions ago.
    Rewind(u8),
    Ask(u8, PolicyKey),
    Read(usize),
    Land(usize, bool),
    /// A puddle handles one thing that it is told.
    Hear(u8),
    /// One thing that a puddle said arrives.
    Say(u8),
    Pin(u8, PolicyKey),
    Unpin(u8, usize),
    Restart(u8),
    Call,
    Pass(u16),
}

fn steps(rewinds: bool) -> impl Strategy<Value = Vec<Step>> {
    let puddle = || 0..PUDDLES;
    let step = prop_oneof![
        8 => items().prop_map(Step::Commit),
        4 => (1..5_u8).prop_map(Step::SignIn),
        12 => Just(Step::Send),
        14 => Just(Step::Deliver),
        1 => Just(Step::Break),
        1 => Just(Step::Compact),
        1 => (1..4_u8).prop_map(move |back| if rewinds {
            Step::Rewind(back)
        } else {
            Step::Compact
        }),
        12 => (puddle(), keys()).prop_map(|(puddle, key)| Step::Ask(puddle, key)),
        8 => any::<usize>().prop_map(Step::Read),
        8 => (any::<usize>(), prop::bool::weighted(0.1)).prop_map(|(at, lost)| Step::Land(at, lost)),
        20 => puddle().prop_map(Step::Hear),
        20 => puddle().prop_map(Step::Say),
        4 => (puddle(), keys()).prop_map(|(puddle, key)| Step::Pin(puddle, key)),
        2 => (puddle(), any::<usize>()).prop_map(|(puddle, at)| Step::Unpin(puddle, at)),
        1 => puddle().prop_map(Step::Restart),
        2 => Just(Step::Call),
        4 => (0..1_500_u16).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 1..200)
}

/// A puddle, as far as policy goes, and what is under way from and to it.
struct Puddle {
    policy: Policy,
    told: VecDeque<ToPuddle>,
    said: VecDeque<Event>,
    asked: BTreeSet<QuestionId>,
    pinned: Vec<PolicyKey>,
    /// The most it ever settled.
    done: Option<Revision>,
    said_settled: Option<Revision>,
}

/// A node, a control plane, and everything between them.
struct Run {
    plane: ControlPlane,
    /// The chain of each revision.
    log: Vec<Position>,
    restored: u8,
    signed_in: [bool; 5],
    board: Switchboard,
    now: Time,
    puddles: Vec<Puddle>,
    stream: Option<(WatchId, Revision)>,
    words: VecDeque<Event>,
    compacted: bool,
    requests: BTreeMap<RequestId, (Vec<PolicyKey>, Revision)>,
    read: BTreeMap<RequestId, Snapshot>,
    acknowledged: Option<Revision>,
    calls: u64,
    open_calls: BTreeSet<CallId>,
}

impl Puddle {
    fn new() -> Self {
        let limits = PolicyLimits {
            questions_max: 4,
            entries_max: 3,
            absent_time_max: Duration::from_hours(1),
            unlogged_absent_time_max: Duration::from_hours(1),
        };
        Self {
            policy: Policy::new(limits, Chance::new(Seed(7)).hasher()),
            told: VecDeque::new(),
            said: VecDeque::new(),
            asked: BTreeSet::new(),
            pinned: Vec::new(),
            done: None,
            said_settled: None,
        }
    }

    fn ask(&mut self, puddle: PuddleId, question: QuestionId, what: Question) {
        assert!(
            self.asked.insert(question),
            "a question's name is given once"
        );
        self.said.push_back(Event::Asked {
            puddle,
            question,
            what,
        });
    }

    fn hear(&mut self, now: Time, puddle: PuddleId) {
        match self.told.pop_front() {
            Some(ToPuddle::Answered { question, answer }) => {
                assert!(self.asked.remove(&question), "a question is answered once");
                if let Outcome::AskAgain { question, what } =
                    self.policy.answered(now, question, &answer)
                {
                    self.ask(puddle, question, what);
                }
            }
            Some(ToPuddle::Changed(changed)) => drop(self.policy.change(&changed)),
            Some(ToPuddle::Fresh { revision }) => self.policy.fresh(now, revision),
            Some(ToPuddle::Resync { revision }) => {
                self.policy.resync(now, revision);
                self.said_settled = None;
            }
            Some(ToPuddle::Ordered { order, .. }) => {
                let reply = Reply::Published { receivers: Some(1) };
                self.said.push_back(Event::Replied {
                    puddle,
                    order,
                    reply,
                });
            }
            Some(ToPuddle::Drain { .. }) | None => {}
        }
        self.end_turn(now, puddle);
    }

    fn end_turn(&mut self, now: Time, puddle: PuddleId) {
        while let Some((question, what)) = self.policy.due(now) {
            self.ask(puddle, question, what);
        }
        let settled = self.policy.settled();
        if settled > self.said_settled
            && let Some(revision) = settled
        {
            self.done = self.done.max(settled);
            self.said_settled = settled;
            self.said.push_back(Event::Applied { puddle, revision });
        }
        self.policy.check();
    }

    fn known(&mut self, now: Time, key: &PolicyKey) -> Option<Known> {
        match key {
            PolicyKey::ApiKey(_) | PolicyKey::Endpoint(_) => None,
            key => self.policy.known(now, key),
        }
    }
}

impl Run {
    fn new() -> Self {
        let mut settings = SwitchboardSettings::new(PUDDLES, Seed(7));
        settings.keys_per_request_max = 2;
        settings.requests_max = 3;
        settings.questions_max = 6;
        let mut run = Self {
            plane: ControlPlane::new(),
            log: vec![Position::START],
            restored: 0,
            signed_in: [false; 5],
            board: Switchboard::new(settings, Time::ZERO),
            now: Time::ZERO,
            puddles: (0..PUDDLES).map(|_| Puddle::new()).collect(),
            stream: None,
            words: VecDeque::new(),
            compacted: false,
            requests: BTreeMap::new(),
            read: BTreeMap::new(),
            acknowledged: None,
            calls: 0,
            open_calls: BTreeSet::new(),
        };
        run.settle();
        run
    }

    fn head(&self) -> Position {
        *self.log.last().expect("one before the first revision")
    }

    #[expect(clippy::too_many_lines, reason = "a flat dispatch of steps")]
    fn act(&mut self, step: Step) {
        let now = self.now;
        match step {
            Step::Commit(item) => self.commit(item),
            Step::SignIn(id) => {
                if !std::mem::replace(&mut self.signed_in[usize::from(id)], true) {
                    self.plane.sign_in(session(id, id % 2 + 1));
                }
            }
            Step::Send => self.send(),
            Step::Deliver => {
                if let Some(word) = self.words.pop_front() {
                    self.board.handle(now, word);
                }
            }
            Step::Break => {
                if let Some((watch, _)) = self.stream.take() {
                    let reason = WatchEnd::Retry;
                    self.words.push_back(Event::WatchLost { watch, reason });
                }
            }
            Step::Compact => self.compacted = true,
            Step::Rewind(back) => self.rewind(back),
            Step::Ask(puddle, key) => {
                let asker = &mut self.puddles[usize::from(puddle)];
                if asker.known(now, &key).is_none()
                    && let Asked::New { question, what } = asker.policy.ask(key)
                {
                    asker.ask(PuddleId(puddle), question, what);
                }
            }
            Step::Read(at) => self.read(at),
            Step::Land(at, lost) => self.land(at, lost),
            Step::Hear(puddle) => self.puddles[usize::from(puddle)].hear(now, PuddleId(puddle)),
            Step::Say(puddle) => {
                if let Some(said) = self.puddles[usize::from(puddle)].said.pop_front() {
                    self.board.handle(now, said);
                }
            }
            Step::Pin(puddle, key) => {
                let puddle = &mut self.puddles[usize::from(puddle)];
                if puddle.known(now, &key).is_some() {
                    puddle.policy.pin(&key);
                    puddle.pinned.push(key);
                }
            }
            Step::Unpin(puddle, at) => {
                let id = PuddleId(puddle);
                let puddle = &mut self.puddles[usize::from(puddle)];
                if !puddle.pinned.is_empty() {
                    let key = puddle.pinned.swap_remove(at % puddle.pinned.len());
                    puddle.policy.unpin(&key);
                    puddle.end_turn(now, id);
                }
            }
            Step::Restart(puddle) => {
                let done = self.puddles[usize::from(puddle)].done;
                self.puddles[usize::from(puddle)] = Puddle {
                    done,
                    ..Puddle::new()
                };
                self.board.handle(
                    now,
                    Event::PuddleRestarted {
                        puddle: PuddleId(puddle),
                    },
                );
            }
            Step::Call => self.call(),
            Step::Pass(ms) => self.now = self.now + Duration::from_millis(ms.into()),
        }
        self.settle();
    }

    fn commit(&mut self, item: ChangeItem) {
        self.plane.commit(vec![item]);
        let head = self.head();
        let payload = [head.chain.as_bytes()[0], self.restored];
        self.log.push(head.then(&payload));
    }

    /// What is lost was told to the node in part, so that the chain shows it. A
    /// tail of which the node only read, and was never told, is lost unseen: an
    /// answer carries no chain.
    fn rewind(&mut self, back: u8) {
        let told = self
            .board
            .position()
            .map_or(0, |position| position.revision.0);
        let left = self.plane.head().0.saturating_sub(back.into());
        if left >= told {
            return;
        }
        self.plane.rewind(Revision(left));
        self.log.truncate(usize::try_from(left).expect("small") + 1);
        self.restored += 1;
    }

    fn send(&mut self) {
        let Some((watch, cursor)) = self.stream else {
            return;
        };
        match cursor.cmp(&self.plane.head()) {
            Ordering::Less => {
                let revision = Revision(cursor.0 + 1);
                let at = usize::try_from(revision.0).expect("small");
                let payload = self.log_payload(at);
                let (change, chain) = (self.plane.raw(revision), self.log[at].chain);
                self.words.push_back(Event::Changed {
                    watch,
                    change,
                    payload,
                    chain,
                });
                self.stream = Some((watch, revision));
            }
            Ordering::Equal => {
                self.words.push_back(Event::Progress {
                    watch,
                    head: self.head(),
                });
            }
            Ordering::Greater => {
                self.stream = None;
                self.words.push_back(Event::WatchLost {
                    watch,
                    reason: WatchEnd::Retry,
                });
            }
        }
    }

    /// The payload that leads to this place: found by trying each history.
    fn log_payload(&self, at: usize) -> Vec<u8> {
        let before = self.log[at - 1];
        let tried = (0..=self.restored).map(|history| vec![before.chain.as_bytes()[0], history]);
        let mut fitting = tried.filter(|payload| before.then(payload) == self.log[at]);
        fitting.next().expect("one of the histories")
    }

    fn open(&mut self, watch: WatchId, from: Option<Position>) {
        let known = from.is_none_or(|from| self.log.contains(&from));
        if from.is_some() && (!known || std::mem::take(&mut self.compacted)) {
            self.stream = None;
            self.words.push_back(Event::WatchLost {
                watch,
                reason: WatchEnd::Resync,
            });
            return;
        }
        self.stream = Some((watch, from.unwrap_or(self.head()).revision));
        self.words.push_back(Event::WatchOpened {
            watch,
            head: self.head(),
        });
    }

    fn read(&mut self, at: usize) {
        if self.requests.is_empty() {
            return;
        }
        // Some answers have no place for all.
        let is_short = at.is_multiple_of(3);
        let at = at % self.requests.len();
        let request = *self.requests.keys().nth(at).expect("below the length");
        let (keys, min_revision) = self.requests.remove(&request).expect("it is there");
        let revision = self.plane.head();
        if revision < min_revision {
            self.board.handle(
                self.now,
                Event::Resolved {
                    request,
                    found: None,
                },
            );
            return;
        }
        let found = keys.iter().map(|key| match self.plane.now(key) {
            Known::Room(policy) => Resolved::Room(policy.room.clone()),
            Known::Templated(policy) => Resolved::Template(policy.template.clone()),
            Known::Block(block) => Resolved::Block(block),
            Known::Session(session) => Resolved::Session((*session).clone()),
            Known::Member(member) => Resolved::Member(member),
            Known::ApiKey(api_key) => Resolved::ApiKey((*api_key).clone()),
            Known::Endpoint(endpoint) => Resolved::Endpoint((*endpoint).clone()),
            Known::Absent => Resolved::Absent,
        });
        let mut found: Vec<Resolved> = found.collect();
        if is_short {
            found.truncate(found.len().div_ceil(2));
        }
        self.read.insert(request, Snapshot { revision, found });
    }

    fn land(&mut self, at: usize, lost: bool) {
        if self.read.is_empty() {
            return;
        }
        let at = at % self.read.len();
        let request = *self.read.keys().nth(at).expect("below the length");
        let found = self.read.remove(&request).filter(|_| !lost);
        self.board
            .handle(self.now, Event::Resolved { request, found });
    }

    fn call(&mut self) {
        let call = CallId(self.calls);
        self.calls += 1;
        self.open_calls.insert(call);
        let what = Call::Publish(Arc::new(Publish {
            room: name("lobby"),
            kind: MessageKind::Text,
            payload: Box::default(),
            to: Vec::new(),
            except: Vec::new(),
        }));
        self.board.handle(self.now, Event::Called { call, what });
    }

    fn settle(&mut self) {
        let mut actions = Vec::new();
        let deadline = self.board.settle(self.now, &mut actions);
        assert!(
            deadline.is_some_and(|due| due.at > self.now),
            "what is due was done"
        );
        self.board.check();
        for action in actions {
            match action {
                Action::Tell { puddle, message } => {
                    self.puddles[usize::from(puddle.0)].told.push_back(message);
                }
                Action::OpenWatch { watch, from } => self.open(watch, from),
                Action::Resolve {
                    request,
                    keys,
                    min_revision,
                } => {
                    self.requests.insert(request, (keys, min_revision));
                }
                Action::Acknowledge { revision } => self.acknowledge(revision),
                Action::Complete { call, .. } => {
                    assert!(self.open_calls.remove(&call), "a call is completed once");
                }
                other => panic!("nobody asked for it: {other:?}"),
            }
        }
    }

    fn acknowledge(&mut self, revision: Revision) {
        if self.restored == 0 {
            assert!(
                Some(revision) >= self.acknowledged,
                "an acknowledgement fell"
            );
            for puddle in &self.puddles {
                assert!(
                    puddle.done >= Some(revision),
                    "{revision:?} is ahead of a puddle"
                );
            }
        }
        self.acknowledged = Some(revision);
    }

    /// What a puddle knows held at some revision not before what it has applied.
    fn judge(&mut self) {
        if self.restored > 0 {
            return;
        }
        for puddle in &mut self.puddles {
            let applied = puddle.policy.applied().0;
            for key in all_keys() {
                let Some(known) = puddle.known(self.now, &key) else {
                    continue;
                };
                let held = (applied..=self.plane.head().0)
                    .any(|revision| same(&known, &self.plane.at(Revision(revision), &key)));
                let unlogged = matches!((&key, &known), (PolicyKey::Session(_), Known::Absent));
                assert!(
                    held || unlogged,
                    "{key:?} is known as {known:?} at {applied}"
                );
            }
        }
    }

    /// The faults end: within a bound everything is known, and nobody waits.
    fn heal(&mut self) {
        self.compacted = false;
        for _ in 0..60 {
            self.act(Step::Pass(300));
            for _ in 0..4 {
                self.act(Step::Send);
                self.act(Step::Deliver);
                self.act(Step::Deliver);
                self.act(Step::Read(0));
                self.act(Step::Land(0, false));
                for puddle in 0..PUDDLES {
                    self.act(Step::Say(puddle));
                    self.act(Step::Hear(puddle));
                    self.act(Step::Hear(puddle));
                }
            }
        }
        while self.puddles.iter().any(|puddle| !puddle.told.is_empty()) {
            (0..PUDDLES).for_each(|puddle| self.act(Step::Hear(puddle)));
        }
        assert!(self.open_calls.is_empty(), "a call has no end");
        assert_eq!(self.acknowledged, Some(self.plane.head()));
        for puddle in &mut self.puddles {
            assert!(puddle.asked.is_empty(), "a question has no end");
            assert_eq!(puddle.policy.settled(), Some(self.plane.head()));
            assert!(
                puddle.policy.age(self.now) < Duration::from_secs(1),
                "not fresh"
            );
            for key in all_keys() {
                let Some(known) = puddle.known(self.now, &key) else {
                    continue;
                };
                let unlogged = matches!((&key, &known), (PolicyKey::Session(_), Known::Absent));
                assert!(
                    unlogged || same(&known, &self.plane.now(&key)),
                    "{key:?} is {known:?}"
                );
            }
        }
    }
}

fn run(steps: Vec<Step>) {
    let mut run = Run::new();
    for step in steps {
        run.act(step);
        run.judge();
    }
    run.heal();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_node_never_knows_less_than_it_acknowledges_and_answers_everybody_once(steps in steps(false)) {
        run(steps);
    }

    #[test]
    fn a_node_finds_its_way_back_after_the_log_was_rewound(steps in steps(true)) {
        run(steps);
    }
}
