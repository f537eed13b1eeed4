//! One store for all durable rooms of a puddle: it is asked for no more at once
//! than fits, and what one room does keeps no other from it.

use super::durable::{durable, news, restart_home};
use super::homes::{home_and_other, join};
use super::world::{Client, World};
use crate::HistoryStore;

/// One puddle, and so many durable rooms.
fn one_puddle(rooms: u32) -> (World, Vec<String>) {
    let mut world = World::with(1, |settings| {
        settings.history_store = HistoryStore::Bridged;
        settings.store.wait_bytes_max = 100_000;
    });
    let rooms: Vec<String> = (1..=rooms).map(|number| format!("news-{number}")).collect();
    for room in &rooms {
        world.room(room, durable(100));
    }
    (world, rooms)
}

fn send(world: &mut World, client: Client, room: &str, bytes: usize) -> String {
    let line = format!(r#"{{"op":"send","room":"{room}","id":7,"receipt":"stored"}}"#);
    world.line(client, &format!("{line}\n{}", "x".repeat(bytes)));
    world.take_text(client)
}

#[test]
fn no_more_rooms_are_read_at_once_than_fit() {
    let (mut world, rooms) = one_puddle(100);
    let ada = world.lobby(0);
    world.store.stands = true;
    for room in &rooms {
        world.line(ada, &format!(r#"{{"op":"join","room":"{room}","id":1}}"#));
    }
    assert_eq!(world.store.waits_about().len(), 4);
    for _ in 0..96 {
        world.release_one();
        assert_eq!(world.store.waits_about().len(), 4);
    }
    world.release_store();
    let told = world.take_text(ada);
    assert_eq!(told.matches(r#""op":"admitted""#).count(), 100);
    assert_eq!(world.store.reads, 100);
}

#[test]
fn after_a_restart_a_room_that_is_asked_for_is_read_before_those_that_are_not() {
    let mut world = news(|_| {});
    let names = (1..=60).map(|number| format!("news-{number}"));
    let mut names: Vec<String> = names.filter(|name| home_and_other(name).0 == 0).collect();
    for name in &names {
        world.room(name, durable(100));
    }
    let asked = names.pop().expect("a third of them");
    assert!(names.len() > 10);
    let inside: Vec<&str> = names.iter().map(String::as_str).collect();
    world.joined(1, &inside);
    world.store.stands = true;
    restart_home(&mut world, 0, 99);
    assert_eq!(world.store.waits_about().len(), 4);
    let ben = world.lobby(1);
    world.line(ben, &format!(r#"{{"op":"join","room":"{asked}","id":1}}"#));
    for _ in 0..5 {
        world.release_one();
    }
    assert!(world.take_text(ben).contains(r#""op":"admitted""#));
    world.release_store();
    assert!(world.store.waits_about().is_empty());
}

#[test]
fn a_full_durable_room_refuses_nobody_elsewhere() {
    let (mut world, _) = one_puddle(3);
    let (ada, _) = join(&mut world, 0, "news-1");
    let (ben, _) = join(&mut world, 0, "news-2");
    let (cat, _) = join(&mut world, 0, "news-3");
    world.store.stands = true;
    let (mut full, mut also) = (0, 0);
    for _ in 0..50 {
        full += usize::from(send(&mut world, ada, "news-1", 4_000).contains("4221"));
        also += usize::from(send(&mut world, ben, "news-2", 4_000).contains("4221"));
    }
    assert!(full > 25 && also > 25, "{full} and {also} were refused");
    assert_eq!(send(&mut world, cat, "news-3", 4_000), "");
    world.release_store();
    let told = world.take_text(cat);
    assert!(told.contains(r#""level":"stored""#), "{told}");
}
