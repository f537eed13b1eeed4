//! Behind a trusted proxy clients are where it says: all that counts by address,
//! and all that shuts an address out, tells them apart.

use core::num::NonZeroU32;

use porthouse_model::{AddressBlock, ChangeItem, Rate, RoomBlocks, RoomRules};

use super::plain::post;
use super::world::World;
use crate::Settings;

const ADA: &str = "X-Forwarded-For: 192.0.2.1";
const BEN: &str = "X-Forwarded-For: 198.51.100.7";

const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Everybody comes by a proxy on this machine.
fn proxied(settings: &mut Settings) {
    settings.hosts.trusted_proxies = vec!["127.0.0.1".parse().expect("a range")];
}

fn once() -> Rate {
    Rate {
        per_second: NonZeroU32::MIN,
        burst: NonZeroU32::MIN,
    }
}

/// How an upgrade is answered.
fn answer(world: &mut World, puddle: usize, path: &str, lines: &[&str]) -> String {
    let client = world.upgrade(puddle, path, lines);
    world.take_text(client)
}

#[test]
fn posts_and_joins_of_two_clients_behind_one_proxy_are_counted_apart() {
    let mut world = World::with(2, proxied);
    let mut rules = RoomRules::default();
    rules.messages.rates.per_socket = Some(once());
    rules.connection.joins_per_address = Some(once());
    world.room("calm", rules);
    for (puddle, line, is) in [
        (0, ADA, true),
        (1, BEN, true),
        (1, ADA, false),
        (0, BEN, false),
    ] {
        let posted = post(&mut world, puddle, "/calm", &[line], "hello");
        let joined = answer(&mut world, puddle, "/calm", &[line]);
        assert_eq!(posted.starts_with("HTTP/1.1 202 "), is, "{posted}");
        assert_eq!(joined.starts_with("HTTP/1.1 101 "), is, "{joined}");
    }
}

#[test]
fn a_block_of_a_network_shuts_out_who_comes_from_it_by_a_proxy() {
    let mut world = World::with(1, proxied);
    world.room("lobby", RoomRules::default());
    let ada = world.upgrade(0, "/lobby", &[ADA]);
    let ben = world.upgrade(0, "/lobby", &[BEN]);
    let room = world.rooms.get_mut("lobby").expect("a room");
    room.blocks = RoomBlocks {
        users: false,
        addresses: vec![AddressBlock {
            range: "192.0.2.0/24".parse().expect("a range"),
            expires: None,
        }],
    };
    let room = ChangeItem::Room(room.clone());
    world.change(vec![room]);
    world.take(ada);
    assert!(!world.is_ended(ben));
    let refused = answer(&mut world, 0, "/lobby", &[ADA]);
    assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
    assert!(answer(&mut world, 0, "/lobby", &[BEN]).starts_with("HTTP/1.1 101 "));
}

#[test]
fn without_a_trusted_proxy_nobody_says_where_they_are() {
    let mut world = World::new(1);
    let mut rules = RoomRules::default();
    rules.connection.joins_per_address = Some(once());
    world.room("calm", rules);
    assert!(answer(&mut world, 0, "/calm", &[ADA]).starts_with("HTTP/1.1 101 "));
    let refused = answer(&mut world, 0, "/calm", &[BEN]);
    assert!(refused.starts_with("HTTP/1.1 429 "), "{refused}");
    let ignored = answer(&mut world, 0, "/other", &["X-Forwarded-For: nonsense"]);
    assert!(ignored.starts_with("HTTP/1.1 101 "), "{ignored}");
}

#[test]
fn a_proxy_that_says_no_address_is_refused_and_told_what_is_needed() {
    let mut world = World::with(1, proxied);
    let refused = answer(&mut world, 0, "/lobby", &["X-Forwarded-For: unknown"]);
    assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
    assert!(refused.contains(r#""rule":"http.x_forwarded_for""#));
}

#[test]
fn unfinished_handshakes_behind_a_proxy_are_those_of_its_clients() {
    let mut world = World::with(1, |settings| {
        proxied(settings);
        settings.handshakes_per_address_max = 1;
    });
    let connections = [(); 3].map(|()| world.connect(0));
    let [first, second, other] = connections;
    // What is at the address is not known yet.
    for (client, from) in [(first, ADA), (second, ADA), (other, BEN)] {
        let request = format!("GET /@ada HTTP/1.1\r\nHost: x\r\n{from}\r\n{UPGRADE}\r\n");
        let input = crate::Input::Received {
            socket: client.socket,
            bytes: &mut request.into_bytes(),
        };
        world.puddles[0].handle(world.now, input);
    }
    world.settle_only(0);
    let refused = world.take_text(second);
    assert!(refused.starts_with("HTTP/1.1 429 "), "{refused}");
    assert!(!world.is_ended(first) && !world.is_ended(other));
    let socket = first.socket;
    world.puddles[0].handle(world.now, crate::Input::Lost { socket });
    let again = answer(&mut world, 0, "/@ada", &[ADA]);
    assert!(!again.starts_with("HTTP/1.1 429 "), "{again}");
}
