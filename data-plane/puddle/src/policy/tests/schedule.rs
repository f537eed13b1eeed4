//! Random schedules: a control plane that commits, a watch that is behind it,
//! answers that are late and out of order. What is known must never be older
//! than what was applied.

use core::time::Duration;
use std::collections::BTreeMap;

use porthouse_model::{ChangeItem, Member, PolicyKey, Revision, Session, Time, UnixTime};
use proptest::prelude::*;

use super::model::{
    ControlPlane, block, device, name, room, room_id, same, session, session_id, template, token,
    user_id,
};
use crate::policy::{Asked, Outcome, Policy, PolicyLimits};
use crate::question::{Answer, Known, Question, QuestionId};
use crate::seed::{Chance, Seed};

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Commit(ChangeItem),
    SignIn(u8),
    /// The watch tells one more revision.
    Tell,
    Ask(PolicyKey),
    /// The snapshot for a question is read now.
    Read(usize),
    /// An answer that was read arrives; or word that there is none.
    Arrive(usize, bool),
    Pin(PolicyKey),
    Unpin(usize),
    /// The log is followed anew, from its head.
    Resync,
    Fresh,
}

pub(crate) fn keys() -> impl Strategy<Value = PolicyKey> {
    prop_oneof![
        (0..2_u8).prop_map(|text| PolicyKey::Room(name(["lobby", "yard"][usize::from(text)]))),
        (1..7_u8).prop_map(|id| PolicyKey::Session(token(id))),
        (1..3_u8, 1..3_u8).prop_map(|(room, user)| PolicyKey::Member(room_id(room), user_id(user))),
        (1..3_u8, 1..3_u8).prop_map(|(room, user)| PolicyKey::Block(room_id(room), user_id(user))),
    ]
}

pub(crate) fn items() -> impl Strategy<Value = ChangeItem> {
    let text = |id: u8| ["lobby", "yard"][usize::from(id) % 2];
    prop_oneof![
        (1..3_u8, 1..9_u32).prop_map(move |(id, bytes)| ChangeItem::Room(room(
            id,
            text(id),
            bytes
        ))),
        (1..3_u8).prop_map(move |id| ChangeItem::RoomGone {
            id: room_id(id),
            name: name(text(id)),
            template: None,
        }),
        (prefixes(), 1..9_u32)
            .prop_map(|(prefix, bytes)| ChangeItem::Template(template(prefix, bytes))),
        prefixes().prop_map(|prefix| ChangeItem::TemplateGone {
            id: template(prefix, 1).id,
            prefix: template(prefix, 1).prefix,
            next: None,
        }),
        (1..3_u8, 1..3_u8)
            .prop_map(|(room, user)| ChangeItem::Block(block(room_id(room), user_id(user)))),
        (1..3_u8, 1..3_u8).prop_map(|(room, user)| ChangeItem::BlockGone {
            room: room_id(room),
            user: user_id(user),
        }),
        (1..3_u8, 1..3_u8).prop_map(|(room, user)| ChangeItem::Member(Member {
            room: room_id(room),
            user: user_id(user),
            role: porthouse_model::Role::MEMBER,
            expires: None,
            then: None,
        })),
        (1..3_u8, 1..3_u8).prop_map(|(room, user)| ChangeItem::MemberGone {
            room: room_id(room),
            user: user_id(user),
        }),
        (1..5_u8, any::<u64>()).prop_map(|(id, at)| ChangeItem::Session(Session {
            second_factor: Some(UnixTime::from_millis(at)),
            ..session(id, id % 2 + 1)
        })),
        (5..7_u8, 0..3_usize).prop_map(|(id, rooms)| ChangeItem::DeviceToken(
            token(id),
            device(id, id % 2 + 1, rooms)
        )),
        (1..7_u8).prop_map(|id| ChangeItem::SessionGone(session_id(id))),
        (1..3_u8).prop_map(|user| ChangeItem::UserGone(user_id(user))),
    ]
}

/// Some that cover both rooms' names or one, and one that covers neither.
fn prefixes() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["l*", "lob*", "lobby*", "lobbyist*", "y*"])
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => items().prop_map(Step::Commit),
        2 => (1..5_u8).prop_map(Step::SignIn),
        5 => Just(Step::Tell),
        4 => keys().prop_map(Step::Ask),
        4 => any::<usize>().prop_map(Step::Read),
        4 => (any::<usize>(), prop::bool::weighted(0.1)).prop_map(|(at, lost)| Step::Arrive(at, lost)),
        2 => keys().prop_map(Step::Pin),
        1 => any::<usize>().prop_map(Step::Unpin),
        1 => Just(Step::Resync),
        1 => Just(Step::Fresh),
    ];
    prop::collection::vec(step, 1..120)
}

/// Every key that [`keys`] draws.
pub(crate) fn all_keys() -> Vec<PolicyKey> {
    let sessions = (1..7_u8).map(|id| PolicyKey::Session(token(id)));
    let rooms = ["lobby", "yard"].map(|text| PolicyKey::Room(name(text)));
    let members = [(1, 1), (1, 2), (2, 1), (2, 2)]
        .map(|(room, user)| PolicyKey::Member(room_id(room), user_id(user)));
    let blocks = [(1, 1), (1, 2), (2, 1), (2, 2)]
        .map(|(room, user)| PolicyKey::Block(room_id(room), user_id(user)));
    sessions.chain(rooms).chain(members).chain(blocks).collect()
}

