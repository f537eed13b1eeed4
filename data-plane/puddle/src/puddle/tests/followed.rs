//! Rooms that backends follow: each message is given once, whatever puddle it
//! is said on, and what is said to some only is not.

use std::sync::Arc;

use porthouse_model::{ClientId, MessageKind};

use super::homes::{home_and_other, join, ordered};
use super::world::World;
use crate::{Command, Input, Publish, RoomMessage};

/// A message, and its epoch and offset where it has them.
pub(super) type Given = (Arc<RoomMessage>, Option<(u64, u64)>);

fn follow(world: &mut World, room: &str) {
    for puddle in &mut world.puddles {
        let room = room.parse().expect("a name");
        puddle.handle(world.now, Input::Follow { room });
    }
}

fn unfollow(world: &mut World, room: &str) {
    for puddle in &mut world.puddles {
        let room = room.parse().expect("a name");
        puddle.handle(world.now, Input::Unfollow { room });
    }
}

/// What was given since: text, and epoch and offset.
fn given(world: &mut World) -> Vec<(String, Option<u64>)> {
    let given = std::mem::take(&mut world.followed).into_iter();
    let read = given.map(|(message, place)| {
        let text = String::from_utf8(message.payload.to_vec()).expect("text");
        (text, place.map(|(_, offset)| offset))
    });
    read.collect()
}

fn only(text: &str) -> Vec<(String, Option<u64>)> {
    vec![(text.to_owned(), None)]
}

#[test]
fn what_is_said_in_a_live_room_is_given_once_wherever_it_is_said() {
    let mut world = World::new(3);
    let sockets = [0, 1, 2].map(|puddle| world.raw(puddle, "lobby"));
    world.say(sockets[0], MessageKind::Text, b"unheard");
    assert_eq!(given(&mut world), []);
    follow(&mut world, "lobby");
    for socket in sockets {
        world.say(socket, MessageKind::Text, b"hello");
        assert_eq!(given(&mut world), only("hello"));
    }
    let elsewhere = world.raw(1, "kitchen");
    world.say(elsewhere, MessageKind::Text, b"not there");
    assert_eq!(given(&mut world), []);
    unfollow(&mut world, "lobby");
    world.say(sockets[0], MessageKind::Text, b"not any more");
    assert_eq!(given(&mut world), []);
}

#[test]
fn a_room_may_be_followed_before_anybody_is_in_it() {
    let mut world = World::new(2);
    follow(&mut world, "lobby");
    let ada = world.raw(1, "lobby");
    world.say(ada, MessageKind::Text, b"first");
    assert_eq!(given(&mut world), only("first"));
}

#[test]
fn what_a_room_keeps_is_given_by_its_home_in_order() {
    let mut world = World::new(3);
    world.room("ledger", ordered());
    follow(&mut world, "ledger");
    let (home, other) = home_and_other("ledger");
    let sockets = [home, other].map(|puddle| world.raw(puddle, "ledger"));
    world.say(sockets[0], MessageKind::Text, b"one");
    world.say(sockets[1], MessageKind::Text, b"two");
    let publish = Publish {
        room: "ledger".parse().expect("a name"),
        kind: MessageKind::Text,
        payload: b"three".to_vec().into(),
        to: Vec::new(),
        except: Vec::new(),
    };
    world.order(&Command::Publish(publish.into()));
    let expected = [("one", 1), ("two", 2), ("three", 3)];
    let expected = expected.map(|(text, offset)| (text.to_owned(), Some(offset)));
    assert_eq!(given(&mut world), expected);
}

#[test]
fn what_is_said_to_some_only_is_given_to_nobody_else() {
    let mut world = World::new(1);
    follow(&mut world, "lobby");
    let ada = join(&mut world, 0, "lobby").0;
    let ben = ClientId::from_bytes([3; 16]);
    let line = |field: &str| {
        format!(r#"{{"op":"send","room":"lobby","{field}":["{ben}"]}}"#) + "\nquietly"
    };
    world.line(ada, &line("to"));
    assert_eq!(given(&mut world), []);
    world.line(ada, &line("except"));
    assert_eq!(given(&mut world), only("quietly"));
}
