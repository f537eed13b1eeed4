//! What the cache promises, one promise a test, beside a control plane that the tests play.

use core::time::Duration;

use porthouse_model::{ChangeItem, Member, PolicyKey, Revision, Time};

use super::model::{ControlPlane, name, room, room_id, same, session, session_id, token, user_id};
use crate::input::PuddleId;
use crate::policy::{Asked, Found, Named, Outcome, Policy, PolicyLimits, Touched};
use crate::question::{Answer, Known, Question, QuestionId, SignInVerdict};
use crate::seed::{Chance, Seed};
use crate::settings::Settings;

pub(super) const START: Time = Time::from_nanos(1_000_000_000);

pub(super) fn after(span: Duration) -> Time {
    START + span
}

fn policy() -> Policy {
    Policy::new(
        &Settings::new(PuddleId(0), 1),
        Chance::new(Seed(7)).hasher(),
    )
}

fn small(questions_max: usize, entries_max: usize) -> Policy {
    let limits = PolicyLimits {
        questions_max,
        entries_max,
        absent_time_max: Duration::from_mins(5),
        unlogged_absent_time_max: Duration::from_mins(5),
    };
    Policy::new(limits, Chance::new(Seed(7)).hasher())
}

/// One that follows the log from its head.
pub(super) fn following(plane: &ControlPlane) -> Policy {
    let mut policy = policy();
    policy.resync(START, plane.head());
    policy
}

pub(super) fn asked(policy: &mut Policy, key: &PolicyKey) -> (QuestionId, Revision) {
    match policy.ask(key.clone()) {
        Asked::New {
            question,
            what:
                Question::Resolve {
                    key: asked,
                    min_revision,
                },
        } => {
            assert_eq!(asked, *key);
            (question, min_revision)
        }
        other => panic!("not a new question: {other:?}"),
    }
}

pub(super) fn again(outcome: Outcome) -> (QuestionId, Revision) {
    match outcome {
        Outcome::AskAgain {
            question,
            what: Question::Resolve { min_revision, .. },
        } => (question, min_revision),
        other => panic!("was believed: {other:?}"),
    }
}

/// Asks, and gives the answer of today.
pub(super) fn learn(policy: &mut Policy, plane: &ControlPlane, key: &PolicyKey) {
    let (question, _) = asked(policy, key);
    let outcome = policy.answered(START, question, &plane.answer(plane.head(), key));
    assert!(matches!(outcome, Outcome::Known(known) if known == *key));
    policy.check();
}

pub(super) fn tell(policy: &mut Policy, plane: &ControlPlane, revision: Revision) -> Vec<Touched> {
    let touched = policy.change(plane.change(revision));
    policy.check();
    touched
}

fn gone(id: u8) -> ChangeItem {
    ChangeItem::RoomGone {
        id: room_id(id),
        name: name("lobby"),
        template: None,
    }
}

pub(super) fn lobby() -> PolicyKey {
    PolicyKey::Room(name("lobby"))
}

fn bytes_max(policy: &mut Policy) -> u32 {
    match policy.room(START, &name("lobby")) {
        Some(Named::Room(room)) => room.room.rules.messages.bytes_max,
        other => panic!("no lobby: {other:?}"),
    }
}

#[test]
fn nothing_is_known_before_the_log_is_followed() {
    let mut plane = ControlPlane::new();
    plane.commit(vec![ChangeItem::Room(room(1, "lobby", 1))]);
    let mut policy = policy();
    assert!(policy.room(START, &name("lobby")).is_none());
    assert_eq!(policy.age(START), Duration::MAX);
    policy.fresh(START, Revision(0));
    assert_eq!(
        policy.age(START),
        Duration::MAX,
        "word of a log that is not followed"
    );
}

#[test]
fn an_answer_from_before_the_log_was_followed_is_not_believed() {
    let mut plane = ControlPlane::new();
    let token = plane.sign_in(session(1, 1));
    let mut policy = policy();
    let key = PolicyKey::Session(token);
    let (question, _) = asked(&mut policy, &key);
    let revoked = plane.commit(vec![ChangeItem::SessionGone(session_id(1))]);
    policy.resync(START, revoked);
    let outcome = policy.answered(START, question, &plane.answer(Revision(0), &key));
    assert_eq!(again(outcome).1, revoked);
    policy.check();
}

