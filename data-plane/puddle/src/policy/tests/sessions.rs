//! Sessions that are changed while they are asked for and known.

use porthouse_model::{ChangeItem, PolicyKey, Session, TokenHash, UnixTime};

use super::model::{ControlPlane, session};
use super::promises::{START, again, asked, following, tell};
use crate::policy::{Found, Policy};

#[test]
fn a_session_that_shows_its_second_factor_is_known_to_have_whenever_it_was_asked_for() {
    let mut plane = ControlPlane::new();
    let token = plane.sign_in(session(1, 1));
    let mut policy = following(&plane);
    let key = PolicyKey::Session(token);
    let (question, min_revision) = asked(&mut policy, &key);
    let old = plane.answer(min_revision, &key);

    let mut show = |at: u64| {
        plane.commit(vec![ChangeItem::Session(Session {
            second_factor: Some(UnixTime::from_millis(at)),
            ..session(1, 1)
        })])
    };
    let (first, second) = (show(1), show(2));
    let touched = tell(&mut policy, &plane, first);
    assert_eq!(touched, [], "nobody is put out for it");
    let (question, min_revision) = again(policy.answered(START, question, &old));
    policy.answered(START, question, &plane.answer(min_revision, &key));
    assert_eq!(shown_ms(&mut policy, &token), Some(1));
    tell(&mut policy, &plane, second);
    assert_eq!(shown_ms(&mut policy, &token), Some(2));
}

fn shown_ms(policy: &mut Policy, token: &TokenHash) -> Option<u64> {
    match policy.session(START, token) {
        Some(Found::Present(session)) => session.what.second_factor.map(UnixTime::as_millis),
        other => panic!("no session: {other:?}"),
    }
}
