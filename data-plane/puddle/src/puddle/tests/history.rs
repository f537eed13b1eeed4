//! What was said before: who hears it, who may read it, what waits for who was
//! away, and when it is gone.

use core::time::Duration;
use std::sync::Arc;

use porthouse_model::{
    Act, Acts, Capabilities, Change, ChangeItem, EntryStep, HistoryRules, HookVersion, Keep,
    MessageKind, Revision, RoomRules, Waiting,
};

use super::homes::{home_and_other, join, restart, told};
use super::keeping::all;
use super::world::{Client, World, asking, frame};
use crate::{Changed, Command, Input, Reply};

pub(super) fn keeping(keep: Keep) -> RoomRules {
    RoomRules {
        history: HistoryRules {
            keep,
            ..HistoryRules::default()
        },
        ..RoomRules::default()
    }
}

const LAST_THREE: Keep = Keep::Last {
    messages_max: 3,
    age_max: Duration::from_mins(1),
};

fn read(world: &mut World, client: Client, more: &str) -> String {
    world.take(client);
    world.line(
        client,
        &format!(r#"{{"op":"history","room":"news","id":9{more}}}"#),
    );
    world.take_text(client)
}

pub(super) fn send(world: &mut World, client: Client, more: &str, payload: &str) {
    let line = format!(r#"{{"op":"send","room":"news"{more}}}"#);
    world.line(client, &format!("{line}\n{payload}"));
}

#[test]
fn a_newcomer_hears_the_last_message_at_once_and_before_live_ones() {
    let mut world = World::new(3);
    world.room("news", keeping(Keep::Latest));
    let (ada, _) = join(&mut world, 0, "news");
    send(&mut world, ada, "", "old");
    send(&mut world, ada, "", "latest");
    let (home, other) = home_and_other("news");
    for puddle in [home, other] {
        let (_, heard) = join(&mut world, puddle, "news");
        assert!(
            heard.contains(r#""history":true}"#) && heard.ends_with("\nlatest"),
            "{heard}"
        );
        assert!(!heard.contains("old"), "{heard}");
    }
    let raw = world.upgrade(other, "/news", &[]);
    let heard = world.take(raw);
    assert!(
        heard.ends_with(&frame(MessageKind::Text, b"latest")),
        "{heard:?}"
    );
}

#[test]
fn a_raw_socket_that_is_let_in_again_does_not_hear_the_last_message_twice() {
    let mut world = World::new(3);
    world.room("news", keeping(Keep::Latest));
    let (ada, _) = join(&mut world, 0, "news");
    send(&mut world, ada, "", "before");
    let (home, other) = home_and_other("news");
    let readers = [home, other].map(|puddle| world.upgrade(puddle, "/news", &[]));
    send(&mut world, ada, "", "latest");
    for reader in readers {
        let heard = world.take(reader);
        let latest = frame(MessageKind::Text, b"latest");
        assert!(heard.ends_with(&latest), "{heard:?}");
    }
    // A backend is asked about those inside; nobody has to answer.
    let rules = RoomRules {
        history: keeping(Keep::Latest).history,
        ..asking(&[EntryStep::Hook(HookVersion(1))])
    };
    world.rule("news", rules);
    for reader in readers {
        assert_eq!(world.take(reader), b"", "nothing that it has heard");
    }
    world.take(ada);
    send(&mut world, ada, "", "next");
    for reader in readers {
        assert_eq!(world.take(reader), frame(MessageKind::Text, b"next"));
    }
}

#[test]
fn who_came_in_while_a_room_had_no_order_is_told_once_it_has_one_again() {
    let mut world = World::new(3);
    world.room("news", keeping(LAST_THREE));
    let (ada, _) = join(&mut world, 0, "news");
    send(&mut world, ada, "", "one");
    world.rule("news", RoomRules::default());
    let later: Vec<Client> = [0, 1, 2]
        .map(|puddle| join(&mut world, puddle, "news").0)
        .into();
    send(&mut world, ada, "", "two");
    for &ben in &later {
        world.take(ben);
    }
    world.rule("news", keeping(LAST_THREE));
    send(&mut world, ada, "", "three");
    for ben in later {
        let heard = world.take_text(ben);
        let epoch = heard.find(r#""op":"epoch""#);
        let said = heard.find("three").expect("it is said");
        assert!(epoch.is_some_and(|epoch| epoch < said), "{heard}");
    }
}

#[test]
fn who_may_not_read_hears_no_last_message_and_reads_nothing() {
    let mut world = World::new(1);
    let rules = RoomRules {
        capabilities: Capabilities {
            anonymous: Acts::TALK.without(Act::ReadHistory),
            ..Capabilities::open()
        },
        ..keeping(Keep::Latest)
    };
    world.room("news", rules);
    let (ada, _) = join(&mut world, 0, "news");
    send(&mut world, ada, "", "latest");
    let (ben, heard) = join(&mut world, 0, "news");
    assert!(!heard.contains("latest"), "{heard}");
    let answer = read(&mut world, ben, "");
    assert!(answer.contains(r#""op":"refused","id":9"#), "{answer}");
    assert!(answer.contains("capabilities.read_history"), "{answer}");
}

#[test]
fn the_last_messages_are_read_with_their_places() {
    let mut world = World::new(3);
    world.room("news", keeping(LAST_THREE));
    let (ada, _) = join(&mut world, 0, "news");
    for word in ["one", "two", "three", "four"] {
        send(&mut world, ada, "", word);
    }
    for puddle in [0, 1, 2] {
        let (ben, heard) = join(&mut world, puddle, "news");
        assert!(!heard.contains("four"), "nothing comes unasked: {heard}");
        let answer = read(&mut world, ben, "");
        assert_eq!(all(&answer, "offset"), ["2", "3", "4"], "{answer}");
        assert_eq!(
            told(&answer, "history", "complete").as_deref(),
            Some("false")
        );
        let answer = read(&mut world, ben, r#","since":2"#);
        assert_eq!(all(&answer, "offset"), ["3", "4"], "{answer}");
        assert_eq!(
            told(&answer, "history", "complete").as_deref(),
            Some("true")
        );
        assert_eq!(told(&answer, "history", "through").as_deref(), Some("4"));
        let answer = read(&mut world, ben, r#","last":1"#);
        assert!(
            answer.contains("\nfour") && !answer.contains("\nthree"),
            "{answer}"
        );
    }
    world.wait(Duration::from_secs(61));
    let answer = read(&mut world, ada, "");
    assert_eq!(told(&answer, "history", "count").as_deref(), Some("0"));
}

#[test]
fn a_room_that_must_survive_the_node_is_shut_here() {
    let mut world = World::new(1);
    let mut rules = keeping(LAST_THREE);
    rules.history.durable = true;
    world.room("news", rules);
    let ada = world.lobby(0);
    world.line(ada, r#"{"op":"join","room":"news","id":1}"#);
    let told = world.take_text(ada);
    assert!(
        told.contains(r#""op":"refused""#) && told.contains(r#""code":4220"#),
        "{told}"
    );
}

#[test]
fn a_room_that_keeps_nothing_says_so_without_a_home() {
    let mut world = World::new(3);
    world.room("news", RoomRules::default());
    let (ada, _) = join(&mut world, 0, "news");
    send(&mut world, ada, "", "gone");
    let answer = read(&mut world, ada, "");
    assert_eq!(
        told(&answer, "history", "complete").as_deref(),
        Some("false")
    );
    for puddle in &world.puddles {
        assert_eq!(puddle.homes.rooms().count(), 0);
    }
}

#[test]
fn history_is_read_by_nobody_outside() {
    let mut world = World::new(1);
    world.room("news", keeping(LAST_THREE));
    let (ada, _) = join(&mut world, 0, "news");
    send(&mut world, ada, "", "secret");
    let ben = world.lobby(0);
    let answer = read(&mut world, ben, "");
    assert!(answer.contains(r#""op":"error","id":9"#), "{answer}");
    assert!(!answer.contains("secret"));
}

#[test]
fn history_read_by_one_who_leaves_meanwhile_has_one_reply_and_no_message() {
    let mut world = World::new(3);
    world.room("news", keeping(LAST_THREE));
    let (_, other) = home_and_other("news");
    let (ada, _) = join(&mut world, other, "news");
    send(&mut world, ada, "", "secret");
    world.take(ada);
    world.hops_stand = true;
    world.line(ada, r#"{"op":"history","room":"news","id":9}"#);
    world.line(ada, r#"{"op":"leave","room":"news","id":10}"#);
    world.release_hops();
    let told = world.take_text(ada);
    assert_eq!(told.matches(r#""id":9"#).count(), 1, "{told}");
    assert!(!told.contains("secret"), "{told}");
}

/// The client's id, as it was told.
fn client_of(admitted: &str) -> String {
    told(admitted, "admitted", "client").expect("who it is")
}

#[test]
fn history_read_by_one_not_in_to_shows_nothing_of_it() {
    let mut world = World::new(3);
    let mut rules = keeping(LAST_THREE);
    rules.history.directed = true;
    world.room("news", rules);
    let (ada, _) = join(&mut world, 0, "news");
    let (ben, admitted) = join(&mut world, 1, "news");
    let (cleo, excepted) = join(&mut world, 2, "news");
    let to = format!(r#","to":[{}]"#, client_of(&admitted));
    send(&mut world, ada, &to, "for ben");
    let except = format!(r#","except":[{}]"#, client_of(&excepted));
    send(&mut world, ada, &except, "not for cleo");
    let of_ben = read(&mut world, ben, "");
    assert!(
        of_ben.contains("for ben") && of_ben.contains("not for cleo"),
        "{of_ben}"
    );
    let of_cleo = read(&mut world, cleo, "");
    assert_eq!(
        told(&of_cleo, "history", "count").as_deref(),
        Some("0"),
        "{of_cleo}"
    );
    let (late, _) = join(&mut world, 2, "news");
    let of_late = read(&mut world, late, "");
    assert_eq!(
        told(&of_late, "history", "count").as_deref(),
        Some("0"),
        "{of_late}"
    );
}

#[test]
fn directed_messages_are_kept_only_where_the_rules_say_so() {
    let mut world = World::new(1);
    world.room("news", keeping(LAST_THREE));
    let (ada, _) = join(&mut world, 0, "news");
    let (ben, admitted) = join(&mut world, 0, "news");
    send(
        &mut world,
        ada,
        &format!(r#","to":[{}]"#, client_of(&admitted)),
        "for ben",
    );
    let answer = read(&mut world, ben, r#","since":0"#);
    assert!(!answer.contains("for ben"), "{answer}");
    assert_eq!(
        told(&answer, "history", "complete").as_deref(),
        Some("false")
    );
}

#[test]
fn a_rule_that_keeps_no_more_takes_effect_on_what_was_kept() {
    let mut world = World::new(3);
    world.room("news", keeping(LAST_THREE));
    let (ada, _) = join(&mut world, 0, "news");
    send(&mut world, ada, "", "old");
    world.rule("news", super::homes::ordered());
    world.rule("news", keeping(LAST_THREE));
    let answer = read(&mut world, ada, "");
    assert!(!answer.contains("old"), "{answer}");
}

#[test]
fn history_of_a_deleted_room_is_not_its_successors() {
    let mut world = World::new(3);
    let id = world.room("news", keeping(LAST_THREE));
    let (ada, before) = join(&mut world, 0, "news");
    send(&mut world, ada, "", "old");
    let name: porthouse_model::RoomName = "news".parse().expect("a name");
    world.rooms.clear();
    world.change(vec![ChangeItem::RoomGone {
        id,
        name,
        template: None,
    }]);
    world.room("other", RoomRules::default());
    world.room("news", keeping(LAST_THREE));
    let room = world.rooms["news"].clone();
    world.change(vec![ChangeItem::Room(room)]);
    let (ben, after) = join(&mut world, 1, "news");
    assert_ne!(
        told(&before, "admitted", "epoch"),
        told(&after, "admitted", "epoch")
    );
    assert!(!read(&mut world, ben, "").contains("old"));
}

#[test]
fn a_persistent_room_remembers_while_nobody_is_inside_and_a_transient_one_does_not() {
    let mut world = World::with(1, |settings| {
        settings.transient_rules = keeping(LAST_THREE);
    });
    world.room("news", keeping(LAST_THREE));
    for room in ["news", "passing"] {
        let (ada, _) = join(&mut world, 0, room);
        world.line(
            ada,
            &format!("{{\"op\":\"send\",\"room\":\"{room}\"}}\nkept"),
        );
        world.line(ada, &format!(r#"{{"op":"leave","room":"{room}","id":1}}"#));
    }
    let rooms = |world: &World| world.puddles[0].homes.rooms().count();
    assert_eq!(rooms(&world), 1);
    let (ben, _) = join(&mut world, 0, "news");
    assert!(read(&mut world, ben, "").contains("kept"));
    world.line(ben, r#"{"op":"leave","room":"news","id":1}"#);
    world.wait(Duration::from_secs(61));
    assert_eq!(rooms(&world), 0, "it keeps nothing any more");
}

#[test]
fn what_is_kept_is_bounded_in_bytes() {
    let mut world = World::with(1, |settings| settings.room_history_bytes_max = 2_000);
    let keep = Keep::Last {
        messages_max: 1_000,
        age_max: Duration::from_mins(1),
    };
    world.room("news", keeping(keep));
    let (ada, _) = join(&mut world, 0, "news");
    for _ in 0..20 {
        send(&mut world, ada, "", &"x".repeat(300));
    }
    let answer = read(&mut world, ada, "");
    assert_eq!(
        told(&answer, "history", "count").as_deref(),
        Some("3"),
        "{answer}"
    );
}

#[test]
fn a_backend_purges_what_was_said() {
    let mut world = World::new(3);
    world.room("news", keeping(LAST_THREE));
    let (ada, _) = join(&mut world, 0, "news");
    for word in ["one", "two", "three"] {
        send(&mut world, ada, "", word);
    }
    let room = "news".parse().expect("a name");
    let replies = world.order(&Command::Purge { room, through: 2 });
    assert!(
        replies.contains(&Reply::Purged { messages: Some(2) }),
        "{replies:?}"
    );
    let answer = read(&mut world, ada, "");
    assert_eq!(all(&answer, "offset"), ["3"], "{answer}");
}

pub(super) fn waiting() -> RoomRules {
    RoomRules {
        history: HistoryRules {
            waiting: Some(Waiting {
                messages_max: 2,
                age_max: Duration::from_mins(10),
            }),
            ..HistoryRules::default()
        },
        ..RoomRules::default()
    }
}

pub(super) fn join_as(world: &mut World, puddle: usize, user: u8) -> (Client, String) {
    let client = world.lobby_of(puddle, user);
    world.line(client, r#"{"op":"join","room":"news","id":1}"#);
    let told = world.take_text(client);
    assert!(told.contains(r#""op":"admitted""#), "{told}");
    (client, told)
}

#[test]
fn messages_wait_for_a_member_who_is_away_and_are_handed_over_once() {
    let mut world = World::new(3);
    world.session(1);
    world.room("news", waiting());
    let (ada, _) = join_as(&mut world, 0, 1);
    let (ben, _) = join(&mut world, 1, "news");
    world.line(ada, r#"{"op":"leave","room":"news","id":2}"#);
    for word in ["one", "two", "three"] {
        send(&mut world, ben, "", word);
    }
    let (again, heard) = join_as(&mut world, 2, 1);
    assert_eq!(
        all(&heard, "history"),
        ["true", "true"],
        "the last two: {heard}"
    );
    assert!(
        heard.contains("\ntwo") && heard.contains("\nthree"),
        "{heard}"
    );
    world.line(again, r#"{"op":"leave","room":"news","id":2}"#);
    let (_, heard) = join_as(&mut world, 0, 1);
    assert!(!heard.contains("history"), "{heard}");
}

#[test]
fn nothing_waits_for_who_was_never_inside_or_is_nobody() {
    let mut world = World::new(3);
    world.session(1);
    world.room("news", waiting());
    let (ben, _) = join(&mut world, 1, "news");
    let (cleo, _) = join(&mut world, 1, "news");
    world.line(cleo, r#"{"op":"leave","room":"news","id":2}"#);
    send(&mut world, ben, "", "said");
    let (_, heard) = join_as(&mut world, 0, 1);
    assert!(!heard.contains("said"), "{heard}");
    world.line(cleo, r#"{"op":"join","room":"news","id":3}"#);
    assert!(!world.take_text(cleo).contains("said"));
}

#[test]
fn what_waits_is_not_lost_by_who_did_not_come_in() {
    let mut world = World::new(3);
    world.session(1);
    world.room("news", waiting());
    let (home, other) = home_and_other("news");
    let (ada, _) = join_as(&mut world, other, 1);
    let (ben, _) = join(&mut world, home, "news");
    let (_stays, _) = join(&mut world, other, "news");
    world.line(ada, r#"{"op":"leave","room":"news","id":2}"#);
    send(&mut world, ben, "", "said");
    let lost = world.lobby_of(other, 1);
    world.hops_stand = true;
    world.line(lost, r#"{"op":"join","room":"news","id":1}"#);
    world.line(lost, r#"{"op":"leave","room":"news","id":2}"#);
    world.release_hops();
    let (_, heard) = join_as(&mut world, other, 1);
    assert!(heard.contains("\nsaid"), "{heard}");
}

#[test]
fn what_waits_on_a_puddle_that_begins_anew_waits_from_then_on() {
    let mut world = World::new(3);
    world.session(1);
    world.room("news", waiting());
    let (home, other) = home_and_other("news");
    join_as(&mut world, other, 1);
    let (ben, _) = join(&mut world, home, "news");
    restart(&mut world, other, 5);
    send(&mut world, ben, "", "said");
    let (_, heard) = join_as(&mut world, home, 1);
    assert!(heard.contains("\nsaid"), "{heard}");
}

#[test]
fn a_raw_socket_hears_what_waited_first() {
    let mut world = World::new(1);
    world.session(1);
    world.room("news", waiting());
    let (ada, _) = join_as(&mut world, 0, 1);
    let (ben, _) = join(&mut world, 0, "news");
    world.line(ada, r#"{"op":"leave","room":"news","id":2}"#);
    send(&mut world, ben, "", "said");
    let bearer = format!("Authorization: Bearer {}", super::world::token(1));
    let raw = world.upgrade(0, "/news", &[&bearer]);
    assert!(
        world
            .take(raw)
            .ends_with(&frame(MessageKind::Text, b"said"))
    );
}

#[test]
fn nothing_crosses_to_another_room_of_the_name_whoever_has_not_heard_of_it() {
    let mut world = World::with(3, |settings| settings.transient_rules = keeping(LAST_THREE));
    let (home, other) = home_and_other("news");
    let (ada, _) = join(&mut world, other, "news");
    world.room("news", keeping(LAST_THREE));
    world.revision += 1;
    let revision = Revision(world.revision);
    let items = vec![ChangeItem::Room(world.rooms["news"].clone())];
    let made = Arc::new(Changed::compile(Change { revision, items }));
    let now = world.now;
    world.puddles[home].handle(now, Input::Changed(Arc::clone(&made)));
    world.run();
    let (ben, _) = join(&mut world, home, "news");
    send(&mut world, ben, "", "second");
    send(&mut world, ada, r#","id":1"#, "first");
    let told = world.take_text(ada);
    assert!(told.contains(r#""op":"refused","id":1"#), "{told}");
    let told = read(&mut world, ada, "");
    assert!(told.contains(r#""rule":"staleness""#), "{told}");
    assert!(!told.contains("second"), "{told}");
    for puddle in (0..3).filter(|puddle| *puddle != home) {
        world.puddles[puddle].handle(now, Input::Changed(Arc::clone(&made)));
    }
    world.run();
    let told = read(&mut world, ben, "");
    assert!(told.contains(r#""count":1"#), "{told}");
    assert!(!told.contains("first"), "{told}");
}