#[test]
fn an_answer_read_before_a_revocation_and_come_after_it_is_asked_again() {
    let mut plane = ControlPlane::new();
    let token = plane.sign_in(session(1, 1));
    let mut policy = following(&plane);
    let key = PolicyKey::Session(token);
    let (question, min_revision) = asked(&mut policy, &key);
    let old = plane.answer(min_revision, &key);

    let revoked = plane.commit(vec![ChangeItem::SessionGone(session_id(1))]);
    tell(&mut policy, &plane, revoked);
    let (question, min_revision) = again(policy.answered(START, question, &old));
    assert!(policy.session(START, &token).is_none());
    assert_eq!(min_revision, revoked);
    policy.answered(START, question, &plane.answer(revoked, &key));
    assert!(matches!(policy.session(START, &token), Some(Found::Absent)));
}

#[test]
fn a_room_read_before_its_change_and_come_after_it_is_asked_again() {
    let mut plane = ControlPlane::new();
    plane.commit(vec![ChangeItem::Room(room(1, "lobby", 1))]);
    let mut policy = following(&plane);
    let (question, min_revision) = asked(&mut policy, &lobby());
    let old = plane.answer(min_revision, &lobby());
    let changed = plane.commit(vec![ChangeItem::Room(room(1, "lobby", 2))]);
    tell(&mut policy, &plane, changed);
    let (question, min_revision) = again(policy.answered(START, question, &old));
    assert_eq!(min_revision, changed);
    policy.answered(START, question, &plane.answer(changed, &lobby()));
    assert_eq!(bytes_max(&mut policy), 2);
}

#[test]
fn the_tombstone_of_a_user_meets_the_answer_that_names_them() {
    let mut plane = ControlPlane::new();
    let (theirs, others) = (plane.sign_in(session(1, 1)), plane.sign_in(session(2, 2)));
    let mut policy = following(&plane);
    let keys = [theirs, others].map(PolicyKey::Session);
    let questions = keys.each_ref().map(|key| asked(&mut policy, key).0);
    let answers = keys.each_ref().map(|key| plane.answer(Revision(0), key));
    let disabled = plane.commit(vec![ChangeItem::UserGone(user_id(1))]);
    tell(&mut policy, &plane, disabled);

    let (_, min_revision) = again(policy.answered(START, questions[0], &answers[0]));
    assert_eq!(min_revision, disabled);
    let outcome = policy.answered(START, questions[1], &answers[1]);
    assert!(
        matches!(outcome, Outcome::Known(_)),
        "another user's session is not held up"
    );
}

#[test]
fn an_answer_that_knows_the_change_is_believed() {
    let mut plane = ControlPlane::new();
    let mut policy = following(&plane);
    let (question, _) = asked(&mut policy, &lobby());
    let made = plane.commit(vec![ChangeItem::Room(room(1, "lobby", 1))]);
    let answer = plane.answer(made, &lobby());
    tell(&mut policy, &plane, made);
    assert!(matches!(
        policy.answered(START, question, &answer),
        Outcome::Known(_)
    ));
    assert_eq!(bytes_max(&mut policy), 1);
}

#[test]
fn a_change_that_the_answer_already_knew_does_not_roll_it_back() {
    let mut plane = ControlPlane::new();
    let mut policy = following(&plane);
    let (question, _) = asked(&mut policy, &lobby());
    for item in [
        ChangeItem::Room(room(1, "lobby", 1)),
        gone(1),
        ChangeItem::Room(room(2, "lobby", 3)),
    ] {
        plane.commit(vec![item]);
    }
    policy.answered(START, question, &plane.answer(Revision(3), &lobby()));
    for revision in 1..=3 {
        tell(&mut policy, &plane, Revision(revision));
        assert_eq!(bytes_max(&mut policy), 3);
    }
}

#[test]
fn a_session_opened_after_its_user_was_signed_out_stays() {
    let mut plane = ControlPlane::new();
    let mut policy = following(&plane);
    let out = plane.commit(vec![ChangeItem::UserGone(user_id(1))]);
    let token = plane.sign_in(session(1, 1));
    learn(&mut policy, &plane, &PolicyKey::Session(token));
    assert_eq!(tell(&mut policy, &plane, out), []);
    assert!(matches!(
        policy.session(START, &token),
        Some(Found::Present(_))
    ));
}

#[test]
fn absence_does_not_outlive_creation() {
    let mut plane = ControlPlane::new();
    let mut policy = following(&plane);
    let member = PolicyKey::Member(room_id(1), user_id(1));
    learn(&mut policy, &plane, &lobby());
    learn(&mut policy, &plane, &member);
    let made = plane.commit(vec![
        ChangeItem::Room(room(1, "lobby", 9)),
        ChangeItem::Member(Member {
            room: room_id(1),
            user: user_id(1),
            role: porthouse_model::Role::MEMBER,
            expires: None,
            then: None,
        }),
    ]);
    let touched = tell(&mut policy, &plane, made);
    assert_eq!(
        touched,
        [
            Touched::Room(name("lobby")),
            Touched::Member(room_id(1), user_id(1))
        ]
    );
    assert_eq!(bytes_max(&mut policy), 9);
    let found = policy.member(START, room_id(1), user_id(1));
    assert!(matches!(found, Some(Found::Present(_))));
}

