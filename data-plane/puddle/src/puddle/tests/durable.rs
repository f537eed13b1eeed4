//! Durable rooms: what was stored is there after a restart, in its place, and
//! nobody is told that something is stored which is not.

use core::time::Duration;
use std::sync::Arc;

use porthouse_model::{
    ChangeItem, HistoryRules, Keep, MessageKind, Refused, Revision, RoomRules, UnixTime,
};

use super::homes::{home_and_other, join, told};
use super::keeping::all;
use super::world::{Client, HOUR, World, close_frame};
use crate::{
    Command, HistoryStore, Input, Publish, Puddle, PuddleId, RESUME_KEY_BYTES, Reply, ResumeKeys,
    Seed, Seeds, Settings, TransientMakers,
};

pub(super) fn durable(messages_max: u32) -> RoomRules {
    RoomRules {
        history: HistoryRules {
            keep: Keep::Last {
                messages_max,
                age_max: Duration::from_hours(1),
            },
            durable: true,
            ..HistoryRules::default()
        },
        ..RoomRules::default()
    }
}

pub(super) fn news(change: impl Fn(&mut Settings)) -> World {
    let mut world = World::with(3, |settings| {
        settings.history_store = HistoryStore::Bridged;
        change(settings);
    });
    world.room("news", durable(100));
    world
}

/// A puddle of which nothing is known yet.
fn fresh(world: &World, number: PuddleId, seed: u64) -> Puddle {
    let puddles = u8::try_from(world.puddles.len()).expect("few");
    let mut settings = Settings::new(number, puddles);
    settings.transient_makers = TransientMakers::Anyone;
    settings.history_store = HistoryStore::Bridged;
    settings.resume_keys = ResumeKeys::new(&[[7; RESUME_KEY_BYTES]]);
    let seed = Seeds::repeatable(Seed(seed + u64::from(number.0)));
    let mut fresh = Puddle::new(settings, seed, world.now);
    let revision = Revision(world.revision);
    fresh.handle(world.now, Input::Wall(UnixTime::from_millis(HOUR)));
    fresh.handle(world.now, Input::Resync { revision });
    fresh.handle(world.now, Input::Fresh { revision });
    fresh
}

/// Every puddle begins anew: only the store is left.
pub(super) fn restart_all(world: &mut World, seed: u64) {
    world.lose_hops();
    world.store.lose_waiting();
    for at in 0..world.puddles.len() {
        let number = PuddleId(u8::try_from(at).expect("few"));
        world.puddles[at] = fresh(world, number, seed);
    }
    world.run();
}

/// The puddle that is a home begins anew.
pub(super) fn restart_home(world: &mut World, home: usize, seed: u64) {
    let number = PuddleId(u8::try_from(home).expect("few"));
    world.puddles[home] = fresh(world, number, seed);
    for other in (0..world.puddles.len()).filter(|other| *other != home) {
        world.puddles[other].handle(world.now, Input::Restarted { puddle: number });
    }
    world.run();
}

