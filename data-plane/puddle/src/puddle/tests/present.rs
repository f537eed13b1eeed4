//! Presence: who is there is told to those who look, in batches, and is true on
//! every puddle.

use core::time::Duration;

use porthouse_model::{Capabilities, ChangeItem, PresenceRules, RoomRules, Shown};

use super::homes::{home_and_other, join, restart};
use super::world::{Client, World};
use crate::{Command, Input, Reply};

const INTERVAL: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_secs(5);

fn showing(shown: Shown) -> RoomRules {
    RoomRules {
        presence: PresenceRules {
            shown,
            grace: GRACE,
            interval: INTERVAL,
        },
        ..RoomRules::default()
    }
}

fn look(world: &mut World, client: Client, room: &str) -> String {
    world.line(
        client,
        &format!(r#"{{"op":"presence","room":"{room}","id":7}}"#),
    );
    world.take_text(client)
}

/// The client's id, as `admitted` gave it.
fn id_of(told: &str) -> String {
    super::homes::told(told, "admitted", "client").expect("it was admitted")
}

fn lose(world: &mut World, client: Client) {
    let socket = client.socket;
    world.puddles[client.puddle].handle(world.now, Input::Lost { socket });
    world.run();
}

#[test]
fn who_looks_is_told_who_is_there_and_then_what_changes() {
    let mut world = World::new(3);
    world.session(1);
    world.room("hall", showing(Shown::Identities));
    let (watcher, admitted) = join(&mut world, 0, "hall");
    let told = look(&mut world, watcher, "hall");
    assert!(
        told.contains(r#""op":"presence","id":7,"room":"hall","seq":1,"count":1"#),
        "{told}"
    );
    assert!(told.contains(&id_of(&admitted)), "it sees itself");

    let ada = world.lobby_of(1, 1);
    world.line(ada, r#"{"op":"join","room":"hall","id":1}"#);
    let ada_id = id_of(&world.take_text(ada));
    assert_eq!(world.take_text(watcher), "", "the interval is not over");
    world.wait(INTERVAL);
    let told = world.take_text(watcher);
    assert!(
        told.contains(r#""seq":2,"count":2,"joined":[{"client":"#),
        "{told}"
    );
    assert!(told.contains(&ada_id) && told.contains(r#""username":"user1""#));
    assert_eq!(world.take_text(ada), "", "only those who look are told");

    lose(&mut world, ada);
    world.wait(GRACE.mul_f64(0.99));
    assert_eq!(world.take_text(watcher), "", "it may come back");
    world.wait(INTERVAL);
    let told = world.take_text(watcher);
    assert!(
        told.contains(&format!(r#""count":1,"left":[{ada_id}]"#)),
        "{told}"
    );
}

#[test]
fn a_raw_socket_counts_and_is_told_nothing() {
    let mut world = World::new(2);
    world.room("hall", showing(Shown::Identities));
    let (watcher, _) = join(&mut world, 0, "hall");
    look(&mut world, watcher, "hall");
    let raw = world.raw(1, "hall");
    world.wait(INTERVAL);
    let told = world.take_text(watcher);
    assert!(told.contains(r#""devices":{"raw":1}"#), "{told}");
    assert_eq!(world.take(raw), b"");
}

#[test]
fn who_reconnects_within_the_grace_neither_left_nor_joined() {
    let mut world = World::new(3);
    world.session(1);
    world.room("hall", showing(Shown::Identities));
    let (watcher, _) = join(&mut world, 0, "hall");
    let join_as_ada = |world: &mut World, puddle| {
        let ada = world.lobby_of(puddle, 1);
        world.line(ada, r#"{"op":"join","room":"hall","id":1}"#);
        ada
    };
    let ada = join_as_ada(&mut world, 1);
    world.wait(INTERVAL);
    look(&mut world, watcher, "hall");
    lose(&mut world, ada);
    world.wait(GRACE / 2);
    join_as_ada(&mut world, 2);
    world.wait(GRACE * 2);
    assert_eq!(world.take_text(watcher), "");
}

#[test]
fn a_room_that_shows_counts_tells_no_names() {
    let mut world = World::new(2);
    world.room("hall", showing(Shown::Counts));
    let (watcher, _) = join(&mut world, 0, "hall");
    let told = look(&mut world, watcher, "hall");
    assert!(
        told.ends_with(r#""room":"hall","seq":1,"count":1}"#),
        "{told}"
    );
    join(&mut world, 1, "hall");
    join(&mut world, 1, "hall");
    world.wait(INTERVAL);
    let told = world.take_text(watcher);
    assert!(
        told.ends_with(r#"{"op":"presence","room":"hall","seq":2,"count":3}"#),
        "{told}"
    );
}

#[test]
fn who_may_not_see_presence_is_refused_and_where_it_is_off_nobody_sees_it() {
    let mut world = World::new(2);
    let mut desk = showing(Shown::Identities);
    desk.capabilities = Capabilities::support_desk();
    world.room("desk", desk.clone());
    world.room("dark", showing(Shown::Off));
    let visitor = world.joined(0, &["desk", "dark"]);
    let told = look(&mut world, visitor, "desk");
    assert!(told.contains("capabilities.see_presence"), "{told}");
    let told = look(&mut world, visitor, "dark");
    assert!(
        told.contains(r#""op":"error","id":7,"rule":"presence""#),
        "{told}"
    );
    assert!(look(&mut world, visitor, "away").contains(r#""op":"error","id":7,"rule":"room""#));
}

#[test]
fn who_may_not_see_presence_any_more_is_told_so_and_nothing_else() {
    let mut world = World::new(2);
    world.room("desk", showing(Shown::Identities));
    let (watcher, _) = join(&mut world, 0, "desk");
    look(&mut world, watcher, "desk");
    let mut desk = showing(Shown::Identities);
    desk.capabilities = Capabilities::support_desk();
    world.rule("desk", desk);
    let told = world.take_text(watcher);
    assert!(told.contains(r#""room":"desk","ended":true"#), "{told}");
    join(&mut world, 1, "desk");
    world.wait(INTERVAL * 2);
    assert_eq!(world.take_text(watcher), "");
}

#[test]
fn presence_that_begins_with_a_rule_knows_who_was_there_before() {
    let mut world = World::new(3);
    world.room("hall", RoomRules::default());
    let (watcher, _) = join(&mut world, 0, "hall");
    world.raw(1, "hall");
    world.rule("hall", showing(Shown::Counts));
    world.wait(INTERVAL);
    let told = look(&mut world, watcher, "hall");
    assert!(told.contains(r#""count":2"#), "{told}");
    world.rule("hall", RoomRules::default());
    assert!(world.take_text(watcher).contains(r#""ended":true"#));
}

#[test]
fn a_crowd_is_told_in_bounded_batches_and_pages() {
    let mut world = World::with(2, |settings| settings.presence_entries_max = 10);
    world.room("hall", showing(Shown::Identities));
    let (watcher, _) = join(&mut world, 0, "hall");
    look(&mut world, watcher, "hall");
    for number in 0..25 {
        join(&mut world, number % 2, "hall");
    }
    let mut joined = Vec::new();
    for _ in 0..4 {
        world.wait(INTERVAL);
        joined.push(world.take_text(watcher).matches(r#""client":"#).count());
    }
    assert_eq!(joined, [10, 10, 5, 0]);
    let first = look(&mut world, watcher, "hall");
    assert!(first.contains(r#""more":true"#));
    let last = first.rsplit(r#""client":""#).next().expect("ten clients");
    let line = format!(
        r#"{{"op":"presence","room":"hall","after":"{}"}}"#,
        &last[..36]
    );
    world.line(watcher, &line);
    let second = world.take_text(watcher);
    assert_eq!(second.matches(r#""client":"#).count(), 10);
    assert!(second.contains(r#""count":26"#), "{second}");
}

/// 10,000 come while 100 look: told one by one that would be a million events to
/// those alone, and 100 million if all of them looked.
#[test]
fn ten_thousand_who_join_are_a_few_events_to_each_who_looks() {
    const JOINS: usize = 10_000;
    const WATCHERS: usize = 100;
    let mut world = World::new(2);
    world.room("hall", showing(Shown::Identities));
    world.room("yard", showing(Shown::Counts));
    let mut watchers = Vec::new();
    for number in 0..WATCHERS {
        let (watcher, _) = join(&mut world, number % 2, "hall");
        look(&mut world, watcher, "hall");
        watchers.push(watcher);
    }
    let (counter, _) = join(&mut world, 0, "yard");
    look(&mut world, counter, "yard");
    world.wait(INTERVAL);
    for watcher in watchers.iter().chain([&counter]) {
        world.take(*watcher);
    }
    crowd(&mut world, JOINS);
    let told = |world: &mut World, client| {
        let text = world.take_text(client);
        let events = text.matches(r#""op":"presence""#).count();
        (events, text.matches(r#"{"client":"#).count())
    };
    let (mut events, mut joined, mut totals) = (0, 0, 0);
    for _ in 0..=JOINS / 1_000 {
        world.wait(INTERVAL);
        for watcher in &watchers {
            let (some, names) = told(&mut world, *watcher);
            assert!(some <= 1, "one an interval");
            events += some;
            joined += names;
        }
        totals += told(&mut world, counter).0;
    }
    assert_eq!(joined, JOINS * WATCHERS, "everybody is told of everybody");
    assert_eq!(events, JOINS / 1_000 * WATCHERS, "1,000 in each");
    // Nothing was told for an interval, so that the first to come is told at once.
    assert_eq!(totals, 2, "a count, and then one for all others");
}

/// So many come into each of the two rooms in one interval.
fn crowd(world: &mut World, joins: usize) {
    for number in 0..joins {
        for room in ["hall", "yard"] {
            let client = world.connect(number % 2);
            let mut request = format!(
                "GET /{room} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\
                 Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            .into_bytes();
            let input = Input::Received {
                socket: client.socket,
                bytes: &mut request,
            };
            world.puddles[client.puddle].handle(world.now, input);
        }
        if number % 1_000 == 0 || number + 1 == joins {
            world.run();
        }
    }
}

#[test]
fn a_home_that_begins_anew_ends_what_was_told_and_knows_everybody() {
    let mut world = World::new(3);
    world.room("hall", showing(Shown::Identities));
    let (home, other) = home_and_other("hall");
    let (watcher, _) = join(&mut world, other, "hall");
    world.raw(3 - home - other, "hall");
    world.wait(INTERVAL);
    look(&mut world, watcher, "hall");
    restart(&mut world, home, 5);
    assert!(world.take_text(watcher).contains(r#""ended":true"#));
    world.wait(INTERVAL);
    let told = look(&mut world, watcher, "hall");
    assert!(told.contains(r#""count":2"#), "{told}");
}

#[test]
fn a_request_whose_home_is_lost_has_its_one_reply() {
    let mut world = World::new(3);
    world.room("hall", showing(Shown::Identities));
    let (home, other) = home_and_other("hall");
    let (watcher, _) = join(&mut world, other, "hall");
    world.wait(INTERVAL);
    world.hops_stand = true;
    world.line(watcher, r#"{"op":"presence","room":"hall","id":7}"#);
    world.line(watcher, r#"{"op":"presence","room":"hall","id":8}"#);
    let told = world.take_text(watcher);
    assert!(
        told.contains(r#""op":"error","id":8"#),
        "one at a time: {told}"
    );
    world.lose_hops();
    world.hops_stand = false;
    restart(&mut world, home, 5);
    let told = world.take_text(watcher);
    assert_eq!(
        told.matches(r#""op":"presence","id":7"#).count(),
        1,
        "{told}"
    );
}

#[test]
fn a_client_cut_off_without_a_close_is_gone_within_twice_the_silence_and_the_grace() {
    let silence = Duration::from_secs(10);
    let mut world = World::with(2, |settings| settings.silence_time_max = silence);
    world.room("hall", showing(Shown::Counts));
    let (watcher, _) = join(&mut world, 0, "hall");
    let raw = world.raw(1, "hall");
    world.wait(INTERVAL);
    look(&mut world, watcher, "hall");
    let cut_off_at = world.now;
    let bound = silence * 2 + GRACE + INTERVAL;
    let mut told = String::new();
    while world.now.since(cut_off_at) < bound {
        world.line(watcher, r#"{"op":"ping"}"#);
        world.wait(Duration::from_millis(500));
        told += &world.take_text(watcher);
    }
    assert!(world.is_ended(raw));
    assert!(
        told.contains(r#""room":"hall","seq":3,"count":1}"#),
        "{told}"
    );
}

#[test]
fn a_backend_is_told_who_is_there_by_the_rooms_home_alone() {
    let mut world = World::new(3);
    world.room("hall", showing(Shown::Identities));
    for number in 0..5 {
        join(&mut world, number % 3, "hall");
    }
    world.wait(INTERVAL);
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let command = Command::ListPresent {
            room: "hall".parse().expect("a name"),
            after,
            clients_max: 2,
        };
        let replies = world.order(&command).into_iter();
        let mut pages = replies.filter_map(|reply| {
            let Reply::Present(page) = reply else {
                panic!("{reply:?}");
            };
            page
        });
        let page = pages.next().expect("the home answers");
        assert_eq!((page.clients, pages.next()), (5, None));
        seen.extend(page.present.iter().map(|one| one.client));
        after = seen.last().copied();
        if !page.more {
            break;
        }
    }
    assert_eq!(seen.len(), 5);
}

#[test]
fn who_has_just_asked_is_told_what_changes_though_the_last_who_looked_goes() {
    let mut world = World::new(3);
    world.room("hall", showing(Shown::Identities));
    let (home, other) = home_and_other("hall");
    let (ada, _) = join(&mut world, other, "hall");
    let (ben, _) = join(&mut world, other, "hall");
    look(&mut world, ada, "hall");
    world.hops_stand_to = Some(home);
    look(&mut world, ben, "hall");
    world.line(ada, r#"{"op":"leave","room":"hall","id":8}"#);
    world.hops_stand_to = None;
    world.release_hops();
    assert!(world.take_text(ben).contains(r#""op":"presence","id":7"#));
    let (_, admitted) = join(&mut world, home, "hall");
    world.wait(GRACE + INTERVAL);
    let told = world.take_text(ben);
    assert!(told.contains(&id_of(&admitted)), "{told}");
}

#[test]
fn who_looks_is_told_that_it_is_over_when_another_room_takes_the_name() {
    let mut world = World::with(3, |settings| {
        settings.transient_rules = showing(Shown::Identities);
    });
    let (watcher, _) = join(&mut world, 0, "hall");
    look(&mut world, watcher, "hall");
    world.room("hall", showing(Shown::Identities));
    let room = world.rooms["hall"].clone();
    world.change(vec![ChangeItem::Room(room)]);
    let told = world.take_text(watcher);
    assert!(
        told.contains(r#""op":"presence","room":"hall","ended":true"#),
        "{told}"
    );
    look(&mut world, watcher, "hall");
    let (_, admitted) = join(&mut world, 1, "hall");
    world.wait(INTERVAL);
    let told = world.take_text(watcher);
    assert!(told.contains(&id_of(&admitted)), "{told}");
}
