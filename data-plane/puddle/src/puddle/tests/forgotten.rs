//! What the store is to forget of durable rooms is forgotten, whenever it can be,
//! and nothing that comes after goes with it.

use core::time::Duration;

use porthouse_model::{ChangeItem, Keep, RoomName};

use super::covered::put;
use super::durable::{durable, news};
use super::homes::join;
use super::world::{Client, World};

fn say(world: &mut World, client: Client, payload: &str) -> String {
    let line = r#"{"op":"send","room":"news","id":7,"receipt":"stored"}"#;
    world.line(client, &format!("{line}\n{payload}"));
    world.take_text(client)
}

fn delete(world: &mut World) {
    let name: RoomName = "news".parse().expect("a name");
    let id = world.rooms.remove(&name).expect("it was made").id;
    world.change(vec![ChangeItem::RoomGone {
        id,
        name,
        template: None,
    }]);
}

/// History survives, or does not.
fn survives(world: &mut World, survives: bool) {
    let mut rules = durable(100);
    rules.history.durable = survives;
    world.rule("news", rules);
}

#[test]
fn a_room_deleted_while_the_store_is_down_is_forgotten_after() {
    let mut world = news(|_| {});
    let (ada, _) = join(&mut world, 0, "news");
    say(&mut world, ada, "secret");
    world.store.down = true;
    delete(&mut world);
    for _ in 0..100 {
        world.wait(Duration::from_secs(1));
    }
    assert_eq!(world.store.records(), 1, "it is down");
    world.store.down = false;
    world.wait(Duration::from_mins(1));
    assert_eq!(world.store.records(), 0);
}

#[test]
fn what_is_on_its_way_when_a_room_is_deleted_is_forgotten_too() {
    let mut world = news(|_| {});
    let (ada, _) = join(&mut world, 0, "news");
    world.store.stands = true;
    say(&mut world, ada, "secret");
    delete(&mut world);
    assert_eq!(world.store.waits_about().len(), 1, "only the record");
    world.release_store();
    assert_eq!(world.store.records(), 0);
}

#[test]
fn history_turned_off_and_on_again_brings_nothing_back() {
    let mut world = news(|_| {});
    let (ada, _) = join(&mut world, 0, "news");
    say(&mut world, ada, "before");
    world.store.stands = true;
    say(&mut world, ada, "on its way");
    survives(&mut world, false);
    survives(&mut world, true);
    world.release_store();
    assert_eq!(world.store.records(), 0);
    assert!(say(&mut world, ada, "after").contains(r#""level":"stored","offset":1"#));
    world.line(ada, r#"{"op":"history","room":"news","id":9}"#);
    let told = world.take_text(ada);
    assert!(told.contains("after") && !told.contains("before"), "{told}");
    assert_eq!(world.store.records(), 1);
}

#[test]
fn nobody_waits_for_a_store_that_has_not_forgotten() {
    let mut world = news(|_| {});
    let (ada, _) = join(&mut world, 0, "news");
    say(&mut world, ada, "before");
    world.store.down = true;
    survives(&mut world, false);
    survives(&mut world, true);
    let told = say(&mut world, ada, "meanwhile");
    assert!(told.contains(r#""code":4221"#), "{told}");
    world.store.down = false;
    world.wait(Duration::from_mins(1));
    assert!(say(&mut world, ada, "after").contains(r#""level":"stored","offset":1"#));
    assert_eq!(world.store.records(), 1);
}

#[test]
fn what_is_still_to_be_forgotten_is_bounded() {
    let mut world = news(|settings| settings.store.forgets_max = 1);
    let (ada, _) = join(&mut world, 0, "news");
    say(&mut world, ada, "secret");
    let unheard = ChangeItem::RoomGone {
        id: porthouse_model::RoomId::from_bytes([99; 16]),
        name: "news".parse().expect("a name"),
        template: None,
    };
    world.store.down = true;
    world.change(vec![unheard]);
    delete(&mut world);
    world.store.down = false;
    world.wait(Duration::from_mins(1));
    assert_eq!(world.store.records(), 1, "it ends by its age");
}

#[test]
fn the_latest_message_of_a_room_that_a_template_makes_ends_by_its_age() {
    let mut world = news(|_| {});
    let mut rules = durable(1);
    rules.history.keep = Keep::Latest;
    put(&mut world, "chat:*", rules.clone());
    let (ada, _) = join(&mut world, 0, "chat:a");
    world.line(ada, "{\"op\":\"send\",\"room\":\"chat:a\",\"id\":7}\nhello");
    assert_eq!(world.store.lasts, [Some(Duration::from_hours(30 * 24))]);
    world.rule("news", rules);
    let (ben, _) = join(&mut world, 0, "news");
    say(&mut world, ben, "hello");
    assert_eq!(world.store.lasts[1], None, "somebody deletes such a room");
}