fn send(world: &mut World, client: Client, id: u32, more: &str, payload: &str) -> String {
    let line = format!(r#"{{"op":"send","room":"news","id":{id}{more}}}"#);
    world.line(client, &format!("{line}\n{payload}"));
    world.take_text(client)
}

fn stored(world: &mut World, client: Client, id: u32, payload: &str) -> String {
    send(world, client, id, r#","receipt":"stored""#, payload)
}

fn read(world: &mut World, client: Client) -> String {
    world.take(client);
    world.line(client, r#"{"op":"history","room":"news","id":9}"#);
    world.take_text(client)
}

fn epoch(admitted: &str) -> String {
    told(admitted, "admitted", "epoch").expect("it has one")
}

fn is_refused(answer: &str) -> bool {
    answer.contains(r#""op":"refused""#) && answer.contains(r#""code":4221"#)
}

#[test]
fn a_receipt_of_stored_comes_once_the_store_has_it_and_nobody_hears_it_before() {
    let mut world = news(|_| {});
    let (home, other) = home_and_other("news");
    for puddle in [home, other] {
        let (ada, _) = join(&mut world, puddle, "news");
        let (ben, _) = join(&mut world, home, "news");
        world.store.stands = true;
        assert_eq!(stored(&mut world, ada, 7, "hello"), "");
        assert_eq!(world.take_text(ben), "");
        world.release_store();
        let receipt = world.take_text(ada);
        assert_eq!(
            told(&receipt, "receipt", "level").as_deref(),
            Some(r#""stored""#)
        );
        assert!(world.take_text(ben).ends_with("\nhello"));
    }
}

#[test]
fn what_was_stored_is_in_history_after_a_restart_in_order_and_in_the_same_epoch() {
    let mut world = news(|_| {});
    let (_, other) = home_and_other("news");
    let (ada, before) = join(&mut world, other, "news");
    for number in 1..=5 {
        let receipt = stored(&mut world, ada, number, &format!("word {number}"));
        let offset = told(&receipt, "receipt", "offset");
        assert_eq!(offset, Some(number.to_string()), "{receipt}");
    }
    for seed in [10, 20] {
        restart_all(&mut world, seed);
        let (ben, after) = join(&mut world, 0, "news");
        assert_eq!(epoch(&before), epoch(&after));
        assert_eq!(told(&after, "admitted", "offset").as_deref(), Some("5"));
        let answer = read(&mut world, ben);
        assert_eq!(
            all(&answer, "offset"),
            ["1", "2", "3", "4", "5"],
            "{answer}"
        );
        assert_eq!(
            told(&answer, "history", "complete").as_deref(),
            Some("true")
        );
        assert!(answer.contains("\nword 3"), "{answer}");
    }
    let (cat, _) = join(&mut world, 1, "news");
    let receipt = stored(&mut world, cat, 6, "word 6");
    assert_eq!(told(&receipt, "receipt", "offset").as_deref(), Some("6"));
}

#[test]
fn the_latest_message_is_there_after_a_restart() {
    let mut world = news(|_| {});
    let mut rules = durable(1);
    rules.history.keep = Keep::Latest;
    world.rule("news", rules);
    let (ada, _) = join(&mut world, 0, "news");
    for number in 1..=40 {
        stored(&mut world, ada, number, &format!("word {number}"));
    }
    assert!(world.store.rooms.values().all(|records| records.len() < 20));
    restart_all(&mut world, 10);
    let (_, heard) = join(&mut world, 1, "news");
    assert!(heard.ends_with("\nword 40"), "{heard}");
}

#[test]
fn a_key_given_before_a_restart_is_the_same_message() {
    let mut world = news(|_| {});
    world.session(1);
    let ada = world.lobby_of(0, 1);
    world.line(ada, r#"{"op":"join","room":"news","id":1}"#);
    let more = r#","receipt":"stored","key":"k""#;
    let first = send(&mut world, ada, 2, more, "once");
    restart_all(&mut world, 10);
    let ada = world.lobby_of(1, 1);
    world.line(ada, r#"{"op":"join","room":"news","id":1}"#);
    let again = send(&mut world, ada, 2, more, "once");
    let receipt = |text: &str| told(text, "receipt", "offset");
    assert_eq!(receipt(&first).as_deref(), Some("1"));
    assert_eq!(receipt(&again), receipt(&first), "{again}");
    let answer = read(&mut world, ada);
    assert_eq!(answer.matches("\nonce").count(), 1, "{answer}");
}

#[test]
fn a_store_that_is_down_is_an_honest_refusal_and_goes_on_after() {
    let mut world = news(|_| {});
    let (ada, before) = join(&mut world, 0, "news");
    let (ben, _) = join(&mut world, 1, "news");
    stored(&mut world, ada, 1, "one");
    world.take(ben);
    world.store.down = true;
    for more in ["", r#","receipt":"stored""#] {
        let answer = send(&mut world, ada, 2, more, "lost");
        assert!(is_refused(&answer), "{answer}");
        assert!(answer.contains("history.durable"), "{answer}");
    }
    assert_eq!(world.take_text(ben), "", "nobody heard it");
    let answer = read(&mut world, ben);
    assert!(answer.contains("\none"), "what is known is read: {answer}");
    world.store.down = false;
    let receipt = stored(&mut world, ada, 3, "two");
    assert_eq!(told(&receipt, "receipt", "offset").as_deref(), Some("2"));
    let (_, after) = join(&mut world, 2, "news");
    assert_eq!(epoch(&before), epoch(&after));
}

#[test]
fn a_room_whose_store_is_down_lets_nobody_in_until_it_was_read() {
    let mut world = news(|_| {});
    world.store.down = true;
    let ada = world.lobby(0);
    world.line(ada, r#"{"op":"join","room":"news","id":1}"#);
    let answer = world.take_text(ada);
    assert!(is_refused(&answer), "{answer}");
    world.store.down = false;
    join(&mut world, 0, "news");
}

#[test]
fn a_message_whose_acknowledgement_was_lost_is_one_message_with_one_receipt() {
    let mut world = news(|_| {});
    let (ada, _) = join(&mut world, 0, "news");
    let (ben, _) = join(&mut world, 1, "news");
    world.store.acks_lost = 1;
    let receipt = stored(&mut world, ada, 1, "hello");
    assert_eq!(told(&receipt, "receipt", "offset").as_deref(), Some("1"));
    assert_eq!(receipt.matches(r#""op":"receipt""#).count(), 1, "{receipt}");
    let heard = world.take_text(ben);
    assert_eq!(heard.matches("\nhello").count(), 1, "{heard}");
    assert!(world.store.rooms.values().all(|records| records.len() == 1));
    let receipt = stored(&mut world, ada, 2, "again");
    assert_eq!(told(&receipt, "receipt", "offset").as_deref(), Some("2"));
}

#[test]
fn a_purge_is_a_purge_of_the_store_too() {
    let mut world = news(|_| {});
    let (ada, _) = join(&mut world, 0, "news");
    for number in 1..=5 {
        stored(&mut world, ada, number, &format!("word {number}"));
    }
    let purge = Command::Purge {
        room: "news".parse().expect("a name"),
        through: 3,
    };
    let replies = world.order(&purge);
    assert!(
        replies.contains(&Reply::Purged { messages: Some(3) }),
        "{replies:?}"
    );
    restart_all(&mut world, 10);
    let (ben, _) = join(&mut world, 0, "news");
    let answer = read(&mut world, ben);
    assert_eq!(all(&answer, "offset"), ["4", "5"], "{answer}");
    assert_eq!(
        told(&answer, "history", "complete").as_deref(),
        Some("false")
    );
    stored(&mut world, ben, 6, "word 6");
    world.store.down = true;
    let purge = Command::Purge {
        room: "news".parse().expect("a name"),
        through: 5,
    };
    let replies = world.order(&purge);
    assert!(
        replies.contains(&Reply::Refused(Refused::StoreAway)),
        "{replies:?}"
    );
}

#[test]
fn a_backend_is_told_the_place_of_its_message_once_it_is_stored() {
    let mut world = news(|_| {});
    let (ada, _) = join(&mut world, 0, "news");
    let publish = Command::Publish(Arc::new(Publish {
        room: "news".parse().expect("a name"),
        kind: MessageKind::Text,
        payload: (*b"from us").into(),
        to: Vec::new(),
        except: Vec::new(),
    }));
    let placed = |reply: &Reply| matches!(reply, Reply::Placed { offset: 1, .. });
    assert!(world.order(&publish).iter().any(placed));
    assert!(world.take_text(ada).ends_with("\nfrom us"));
    world.store.down = true;
    let replies = world.order(&publish);
    assert!(replies.contains(&Reply::Refused(Refused::StoreAway)));
}

#[test]
fn the_store_keeps_no_more_than_the_rules() {
    let mut world = news(|settings| settings.key_time_max = Duration::from_secs(1));
    world.rule("news", durable(10));
    let (ada, _) = join(&mut world, 0, "news");
    for number in 1..=100 {
        stored(&mut world, ada, number, "word");
        let most = world.store.rooms.values().map(Vec::len).max();
        assert!(most <= Some(10 + 17), "{most:?}");
    }
    restart_all(&mut world, 10);
    let (ben, _) = join(&mut world, 0, "news");
    let answer = read(&mut world, ben);
    assert_eq!(
        told(&answer, "history", "count").as_deref(),
        Some("10"),
        "{answer}"
    );
}

#[test]
fn what_waits_for_the_store_is_bounded_and_past_it_refused() {
    let mut world = news(|settings| settings.store.waits_max = 3);
    let (ada, _) = join(&mut world, 0, "news");
    world.store.stands = true;
    for number in 1..=3 {
        assert_eq!(stored(&mut world, ada, number, "x"), "");
    }
    let answer = stored(&mut world, ada, 4, "x");
    assert!(is_refused(&answer), "{answer}");
    world.release_store();
    let receipts = world.take_text(ada);
    assert_eq!(all(&receipts, "offset"), ["1", "2", "3"], "{receipts}");
}

#[test]
fn a_full_durable_room_refuses_by_every_way_in_and_holds_nobody_up() {
    let mut world = news(|settings| settings.store.waits_max = 1);
    let (ada, _) = join(&mut world, 0, "news");
    world.line(ada, r#"{"op":"join","room":"lobby","id":2}"#);
    let ben = world.raw(1, "news");
    let witness = world.raw(2, "lobby");
    world.take(ada);
    world.store.stands = true;
    assert_eq!(stored(&mut world, ada, 3, "waits"), "");
    let answer = stored(&mut world, ada, 4, "x");
    assert!(is_refused(&answer), "{answer}");
    world.say(ben, MessageKind::Text, b"x");
    assert_eq!(close_frame(&world.take(ben)).0, 4221);
    let posts = world.connect(2);
    let request = b"POST /news HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx";
    world.bytes(posts, request.to_vec());
    let answer = world.take_text(posts);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains(r#""code":4221"#), "{answer}");
    // It is still read: what it says in another room is heard meanwhile.
    assert!(!world.links[0].paused.contains(&ada.socket));
    let line = "{\"op\":\"send\",\"room\":\"lobby\"}\nelsewhere";
    world.line(ada, line);
    assert!(world.take_text(witness).ends_with("elsewhere"));
    world.release_store();
    assert!(
        world
            .take_text(ada)
            .contains(r#""level":"stored","offset":1"#)
    );
}

#[test]
fn a_deleted_room_is_forgotten_by_the_store() {
    let mut world = news(|_| {});
    let (ada, _) = join(&mut world, 0, "news");
    stored(&mut world, ada, 1, "secret");
    let name = "news".parse().expect("a name");
    let id = world.rooms[&name].id;
    world.rooms.remove(&name);
    let gone = ChangeItem::RoomGone {
        id,
        name,
        template: None,
    };
    world.change(vec![gone]);
    assert!(world.store.rooms.values().all(Vec::is_empty));
}

#[test]
fn a_room_that_comes_to_be_durable_begins_anew_with_what_was_stored() {
    let mut world = news(|_| {});
    let mut rules = durable(100);
    rules.history.durable = false;
    world.rule("news", rules);
    let (ada, before) = join(&mut world, 0, "news");
    let answer = stored(&mut world, ada, 1, "x");
    assert!(answer.contains(r#""op":"error""#), "{answer}");
    world.rule("news", durable(100));
    let (_, after) = join(&mut world, 1, "news");
    assert_ne!(epoch(&before), epoch(&after));
    let receipt = stored(&mut world, ada, 2, "kept");
    assert_eq!(told(&receipt, "receipt", "offset").as_deref(), Some("1"));
}

#[test]
fn who_is_inside_when_the_home_begins_anew_is_told_where_it_stands() {
    let mut world = news(|_| {});
    let (home, other) = home_and_other("news");
    let (ada, before) = join(&mut world, other, "news");
    stored(&mut world, ada, 1, "one");
    world.store.stands = true;
    stored(&mut world, ada, 2, "two");
    // It was stored, and its home was gone before it could say so.
    world.store.lose_waiting();
    restart_home(&mut world, home, 99);
    let event = world.take_text(ada);
    assert_eq!(
        told(&event, "epoch", "epoch"),
        told(&before, "admitted", "epoch"),
        "{event}"
    );
    assert_eq!(
        told(&event, "epoch", "offset").as_deref(),
        Some("2"),
        "{event}"
    );
    let answer = read(&mut world, ada);
    assert!(answer.contains("\ntwo"), "{answer}");
}

#[test]
fn bytes_that_wait_for_the_store_are_bounded_over_all_rooms() {
    let mut world = news(|settings| settings.store.wait_bytes_max = 2_000);
    let (ada, _) = join(&mut world, 0, "news");
    world.store.stands = true;
    let long = "x".repeat(1_000);
    assert_eq!(stored(&mut world, ada, 1, &long), "");
    let answer = stored(&mut world, ada, 2, &long);
    assert!(is_refused(&answer), "{answer}");
    world.release_store();
    assert!(world.take_text(ada).contains(r#""op":"receipt""#));
}

#[test]
fn rooms_wait_for_their_turn_when_too_much_is_under_way() {
    let mut world = news(|settings| settings.store.requests_max = 1);
    let rooms = ["news-1", "news-2", "news-3"];
    for room in rooms {
        world.room(room, durable(100));
    }
    let ada = world.joined(0, &rooms);
    world.store.stands = true;
    for (room, id) in rooms.into_iter().zip(1..) {
        let send = format!(r#"{{"op":"send","room":"{room}","id":{id},"receipt":"stored"}}"#);
        world.line(ada, &format!("{send}\nhello"));
    }
    world.release_store();
    let receipts = world.take_text(ada);
    assert_eq!(
        receipts.matches(r#""level":"stored""#).count(),
        3,
        "{receipts}"
    );
}

#[test]
fn with_one_slot_two_busy_rooms_take_turns() {
    let mut world = news(|settings| settings.store.requests_max = 1);
    let rooms = ["news-1", "news-2"];
    for room in rooms {
        world.room(room, durable(100));
    }
    let homes = rooms.map(|room| home_and_other(room).0);
    assert_eq!(homes[0], homes[1], "both share the slot of one puddle");
    let ada = world.joined(0, &rooms);
    world.store.stands = true;
    for id in 1..=3 {
        for room in rooms {
            let send = format!(r#"{{"op":"send","room":"{room}","id":{id},"receipt":"stored"}}"#);
            world.line(ada, &format!("{send}\nhello"));
        }
    }
    world.release_store();
    let receipts = world.take_text(ada);
    let ids: Vec<String> = all(&receipts, "id");
    assert_eq!(ids, ["1", "1", "2", "2", "3", "3"], "{receipts}");
}

#[test]
fn one_key_does_not_keep_the_store_from_forgetting() {
    let mut world = news(|settings| settings.key_time_max = Duration::from_secs(1));
    world.rule("news", durable(10));
    world.session(1);
    let ada = world.lobby_of(0, 1);
    world.line(ada, r#"{"op":"join","room":"news","id":1}"#);
    send(
        &mut world,
        ada,
        2,
        r#","receipt":"stored","key":"k""#,
        "once",
    );
    world.wait(Duration::from_secs(3));
    for number in 3..=100 {
        stored(&mut world, ada, number, "word");
    }
    let most = world.store.rooms.values().map(Vec::len).max();
    assert!(most <= Some(10 + 17), "{most:?}");
}

#[test]
fn one_key_that_is_remembered_does_not_keep_the_store_from_forgetting() {
    let mut world = news(|_| {});
    world.rule("news", durable(10));
    let (ada, _) = join(&mut world, 0, "news");
    send(&mut world, ada, 1, r#","key":"k""#, "keyed");
    for number in 0..1_100 {
        send(&mut world, ada, number, "", "word");
    }
    let most = world.store.records();
    assert!(most <= 1_000 + 17, "{most}");
}

#[test]
fn a_home_that_is_forgotten_answers_who_waits() {
    let mut world = World::with(1, |settings| {
        settings.history_store = HistoryStore::Bridged;
        settings.homes_max = 1;
    });
    for room in ["news", "other"] {
        world.room(room, durable(100));
    }
    let (ada, _) = join(&mut world, 0, "news");
    world.store.stands = true;
    let publish = Command::Publish(Arc::new(Publish {
        room: "news".parse().expect("a name"),
        kind: MessageKind::Text,
        payload: (*b"from us").into(),
        to: Vec::new(),
        except: Vec::new(),
    }));
    assert_eq!(world.order(&publish), []);
    world.line(ada, r#"{"op":"leave","room":"news","id":2}"#);
    world.line(ada, r#"{"op":"join","room":"other","id":3}"#);
    let replies = std::mem::take(&mut world.replies);
    assert!(
        replies.contains(&Reply::Refused(Refused::StoreAway)),
        "{replies:?}"
    );
}

#[test]
fn a_message_that_the_store_never_takes_is_refused_for_good_and_the_next_is_stored() {
    let mut world = news(|_| {});
    let (client, _) = join(&mut world, 0, "news");
    world.store.record_bytes_max = Some(1_000);
    let told = send(&mut world, client, 1, "", &"x".repeat(1_000));
    assert!(told.contains(r#""op":"refused","id":1"#), "{told}");
    assert!(told.contains(r#""code":1009"#), "{told}");
    assert!(told.contains(r#""retry":"never""#), "{told}");
    assert!(send(&mut world, client, 2, "", "short").contains(r#""op":"receipt","id":2"#));
    let raw = world.raw(1, "news");
    world.say(raw, MessageKind::Binary, &[7; 1_000]);
    assert_eq!(super::world::close_frame(&world.take(raw)).0, 1009);
}
