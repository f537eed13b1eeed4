//! Connecting: who is let in by list, page and hour, who learns of a room, and
//! who goes when a rule comes to bite.

use core::num::NonZeroU32;
use core::time::Duration;
use std::collections::BTreeSet;

use porthouse_model::{
    Acts, Capabilities, ConnectionRules, Member, MessageKind, OpeningHours, Rate, Role, RoomRules,
    UnixTime, WeekSpan,
};

use super::world::{Client, World, close_frame, token};
use crate::Input;

use MessageKind::Text;

const HOUR_LONG: Duration = Duration::from_hours(1);

fn connecting(connection: ConnectionRules) -> RoomRules {
    RoomRules {
        connection,
        ..RoomRules::default()
    }
}

fn from_page(world: &mut World, room: &str, page: &str) -> (u16, String) {
    let origin = format!("Origin: {page}");
    let client = world.upgrade(0, &format!("/{room}"), &[&origin]);
    let told = world.take(client);
    assert!(told.starts_with(b"HTTP/1.1 101"), "a browser can read it");
    let end = told.windows(4).position(|four| four == b"\r\n\r\n");
    let frames = &told[end.expect("a head") + 4..];
    if frames.is_empty() {
        (1000, String::new())
    } else {
        close_frame(frames)
    }
}

#[test]
fn a_page_of_another_origin_is_kept_out_and_told_so() {
    let mut world = World::new(1);
    let rules = connecting(ConnectionRules {
        origins: BTreeSet::from(["https://app.example".to_owned()]),
        ..ConnectionRules::default()
    });
    world.room("app", rules);
    assert_eq!(from_page(&mut world, "app", "https://app.example").0, 1000);
    for page in ["https://evil.example", "null", "https://app.example.evil"] {
        let (code, reason) = from_page(&mut world, "app", page);
        assert_eq!(code, 4008, "{page}");
        assert!(
            reason.starts_with("connection.origins; retry never; "),
            "{reason}"
        );
    }
    // What is no browser says of no page.
    world.raw(0, "app");
}

