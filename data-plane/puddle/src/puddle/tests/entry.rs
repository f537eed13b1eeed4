//! Entry: who comes in, who is asked, who is told why not.

use core::time::Duration;

use super::world::{HOUR, World, close_frame, members_only, password_rules, token};
use crate::settings::TransientMakers;
use porthouse_model::{Member, Then, UnixTime};

#[test]
fn a_member_comes_in_and_a_stranger_is_told_why_not() {
    let mut world = World::new(1);
    let room = world.room("private", members_only());
    let user = world.session(1);
    world.session(2);
    world.members.push(Member {
        room,
        user,
        role: porthouse_model::Role::MEMBER,
        expires: None,
        then: None,
    });
    let bearer = |user| format!("Authorization: Bearer {}", token(user));
    let ada = world.upgrade(0, "/private", &[&bearer(1)]);
    assert!(world.take(ada).starts_with(b"HTTP/1.1 101"));
    for (lines, status, rule) in [
        (vec![bearer(2)], "403", "visibility.private"),
        (vec![], "401", "connection.user_required"),
        (vec![bearer(3)], "401", "credential"),
        (
            vec![String::from("Authorization: Bearer phs_nonsense")],
            "401",
            "credential",
        ),
    ] {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let stranger = world.upgrade(0, "/private", &lines);
        let told = world.take_text(stranger);
        assert!(told.starts_with(&format!("HTTP/1.1 {status}")), "{told}");
        assert!(told.contains(rule) && told.contains("refusal_id"), "{told}");
        assert!(world.is_ended(stranger));
    }
}

#[test]
fn a_browser_is_told_by_a_close_frame() {
    let mut world = World::new(1);
    world.room("private", members_only());
    let stranger = world.upgrade(0, "/private", &["Origin: https://example.com"]);
    let told = world.take(stranger);
    assert!(told.starts_with(b"HTTP/1.1 101"));
    let (code, reason) = close_frame(&told);
    assert_eq!(code, 4103);
    assert!(reason.starts_with("connection.user_required; retry authenticate; "));
}