#[test]
fn a_room_made_anew_in_the_same_transaction_is_the_new_one() {
    let mut plane = ControlPlane::new();
    plane.commit(vec![ChangeItem::Room(room(1, "lobby", 1))]);
    let mut policy = following(&plane);
    learn(&mut policy, &plane, &lobby());
    let replaced = plane.commit(vec![gone(1), ChangeItem::Room(room(2, "lobby", 2))]);
    tell(&mut policy, &plane, replaced);
    assert_eq!(bytes_max(&mut policy), 2);
}

#[test]
fn a_deleted_room_takes_its_members_along_and_no_other_of_its_name() {
    let mut plane = ControlPlane::new();
    let member = Member {
        room: room_id(1),
        user: user_id(1),
        role: porthouse_model::Role::MEMBER,
        expires: None,
        then: None,
    };
    plane.commit(vec![
        ChangeItem::Room(room(1, "lobby", 1)),
        ChangeItem::Member(member),
    ]);
    let mut policy = following(&plane);
    learn(&mut policy, &plane, &lobby());
    learn(
        &mut policy,
        &plane,
        &PolicyKey::Member(room_id(1), user_id(1)),
    );

    let other = gone(9);
    let revision = plane.commit(vec![other]);
    tell(&mut policy, &plane, revision);
    assert_eq!(bytes_max(&mut policy), 1);

    let gone = gone(1);
    let revision = plane.commit(vec![gone]);
    tell(&mut policy, &plane, revision);
    assert!(matches!(
        policy.room(START, &name("lobby")),
        Some(Named::Absent)
    ));
    let found = policy.member(START, room_id(1), user_id(1));
    assert!(matches!(found, Some(Found::Absent)));
}

#[test]
fn every_session_of_a_user_ends_with_the_user_and_only_theirs() {
    let mut plane = ControlPlane::new();
    let tokens = [(1, 1), (2, 1), (3, 2)].map(|(id, user)| plane.sign_in(session(id, user)));
    let mut policy = following(&plane);
    for token in tokens {
        learn(&mut policy, &plane, &PolicyKey::Session(token));
        policy.pin(&PolicyKey::Session(token));
    }
    let gone = plane.commit(vec![ChangeItem::UserGone(user_id(1))]);
    let touched = tell(&mut policy, &plane, gone);
    assert_eq!(touched, [1, 2].map(|id| Touched::Session(session_id(id))));
    let live = tokens.map(|token| matches!(policy.session(START, &token), Some(Found::Present(_))));
    assert_eq!(live, [false, false, true]);
}

#[test]
fn one_question_a_key_is_under_way_and_so_many_at_most() {
    let mut policy = small(2, 10);
    policy.resync(START, Revision(0));
    let (question, _) = asked(&mut policy, &lobby());
    assert!(matches!(policy.ask(lobby()), Asked::UnderWay));
    assert!(policy.reserve().is_some());
    assert!(policy.reserve().is_none());
    assert!(matches!(
        policy.ask(PolicyKey::Session(token(1))),
        Asked::TooMany
    ));
    let outcome = policy.answered(START, question, &Answer::Unavailable);
    assert!(matches!(outcome, Outcome::Unavailable(key) if key == lobby()));
    assert!(policy.reserve().is_some());
    let late = policy.answered(START, question, &Answer::Unavailable);
    assert!(matches!(late, Outcome::NotMine));
}

#[test]
fn absence_is_believed_for_a_while_and_in_a_live_room_as_long_as_it_lives() {
    let plane = ControlPlane::new();
    let mut policy = following(&plane);
    learn(&mut policy, &plane, &lobby());
    let (early, late) = (
        after(Duration::from_secs(299)),
        after(Duration::from_mins(5)),
    );
    assert!(matches!(
        policy.room(early, &name("lobby")),
        Some(Named::Absent)
    ));
    assert!(policy.room(late, &name("lobby")).is_none());
    policy.pin(&lobby());
    assert!(matches!(
        policy.room(late, &name("lobby")),
        Some(Named::Absent)
    ));
    policy.unpin(&lobby());
    assert!(policy.room(late, &name("lobby")).is_none());
}

