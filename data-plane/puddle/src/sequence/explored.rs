//! Every course an entry can take, explored until no new state is found: whatever
//! is answered, decided, changed, lost or late, nobody gets in who has not passed
//! every step of the rules of that moment, each question has one outcome, and it
//! ends.

use std::collections::HashSet;

use porthouse_model::{
    Audience, CodeVersion, ConnectionRules, EntryRules, HookVersion, PasswordVersion, Role,
    RoomRules, UserId,
};
use porthouse_rules::Standing;

use super::truth::Truth;
use super::*;
use crate::input::PuddleId;
use crate::question::Pass;
use crate::settings::Settings;

/// The document that says how far this goes, as it was when this was compiled.
const DOCUMENT: &str = include_str!("../../../../docs/sequence.md");

const AGE_MAX: Duration = Duration::from_mins(1);
const OLD: Duration = Duration::from_mins(10);
const USER: UserId = UserId::from_bytes([1; 16]);
/// The name of the question that is under way, and one of an earlier one.
const QUESTIONS: [QuestionId; 2] = [QuestionId(1), QuestionId(2)];

fn attempts() -> Attempts {
    Attempts::new(&Settings {
        password_attempts_max: 2,
        code_attempts_max: 2,
        ..Settings::new(PuddleId(0), 1)
    })
}

/// A door there can be, as far as an entry can tell.
#[derive(Debug)]
pub(super) enum Known {
    Unknown,
    Shut(Refused),
    Open(Box<Rules>, Standing, Option<Duration>),
}

impl Known {
    fn open(audience: Audience, steps: &[EntryStep], standing: Standing) -> Self {
        let rules = Rules::compile(RoomRules {
            connection: ConnectionRules {
                audience,
                ..ConnectionRules::default()
            },
            entry: EntryRules {
                steps: steps.to_vec(),
            },
            ..RoomRules::default()
        });
        Self::Open(Box::new(rules.expect("valid")), standing, None)
    }

    fn with_factor(self, age: Duration) -> Self {
        match self {
            Self::Open(rules, standing, _) => Self::Open(rules, standing, Some(age)),
            other @ (Self::Unknown | Self::Shut(_)) => other,
        }
    }

    pub(super) fn door(&self) -> Door<'_> {
        match self {
            Self::Unknown => Door::Unknown,
            Self::Shut(refused) => Door::Shut(*refused),
            Self::Open(rules, standing, factor_age) => Door::Open {
                rules,
                visitor: Visitor {
                    user: (*standing != Standing::Anonymous).then_some(USER),
                    ..Visitor::of(*standing)
                },
                factor_age: *factor_age,
            },
        }
    }
}

/// Every door there can be: known or not, shut, and open with each step alone
/// and all of them in two orders and versions, to each kind of visitor.
pub(super) fn doors() -> Vec<Known> {
    use EntryStep::{Approval, Hook, Password, RoomCode, SecondFactor};
    use Standing::{Anonymous, User};
    let anyone = |steps: &[EntryStep], standing| Known::open(Audience::Anyone, steps, standing);
    let password = |version| Password(PasswordVersion(version));
    let (factor, code) = (SecondFactor { age_max: AGE_MAX }, RoomCode(CodeVersion(1)));
    let hook = Hook(HookVersion(1));
    let all = [password(1), factor, code, Approval, hook];
    let other_way = [hook, Approval, code, factor, password(2)];
    vec![
        Known::Unknown,
        Known::Shut(Refused::SessionEnded),
        anyone(&[], Anonymous),
        anyone(&all, User),
        anyone(&other_way, User),
        anyone(&[password(1)], User),
        anyone(&[password(2)], Anonymous),
        anyone(&[factor], Anonymous),
        anyone(&[factor], User).with_factor(OLD),
        anyone(&[factor], User).with_factor(Duration::ZERO),
        anyone(&[code], Anonymous),
        anyone(&[RoomCode(CodeVersion(2)), Hook(HookVersion(2))], User),
        Known::open(
            Audience::Members,
            &[password(2)],
            Standing::Member(Role::MEMBER),
        ),
        Known::open(Audience::Members, &[], User),
        Known::open(Audience::Members, &[Approval, code], Standing::Owner),
    ]
}

