//! Entry by several steps: each in its order, each by its own kind of answer.

use core::time::Duration;

use porthouse_model::{CodeVersion, EntryStep, HookVersion, PasswordVersion, UnixTime};

use super::world::{HOUR, World, asking, close_frame, hash, token};
use crate::Verdict;

const PASSWORD: EntryStep = EntryStep::Password(PasswordVersion(1));
const CODE: EntryStep = EntryStep::RoomCode(CodeVersion(1));
const HOOK: EntryStep = EntryStep::Hook(HookVersion(1));
const FACTOR: EntryStep = EntryStep::SecondFactor {
    age_max: Duration::from_mins(1),
};

#[test]
fn every_step_is_asked_in_its_order_and_all_must_pass() {
    let mut world = World::new(2);
    world.session(7);
    world.room("vault", asking(&[PASSWORD, FACTOR, CODE, HOOK]));
    let ada = world.lobby_of(0, 7);
    world.line(ada, r#"{"op":"join","room":"vault","id":1}"#);
    for (answer, expected) in [
        (
            "",
            r#""id":1,"room":"vault","step":"password","attempts_left":3"#,
        ),
        (
            r#""password":"open sesame","id":2"#,
            r#""id":2,"room":"vault","step":"second_factor","attempts_left":3"#,
        ),
        (
            r#""code":"000000","id":3"#,
            r#""id":3,"room":"vault","step":"second_factor","attempts_left":2"#,
        ),
        (
            r#""code":"123456","id":4"#,
            r#""id":4,"room":"vault","step":"room_code","attempts_left":3"#,
        ),
        (r#""code":"123456","id":5"#, r#""op":"admitted","id":5"#),
    ] {
        if !answer.is_empty() {
            world.line(
                ada,
                &format!(r#"{{"op":"answer","room":"vault",{answer}}}"#),
            );
        }
        let told = world.take_text(ada);
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn the_last_wrong_code_is_refused_and_nothing_more_is_asked() {
    for (step, name, code) in [(FACTOR, "second_factor", 4108), (CODE, "room_code", 4110)] {
        let mut world = World::new(1);
        world.session(7);
        world.room("vault", asking(&[step]));
        let ada = world.lobby_of(0, 7);
        world.line(ada, r#"{"op":"join","room":"vault","id":3}"#);
        let bearer = format!("Authorization: Bearer {}", token(7));
        let raw = "Sec-WebSocket-Protocol: porthouse.raw.v1";
        let ben = world.upgrade(0, "/vault", &[raw, &bearer]);
        for left in [3, 2, 1] {
            let asked = format!(r#""room":"vault","step":"{name}","attempts_left":{left}}}"#);
            let told = world.take_text(ada);
            assert!(told.contains(&format!(r#""id":{left},{asked}"#)), "{told}");
            let told = world.take_text(ben);
            assert!(told.ends_with(&asked), "{told}");
            let id = left - 1;
            let wrong = format!(r#"{{"op":"answer","room":"vault","code":"000000","id":{id}}}"#);
            world.line(ada, &wrong);
            world.line(ben, &wrong);
        }
        let told = world.take_text(ada);
        let refused = format!(r#"{{"op":"refused","id":0,"room":"vault","code":{code},"#);
        assert!(told.ends_with('}') && told.contains(&refused), "{told}");
        assert!(!told.contains("challenge"), "{told}");
        let (closed, reason) = close_frame(&world.take(ben));
        assert_eq!(closed, code, "{reason}");
    }
}

#[test]
fn an_answer_of_the_wrong_kind_is_an_error_and_costs_nothing() {
    let mut world = World::new(1);
    world.room("vault", asking(&[CODE]));
    let ada = world.lobby(0);
    world.line(ada, r#"{"op":"join","room":"vault","id":1}"#);
    world.take(ada);
    world.line(
        ada,
        r#"{"op":"answer","room":"vault","password":"123456","id":2}"#,
    );
    let told = world.take_text(ada);
    assert!(
        told.contains(r#""op":"error","id":2,"rule":"answer""#),
        "{told}"
    );
    world.line(
        ada,
        r#"{"op":"answer","room":"vault","code":"123456","id":3}"#,
    );
    assert!(world.take_text(ada).contains(r#""op":"admitted","id":3"#));
}

#[test]
fn a_backend_that_does_not_let_in_or_does_not_answer_keeps_out() {
    for (verdict, code) in [(Verdict::Refused, 4011), (Verdict::Away, 4215)] {
        let mut world = World::new(1);
        world.room("vault", asking(&[HOOK]));
        world.hook = verdict;
        let ada = world.lobby(0);
        world.line(ada, r#"{"op":"join","room":"vault","id":1}"#);
        let told = world.take_text(ada);
        assert!(
            told.contains(&format!(
                r#""op":"refused","id":1,"room":"vault","code":{code}"#
            )),
            "{told}"
        );
    }
}

#[test]
fn a_backend_lets_a_plain_raw_socket_in() {
    let mut world = World::new(1);
    world.room("vault", asking(&[HOOK]));
    world.raw(0, "vault");
}

#[test]
fn an_owner_without_a_backend_that_can_be_asked_keeps_everybody_out() {
    let mut world = World::new(1);
    world.room("vault", asking(&[HOOK]));
    let ada = world.lobby(0);
    world.line_unanswered(ada, r#"{"op":"join","room":"vault","id":1}"#);
    world.run();
    world.take(ada);
    world.away = true;
    let eve = world.lobby(0);
    world.line(eve, r#"{"op":"join","room":"vault","id":1}"#);
    let told = world.take_text(eve);
    assert!(
        told.contains(r#""op":"refused","id":1,"room":"vault","code":4205"#),
        "{told}"
    );
}

#[test]
fn a_second_factor_shown_at_sign_in_counts_while_it_is_young() {
    for (age_ms, expected) in [
        (30_000, r#""op":"admitted""#),
        (90_000, r#""step":"second_factor""#),
    ] {
        let mut world = World::new(1);
        world.session(7);
        let session = world.sessions.get_mut(&hash(7)).expect("a session");
        session.second_factor = Some(UnixTime::from_millis(HOUR - age_ms));
        world.room("vault", asking(&[FACTOR]));
        let ada = world.lobby_of(0, 7);
        world.line(ada, r#"{"op":"join","room":"vault","id":1}"#);
        let told = world.take_text(ada);
        assert!(told.contains(expected), "{age_ms} {told}");
    }
}

#[test]
fn nobody_without_a_user_has_a_second_factor() {
    let mut world = World::new(1);
    world.room("vault", asking(&[FACTOR]));
    let ada = world.lobby(0);
    world.line(ada, r#"{"op":"join","room":"vault","id":1}"#);
    let told = world.take_text(ada);
    assert!(
        told.contains(r#""op":"refused","id":1,"room":"vault","code":4103"#),
        "{told}"
    );
}

#[test]
fn a_step_that_is_added_is_asked_of_who_is_inside_and_only_that_one() {
    let mut world = World::new(1);
    world.room("vault", asking(&[PASSWORD]));
    let ada = world.lobby(0);
    world.line(ada, r#"{"op":"join","room":"vault","id":1}"#);
    world.line(
        ada,
        r#"{"op":"answer","room":"vault","password":"open sesame","id":2}"#,
    );
    assert!(world.take_text(ada).contains("admitted"));
    world.rule("vault", asking(&[PASSWORD, CODE]));
    let told = world.take_text(ada);
    assert!(
        told.contains(r#"{"op":"challenge","room":"vault","step":"room_code""#),
        "{told}"
    );
    world.line(
        ada,
        r#"{"op":"answer","room":"vault","code":"123456","id":3}"#,
    );
    assert!(world.take_text(ada).contains(r#""op":"admitted","id":3"#));
}

#[test]
fn a_plain_raw_socket_is_told_how_to_be_asked() {
    let mut world = World::new(1);
    world.room("vault", asking(&[CODE]));
    let refused = world.upgrade(0, "/vault", &[]);
    let told = world.take_text(refused);
    assert!(told.starts_with("HTTP/1.1 403"), "{told}");
    assert!(
        told.contains(r#""code":4107,"rule":"entry.steps""#),
        "{told}"
    );
    assert!(told.contains("porthouse.raw.v1"), "{told}");
    let page = world.upgrade(
        0,
        "/vault",
        &[
            "Origin: https://x",
            "Sec-WebSocket-Protocol: porthouse.plain",
        ],
    );
    let (code, reason) = close_frame(&world.take(page));
    assert_eq!(code, 4107, "{reason}");
}