#[test]
fn a_flood_of_unknown_names_forgets_nothing_that_is_known() {
    let mut plane = ControlPlane::new();
    plane.commit(vec![ChangeItem::Room(room(1, "lobby", 1))]);
    let mut policy = small(10, 100);
    policy.resync(START, plane.head());
    learn(&mut policy, &plane, &lobby());
    for number in 0..100_000 {
        let key = PolicyKey::Room(name(&format!("r{number}")));
        let (question, _) = asked(&mut policy, &key);
        let answer = Answer::Resolved {
            revision: plane.head(),
            known: Known::Absent,
        };
        policy.answered(START, question, &answer);
    }
    policy.check();
    assert_eq!(bytes_max(&mut policy), 1);
    assert!(policy.room(START, &name("r99999")).is_some());
    assert!(policy.room(START, &name("r1")).is_none());
}

#[test]
fn what_live_sockets_need_is_never_forgotten() {
    let mut plane = ControlPlane::new();
    let mut policy = small(10, 2);
    policy.resync(START, plane.head());
    let tokens: Vec<_> = (1..=6).map(|id| plane.sign_in(session(id, id))).collect();
    for token in &tokens[..3] {
        learn(&mut policy, &plane, &PolicyKey::Session(*token));
        policy.pin(&PolicyKey::Session(*token));
    }
    for token in &tokens[3..] {
        learn(&mut policy, &plane, &PolicyKey::Session(*token));
    }
    let known: Vec<_> = tokens
        .iter()
        .map(|token| policy.session(START, token).is_some())
        .collect();
    assert_eq!(known, [true, true, true, false, true, true]);
    for token in &tokens[..3] {
        policy.unpin(&PolicyKey::Session(*token));
        policy.check();
    }
}

#[test]
fn only_word_of_what_was_told_is_progress() {
    let mut plane = ControlPlane::new();
    let mut policy = following(&plane);
    plane.commit(vec![ChangeItem::SessionGone(session_id(1))]);
    let late = after(Duration::from_mins(1));
    policy.fresh(late, Revision(1));
    assert_eq!(policy.age(late), Duration::from_mins(1));
    tell(&mut policy, &plane, Revision(1));
    assert_eq!(
        policy.age(late),
        Duration::from_mins(1),
        "a change is no word of the head"
    );
    policy.fresh(late, Revision(1));
    assert_eq!(
        policy.age(late + Duration::from_secs(2)),
        Duration::from_secs(2)
    );
}

#[test]
fn a_sign_in_is_known_by_its_token_unless_it_was_ended_meanwhile() {
    for ended in [false, true] {
        let mut plane = ControlPlane::new();
        let mut policy = following(&plane);
        let question = policy.reserve().expect("room for a question");
        let token = plane.sign_in(session(1, 1));
        let Known::Session(session) = plane.now(&PolicyKey::Session(token)) else {
            panic!("no session");
        };
        let verdict = SignInVerdict::Right {
            session,
            token,
            revision: plane.head(),
            device_mark: None,
        };
        if ended {
            let gone = plane.commit(vec![ChangeItem::UserGone(user_id(1))]);
            tell(&mut policy, &plane, gone);
        }
        let outcome = policy.answered(START, question, &Answer::SignIn(verdict));
        assert!(matches!(outcome, Outcome::NotMine));
        assert_eq!(policy.session(START, &token).is_none(), ended);
        policy.check();
    }
}

#[test]
fn more_ends_than_are_remembered_are_all_doubted() {
    let mut plane = ControlPlane::new();
    let tokens = [plane.sign_in(session(1, 1)), plane.sign_in(session(2, 2))];
    let mut policy = small(2, 10);
    policy.resync(START, plane.head());
    let keys = tokens.map(PolicyKey::Session);
    let questions = keys.each_ref().map(|key| asked(&mut policy, key).0);
    let answers = keys.each_ref().map(|key| plane.answer(Revision(0), key));
    for user in [1, 7, 8, 9] {
        let gone = plane.commit(vec![ChangeItem::UserGone(user_id(user))]);
        tell(&mut policy, &plane, gone);
    }
    for (question, answer) in questions.into_iter().zip(&answers) {
        assert!(again(policy.answered(START, question, answer)).1 > Revision(1));
    }
}

#[test]
fn an_answer_to_another_question_is_none() {
    let plane = ControlPlane::new();
    let mut policy = following(&plane);
    let (question, _) = asked(&mut policy, &lobby());
    let other = Known::Member(Member {
        room: room_id(1),
        user: user_id(1),
        role: porthouse_model::Role::MEMBER,
        expires: None,
        then: None,
    });
    assert!(!same(&other, &Known::Absent));
    let answer = Answer::Resolved {
        revision: Revision(0),
        known: other,
    };
    assert!(matches!(
        policy.answered(START, question, &answer),
        Outcome::Unavailable(_)
    ));
}
