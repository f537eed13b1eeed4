//! What is promised of the way back after the log was cut: everything is asked
//! again, and nothing is fresh before.

use core::time::Duration;

use porthouse_model::{ChangeItem, PolicyKey, Revision};

use super::model::{ControlPlane, name, room, session, session_id, template};
use super::promises::{START, after, following, learn, lobby, tell};
use crate::policy::Found;
use crate::question::{Answer, Known, Question};

#[test]
fn after_a_resync_everything_pinned_is_asked_again_sessions_first_and_nothing_is_fresh_before() {
    let mut plane = ControlPlane::new();
    plane.commit(vec![ChangeItem::Room(room(1, "lobby", 1))]);
    let token = plane.sign_in(session(1, 1));
    let mut policy = following(&plane);
    let keys = [lobby(), PolicyKey::Session(token)];
    for key in &keys {
        learn(&mut policy, &plane, key);
        policy.pin(key);
    }
    for _ in 0..8 {
        plane.commit(vec![ChangeItem::SessionGone(session_id(1))]);
    }
    let late = after(Duration::from_secs(9));
    policy.resync(late, Revision(8));
    policy.fresh(late, Revision(8));
    let first = policy.due(late).expect("a question");
    let second = policy.due(late).expect("a question");
    assert!(policy.due(late).is_none());
    let asked = [&second.1, &first.1].map(|what| match what {
        Question::Resolve { key, min_revision } => {
            assert_eq!(*min_revision, Revision(8));
            key.clone()
        }
        other => panic!("{other:?}"),
    });
    assert_eq!(asked, keys, "sessions first");

    policy.answered(late, first.0, &plane.answer(Revision(8), &keys[1]));
    policy.check();
    tell(&mut policy, &plane, Revision(9));
    assert_eq!(policy.applied(), Revision(1));
    assert_eq!(policy.age(late), Duration::from_secs(9));
    policy.answered(late, second.0, &plane.answer(Revision(8), &keys[0]));
    policy.check();
    assert_eq!(policy.applied(), Revision(9));
    assert_eq!(policy.age(late), Duration::ZERO);
    assert!(matches!(policy.session(late, &token), Some(Found::Absent)));
}

#[test]
fn a_resync_whose_question_is_not_answered_asks_again_later() {
    let mut plane = ControlPlane::new();
    plane.commit(vec![ChangeItem::Room(room(1, "lobby", 1))]);
    let mut policy = following(&plane);
    learn(&mut policy, &plane, &lobby());
    policy.pin(&lobby());
    policy.resync(START, Revision(1));
    let (question, _) = policy.due(START).expect("a question");
    policy.answered(START, question, &Answer::Unavailable);
    assert!(policy.due(START).is_none());
    let due = policy.deadline().expect("a later moment");
    assert!(due > START);
    let (question, _) = policy.due(due).expect("a question");
    policy.answered(due, question, &plane.answer(Revision(1), &lobby()));
    policy.check();
    assert_eq!(policy.applied(), Revision(1));
    assert_eq!(policy.deadline(), None);
}

#[test]
fn a_resync_ends_when_nobody_needs_what_is_left() {
    let mut plane = ControlPlane::new();
    plane.commit(vec![ChangeItem::Room(room(1, "lobby", 1))]);
    let mut policy = following(&plane);
    learn(&mut policy, &plane, &lobby());
    policy.pin(&lobby());
    policy.pin(&lobby());
    let back = Revision(0);
    policy.resync(START, back);
    policy.unpin(&lobby());
    policy.check();
    assert_eq!(policy.applied(), Revision(1));
    assert_eq!(
        policy.settled(),
        None,
        "of the old log nothing is said any more"
    );
    policy.unpin(&lobby());
    policy.check();
    assert_eq!(policy.settled(), Some(back), "a log may have been rewound");
    assert!(policy.room(START, &name("lobby")).is_none());
}

#[test]
fn a_template_takes_no_name_of_which_it_is_not_known_what_covered_it_meanwhile() {
    let mut plane = ControlPlane::new();
    plane.commit(vec![ChangeItem::Room(room(1, "yard", 1))]);
    let mut policy = following(&plane);
    learn(&mut policy, &plane, &lobby());
    policy.pin(&lobby());
    let longer = plane.commit(vec![ChangeItem::Template(template("lob*", 7))]);
    policy.resync(START, longer);
    let shorter = plane.commit(vec![ChangeItem::Template(template("l*", 8))]);
    assert!(tell(&mut policy, &plane, shorter).is_empty());
    let (question, _) = policy.due(START).expect("a question");
    policy.answered(START, question, &plane.answer(shorter, &lobby()));
    policy.check();
    assert_eq!(policy.applied(), shorter);
    match policy.known(START, &lobby()) {
        Some(Known::Templated(policy)) => assert_eq!(policy.template.prefix.as_str(), "lob"),
        other => panic!("{other:?}"),
    }
}
