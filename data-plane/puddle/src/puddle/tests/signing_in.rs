//! Signing in by a name, a password and a code: one reply a request, and nobody
//! before the code.

use core::time::Duration;

use porthouse_model::{Credential, CredentialKind, SessionId};

use super::live_permission::held;
use super::world::{Client, HOUR, World, close_frame, token, upgrade_request};

const PASSWORD: &str = r#"{"op":"auth","id":1,"username":"user7","password":"open sesame"}"#;
const CODE: &str = r#"{"op":"auth","id":2,"code":"123456"}"#;

/// A user with a second factor, and a socket in the lobby.
fn enrolled() -> (World, Client) {
    let mut world = World::new(1);
    world.session(7);
    world.enrolled = true;
    let ada = world.lobby(0);
    (world, ada)
}

fn told(world: &mut World, client: Client, line: &str) -> String {
    world.line(client, line);
    world.take_text(client)
}

#[test]
fn a_password_is_answered_by_a_challenge_and_the_code_signs_in() {
    let (mut world, ada) = enrolled();
    let challenge = told(&mut world, ada, PASSWORD);
    let expected = r#"{"op":"challenge","id":1,"step":"second_factor","expires_ms":"#;
    assert!(challenge.contains(expected), "{challenge}");
    assert!(!challenge.contains("authenticated"));
    let signed_in = told(&mut world, ada, CODE);
    assert!(
        signed_in.contains(r#""op":"authenticated","id":2"#),
        "{signed_in}"
    );
    let late = told(&mut world, ada, CODE);
    assert!(
        late.contains(r#""op":"error","id":2,"rule":"auth""#),
        "{late}"
    );
}

#[test]
fn a_token_of_an_identity_provider_signs_in_as_a_password_does() {
    let mut world = World::new(1);
    world.session(7);
    let ada = world.lobby(0);
    let wrong = told(&mut world, ada, r#"{"op":"auth","id":3,"jwt":"nobody"}"#);
    assert!(
        wrong.contains(r#""op":"refused","id":3,"code":4106,"rule":"sign_in""#),
        "{wrong}"
    );
    for both in [
        r#"{"op":"auth","id":4,"jwt":"user7","code":"123456"}"#,
        r#"{"op":"auth","id":4,"jwt":"user7","username":"user7","password":"x"}"#,
        r#"{"op":"auth","id":4,"jwt":"user7","token":"phs_x"}"#,
        r#"{"op":"auth","id":4,"jwt":""}"#,
    ] {
        let error = told(&mut world, ada, both);
        assert!(error.contains(r#""op":"error","id":4"#), "{error}");
    }
    let signed_in = told(&mut world, ada, r#"{"op":"auth","id":5,"jwt":"user7"}"#);
    assert!(
        signed_in.contains(r#""op":"authenticated","id":5"#),
        "{signed_in}"
    );
}

#[test]
fn a_token_of_an_identity_provider_is_followed_by_the_code_of_a_second_factor() {
    let (mut world, ada) = enrolled();
    let challenge = told(&mut world, ada, r#"{"op":"auth","id":1,"jwt":"user7"}"#);
    assert!(
        challenge.contains(r#""op":"challenge","id":1"#),
        "{challenge}"
    );
    let signed_in = told(&mut world, ada, CODE);
    assert!(
        signed_in.contains(r#""op":"authenticated","id":2"#),
        "{signed_in}"
    );
}

#[test]
fn a_wrong_code_is_refused_and_another_may_follow() {
    let (mut world, ada) = enrolled();
    told(&mut world, ada, PASSWORD);
    let wrong = told(&mut world, ada, r#"{"op":"auth","id":3,"code":"000000"}"#);
    assert!(
        wrong.contains(r#""op":"refused","id":3,"code":4112,"rule":"sign_in.code""#),
        "{wrong}"
    );
    let signed_in = told(&mut world, ada, CODE);
    assert!(
        signed_in.contains(r#""op":"authenticated","id":2"#),
        "{signed_in}"
    );
}

#[test]
fn a_code_without_a_password_is_an_error() {
    let (mut world, ada) = enrolled();
    let early = told(&mut world, ada, CODE);
    assert!(
        early.contains(r#""op":"error","id":2,"rule":"auth""#),
        "{early}"
    );
}

#[test]
fn before_the_code_the_socket_is_nobody() {
    let (mut world, ada) = enrolled();
    let rules = porthouse_model::RoomRules {
        connection: porthouse_model::ConnectionRules {
            audience: porthouse_model::Audience::Users,
            ..Default::default()
        },
        ..Default::default()
    };
    world.room("staff", rules);
    told(&mut world, ada, PASSWORD);
    let refused = told(&mut world, ada, r#"{"op":"join","id":4,"room":"staff"}"#);
    assert!(refused.contains(r#""op":"refused","id":4"#), "{refused}");
    assert!(refused.contains("4103"), "{refused}");
    let signed_in = told(&mut world, ada, CODE);
    assert!(signed_in.contains("authenticated"), "{signed_in}");
    let inside = told(&mut world, ada, r#"{"op":"join","id":5,"room":"staff"}"#);
    assert!(inside.contains(r#""op":"admitted","id":5"#), "{inside}");
}

#[test]
fn a_sign_in_that_is_over_is_begun_anew() {
    let (mut world, ada) = enrolled();
    told(&mut world, ada, PASSWORD);
    let gone = std::mem::take(&mut world.sessions);
    let over = told(&mut world, ada, CODE);
    assert!(
        over.contains(r#""id":2,"code":4113,"rule":"sign_in.challenge""#),
        "{over}"
    );
    world.sessions = gone;
    let early = told(&mut world, ada, CODE);
    assert!(early.contains(r#""op":"error""#), "{early}");
    told(&mut world, ada, PASSWORD);
    assert!(told(&mut world, ada, CODE).contains("authenticated"));
}

#[test]
fn a_password_or_a_token_may_come_instead_of_the_code() {
    let (mut world, ada) = enrolled();
    told(&mut world, ada, PASSWORD);
    let again = told(&mut world, ada, PASSWORD);
    assert!(again.contains(r#""op":"challenge","id":1"#), "{again}");
    let by_token = format!(r#"{{"op":"auth","id":6,"token":"{}"}}"#, token(7));
    let signed_in = told(&mut world, ada, &by_token);
    assert!(
        signed_in.contains(r#""op":"authenticated","id":6"#),
        "{signed_in}"
    );
}

#[test]
fn a_device_that_keeps_a_mark_is_given_one_and_no_other() {
    let mut world = World::new(1);
    world.session(7);
    let by = r#"{"op":"auth","id":1,"username":"user7","password":"open sesame""#;
    let ada = world.lobby(0);
    let given = told(&mut world, ada, &format!(r#"{by},"device_mark":""}}"#));
    assert!(given.contains(r#""device_mark":"phd_new""#), "{given}");
    let mark = Credential::new(CredentialKind::Device, [4; 32]).reveal();
    let shows = format!(r#"{by},"device_mark":"{mark}"}}"#);
    for line in [shows, format!("{by}}}")] {
        let other = world.lobby(0);
        let known = told(&mut world, other, &line);
        assert!(known.contains("authenticated"), "{known}");
        assert!(!known.contains("device_mark"), "{known}");
    }
    let (mut world, ada) = enrolled();
    told(&mut world, ada, PASSWORD);
    let code = r#"{"op":"auth","id":2,"code":"123456","device_mark":""}"#;
    let given = told(&mut world, ada, code);
    assert!(given.contains(r#""device_mark":"phd_new""#), "{given}");
}

#[test]
fn who_is_to_wait_is_told_how_long() {
    let (mut world, ada) = enrolled();
    world.busy = Some(Duration::from_mins(7));
    let busy = told(&mut world, ada, PASSWORD);
    let expected = r#""code":4209,"rule":"sign_in","#;
    assert!(busy.contains(expected), "{busy}");
    let wait = r#""retry":"after","retry_after_ms":420000,"#;
    assert!(busy.contains(wait), "{busy}");
    world.busy = None;
    told(&mut world, ada, PASSWORD);
    world.busy = Some(Duration::from_hours(9));
    let longest = told(&mut world, ada, CODE);
    assert!(
        longest.contains(r#""retry_after_ms":3600000,"#),
        "{longest}"
    );
}

#[test]
fn who_never_shows_the_code_is_closed() {
    let (mut world, ada) = enrolled();
    told(&mut world, ada, PASSWORD);
    world.wait(Duration::from_secs(31));
    let closed = world.take(ada);
    assert_eq!(close_frame(&closed).0, 4200);
}

#[test]
fn a_code_that_nobody_can_judge_is_refused_and_may_be_shown_again() {
    let (mut world, ada) = enrolled();
    told(&mut world, ada, PASSWORD);
    world.away = true;
    let away = told(&mut world, ada, CODE);
    assert!(
        away.contains(r#""op":"refused","id":2,"code":4205"#),
        "{away}"
    );
    world.away = false;
    assert!(told(&mut world, ada, CODE).contains(r#""op":"authenticated","id":2"#));
}

#[test]
fn whose_sessions_had_sockets_is_told_in_batches_and_not_a_message() {
    let mut world = World::new(1);
    world.session(7);
    world.session(8);
    let stays = world.lobby_of(0, 7);
    let goes = world.lobby_of(0, 8);
    let socket = goes.socket;
    world.puddles[0].handle(world.now, crate::Input::Lost { socket });
    for _ in 0..100 {
        world.line(stays, r#"{"op":"ping"}"#);
    }
    assert_eq!(world.seen, [] as [Vec<SessionId>; 0]);
    let id = |user: u8| SessionId::from_bytes([user; 16]);
    world.wait(Duration::from_secs(30));
    world.wall(HOUR + 30_000);
    world.wait(Duration::from_secs(30));
    world.wall(HOUR + 60_000);
    world.wait(Duration::from_secs(1));
    assert_eq!(world.seen, [vec![id(7), id(8)], vec![id(7)]]);
}

#[test]
fn who_is_looked_up_is_known_as_soon_as_somebody_else_signs_in_to_that_session() {
    let mut world = World::new(1);
    world.session(7);
    let bearer = format!("Authorization: Bearer {}", token(7));
    let v1 = "Sec-WebSocket-Protocol: porthouse.v1";
    let ada = world.connect(0);
    world.bytes_unanswered(ada, upgrade_request("/", &[v1, &bearer]));
    // What is asked about its session has no answer for long.
    let (_question, _answer) = held(&mut world, 0);
    world.run();
    assert!(!world.take_text(ada).contains("authenticated"));
    let ben = world.lobby(0);
    let signed_in = told(&mut world, ben, PASSWORD);
    assert!(signed_in.contains("authenticated"), "{signed_in}");
    assert!(world.take_text(ada).contains("authenticated"));
}
