//! Approval: who waits is seen by those inside who may let others in, and by
//! nobody else; the waiting room is bounded, on whatever puddle anybody is.

use core::time::Duration;

use porthouse_model::EntryStep;

use super::world::{Client, World, asking, token};
use crate::home::home_of;
use crate::{Command, Decision, Input, PuddleId, Reply};

/// A room that asks for approval, with a user inside who may give it.
fn hosted(puddles: u8, waiting_max: usize) -> (World, Client) {
    let mut world = World::with(puddles, |settings| settings.waiting_max = waiting_max);
    world.session(7);
    world.room("vault", asking(&[EntryStep::Approval]));
    let host = world.lobby_of(0, 7);
    world.line(host, r#"{"op":"join","room":"vault","id":1}"#);
    assert!(
        world.take_text(host).contains("admitted"),
        "the host may invite"
    );
    (world, host)
}

fn waiting(world: &mut World, puddle: usize) -> (Client, String) {
    let client = world.lobby(puddle);
    world.line(client, r#"{"op":"join","room":"vault","id":1}"#);
    let told = world.take_text(client);
    (client, told)
}

/// The one who is shown last of those who wait.
fn shown(told: &str) -> String {
    let (_, rest) = told.rsplit_once(r#""clients":["#).expect("a crowd");
    let (clients, _) = rest.split_once(']').expect("its end");
    let last = clients.rsplit(',').next().expect("one");
    last.trim_matches('"').to_owned()
}

fn decide(world: &mut World, host: Client, op: &str, client: &str) -> String {
    world.line(
        host,
        &format!(r#"{{"op":"{op}","room":"vault","client":"{client}","id":9}}"#),
    );
    world.take_text(host)
}

#[test]
fn who_waits_is_seen_inside_and_let_in_on_any_puddle() {
    for puddle in 0..3 {
        let (mut world, host) = hosted(3, 8);
        let (ada, told) = waiting(&mut world, puddle);
        assert_eq!(told.matches("challenge").count(), 1, "{told}");
        assert!(
            told.contains(r#""id":1,"room":"vault","step":"approval"}"#),
            "{told}"
        );
        let crowd = world.take_text(host);
        assert!(
            crowd.contains(r#""op":"waiting","room":"vault","count":1"#),
            "{crowd}"
        );
        let told = decide(&mut world, host, "admit", &shown(&crowd));
        assert!(told.contains(r#""op":"decided","id":9"#), "{told}");
        assert!(told.contains(r#""count":0,"clients":[]"#), "{told}");
        let admitted = world.take_text(ada);
        assert!(
            admitted.contains(r#""op":"admitted","room":"vault""#),
            "{admitted}"
        );
        world.line(host, "{\"op\":\"send\",\"room\":\"vault\"}\nhello");
        assert!(world.take_text(ada).contains("hello"));
    }
}

#[test]
fn who_is_turned_away_is_told_so_and_stays_outside() {
    let (mut world, host) = hosted(2, 8);
    let (ada, _) = waiting(&mut world, 1);
    let crowd = world.take_text(host);
    decide(&mut world, host, "refuse", &shown(&crowd));
    let told = world.take_text(ada);
    assert!(
        told.contains(r#""op":"refused","room":"vault","code":4010"#),
        "{told}"
    );
    world.line(host, "{\"op\":\"send\",\"room\":\"vault\"}\nhello");
    assert!(!world.take_text(ada).contains("hello"));
}

#[test]
fn a_flooded_waiting_room_is_bounded_and_goes_on() {
    let (mut world, host) = hosted(2, 2);
    let waits: Vec<_> = (0..2).map(|at| waiting(&mut world, at)).collect();
    for puddle in 0..2 {
        let (_, told) = waiting(&mut world, puddle);
        assert!(told.contains(r#""code":4214"#), "{told}");
    }
    assert!(world.take_text(host).contains(r#""count":2"#));
    world.line(waits[0].0, r#"{"op":"leave","room":"vault","id":2}"#);
    assert!(world.take_text(host).contains(r#""count":1"#));
    let (_, told) = waiting(&mut world, 1);
    assert!(
        told.contains("approval") && !told.contains("4214"),
        "{told}"
    );
}

#[test]
fn only_who_may_invite_sees_who_waits_and_decides() {
    let (mut world, host) = hosted(1, 8);
    let (ada, _) = waiting(&mut world, 0);
    let crowd = world.take_text(host);
    decide(&mut world, host, "admit", &shown(&crowd));
    world.take(ada);
    let (eve, _) = waiting(&mut world, 0);
    assert_eq!(
        world.take_text(ada),
        "",
        "who may not invite is shown nobody"
    );
    let crowd = world.take_text(host);
    let told = decide(&mut world, ada, "admit", &shown(&crowd));
    assert!(
        told.contains(
            r#""op":"refused","id":9,"room":"vault","code":1008,"rule":"capabilities.invite""#
        ),
        "{told}"
    );
    let told = decide(&mut world, eve, "admit", &shown(&crowd));
    assert!(
        told.contains(r#""op":"error","id":9,"rule":"room""#),
        "{told}"
    );
    assert_eq!(world.take_text(eve), "");
}

#[test]
fn a_decision_about_nobody_is_an_error() {
    let (mut world, host) = hosted(1, 8);
    let told = decide(
        &mut world,
        host,
        "admit",
        "01010101-0101-0101-0101-010101010101",
    );
    assert!(
        told.contains(r#""op":"error","id":9,"rule":"client""#),
        "{told}"
    );
}

#[test]
fn a_host_who_comes_later_is_shown_who_waits() {
    let (mut world, _) = hosted(2, 8);
    waiting(&mut world, 0);
    world.session(8);
    let late = world.lobby_of(1, 8);
    world.line(late, r#"{"op":"join","room":"vault","id":1}"#);
    let told = world.take_text(late);
    assert!(
        told.contains("admitted") && told.contains(r#""count":1"#),
        "{told}"
    );
}

#[test]
fn nobody_waits_for_ever() {
    let (mut world, host) = hosted(1, 8);
    let (ada, _) = waiting(&mut world, 0);
    for _ in 0..7 {
        world.wait(Duration::from_secs(40));
        world.line(ada, r#"{"op":"ping"}"#);
        world.line(host, r#"{"op":"ping"}"#);
    }
    assert!(
        !world.take_text(ada).contains("refused"),
        "there is time to decide"
    );
    world.wait(Duration::from_secs(40));
    assert!(world.take_text(ada).contains(r#""code":4200"#));
    assert!(world.take_text(host).contains(r#""count":0"#));
}

#[test]
fn rules_that_no_longer_ask_let_in_who_waits() {
    let (mut world, _) = hosted(2, 8);
    let (ada, _) = waiting(&mut world, 1);
    world.rule("vault", asking(&[]));
    assert!(world.take_text(ada).contains("admitted"));
}

#[test]
fn who_waits_is_told_to_a_home_that_began_anew() {
    let (mut world, _) = hosted(2, 8);
    let home = home_of(&"vault".parse().expect("a name"), 2);
    let there = 1 - usize::from(home.0);
    let (ada, _) = waiting(&mut world, there);
    world.session(8);
    let host = world.lobby_of(there, 8);
    world.line(host, r#"{"op":"join","room":"vault","id":1}"#);
    assert!(world.take_text(host).contains(r#""count":1"#));
    world.puddles[there].handle(world.now, Input::Restarted { puddle: home });
    world.puddles[usize::from(home.0)].handle(
        world.now,
        Input::Restarted {
            puddle: PuddleId(1 - home.0),
        },
    );
    world.run();
    let crowd = world.take_text(host);
    let told = decide(&mut world, host, "admit", &shown(&crowd));
    assert!(told.contains("decided"), "{told}");
    assert!(world.take_text(ada).contains("admitted"));
}

#[test]
fn nothing_of_ours_is_said_on_the_raw_socket_of_who_may_let_others_in() {
    let (mut world, host) = hosted(1, 8);
    waiting(&mut world, 0);
    assert!(world.take_text(host).contains(r#""op":"waiting""#));
    let bearer = format!("Authorization: Bearer {}", token(7));
    let raw = world.upgrade(0, "/vault", &[&bearer]);
    let told = world.take_text(raw);
    assert!(told.starts_with("HTTP/1.1 101"), "{told}");
    assert!(told.ends_with("\r\n\r\n"), "{told}");
}

#[test]
fn a_backend_sees_who_waits_and_decides_at_the_rooms_home() {
    for puddle in 0..2 {
        let mut world = World::new(2);
        world.room("vault", asking(&[EntryStep::Approval]));
        let (ada, _) = waiting(&mut world, puddle);
        let room = || "vault".parse().expect("a name");
        let mut listed = world.order(&Command::ListWaiting { room: room() });
        listed.retain(|reply| *reply != Reply::Waiting(Vec::new()));
        let [Reply::Waiting(listed)] = &listed[..] else {
            panic!("one puddle is the home: {listed:?}");
        };
        let client = listed[0].client;
        assert_eq!((listed.len(), listed[0].sockets), (1, 1));
        let decide = Command::DecideWaiting {
            room: room(),
            client,
            decision: Decision::Admit,
        };
        let decided = world.order(&decide);
        assert!(decided.contains(&Reply::Decided { sockets: 1 }));
        assert!(world.take_text(ada).contains(r#""op":"admitted""#));
        let again = world.order(&decide);
        let nobody = || Reply::Decided { sockets: 0 };
        assert_eq!(again, [nobody(), nobody()]);
    }
}
