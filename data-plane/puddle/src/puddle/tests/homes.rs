//! Homes: what is one per room is one on a node, whichever puddle its sockets
//! are on, and is forgotten with the room.

use porthouse_model::{ChangeItem, DeliveryRules, Order, Revision, RoomName, RoomRules, UnixTime};

use super::world::{Client, HOUR, World};
use crate::home::home_of;
use crate::{Input, Puddle, PuddleId, Seed, Seeds, Settings, TransientMakers};

pub(super) fn ordered() -> RoomRules {
    RoomRules {
        delivery: DeliveryRules {
            order: Order::Ordered,
            ..DeliveryRules::default()
        },
        ..RoomRules::default()
    }
}

/// A field of the first event of this op that came, as it is written.
pub(super) fn told(text: &str, op: &str, field: &str) -> Option<String> {
    let at = text.find(&format!(r#""op":"{op}""#))?;
    let line = &text[at..at + text[at..].find('}')?];
    let at = line.find(&format!(r#""{field}":"#))? + field.len() + 3;
    let rest = &line[at..];
    Some(rest[..rest.find(',').unwrap_or(rest.len())].to_owned())
}

/// Joins, and answers what was told.
pub(super) fn join(world: &mut World, puddle: usize, room: &str) -> (Client, String) {
    let client = world.lobby(puddle);
    world.line(
        client,
        &format!(r#"{{"op":"join","room":"{room}","id":1}}"#),
    );
    let told = world.take_text(client);
    assert!(told.contains(r#""op":"admitted""#), "{told}");
    (client, told)
}

/// The puddle that is the home of a room, and one that is not, of three.
pub(super) fn home_and_other(room: &str) -> (usize, usize) {
    let room: RoomName = room.parse().expect("a name");
    let home = usize::from(home_of(&room, 3).0);
    (home, (home + 1) % 3)
}

/// A puddle begins anew.
pub(super) fn restart(world: &mut World, at: usize, seed: u64) {
    restart_with(world, (at, seed), |_| {});
}

/// A puddle begins anew, with these settings.
pub(super) fn restart_with(
    world: &mut World,
    (at, seed): (usize, u64),
    change: impl Fn(&mut Settings),
) {
    let number = PuddleId(u8::try_from(at).expect("few puddles"));
    let puddles = u8::try_from(world.puddles.len()).expect("few puddles");
    let mut settings = Settings::new(number, puddles);
    settings.transient_makers = TransientMakers::Anyone;
    change(&mut settings);
    let mut fresh = Puddle::new(settings, Seeds::repeatable(Seed(seed)), world.now);
    let revision = Revision(world.revision);
    fresh.handle(world.now, Input::Wall(UnixTime::from_millis(HOUR)));
    fresh.handle(world.now, Input::Resync { revision });
    fresh.handle(world.now, Input::Fresh { revision });
    world.puddles[at] = fresh;
    for other in (0..world.puddles.len()).filter(|other| *other != at) {
        world.puddles[other].handle(world.now, Input::Restarted { puddle: number });
    }
    world.run();
}

#[test]
fn what_the_log_tells_late_of_a_room_takes_nothing_back_that_was_read_since() {
    for puddle in 0..3 {
        let mut world = World::new(3);
        let gone = world.room("ledger", ordered());
        let name: RoomName = "ledger".parse().expect("a name");
        let before = world.rooms[&name].clone();
        world.room("another", ordered());
        world.room("ledger", ordered());
        let now = world.rooms[&name].clone();
        // Its answer was read behind three revisions that the puddles have not heard of.
        world.revision += 3;
        let (client, told) = join(&mut world, puddle, "ledger");
        world.revision -= 3;
        world.change(vec![ChangeItem::Room(before)]);
        let template = None;
        let (id, name) = (gone, name.clone());
        world.change(vec![ChangeItem::RoomGone { id, name, template }]);
        world.change(vec![ChangeItem::Room(now)]);
        assert_eq!(world.take_text(client), "", "nothing has changed");
        world.line(client, r#"{"op":"send","room":"ledger","id":2}"#);
        let (again, as_before) = join(&mut world, puddle, "ledger");
        let epoch = |told: &str| super::homes::told(told, "admitted", "epoch");
        assert_eq!(epoch(&as_before), epoch(&told));
        world.take(again);
    }
}

#[test]
fn one_epoch_is_told_on_every_puddle() {
    let mut world = World::new(3);
    world.room("ledger", ordered());
    let epochs = [0, 1, 2].map(|puddle| {
        let (_, admitted) = join(&mut world, puddle, "ledger");
        assert_eq!(told(&admitted, "admitted", "offset").as_deref(), Some("0"));
        told(&admitted, "admitted", "epoch").expect("it has one")
    });
    assert!(epochs.iter().all(|epoch| *epoch == epochs[0]), "{epochs:?}");
}

#[test]
fn a_plain_room_has_neither_home_nor_offset() {
    let mut world = World::new(3);
    world.room("lobby", RoomRules::default());
    let (_, admitted) = join(&mut world, 0, "lobby");
    assert_eq!(told(&admitted, "admitted", "epoch"), None);
    for puddle in &world.puddles {
        assert_eq!(puddle.homes.rooms().count(), 0);
    }
}

#[test]
fn nobody_is_admitted_before_the_home_says_where_the_room_stands() {
    let mut world = World::new(3);
    world.room("ledger", ordered());
    let (_, other) = home_and_other("ledger");
    let client = world.lobby(other);
    world.hops_stand = true;
    world.line(client, r#"{"op":"join","room":"ledger","id":1}"#);
    assert_eq!(world.take_text(client), "");
    world.release_hops();
    assert!(world.take_text(client).contains(r#""op":"admitted""#));
}

#[test]
fn who_leaves_while_the_home_is_asked_is_nobodys_guest() {
    let mut world = World::new(3);
    world.room("ledger", ordered());
    let (home, other) = home_and_other("ledger");
    let (staying, _) = join(&mut world, other, "ledger");
    let client = world.lobby(other);
    world.hops_stand = true;
    world.line(client, r#"{"op":"join","room":"ledger","id":1}"#);
    world.line(client, r#"{"op":"leave","room":"ledger","id":2}"#);
    world.release_hops();
    assert!(!world.take_text(client).contains(r#""op":"admitted""#));
    world.line(staying, r#"{"op":"leave","room":"ledger","id":3}"#);
    assert_eq!(world.puddles[home].homes.rooms().count(), 0, "forgotten");
}

#[test]
fn a_room_that_ended_begins_with_another_epoch() {
    let mut world = World::new(3);
    world.room("ledger", ordered());
    let (client, before) = join(&mut world, 1, "ledger");
    world.line(client, r#"{"op":"leave","room":"ledger","id":2}"#);
    let (_, after) = join(&mut world, 2, "ledger");
    assert_ne!(
        told(&before, "admitted", "epoch"),
        told(&after, "admitted", "epoch")
    );
}

#[test]
fn a_home_that_begins_anew_announces_its_epoch() {
    let mut world = World::new(3);
    world.room("ledger", ordered());
    let (home, other) = home_and_other("ledger");
    let (client, before) = join(&mut world, other, "ledger");
    restart(&mut world, home, 99);
    let event = world.take_text(client);
    let epoch = told(&event, "epoch", "epoch");
    assert!(epoch.is_some(), "{event}");
    assert_ne!(epoch, told(&before, "admitted", "epoch"));
    assert_eq!(world.take_text(client), "", "it is told once");
    let (_, admitted) = join(&mut world, home, "ledger");
    assert_eq!(told(&admitted, "admitted", "epoch"), epoch);
}

#[test]
fn an_entry_whose_home_begins_anew_is_asked_for_again() {
    let mut world = World::new(3);
    world.room("ledger", ordered());
    let (home, other) = home_and_other("ledger");
    join(&mut world, other, "ledger");
    let client = world.lobby(other);
    world.hops_stand = true;
    world.line(client, r#"{"op":"join","room":"ledger","id":1}"#);
    world.lose_hops();
    restart(&mut world, home, 99);
    world.release_hops();
    assert!(world.take_text(client).contains(r#""op":"admitted""#));
}

#[test]
fn a_room_that_comes_to_need_its_home_tells_who_is_inside() {
    let mut world = World::new(3);
    world.room("ledger", RoomRules::default());
    let (_, other) = home_and_other("ledger");
    let (client, before) = join(&mut world, other, "ledger");
    assert_eq!(told(&before, "admitted", "epoch"), None);
    world.rule("ledger", ordered());
    let event = world.take_text(client);
    assert!(told(&event, "epoch", "epoch").is_some(), "{event}");
    let (_, admitted) = join(&mut world, other, "ledger");
    assert_eq!(
        told(&admitted, "admitted", "epoch"),
        told(&event, "epoch", "epoch")
    );
}

#[test]
fn homes_are_bounded() {
    let mut world = World::with(1, |settings| settings.homes_max = 2);
    for room in ["one", "two", "three"] {
        world.room(room, ordered());
    }
    let (one, _) = join(&mut world, 0, "one");
    join(&mut world, 0, "two");
    let third = world.lobby(0);
    world.line(third, r#"{"op":"join","room":"three","id":1}"#);
    let refused = world.take_text(third);
    assert!(refused.contains(r#""code":4202"#), "{refused}");
    world.line(one, r#"{"op":"leave","room":"one","id":2}"#);
    world.line(third, r#"{"op":"join","room":"three","id":2}"#);
    assert!(world.take_text(third).contains(r#""op":"admitted""#));
}

/// What is said around the moment in which a room gets a home, or loses it, may
/// change places across that moment, and in no other way.
#[test]
fn what_is_said_before_and_after_a_room_has_a_home_keeps_its_own_order() {
    let (home, other) = home_and_other("news");
    for (before, after) in [
        (RoomRules::default(), ordered()),
        (ordered(), RoomRules::default()),
    ] {
        for hold in 0..3 {
            let mut world = World::new(3);
            world.room("news", before.clone());
            let (ada, _) = join(&mut world, other, "news");
            let ears = [home, other, (home + 2) % 3].map(|at| join(&mut world, at, "news").0);
            world.hops_stand_to = Some(hold);
            for word in ["one", "two"] {
                world.line(
                    ada,
                    &format!("{{\"op\":\"send\",\"room\":\"news\"}}\n{word}"),
                );
            }
            world.rule("news", after.clone());
            for word in ["three", "four"] {
                world.line(
                    ada,
                    &format!("{{\"op\":\"send\",\"room\":\"news\"}}\n{word}"),
                );
            }
            world.hops_stand_to = None;
            world.release_hops();
            for ear in ears {
                let heard = world.take_text(ear);
                let at = |word: &str| {
                    assert_eq!(heard.matches(word).count(), 1, "{word}: {heard}");
                    heard.find(word)
                };
                assert!(at("\none") < at("\ntwo"), "{heard}");
                assert!(at("\nthree") < at("\nfour"), "{heard}");
            }
        }
    }
}