pub(super) fn events() -> Vec<Event> {
    use Verdict::{Away, Gone, Later, NotEnrolled, Refused, Right, Wrong};
    let mut events = vec![
        Event::Look,
        Event::Answered(QUESTIONS[0]),
        Event::Called(QUESTIONS[0]),
        Event::Approved,
        Event::Declined,
        Event::Crowded,
        Event::Enlisted,
        Event::Started,
        Event::Unavailable,
        Event::Late,
    ];
    let verdicts = [
        Right(Pass::Password(PasswordVersion(1))),
        Right(Pass::Password(PasswordVersion(2))),
        Right(Pass::SecondFactor),
        Right(Pass::RoomCode(CodeVersion(1))),
        Right(Pass::Hook(HookVersion(1))),
        Wrong,
        Gone,
        NotEnrolled,
        Later(Duration::from_secs(1)),
        Refused,
        Away,
    ];
    let [now, earlier] = QUESTIONS;
    events.push(Event::Unjudged(now));
    events.extend(verdicts.map(|verdict| Event::Judged(now, verdict)));
    events.push(Event::Unjudged(earlier));
    events.push(Event::Judged(earlier, verdicts[0]));
    events
}

/// One step of an entry, and what is true of its client after the event.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    pub(super) from: Sequence,
    pub(super) event: Event,
    pub(super) known: &'a Known,
    pub(super) step: Step,
    pub(super) truth: Truth,
}

