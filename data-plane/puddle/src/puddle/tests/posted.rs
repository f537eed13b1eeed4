//! What is posted over plain HTTP is held to what sockets are held to: a key
//! stands for one message, and whoever has no session is counted by its address.
//! A page reads the answer wherever its room's address is.

use core::num::NonZeroU32;
use core::time::Duration;

use porthouse_model::{
    Address, ConnectionRules, Endpoint, EndpointAccess, EndpointId, MessageKind, Order, Rate,
    RoomName, RoomRules, UserId,
};

use super::plain::{post, request};
use super::world::{World, frame, token};

use MessageKind::Text;

fn bearer(user: u8) -> String {
    format!("Authorization: Bearer {}", token(user))
}

fn ordered() -> RoomRules {
    let mut rules = RoomRules::default();
    rules.delivery.order = Order::Ordered;
    rules
}

#[test]
fn a_key_that_is_posted_twice_stands_for_one_message() {
    for rules in [RoomRules::default(), ordered()] {
        let mut world = World::new(3);
        world.session(1);
        world.session(2);
        world.room("orders", rules);
        let ada = world.raw(0, "orders");
        let first = [&bearer(1)[..], "Idempotency-Key: \"7f\""];
        for puddle in [0, 1, 2, 0] {
            let answer = post(&mut world, puddle, "/orders", &first, "one");
            assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
            assert!(answer.ends_with("{\"room\":\"orders\",\"level\":\"accepted\"}\n"));
        }
        assert_eq!(world.take(ada), frame(Text, b"one"));
        let others = [&bearer(2)[..], "Idempotency-Key: 7f"];
        post(&mut world, 1, "/orders", &others, "another's");
        assert_eq!(world.take(ada), frame(Text, b"another's"));

        world.wait(Duration::from_secs(601));
        let answer = post(&mut world, 1, "/orders", &first, "one");
        assert!(answer.starts_with("HTTP/1.1 409 "), "{answer}");
        assert!(answer.contains(r#""rule":"key_window""#), "{answer}");
        assert_eq!(world.take(ada), b"");
    }
}

#[test]
fn a_key_is_the_clients_over_sockets_and_plain_http_alike() {
    let mut world = World::new(2);
    world.session(1);
    let ada = world.raw(0, "lobby");
    let ben = world.lobby_of(1, 1);
    world.line(ben, r#"{"op":"join","room":"lobby","id":1}"#);
    world.line(
        ben,
        "{\"op\":\"send\",\"room\":\"lobby\",\"key\":\"k\"}\nhello",
    );
    assert_eq!(world.take(ada), frame(Text, b"hello"));
    let keyed = [&bearer(1)[..], "Idempotency-Key: k"];
    let answer = post(&mut world, 0, "/lobby", &keyed, "hello");
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert_eq!(world.take(ada), b"");
}

#[test]
fn nobody_without_a_session_has_a_key_for_it_would_be_anybodys() {
    let mut world = World::new(1);
    let ada = world.raw(0, "lobby");
    let answer = post(&mut world, 0, "/lobby", &["Idempotency-Key: 1"], "hello");
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.contains(r#""rule":"http.idempotency_key""#));
    assert_eq!(world.take(ada), b"");
}

#[test]
fn so_many_keys_of_a_poster_are_remembered() {
    for rules in [RoomRules::default(), ordered()] {
        let mut world = World::with(1, |settings| settings.keys_per_client_max = 1);
        world.session(1);
        world.room("orders", rules);
        for (key, status) in [("a", 202), ("b", 429), ("a", 202)] {
            let key = format!("Idempotency-Key: {key}");
            let answer = post(&mut world, 0, "/orders", &[&bearer(1), &key], "one");
            let begins = format!("HTTP/1.1 {status} ");
            assert!(answer.starts_with(&begins), "{answer}");
            let full = answer.contains(r#""rule":"keys_per_client_max""#);
            assert_eq!(full, status == 429, "{answer}");
        }
    }
}

#[test]
fn a_message_whose_sender_is_put_out_while_its_key_is_looked_up_is_not_said() {
    let mut world = World::new(3);
    world.session(1);
    let (home, other) = super::homes::home_and_other("lobby");
    let ada = world.raw(home, "lobby");
    world.raw(other, "lobby");
    let headers = ["Content-Length: 5", "Content-Type: text/plain"];
    let keyed = [&bearer(1)[..], "Idempotency-Key: k"];
    let headers = [&headers[..], &keyed].concat();
    world.hops_stand = true;
    let client = request(&mut world, other, "POST /lobby", &headers, b"hello");
    world.change(vec![porthouse_model::ChangeItem::SessionGone(
        porthouse_model::SessionId::from_bytes([1; 16]),
    )]);
    world.release_hops();
    let answer = world.take_text(client);
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert_eq!(world.take(ada), b"");
    world.session(1);
    let answer = post(&mut world, home, "/lobby", &keyed, "hello");
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert_eq!(world.take(ada), frame(Text, b"hello"), "it is new");
}

#[test]
fn anonymous_posts_from_one_address_count_as_one_client_on_every_puddle() {
    let mut world = World::new(3);
    world.session(1);
    let mut rules = RoomRules::default();
    rules.messages.rates.per_client = Some(Rate {
        per_second: NonZeroU32::MIN,
        burst: NonZeroU32::new(2).expect("not zero"),
    });
    world.room("calm", rules);
    let ada = world.raw(0, "calm");
    for (puddle, status) in [(0, 202), (1, 202), (2, 429)] {
        let answer = post(&mut world, puddle, "/calm", &[], "hello");
        let begins = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&begins), "{answer}");
        let refused = answer.contains(r#""rule":"messages.rates.per_client""#);
        assert_eq!(refused, status == 429, "{answer}");
    }
    let answer = post(&mut world, 0, "/calm", &[&bearer(1)], "a client of its own");
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    world.say(ada, Text, b"a socket is a client, too");
    assert!(!world.is_ended(ada));
    world.wait(Duration::from_secs(1));
    let answer = post(&mut world, 0, "/calm", &[], "and later");
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
}

/// What leads to these rooms, for whom.
fn leading(world: &mut World, at: &str, access: EndpointAccess, rooms: &[&str]) {
    let address: Address = at.parse().expect("an address");
    let room = |name: &&str| name.parse::<RoomName>().expect("a name");
    world.endpoint(Endpoint {
        id: EndpointId::from_bytes([9; 16]),
        address,
        owner: Some(UserId::from_bytes([1; 16])),
        rooms: rooms.iter().map(room).collect(),
        access,
    });
}

#[test]
fn a_page_that_the_room_names_reads_the_answer_at_every_address_of_the_room() {
    const PAGE: &str = "Origin: https://shop.example";
    const ALLOWED: &str = "Access-Control-Allow-Origin: https://shop.example\r\nVary: Origin\r\n";
    const ASKS: &str = "Access-Control-Request-Method: POST";
    let suffix = |settings: &mut crate::Settings| {
        settings.hosts.endpoint_suffix = Some(".rooms.example".into());
    };
    let mut world = World::with(1, suffix);
    world.session(1);
    let naming = RoomRules {
        connection: ConnectionRules {
            origins: ["https://shop.example".to_owned()].into(),
            ..ConnectionRules::default()
        },
        ..RoomRules::default()
    };
    world.room("shop", naming);
    leading(&mut world, "@counter", EndpointAccess::Anyone, &["shop"]);
    leading(&mut world, "@till", EndpointAccess::Users, &["shop"]);
    leading(
        &mut world,
        "shop.rooms.example",
        EndpointAccess::Anyone,
        &["shop"],
    );
    for (target, host) in [
        ("/@counter", "x"),
        ("/@till", "x"),
        ("/", "shop.rooms.example"),
    ] {
        let at = |line: &str| format!("{line} {target} HTTP/1.1\r\nHost: {host}\r\n{PAGE}\r\n");
        let preflight = world.connect(0);
        let asked = at("OPTIONS") + ASKS + "\r\n\r\n";
        world.bytes(preflight, asked.into_bytes());
        let answer = world.take_text(preflight);
        assert!(answer.starts_with("HTTP/1.1 204 "), "{target}: {answer}");
        assert!(answer.contains(ALLOWED), "{target}: {answer}");
        assert!(answer.contains("Allow-Methods: GET, POST\r\n"), "{answer}");
        let posts = world.connect(0);
        let posted = at("POST") + &bearer(1) + "\r\nContent-Length: 2\r\n\r\nhi";
        world.bytes(posts, posted.into_bytes());
        let answer = world.take_text(posts);
        assert!(answer.starts_with("HTTP/1.1 202 "), "{target}: {answer}");
        assert!(answer.contains(ALLOWED), "{target}: {answer}");
    }

    world.room("other", RoomRules::default());
    leading(
        &mut world,
        "@mall",
        EndpointAccess::Anyone,
        &["shop", "other"],
    );
    let preflight = request(&mut world, 0, "OPTIONS /@mall", &[PAGE, ASKS], b"");
    let answer = world.take_text(preflight);
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    assert!(!answer.contains("Access-Control"), "{answer}");
}

#[test]
fn pages_that_are_refused_are_counted_by_what_refuses_them() {
    let mut world = World::new(1);
    let naming = RoomRules {
        connection: ConnectionRules {
            origins: ["https://shop.example".to_owned()].into(),
            ..ConnectionRules::default()
        },
        ..RoomRules::default()
    };
    world.room("shop", naming);
    let other = "Origin: https://other.example";
    let answer = post(&mut world, 0, "/shop", &[other], "hello");
    assert!(
        answer.contains(r#""rule":"connection.origins""#),
        "{answer}"
    );
    let cookie = "Cookie: __Host-porthouse=x";
    let answer = post(&mut world, 0, "/open", &[other, cookie], "hello");
    assert!(answer.contains(r#""rule":"page.origin""#), "{answer}");
    post(
        &mut world,
        0,
        "/shop",
        &["Origin: https://shop.example"],
        "hello",
    );
    let counters = world.puddles[0].counters();
    let counted = (counters.pages_refused, counters.cookies_refused);
    assert_eq!((counted, counters.refused), ((1, 1), 2));
}