/// The machine, and everything between it and the control plane.
struct Run {
    plane: ControlPlane,
    policy: Policy,
    now: Time,
    /// Told up to here.
    told: Revision,
    asked: BTreeMap<QuestionId, (PolicyKey, Revision)>,
    read: BTreeMap<QuestionId, (PolicyKey, Answer)>,
    pinned: Vec<PolicyKey>,
    /// Sessions' identities are given once.
    signed_in: [bool; 5],
}

impl Run {
    fn new() -> Self {
        let limits = PolicyLimits {
            questions_max: 4,
            entries_max: 3,
            absent_time_max: Duration::from_hours(1),
            unlogged_absent_time_max: Duration::from_hours(1),
        };
        let mut policy = Policy::new(limits, Chance::new(Seed(7)).hasher());
        policy.resync(Time::ZERO, Revision(0));
        Self {
            plane: ControlPlane::new(),
            policy,
            now: Time::ZERO,
            told: Revision(0),
            asked: BTreeMap::new(),
            read: BTreeMap::new(),
            pinned: Vec::new(),
            signed_in: [false; 5],
        }
    }

    fn step(&mut self, step: Step) {
        self.now = self.now + Duration::from_millis(100);
        match step {
            Step::Commit(item) => {
                self.plane.commit(vec![item]);
            }
            Step::SignIn(id) => {
                if !std::mem::replace(&mut self.signed_in[usize::from(id)], true) {
                    self.plane.sign_in(session(id, id % 2 + 1));
                }
            }
            Step::Tell => {
                if self.told < self.plane.head() {
                    self.told = Revision(self.told.0 + 1);
                    self.policy.change(self.plane.change(self.told));
                }
            }
            Step::Ask(key) => {
                if let Asked::New { question, what } = self.policy.ask(key) {
                    self.put_out(question, what);
                }
            }
            Step::Read(at) => self.read(at),
            Step::Arrive(at, lost) => self.arrive(at, lost),
            Step::Pin(key) => {
                if self.known(&key).is_some() {
                    self.policy.pin(&key);
                    self.pinned.push(key);
                }
            }
            Step::Unpin(at) => {
                if !self.pinned.is_empty() {
                    let key = self.pinned.swap_remove(at % self.pinned.len());
                    self.policy.unpin(&key);
                }
            }
            Step::Resync => {
                self.told = self.plane.head();
                self.policy.resync(self.now, self.told);
            }
            Step::Fresh => self.policy.fresh(self.now, self.told),
        }
        while let Some((question, what)) = self.policy.due(self.now) {
            self.put_out(question, what);
        }
        self.policy.check();
        self.judge();
    }

    fn put_out(&mut self, question: QuestionId, what: Question) {
        let Question::Resolve { key, min_revision } = what else {
            panic!("{what:?}")
        };
        assert!(min_revision >= self.told.min(self.plane.head()));
        let other = self.asked.insert(question, (key, min_revision));
        assert!(other.is_none(), "a question's name is given once");
    }

    /// Reads at the head: never older than what was told.
    fn read(&mut self, at: usize) {
        if self.asked.is_empty() {
            return;
        }
        let at = at % self.asked.len();
        let question = *self.asked.keys().nth(at).expect("below the length");
        let (key, min_revision) = self.asked.remove(&question).expect("it is there");
        assert!(min_revision <= self.plane.head());
        let answer = self.plane.answer(self.plane.head(), &key);
        self.read.insert(question, (key, answer));
    }

    fn arrive(&mut self, at: usize, lost: bool) {
        if self.read.is_empty() {
            return;
        }
        let at = at % self.read.len();
        let question = *self.read.keys().nth(at).expect("below the length");
        let (key, answer) = self.read.remove(&question).expect("it is there");
        let answer = if lost { Answer::Unavailable } else { answer };
        match self.policy.answered(self.now, question, &answer) {
            Outcome::Known(known) => assert_eq!(known, key),
            Outcome::Unavailable(known) => assert_eq!((known, lost), (key, true)),
            Outcome::AskAgain { question, what } => self.put_out(question, what),
            Outcome::NotMine => panic!("a question under way is known"),
        }
    }

    fn known(&mut self, key: &PolicyKey) -> Option<Known> {
        self.policy.known(self.now, key)
    }

    /// What is known held at some revision that is not before what was applied.
    fn judge(&mut self) {
        let applied = self.policy.applied().min(self.told);
        for key in all_keys() {
            let Some(known) = self.known(&key) else {
                continue;
            };
            let held = (applied.0..=self.plane.head().0)
                .any(|revision| same(&known, &self.plane.at(Revision(revision), &key)));
            // A sign-in is not in the log: absence may be as old as its answer.
            let unlogged = matches!((&key, &known), (PolicyKey::Session(_), Known::Absent));
            assert!(
                held || unlogged,
                "{key:?} is known as {known:?}, which ended before {applied:?}"
            );
        }
    }

    /// The faults end: everything is told, read and answered.
    fn heal(&mut self) {
        for _ in 0..1_000 {
            self.step(Step::Tell);
            self.step(Step::Read(0));
            self.step(Step::Arrive(0, false));
            self.now = self.now + Duration::from_secs(1);
            let under_way = self.asked.len() + self.read.len();
            let told = self.told == self.plane.head();
            if told && under_way == 0 && self.policy.deadline().is_none() {
                break;
            }
        }
        self.step(Step::Fresh);
        assert!(
            self.asked.is_empty() && self.read.is_empty(),
            "a question has no end"
        );
        assert_eq!(self.policy.applied(), self.plane.head());
        assert_eq!(self.policy.age(self.now), Duration::ZERO);
        assert_eq!(self.policy.deadline(), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_known_is_never_older_than_what_was_applied(steps in steps()) {
        let mut run = Run::new();
        for step in steps {
            run.step(step);
        }
        run.heal();
    }
}
