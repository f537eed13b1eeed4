//! Sessions and device tokens that are changed while they are asked for and known.

use porthouse_model::{ChangeItem, PolicyKey, Session, TokenHash, UnixTime};

use super::model::{ControlPlane, device, session, session_id, token, user_id};
use super::promises::{START, again, asked, following, tell};
use crate::policy::{Found, Policy, Touched};

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

#[test]
fn a_device_token_that_is_told_again_has_not_ended_with_its_users_sessions() {
    let mut plane = ControlPlane::new();
    let own = plane.sign_in(session(1, 1));
    plane.commit(vec![ChangeItem::DeviceToken(token(5), device(5, 1, 1))]);
    let mut policy = following(&plane);
    for key in [PolicyKey::Session(own), PolicyKey::Session(token(5))] {
        let (question, min_revision) = asked(&mut policy, &key);
        policy.answered(START, question, &plane.answer(min_revision, &key));
    }
    let signed_out = plane.commit(vec![
        ChangeItem::UserGone(user_id(1)),
        ChangeItem::DeviceToken(token(5), device(5, 1, 2)),
    ]);
    let touched = tell(&mut policy, &plane, signed_out);
    let (ended, changed) = (session_id(1), session_id(5));
    assert_eq!(touched, [Touched::Session(ended), Touched::Device(changed)]);
    assert_eq!(rooms(&mut policy, &token(5)), Some(2));

    let disabled = plane.commit(vec![ChangeItem::UserGone(user_id(1))]);
    let touched = tell(&mut policy, &plane, disabled);
    assert_eq!(touched, [Touched::Session(changed)]);
    assert_eq!(rooms(&mut policy, &token(5)), None);
    let enabled = plane.commit(vec![ChangeItem::DeviceToken(token(5), device(5, 1, 1))]);
    tell(&mut policy, &plane, enabled);
    assert_eq!(rooms(&mut policy, &token(5)), Some(1), "and it is back");
}

fn rooms(policy: &mut Policy, token: &TokenHash) -> Option<usize> {
    match policy.session(START, token) {
        Some(Found::Present(session)) => {
            let device = session.what.device.as_ref();
            device.map(|device| device.rooms.len())
        }
        Some(Found::Absent) | None => None,
    }
}

fn shown_ms(policy: &mut Policy, token: &TokenHash) -> Option<u64> {
    match policy.session(START, token) {
        Some(Found::Present(session)) => session.what.second_factor.map(UnixTime::as_millis),
        other => panic!("no session: {other:?}"),
    }
}
