//! What is on its way while rooms change, and what comes of it.

use core::time::Duration;
use std::sync::Arc;

use porthouse_model::{Change, ChangeItem, Keep, Revision, RoomName, RoomRules};

use super::history::{join_as, keeping, send, waiting};
use super::homes::{home_and_other, join, ordered, restart};
use super::resuming::{cut, kept};
use super::sibling::paired;
use super::world::{World, password_rules};
use crate::home::home_of;
use crate::hop::Hop;
use crate::sibling::SiblingSaid;
use crate::wire::frame::client;
use crate::{Changed, Input, Output};

const LAST: Keep = Keep::Last {
    messages_max: 100,
    age_max: Duration::from_hours(1),
};

/// The room is gone, and another of the name is there.
fn another(world: &mut World, rules: RoomRules) -> [ChangeItem; 2] {
    let name: RoomName = "news".parse().expect("a name");
    let id = world.rooms.remove(&name).expect("it was made").id;
    world.room("padding", RoomRules::default());
    world.room("news", rules);
    let gone = ChangeItem::RoomGone {
        id,
        name: name.clone(),
        template: None,
    };
    [gone, ChangeItem::Room(world.rooms[&name].clone())]
}

#[test]
fn what_was_said_to_all_but_some_is_read_by_who_was_inside_in_the_next_epoch() {
    let mut world = World::new(3);
    let (home, other) = home_and_other("news");
    world.room("news", kept(RoomRules::default()));
    let (ben, _) = join(&mut world, other, "news");
    for _ in 0..5 {
        send(&mut world, ben, "", "before");
    }
    let (ada, _) = join(&mut world, other, "news");
    restart(&mut world, home, 9);
    let cat = "018f3c5e-0000-7000-8000-000000000001";
    send(&mut world, ben, &format!(r#","except":["{cat}"]"#), "most");
    world.take(ada);
    world.line(ada, r#"{"op":"history","room":"news","id":9}"#);
    let told = world.take_text(ada);
    assert!(told.contains("\nmost"), "{told}");
}

#[test]
fn a_key_from_before_a_room_kept_its_messages_has_no_offset() {
    let mut world = World::new(1);
    world.room("news", RoomRules::default());
    let (ada, _) = join(&mut world, 0, "news");
    send(&mut world, ada, r#","id":1,"key":"k""#, "once");
    world.rule("news", keeping(LAST));
    world.take(ada);
    send(&mut world, ada, r#","id":2,"key":"k""#, "once");
    let told = world.take_text(ada);
    assert!(told.contains(r#""op":"receipt","id":2"#), "{told}");
    assert!(!told.contains("offset"), "{told}");
}

#[test]
fn what_was_read_in_a_room_is_not_shown_in_its_successor() {
    let mut world = World::new(3);
    let (_, other) = home_and_other("news");
    let mut rules = password_rules(1);
    rules.history = keeping(LAST).history;
    world.room("news", rules);
    let knock = r#"{"op":"join","room":"news","id":1}"#;
    let answer = r#"{"op":"answer","room":"news","password":"open sesame","id":2}"#;
    let ada = world.lobby(other);
    world.line(ada, knock);
    world.line(ada, answer);
    assert!(world.take_text(ada).contains(r#""op":"admitted""#));
    send(&mut world, ada, "", "old");
    let ben = world.lobby(other);
    world.line(ben, knock);
    world.take(ada);
    world.hops_stand_to = Some(other);
    world.line(ada, r#"{"op":"history","room":"news","id":9}"#);
    // Somebody in the door keeps the name known here.
    world.line(ben, answer);
    let items = another(&mut world, RoomRules::default());
    world.change(items.into());
    world.line(ada, r#"{"op":"join","room":"news","id":3}"#);
    world.hops_stand_to = None;
    world.release_hops();
    let told = world.take_text(ada);
    assert!(told.contains(r#""op":"admitted","id":3"#), "{told}");
    assert!(!told.contains("\nold"), "{told}");
    assert!(told.contains(r#""op":"error","id":9"#), "{told}");
}

#[test]
fn who_is_inside_a_room_that_is_gone_elsewhere_hears_nothing_of_its_successor() {
    let mut world = World::new(3);
    let (home, other) = home_and_other("news");
    world.room("news", RoomRules::default());
    let (ada, _) = join(&mut world, other, "news");
    *world.rooms.get_mut("news").expect("made").rules = ordered();
    let stricter = ChangeItem::Room(world.rooms["news"].clone());
    let [gone, made] = another(&mut world, keeping(LAST));
    let revisions: Vec<_> = [stricter, gone, made]
        .into_iter()
        .map(|item| {
            world.revision += 1;
            let revision = Revision(world.revision);
            let items = vec![item];
            Arc::new(Changed::compile(Change { revision, items }))
        })
        .collect();
    let tell = |world: &mut World, puddle: usize, at: usize| {
        let changed = Input::Changed(Arc::clone(&revisions[at]));
        world.puddles[puddle].handle(world.now, changed);
        world.run();
    };
    (0..3).for_each(|at| tell(&mut world, home, at));
    let (ben, _) = join(&mut world, home, "news");
    send(&mut world, ben, "", "of the other");
    tell(&mut world, other, 0);
    let heard = world.take_text(ada);
    assert!(!heard.contains(r#""op":"epoch""#), "{heard}");
    (1..3).for_each(|at| tell(&mut world, other, at));
    let heard = world.take_text(ada);
    assert!(heard.contains(r#""op":"closed""#), "{heard}");
    assert!(!heard.contains("of the other"), "{heard}");
}

#[test]
fn many_rooms_joined_at_once_do_not_close_a_slow_reader() {
    let mut world = World::new(1);
    world.session(1);
    let rooms = ["news-1", "news-2", "news-3", "news-4"];
    for room in rooms {
        let mut rules = kept(waiting());
        rules.history.waiting = waiting().history.waiting;
        rules
            .history
            .waiting
            .as_mut()
            .expect("it waits")
            .messages_max = 100;
        world.room(room, rules);
    }
    let joins = |world: &mut World, ada, op: &str| {
        let line = |room: &&str| {
            let line = format!(r#"{{"op":"{op}","room":"{room}","id":1}}"#);
            client::frame(true, client::TEXT, line.as_bytes())
        };
        let bytes = rooms.iter().flat_map(line).collect();
        world.bytes(ada, bytes);
    };
    let ada = world.lobby_of(0, 1);
    joins(&mut world, ada, "join");
    cut(&mut world, ada);
    let ben = world.joined(0, &rooms);
    for room in rooms {
        for _ in 0..10 {
            let line = format!(r#"{{"op":"send","room":"{room}"}}"#);
            world.line(ben, &format!("{line}\n{}", "x".repeat(50_000)));
        }
    }
    let ada = world.lobby_of(0, 1);
    world.stall(ada, 0);
    joins(&mut world, ada, "join");
    assert!(!world.is_ended(ada));
    world.unstall(ada);
    let heard = world.take_text(ada);
    assert_eq!(heard.matches(r#""op":"admitted""#).count(), 4);
    assert!(heard.contains(r#""op":"gap""#), "what did not fit is told");
    assert!(!world.is_ended(ada));
}

#[test]
fn what_waits_is_not_lost_between_two_arrivals() {
    let mut world = World::new(3);
    world.session(1);
    world.room("news", waiting());
    let (home, other) = home_and_other("news");
    let (ada, _) = join_as(&mut world, other, 1);
    let (ben, _) = join(&mut world, home, "news");
    let (_stays, _) = join(&mut world, other, "news");
    world.line(ada, r#"{"op":"leave","room":"news","id":2}"#);
    send(&mut world, ben, "", "said");
    let (lost, second) = (world.lobby_of(other, 1), world.lobby_of(other, 1));
    world.hops_stand = true;
    world.line(lost, r#"{"op":"join","room":"news","id":1}"#);
    world.line(second, r#"{"op":"join","room":"news","id":1}"#);
    world.line(lost, r#"{"op":"leave","room":"news","id":2}"#);
    world.release_hops();
    let (_, heard) = join_as(&mut world, other, 1);
    assert!(heard.contains("\nsaid"), "{heard}");
    let (_, heard) = join_as(&mut world, other, 1);
    assert!(!heard.contains("\nsaid"), "handed over once: {heard}");
}

#[test]
fn what_siblings_are_told_is_encoded_once_however_many_there_are() {
    let mut world = World::new(2);
    let names = (1..).map(|number| format!("ledger-{number}"));
    let at_one = |name: &String| home_of(&name.parse().expect("a name"), 2).0 == 1;
    let room = names.into_iter().find(at_one).expect("half of them");
    world.room(&room, RoomRules::default());
    for _ in 0..3 {
        paired(&mut world, (0, 1), &room, &[]);
    }
    *world.rooms.get_mut(room.as_str()).expect("made").rules = ordered();
    let items = vec![ChangeItem::Room(world.rooms[room.as_str()].clone())];
    world.change_only(items);
    let outputs = world.settle_only(1);
    let hops = outputs.iter().filter_map(|output| {
        let Output::Hop { hop, .. } = output else {
            return None;
        };
        let Hop::Sibling(hop) = hop else { return None };
        Some(&hop.what)
    });
    let told = hops.filter_map(|said| {
        let SiblingSaid::Told(frames) = said else {
            return None;
        };
        Some(frames)
    });
    let told: Vec<&Arc<[u8]>> = told.collect();
    assert!(told.len() >= 3, "{}", told.len());
    assert!(told.windows(2).all(|pair| Arc::ptr_eq(pair[0], pair[1])));
}