#[test]
fn a_lobby_s_page_counts_in_each_room_it_joins() {
    let mut world = World::new(1);
    let named = connecting(ConnectionRules {
        origins: BTreeSet::from(["https://app.example".to_owned()]),
        ..ConnectionRules::default()
    });
    world.room("app", named);
    let lines = [
        "Sec-WebSocket-Protocol: porthouse.v1",
        "Origin: https://evil.example",
    ];
    let client = world.upgrade(0, "/", &lines);
    world.take(client);
    world.line(client, r#"{"op":"join","room":"app","id":1}"#);
    assert!(world.take_text(client).contains("connection.origins"));
    world.line(client, r#"{"op":"join","room":"lobby","id":2}"#);
    assert!(world.take_text(client).contains(r#""op":"admitted""#));
}

#[test]
fn a_rule_about_pages_puts_out_those_who_came_before_it() {
    let mut world = World::new(1);
    world.room("app", RoomRules::default());
    let evil = world.upgrade(0, "/app", &["Origin: https://evil.example"]);
    world.take(evil);
    let plain = world.raw(0, "app");
    world.rule(
        "app",
        connecting(ConnectionRules {
            origins: BTreeSet::from(["https://app.example".to_owned()]),
            ..ConnectionRules::default()
        }),
    );
    assert_eq!(close_frame(&world.take(evil)).0, 4008);
    assert!(!world.is_ended(plain));
}

/// The world begins on a Thursday, 1970-01-01, 01:00 UTC.
fn open_for_another_minute_in_berlin() -> RoomRules {
    connecting(ConnectionRules {
        hours: Some(OpeningHours {
            zone: "Europe/Berlin".to_owned(),
            spans: vec![WeekSpan {
                from_minute: 3 * 1_440,
                to_minute: 3 * 1_440 + 121,
            }],
        }),
        ..ConnectionRules::default()
    })
}

#[test]
fn a_room_closes_at_its_hour_for_those_inside_too() {
    let mut world = World::with(1, |settings| settings.silence_time_max = HOUR_LONG);
    world.room("office", open_for_another_minute_in_berlin());
    let raw = world.raw(0, "office");
    let lobby = world.joined(0, &["office", "lobby"]);
    world.wait(Duration::from_secs(59));
    assert_eq!((world.take(raw), world.take(lobby)), (vec![], vec![]));
    world.wait(Duration::from_secs(1));
    let (code, reason) = close_frame(&world.take(raw));
    assert_eq!(code, 4213);
    assert!(
        reason.starts_with("connection.hours; retry after "),
        "{reason}"
    );
    let told = world.take_text(lobby);
    assert!(told.contains("connection.hours"), "{told}");
    let late = world.upgrade(0, "/office", &[]);
    assert!(world.take_text(late).starts_with("HTTP/1.1 503"));
}

#[test]
fn a_room_with_hours_opens_to_nobody_while_the_time_is_not_known() {
    let mut world = World::new(1);
    world.room("office", open_for_another_minute_in_berlin());
    // As late as it can be: the room is closed.
    let wall = UnixTime::from_millis(u64::MAX);
    world.puddles[0].handle(world.now, Input::Wall(wall));
    let client = world.upgrade(0, "/office", &[]);
    assert!(world.take_text(client).contains("connection.hours"));
}

fn join(world: &mut World, client: Client, room: &str) -> String {
    world.line(
        client,
        &format!(r#"{{"op":"join","room":"{room}","id":1}}"#),
    );
    world.take_text(client)
}

#[test]
fn only_users_and_roles_that_are_allowed_and_not_denied_enter() {
    let mut world = World::new(1);
    let [ada, ben, cleo] = [1, 2, 3].map(|user| world.session(user));
    let users = connecting(ConnectionRules {
        users_allowed: BTreeSet::from([ada]),
        ..ConnectionRules::default()
    });
    world.room("users", users);
    let speaker: Role = "speaker".parse().expect("a role");
    let roles = connecting(ConnectionRules {
        roles_allowed: BTreeSet::from([speaker]),
        users_denied: BTreeSet::from([cleo]),
        ..ConnectionRules::default()
    });
    let room = world.room("roles", roles);
    for user in [ben, cleo] {
        world.members.push(Member {
            room,
            user,
            role: speaker,
            expires: None,
            then: None,
        });
    }
    for (user, room, enters) in [
        (1, "users", true),
        (2, "users", false),
        (1, "roles", false),
        (2, "roles", true),
        (3, "roles", false),
    ] {
        let client = world.lobby_of(0, user);
        let told = join(&mut world, client, room);
        assert_eq!(
            told.contains(r#""op":"admitted""#),
            enters,
            "{user} {room}: {told}"
        );
        assert_eq!(
            told.contains("connection.roles"),
            !enters,
            "{user} {room}: {told}"
        );
    }
    let nobody = world.lobby(0);
    let told = join(&mut world, nobody, "users");
    assert!(told.contains("connection.user_required"), "{told}");
}

#[test]
fn who_may_not_see_a_room_is_told_that_there_is_none() {
    let mut world = World::new(1);
    world.session(1);
    let hidden = RoomRules {
        capabilities: Capabilities {
            anonymous: Acts::NONE,
            ..Capabilities::open()
        },
        ..RoomRules::default()
    };
    world.room("hidden", hidden);
    let told = |world: &mut World, room: &str| {
        let client = world.upgrade(0, room, &[]);
        let answer = world.take_text(client);
        let refused = answer.find(r#""refusal_id""#).expect("a refusal");
        answer[..refused].to_owned()
    };
    let answer = told(&mut world, "/hidden");
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    let bearer = format!("Authorization: Bearer {}", token(1));
    let user = world.upgrade(0, "/hidden", &[&bearer]);
    assert!(world.take_text(user).starts_with("HTTP/1.1 101"));
}

#[test]
fn who_may_not_join_is_refused_by_that_rule() {
    let mut world = World::new(1);
    let rules = RoomRules {
        capabilities: Capabilities::members(),
        ..RoomRules::default()
    };
    world.room("members", rules);
    let client = world.upgrade(0, "/members", &[]);
    let told = world.take_text(client);
    assert!(
        told.starts_with("HTTP/1.1 403") && told.contains("capabilities.join"),
        "{told}"
    );
}

#[test]
fn what_somebody_may_do_changes_while_they_are_inside() {
    let mut world = World::new(1);
    world.room("stage", RoomRules::default());
    let (ada, ben) = (world.joined(0, &["stage"]), world.raw(0, "stage"));
    let announce = RoomRules {
        capabilities: Capabilities::announce_only(),
        ..RoomRules::default()
    };
    world.rule("stage", announce);
    world.line(ada, "{\"op\":\"send\",\"room\":\"stage\",\"id\":2}\nhi");
    let told = world.take_text(ada);
    assert!(told.contains(r#""op":"refused","id":2"#), "{told}");
    assert!(told.contains("capabilities.send"), "{told}");
    assert_eq!(world.take(ben), b"", "nobody hears it");
    world.rule("stage", RoomRules::default());
    world.line(ada, "{\"op\":\"send\",\"room\":\"stage\",\"id\":3}\nhi");
    assert!(world.take_text(ada).contains(r#""op":"receipt","id":3"#));
    world.say(ben, Text, b"me too");
    assert!(world.take_text(ada).ends_with("me too"));
}

#[test]
fn an_address_joins_a_room_no_faster_than_the_room_allows() {
    let mut world = World::new(1);
    let two = NonZeroU32::new(2).expect("not zero");
    let rules = connecting(ConnectionRules {
        joins_per_address: Some(Rate {
            per_second: NonZeroU32::MIN,
            burst: two,
        }),
        ..ConnectionRules::default()
    });
    world.room("door", rules);
    let ada = world.joined(0, &["door"]);
    world.raw(0, "door");
    let late = world.upgrade(0, "/door", &[]);
    let told = world.take_text(late);
    assert!(told.starts_with("HTTP/1.1 429"), "{told}");
    assert!(told.contains("connection.joins_per_address"), "{told}");
    world.line(ada, r#"{"op":"leave","room":"door"}"#);
    world.take(ada);
    assert!(join(&mut world, ada, "door").contains("connection.joins_per_address"));
    // Other rooms do not ask it, and here there is another in a second.
    world.raw(0, "lobby");
    world.wait(Duration::from_secs(1));
    assert!(join(&mut world, ada, "door").contains(r#""op":"admitted""#));
}