/// Takes every step there is through these doors, until no state is new: a state
/// is what the machine holds and what is true. Answers how many there are, how
/// many steps were taken, and how many in a row.
pub(super) fn explore(doors: &[Known], mut judge: impl FnMut(&Taken<'_>)) -> (usize, u64, u32) {
    let events = events();
    let (mut steps, mut depth) = (0, 0);
    let mut reached = HashSet::new();
    for manner in [Manner::Silent, Manner::Asked, Manner::Handshake] {
        let mut states = vec![(Sequence::new(attempts(), manner), Truth::default())];
        let mut rounds = 0;
        while !states.is_empty() {
            rounds += 1;
            let mut next = Vec::new();
            for (from, before) in states {
                for (event, known) in events
                    .iter()
                    .flat_map(|event| doors.iter().map(move |known| (*event, known)))
                {
                    let step = from.step(event, known.door());
                    let truth = before.after(event, known.door());
                    let taken = Taken {
                        from,
                        event,
                        known,
                        step,
                        truth,
                    };
                    steps += 1;
                    judge(&taken);
                    let state = step.next.map(|next| (next, truth.then(step.action)));
                    next.extend(state.filter(|state| reached.insert(*state)));
                }
            }
            states = next;
        }
        depth = depth.max(rounds);
    }
    (reached.len(), steps, depth)
}

#[test]
fn no_course_admits_who_does_not_satisfy_the_rules_of_that_moment() {
    let doors = doors();
    let (states, steps, depth) = explore(&doors, |taken| {
        judge(taken);
        judge_events(taken.from, taken.event, taken.step);
    });
    let said = format!(
        "{states} states, {} doors and {} events: {steps} steps, at most {depth} in a row",
        doors.len(),
        events().len(),
    );
    assert!(
        DOCUMENT.contains(&said),
        "docs/sequence.md is out of date; it must say: {said}"
    );
}

/// What must hold of every single step, by what is done.
fn judge(taken: &Taken<'_>) {
    let Taken {
        from: state,
        event,
        step,
        ..
    } = *taken;
    match step.action {
        Action::Admit(_) => {
            assert!(taken.truth.satisfies(taken.known.door()), "{taken:?}");
            assert_eq!(step.next, None, "to be in is the end");
            assert!(
                state.is_enlisted(),
                "only a room that comes here is entered"
            );
            match state.carried().manner {
                Manner::Silent | Manner::Asked => assert!(matches!(event, Event::Enlisted)),
                Manner::Handshake => assert!(
                    state.is_starting() && matches!(event, Event::Enlisted),
                    "whoever has a handshake comes in once it has started"
                ),
            }
        }
        Action::Challenge {
            asked,
            attempts_left,
        } => {
            assert!(attempts_left > 0, "who is asked may answer");
            assert_ne!(state.carried().manner, Manner::Silent);
            let listens = step.next.and_then(|next| next.asked());
            assert_eq!(listens, Some(asked), "who is asked is listened to");
            assert_ne!(state.asked(), Some(asked), "nobody is asked twice at once");
            assert!(taken.truth.owes(asked, taken.known.door()), "{taken:?}");
        }
        Action::Verify(_) => {
            let question = step.next.and_then(|next| next.question());
            assert!(question.is_some(), "a verdict is waited for");
            assert_eq!(state.question(), None, "one verdict at a time");
        }
        Action::Apply => {
            assert!(step.next.is_some_and(|next| next.is_waiting()));
            assert!(!taken.truth.is_approved(), "nobody is let in twice");
        }
        Action::Welcome => {
            assert!(step.next.is_some_and(|next| next.is_ready()));
            assert!(taken.truth.satisfies(taken.known.door()), "{taken:?}");
        }
        Action::Refuse(_) => assert_eq!(step.next, None, "a refusal is the end"),
        Action::Nothing => assert_eq!(step.next, Some(state), "what is for nobody does nothing"),
        Action::Wait | Action::Call | Action::Enlist => {
            assert!(step.next.is_some(), "an entry that is not over goes on");
        }
    }
}

/// What must hold of every single step, by what happened.
fn judge_events(state: Sequence, event: Event, step: Step) {
    let nothing = step.action == Action::Nothing;
    match event {
        Event::Late => assert_eq!(
            step.action,
            Action::Refuse(Denial::of(Refused::EntryTooSlow))
        ),
        Event::Judged(question, _) | Event::Unjudged(question) => assert_eq!(
            nothing,
            state.question() != Some(question),
            "a question has one outcome, and no other question's"
        ),
        Event::Answered(_) => assert_eq!(nothing, state.asked().is_none()),
        Event::Approved | Event::Declined | Event::Crowded => {
            assert_eq!(nothing, !state.is_waiting());
        }
        Event::Look | Event::Called(_) | Event::Enlisted | Event::Started | Event::Unavailable => {}
    }
    if let (Event::Judged(_, Verdict::Wrong), Some(next)) = (event, step.next)
        && !nothing
    {
        assert_ne!(
            next.carried().attempts,
            state.carried().attempts,
            "a wrong answer costs one"
        );
    }
}

/// Takes these steps in a row, and answers what was done at each.
fn course(mut sequence: Sequence, events: &[(Event, &Known)]) -> Vec<Action> {
    let mut actions = Vec::new();
    for (event, known) in events {
        let step = sequence.step(*event, known.door());
        actions.push(step.action);
        let Some(next) = step.next else { break };
        sequence = next;
    }
    actions
}

fn asking(steps: &[EntryStep]) -> Known {
    Known::open(Audience::Anyone, steps, Standing::User)
}

const PASSWORD: EntryStep = EntryStep::Password(PasswordVersion(1));
const JUST: QuestionId = QUESTIONS[0];

#[test]
fn a_raw_socket_is_told_where_the_question_is_asked() {
    let knock = Sequence::new(attempts(), Manner::Silent);
    for (step, refused) in [
        (PASSWORD, Refused::PasswordNeeded),
        (
            EntryStep::RoomCode(CodeVersion(1)),
            Refused::QuestionsRefused,
        ),
        (EntryStep::Approval, Refused::QuestionsRefused),
    ] {
        let step = knock.step(Event::Look, asking(&[step]).door());
        assert_eq!(step.action, Action::Refuse(Denial::of(refused)));
    }
}

#[test]
fn a_backend_decides_about_a_raw_socket_too() {
    let knock = Sequence::new(attempts(), Manner::Silent);
    let hooked = asking(&[EntryStep::Hook(HookVersion(1))]);
    let right = Verdict::Right(Pass::Hook(HookVersion(1)));
    let events = [
        (Event::Look, &hooked),
        (Event::Called(JUST), &hooked),
        (Event::Judged(JUST, right), &hooked),
    ];
    let actions = [Action::Call, Action::Verify(Proven::Hook), Action::Enlist];
    assert_eq!(course(knock, &events), actions);
}

#[test]
fn a_password_newer_than_is_known_here_waits_for_its_change() {
    let old = asking(&[PASSWORD]);
    let new = asking(&[EntryStep::Password(PasswordVersion(2))]);
    let right = Verdict::Right(Pass::Password(PasswordVersion(2)));
    let events = [
        (Event::Look, &old),
        (Event::Answered(JUST), &old),
        (Event::Judged(JUST, right), &old),
        (Event::Look, &new),
    ];
    let actions = course(Sequence::new(attempts(), Manner::Asked), &events);
    assert_eq!(actions[2..], [Action::Wait, Action::Enlist]);
}

#[test]
fn the_last_wrong_answer_is_the_end_and_each_kind_is_counted_apart() {
    let both = asking(&[PASSWORD, EntryStep::RoomCode(CodeVersion(1))]);
    let wrong = (Event::Judged(JUST, Verdict::Wrong), &both);
    let right = Verdict::Right(Pass::Password(PasswordVersion(1)));
    let answered = (Event::Answered(JUST), &both);
    let events = [
        (Event::Look, &both),
        answered,
        wrong,
        answered,
        (Event::Judged(JUST, right), &both),
        answered,
        wrong,
        answered,
        wrong,
    ];
    let actions = course(Sequence::new(attempts(), Manner::Asked), &events);
    let challenge = |asked, attempts_left| Action::Challenge {
        asked,
        attempts_left,
    };
    assert_eq!(actions[2], challenge(Asked::Password, 1));
    assert_eq!(actions[4], challenge(Asked::RoomCode, 2));
    assert_eq!(actions[6], challenge(Asked::RoomCode, 1));
    assert_eq!(
        actions[8],
        Action::Refuse(Denial::of(Refused::RoomCodeWrong))
    );
}

#[test]
fn who_was_wrong_too_often_is_told_how_long_to_wait() {
    let door = asking(&[PASSWORD]);
    let delay = Duration::from_mins(9);
    let events = [
        (Event::Look, &door),
        (Event::Answered(JUST), &door),
        (Event::Judged(JUST, Verdict::Later(delay)), &door),
    ];
    let actions = course(Sequence::new(attempts(), Manner::Asked), &events);
    let busy = Denial::until(Refused::PasswordBusy, delay);
    assert_eq!(actions[2], Action::Refuse(busy));
}

#[test]
fn a_second_factor_shown_lately_is_not_asked_for_again() {
    let factor = EntryStep::SecondFactor { age_max: AGE_MAX };
    let knock = Sequence::new(attempts(), Manner::Asked);
    let fresh = asking(&[factor]).with_factor(AGE_MAX);
    assert_eq!(course(knock, &[(Event::Look, &fresh)]), [Action::Enlist]);
    let old = asking(&[factor]).with_factor(OLD);
    let asked = course(knock, &[(Event::Look, &old)]);
    assert!(matches!(asked[..], [Action::Challenge { .. }]), "{asked:?}");
    let nobody = Known::open(Audience::Anyone, &[factor], Standing::Anonymous);
    let refused = [Action::Refuse(Denial::of(Refused::UserRequired))];
    assert_eq!(course(knock, &[(Event::Look, &nobody)]), refused);
}

#[test]
fn rules_that_change_before_the_start_are_asked_for_before_it() {
    let (open, shut) = (asking(&[]), asking(&[PASSWORD]));
    let events = [
        (Event::Look, &open),
        (Event::Enlisted, &open),
        (Event::Started, &shut),
        (Event::Started, &open),
    ];
    let actions = course(Sequence::new(attempts(), Manner::Handshake), &events);
    assert_eq!(actions[..2], [Action::Enlist, Action::Welcome]);
    assert!(matches!(actions[2], Action::Challenge { .. }));
    assert_eq!(actions[3], Action::Nothing, "the answer is owed first");
}