#[test]
fn a_password_is_asked_until_it_is_right() {
    let mut world = World::new(2);
    world.room("vault", password_rules(1));
    let ada = world.lobby(0);
    world.line(ada, r#"{"op":"join","room":"vault","id":1}"#);
    let told = world.take_text(ada);
    assert!(
        told.contains(
            r#""op":"challenge","id":1,"room":"vault","step":"password","attempts_left":3"#
        ),
        "{told}"
    );
    world.line(
        ada,
        r#"{"op":"answer","room":"vault","password":"wrong","id":2}"#,
    );
    assert!(world.take_text(ada).contains(r#""op":"challenge","id":2"#));
    world.line(
        ada,
        r#"{"op":"answer","room":"vault","password":"open sesame","id":3}"#,
    );
    assert!(world.take_text(ada).contains(r#""op":"admitted","id":3"#));
    world.line(
        ada,
        r#"{"op":"answer","room":"vault","password":"again","id":4}"#,
    );
    assert!(world.take_text(ada).contains(r#""op":"error","id":4"#));
}

#[test]
fn who_is_to_wait_before_a_door_is_told_how_long() {
    let mut world = World::new(2);
    world.room("vault", password_rules(1));
    world.busy = Some(Duration::from_mins(3));
    let ada = world.lobby(0);
    world.line(ada, r#"{"op":"join","room":"vault","id":1}"#);
    world.take(ada);
    let answer = r#"{"op":"answer","room":"vault","password":"open sesame","id":2}"#;
    world.line(ada, answer);
    let told = world.take_text(ada);
    let busy = r#""op":"refused","id":2,"room":"vault","code":4208,"rule":"entry.password","#;
    assert!(told.contains(busy), "{told}");
    assert!(told.contains(r#""retry_after_ms":180000,"#), "{told}");
}

#[test]
fn the_last_wrong_password_is_refused() {
    let mut world = World::new(1);
    world.room("vault", password_rules(1));
    let ada = world.lobby(0);
    world.line(ada, r#"{"op":"join","room":"vault","id":1}"#);
    for _ in 0..3 {
        world.take(ada);
        world.line(
            ada,
            r#"{"op":"answer","room":"vault","password":"wrong","id":2}"#,
        );
    }
    let told = world.take_text(ada);
    assert!(
        told.contains(r#""op":"refused","id":2"#) && told.contains("4105"),
        "{told}"
    );
}

#[test]
fn a_raw_socket_is_told_where_a_password_is_asked() {
    let mut world = World::new(1);
    world.room("vault", password_rules(1));
    let ada = world.upgrade(0, "/vault", &[]);
    let told = world.take_text(ada);
    assert!(
        told.starts_with("HTTP/1.1 403") && told.contains("porthouse.v1"),
        "{told}"
    );
}

#[test]
fn a_socket_signs_in_by_token_or_by_name_and_password() {
    let mut world = World::new(1);
    world.session(1);
    let ada = world.lobby(0);
    world.line(
        ada,
        &format!(r#"{{"op":"auth","token":"{}","id":1}}"#, token(1)),
    );
    assert!(
        world
            .take_text(ada)
            .contains(r#""op":"authenticated","id":1"#)
    );
    let ben = world.lobby(0);
    world.line(
        ben,
        r#"{"op":"auth","username":"user1","password":"no","id":1}"#,
    );
    let told = world.take_text(ben);
    assert!(
        told.contains(r#""op":"refused","id":1"#) && told.contains("sign_in"),
        "{told}"
    );
    world.line(
        ben,
        r#"{"op":"auth","username":"user1","password":"open sesame","id":2}"#,
    );
    assert!(
        world
            .take_text(ben)
            .contains(r#""op":"authenticated","id":2"#)
    );
    world.line(
        ben,
        r#"{"op":"auth","username":"user1","password":"open sesame","id":3}"#,
    );
    assert!(world.take_text(ben).contains(r#""op":"error","id":3"#));
}

#[test]
fn transient_rooms_are_made_by_those_who_may() {
    let mut world = World::with(1, |settings| {
        settings.transient_makers = TransientMakers::Users;
    });
    world.session(1);
    let stranger = world.upgrade(0, "/lobby", &[]);
    assert!(world.take_text(stranger).starts_with("HTTP/1.1 404"));
    let ada = world.lobby_of(0, 1);
    world.line(ada, r#"{"op":"join","room":"lobby","id":1}"#);
    assert!(world.take_text(ada).contains("admitted"));
    world.raw(0, "lobby");
}

#[test]
fn without_the_control_plane_only_what_is_known_opens() {
    let mut world = World::new(1);
    world.room("kept", porthouse_model::RoomRules::default());
    world.raw(0, "kept");
    world.away = true;
    world.raw(0, "kept");
    let late = world.upgrade(0, "/unknown", &[]);
    let told = world.take_text(late);
    assert!(
        told.starts_with("HTTP/1.1 503") && told.contains("Retry-After"),
        "{told}"
    );
    world.wait(Duration::from_mins(16));
    let later = world.upgrade(0, "/kept", &[]);
    assert!(
        world.take_text(later).contains("staleness"),
        "nobody is admitted by old policy"
    );
}

#[test]
fn an_entry_that_takes_too_long_is_refused() {
    let mut world = World::new(1);
    world.room("vault", password_rules(1));
    let ada = world.lobby(0);
    world.line(ada, r#"{"op":"join","room":"vault","id":1}"#);
    world.take(ada);
    world.wait(Duration::from_secs(61));
    let told = world.take_text(ada);
    assert!(told.contains(r#""op":"refused","room":"vault""#), "{told}");
}

#[test]
fn a_membership_ends_in_its_time() {
    let mut world = World::new(1);
    let room = world.room("private", members_only());
    let user = world.session(1);
    let expires = Some(UnixTime::from_millis(HOUR + 10_000));
    world.members.push(Member {
        room,
        user,
        role: porthouse_model::Role::MEMBER,
        expires,
        then: None,
    });
    let ada = world.lobby_of(0, 1);
    world.line(ada, r#"{"op":"join","room":"private","id":1}"#);
    assert!(world.take_text(ada).contains("admitted"));
    world.wait(Duration::from_secs(11));
    let told = world.take_text(ada);
    assert!(told.contains(r#""op":"closed","room":"private""#), "{told}");
    assert!(!world.is_ended(ada));
}

#[test]
fn a_membership_that_ends_gives_way_to_the_one_that_comes_after_it() {
    let mut world = World::new(1);
    let room = world.room("private", members_only());
    let user = world.session(1);
    let at = |seconds: u64| Some(UnixTime::from_millis(HOUR + seconds * 1_000));
    world.members.push(Member {
        room,
        user,
        role: porthouse_model::Role::MODERATOR,
        expires: at(10),
        then: Some(Then {
            role: porthouse_model::Role::MEMBER,
            expires: at(20),
        }),
    });
    let ada = world.lobby_of(0, 1);
    world.line(ada, r#"{"op":"join","room":"private","id":1}"#);
    world.take(ada);
    // A moderator may put others out, a member may not.
    let kick =
        r#"{"op":"kick","id":2,"room":"private","client":"09090909-0909-0909-0909-090909090909"}"#;
    world.line(ada, kick);
    let told = world.take_text(ada);
    assert!(told.contains(r#""op":"kicked""#), "{told}");
    world.wait(Duration::from_secs(11));
    let told = world.take_text(ada);
    assert!(!told.contains("closed"), "she stays inside: {told}");
    world.line(ada, kick);
    let told = world.take_text(ada);
    assert!(told.contains("capabilities.kick"), "{told}");
    world.wait(Duration::from_secs(10));
    let told = world.take_text(ada);
    assert!(told.contains(r#""op":"closed","room":"private""#), "{told}");
}

#[test]
fn a_session_ends_in_its_time() {
    let mut world = World::new(1);
    world.session(1);
    let ada = world.lobby_of(0, 1);
    for _ in 0..70 {
        world.wait(Duration::from_mins(1));
        world.line(ada, r#"{"op":"ping"}"#);
    }
    assert_eq!(close_frame(&world.take(ada)).0, 4102);
}
