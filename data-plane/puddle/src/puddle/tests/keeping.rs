//! Rooms that keep: one order for all, told by offset, whichever puddle
//! anybody is on; receipts and keys.

use core::num::NonZeroU32;
use core::time::Duration;
use std::sync::Arc;

use porthouse_model::{
    BroadcastRules, MessageKind, MessageRules, PresenceRules, Rate, Rates, RoomRules, Shown,
};

use super::homes::{home_and_other, join, ordered, restart, told};
use super::world::{Client, World, close_frame, frame};
use crate::{Command, Publish, Reply};

use MessageKind::Text;

/// Every field of this name in what came, as written.
pub(super) fn all(text: &str, field: &str) -> Vec<String> {
    let name = format!(r#""{field}":"#);
    let at = text.match_indices(&name);
    at.map(|(at, _)| {
        let rest = &text[at + name.len()..];
        rest[..rest.find([',', '}']).expect("a field ends")].to_owned()
    })
    .collect()
}

fn send(world: &mut World, client: Client, id: u32, more: &str, payload: &str) {
    let line = format!(r#"{{"op":"send","room":"ledger","id":{id}{more}}}"#);
    world.line(client, &format!("{line}\n{payload}"));
}

fn rate(burst: u32) -> Rate {
    Rate {
        per_second: NonZeroU32::MIN,
        burst: NonZeroU32::new(burst).expect("not zero"),
    }
}

#[test]
fn all_hear_one_order_by_offset_and_the_sender_is_told_its_place() {
    let mut world = World::new(3);
    world.room("ledger", ordered());
    let [ada, ben, cleo] = [0, 1, 2].map(|puddle| join(&mut world, puddle, "ledger").0);
    let raw = world.raw(1, "ledger");
    send(&mut world, ada, 1, "", "one");
    send(&mut world, ben, 2, r#","receipt":"relayed""#, "two");
    send(&mut world, cleo, 3, "", "three");
    let heard = world.take_text(ada);
    assert!(
        heard.contains(r#""op":"receipt","id":1,"room":"ledger","level":"accepted","offset":1}"#),
        "{heard}"
    );
    assert_eq!(all(&heard, "offset"), ["1", "2", "3"]);
    let heard = world.take_text(ben);
    assert!(
        heard.contains(r#""level":"relayed","offset":2}"#),
        "{heard}"
    );
    assert_eq!(all(&heard, "offset"), ["1", "2", "3"]);
    let heard = world.take(raw);
    let expected: Vec<u8> = [&b"one"[..], b"two", b"three"]
        .iter()
        .flat_map(|payload| frame(Text, payload))
        .collect();
    assert_eq!(heard, expected, "raw sockets get frames alone");
}

#[test]
fn who_comes_in_hears_all_from_the_offset_it_was_told() {
    let mut world = World::new(3);
    world.room("ledger", ordered());
    let (home, other) = home_and_other("ledger");
    let (ada, _) = join(&mut world, home, "ledger");
    let (early, _) = join(&mut world, other, "ledger");
    send(&mut world, ada, 1, "", "one");
    world.take(early);
    let ben = world.lobby(other);
    world.hops_stand = true;
    world.line(ben, r#"{"op":"join","room":"ledger","id":1}"#);
    for number in 2..5 {
        send(&mut world, ada, number, "", "more");
    }
    world.release_hops();
    send(&mut world, ada, 5, "", "last");
    let heard = world.take_text(ben);
    let from: u64 = told(&heard, "admitted", "offset")
        .expect("it has one")
        .parse()
        .expect("a number");
    let mut expected = vec![from.to_string()];
    expected.extend((from + 1..=5).map(|offset| offset.to_string()));
    assert_eq!(all(&heard, "offset"), expected);
    assert_eq!(all(&world.take_text(early), "offset"), ["2", "3", "4", "5"]);
}

#[test]
fn a_room_that_echoes_tells_its_sender_in_order_too() {
    let mut world = World::new(3);
    let rules = RoomRules {
        broadcast: BroadcastRules {
            echo: true,
            ..BroadcastRules::default()
        },
        ..ordered()
    };
    world.room("ledger", rules);
    let raw = world.raw(0, "ledger");
    world.say(raw, Text, b"me");
    assert_eq!(world.take(raw), frame(Text, b"me"));
}

#[test]
fn an_emptied_room_remembers_what_was_said_too_fast_in_it() {
    let mut world = World::new(3);
    world.session(1);
    let rates = Rates {
        per_client: Some(rate(2)),
        ..Rates::default()
    };
    let messages = MessageRules {
        rates,
        ..MessageRules::default()
    };
    world.room(
        "ledger",
        RoomRules {
            messages,
            ..RoomRules::default()
        },
    );
    let ada = world.lobby_of(0, 1);
    let says_after_coming_in = |world: &mut World| {
        world.line(ada, r#"{"op":"join","room":"ledger","id":0}"#);
        world.take(ada);
        send(world, ada, 1, "", "x");
        let told = world.take_text(ada);
        world.line(ada, r#"{"op":"leave","room":"ledger","id":2}"#);
        told.contains(r#""op":"receipt""#)
    };
    assert!(says_after_coming_in(&mut world));
    assert!(says_after_coming_in(&mut world));
    assert!(!says_after_coming_in(&mut world), "two, and no third");
    world.wait(Duration::from_secs(3));
    assert!(says_after_coming_in(&mut world));
}

#[test]
fn the_rate_of_a_client_counts_all_its_sockets_and_the_rooms_counts_all() {
    let mut world = World::new(3);
    world.session(1);
    let rules = |rates| RoomRules {
        messages: MessageRules {
            rates,
            ..MessageRules::default()
        },
        ..RoomRules::default()
    };
    world.room(
        "ledger",
        rules(Rates {
            per_client: Some(rate(2)),
            per_room: Some(rate(3)),
            ..Rates::default()
        }),
    );
    let sockets = [0, 1, 2].map(|puddle| {
        let socket = world.lobby_of(puddle, 1);
        world.line(socket, r#"{"op":"join","room":"ledger","id":0}"#);
        socket
    });
    for (number, socket) in (1..).zip(sockets) {
        send(&mut world, socket, number, "", "x");
    }
    let told = sockets.map(|socket| world.take_text(socket));
    assert!(told[0].contains(r#""op":"receipt","id":1"#));
    assert!(told[1].contains(r#""op":"receipt","id":2"#));
    assert!(told[2].contains(r#""op":"refused","id":3"#), "{}", told[2]);
    assert!(told[2].contains("messages.rates.per_client"));
    let ben = world.raw(0, "ledger");
    world.say(ben, Text, b"third");
    // Taken ahead of its time; then there is nothing to be had for a second.
    let cleo = world.raw(1, "ledger");
    world.say(cleo, Text, b"fourth");
    let dora = world.raw(2, "ledger");
    world.take(dora);
    world.say(dora, Text, b"one too many");
    assert_eq!(close_frame(&world.take(dora)).0, 4216);
    assert!(!world.is_ended(cleo));
    world.wait(Duration::from_secs(2));
    world.say(ben, Text, b"fifth");
    assert!(!world.is_ended(ben));
}

#[test]
fn a_retried_key_is_one_message_with_one_place() {
    for rules in [ordered(), RoomRules::default()] {
        let kept = rules != RoomRules::default();
        let mut world = World::new(3);
        world.session(1);
        world.room("ledger", rules);
        let (ben, _) = join(&mut world, 2, "ledger");
        let key = r#","key":"k1""#;
        let mut places = Vec::new();
        for puddle in [0, 1] {
            let ada = world.lobby_of(puddle, 1);
            world.line(ada, r#"{"op":"join","room":"ledger","id":0}"#);
            world.take(ada);
            send(&mut world, ada, 7, key, "once");
            let told = world.take_text(ada);
            assert!(told.contains(r#""op":"receipt","id":7"#), "{told}");
            places.push(all(&told, "offset"));
            send(&mut world, ada, 8, "", "after");
        }
        assert_eq!(places[0], places[1]);
        assert_eq!(places[0].len(), usize::from(kept));
        let heard = world.take_text(ben);
        assert_eq!(heard.matches("once").count(), 1, "{heard}");
        assert_eq!(heard.matches("after").count(), 2, "{heard}");
        world.wait(Duration::from_mins(11));
        let ada = world.lobby_of(0, 1);
        world.line(ada, r#"{"op":"join","room":"ledger","id":0}"#);
        world.take(ada);
        send(&mut world, ada, 9, key, "once");
        let told = world.take_text(ada);
        assert!(told.contains(r#""rule":"key_window""#), "{told}");
    }
}

#[test]
fn another_senders_same_key_is_no_key_of_mine() {
    let mut world = World::new(3);
    world.room("ledger", ordered());
    let (ada, _) = join(&mut world, 0, "ledger");
    let (ben, _) = join(&mut world, 1, "ledger");
    let (cleo, _) = join(&mut world, 2, "ledger");
    send(&mut world, ada, 1, r#","key":"k""#, "mine");
    send(&mut world, ben, 1, r#","key":"k""#, "mine too");
    let heard = world.take_text(cleo);
    assert!(
        heard.contains("\nmine") && heard.contains("\nmine too"),
        "{heard}"
    );
}

#[test]
fn keys_are_bounded() {
    let mut world = World::with(1, |settings| settings.keys_per_client_max = 2);
    world.room("ledger", ordered());
    let (ada, _) = join(&mut world, 0, "ledger");
    for number in 1..=3 {
        send(
            &mut world,
            ada,
            number,
            &format!(r#","key":"k{number}""#),
            "x",
        );
    }
    let told = world.take_text(ada);
    assert!(
        told.contains(r#""op":"error","id":3,"rule":"keys_per_client_max""#),
        "{told}"
    );
}

#[test]
fn what_is_said_after_a_keyed_message_does_not_overtake_it() {
    let mut world = World::new(3);
    world.room("ledger", RoomRules::default());
    let (home, other) = home_and_other("ledger");
    let third = 3 - home - other;
    let (ada, _) = join(&mut world, other, "ledger");
    let (ben, _) = join(&mut world, third, "ledger");
    world.hops_stand = true;
    send(&mut world, ada, 1, r#","key":"k""#, "first");
    send(&mut world, ada, 2, "", "second");
    world.release_hops();
    let heard = world.take_text(ben);
    let at = |word| heard.find(word).expect("it was heard");
    assert!(at("first") < at("second"), "{heard}");
    assert_eq!(world.links[other].paused, []);
}

#[test]
fn a_receipt_of_what_is_not_kept_durably_is_not_promised() {
    let mut world = World::new(1);
    world.room("ledger", ordered());
    let (ada, _) = join(&mut world, 0, "ledger");
    send(&mut world, ada, 1, r#","receipt":"stored""#, "x");
    let told = world.take_text(ada);
    assert!(
        told.contains(r#""op":"error","id":1,"rule":"receipt""#),
        "{told}"
    );
}

#[test]
fn a_send_whose_home_begins_anew_is_refused_retryably() {
    let mut world = World::new(3);
    world.room("ledger", ordered());
    let (home, other) = home_and_other("ledger");
    let (ada, _) = join(&mut world, other, "ledger");
    world.hops_stand = true;
    send(&mut world, ada, 1, "", "x");
    world.lose_hops();
    restart(&mut world, home, 7);
    world.release_hops();
    let told = world.take_text(ada);
    assert!(
        told.contains(r#""op":"refused","id":1"#) && told.contains("4207"),
        "{told}"
    );
    assert!(told.contains(r#""op":"epoch""#), "{told}");
}

#[test]
fn a_sender_is_not_read_while_the_home_cannot_pass_on() {
    let mut world = World::with(3, |settings| {
        settings.hop_slots_max = 8;
        settings.ask_slots_max = 8;
    });
    world.room("ledger", ordered());
    let (home, other) = home_and_other("ledger");
    let third = 3 - home - other;
    let ada = world.raw(other, "ledger");
    let (ben, _) = join(&mut world, third, "ledger");
    world.hops_stand_to = Some(third);
    for number in 0..60_u8 {
        world.say(ada, Text, &[b'a' + number % 26]);
    }
    assert_eq!(
        world.links[other].paused,
        [ada.socket],
        "pressure goes upstream"
    );
    world.hops_stand_to = None;
    world.release_hops();
    assert_eq!(world.links[other].paused, []);
    let offsets: Vec<String> = (1..=60).map(|offset| offset.to_string()).collect();
    assert_eq!(
        all(&world.take_text(ben), "offset"),
        offsets,
        "nothing is lost"
    );
}

#[test]
fn a_backend_publishes_into_the_order_once() {
    let mut world = World::new(3);
    world.room("ledger", ordered());
    let sockets = [0, 1, 2].map(|puddle| join(&mut world, puddle, "ledger").0);
    let publish = Command::Publish(Arc::new(Publish {
        room: "ledger".parse().expect("a name"),
        kind: Text,
        payload: b"news"[..].into(),
        to: Vec::new(),
        except: Vec::new(),
    }));
    let replies = world.order(&publish);
    let placed = |reply: &&Reply| matches!(reply, Reply::Placed { offset: 1, .. });
    assert_eq!(replies.iter().filter(placed).count(), 1);
    let counted = replies
        .iter()
        .filter(|reply| **reply == Reply::Counted { receivers: 1 });
    assert_eq!(counted.count(), 2);
    for socket in sockets {
        let heard = world.take_text(socket);
        assert_eq!(heard.matches("news").count(), 1, "{heard}");
        assert!(heard.contains(r#""offset":1}"#), "{heard}");
    }
}

#[test]
fn a_post_in_a_room_that_keeps_is_answered_when_it_has_its_place() {
    let mut world = World::new(3);
    let rules = RoomRules {
        messages: MessageRules {
            rates: Rates {
                per_room: Some(rate(1)),
                ..Rates::default()
            },
            ..MessageRules::default()
        },
        ..ordered()
    };
    world.room("ledger", rules);
    let (_, other) = home_and_other("ledger");
    let (ben, _) = join(&mut world, other, "ledger");
    let mut answers = Vec::new();
    for _ in 0..2 {
        let ada = world.connect(other);
        let request = b"POST /ledger HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n\
            Content-Length: 5\r\n\r\nhello";
        world.bytes(ada, request.to_vec());
        answers.push(world.take_text(ada));
    }
    assert!(answers[0].starts_with("HTTP/1.1 2"), "{}", answers[0]);
    assert!(answers[1].starts_with("HTTP/1.1 429"), "{}", answers[1]);
    let heard = world.take_text(ben);
    assert_eq!(heard.matches("hello").count(), 1, "{heard}");
}

#[test]
fn nothing_follows_a_close_frame_whatever_the_home_says_afterwards() {
    let mut world = World::new(3);
    let presence = PresenceRules {
        shown: Shown::Identities,
        ..PresenceRules::default()
    };
    world.room(
        "ledger",
        RoomRules {
            presence,
            ..ordered()
        },
    );
    let (home, other) = home_and_other("ledger");
    let (ada, _) = join(&mut world, other, "ledger");
    world.hops_stand_to = Some(home);
    send(&mut world, ada, 1, "", "one");
    world.line(ada, r#"{"op":"history","room":"ledger","id":2}"#);
    world.line(ada, r#"{"op":"presence","room":"ledger","id":3}"#);
    world.take(ada);
    world.bytes(ada, b"\x81\x05hello".to_vec());
    assert_eq!(close_frame(&world.take(ada)).0, 1002, "it is not masked");
    world.release_hops();
    assert!(world.take(ada).is_empty(), "and that was the end");
}

#[test]
fn a_key_whose_socket_went_meanwhile_is_still_new() {
    let mut world = World::new(3);
    world.session(1);
    world.room("lobby", RoomRules::default());
    let (home, other) = home_and_other("lobby");
    let ben = world.joined(home, &["lobby"]);
    let line = "{\"op\":\"send\",\"room\":\"lobby\",\"id\":3,\"key\":\"k\"}\nhello";
    for heard in [false, true] {
        let ada = world.lobby_of(other, 1);
        world.line(ada, r#"{"op":"join","room":"lobby","id":1}"#);
        world.take(ada);
        world.hops_stand = !heard;
        world.line(ada, line);
        if !heard {
            let socket = ada.socket;
            world.puddles[other].handle(world.now, crate::Input::Lost { socket });
            world.release_hops();
        }
        assert_eq!(world.take_text(ben).ends_with("\nhello"), heard);
    }
    assert_eq!(world.take_text(ben), "", "once");
}

#[test]
fn one_room_does_not_take_all_keys() {
    let mut world = World::with(1, |settings| settings.keys_max = 10);
    world.room("ledger", ordered());
    world.room("other", ordered());
    let (ada, _) = join(&mut world, 0, "ledger");
    let (ben, _) = join(&mut world, 0, "other");
    for id in 1..=10 {
        send(&mut world, ada, id, &format!(r#","key":"k{id}""#), "said");
    }
    let told = world.take_text(ada);
    assert!(told.contains(r#""rule":"keys_per_client_max""#), "{told}");
    assert_eq!(told.matches(r#""op":"receipt""#).count(), 5, "{told}");
    world.line(
        ben,
        "{\"op\":\"send\",\"room\":\"other\",\"id\":9,\"key\":\"k\"}\nsaid",
    );
    let told = world.take_text(ben);
    assert!(told.contains(r#""op":"receipt","id":9"#), "{told}");
}

#[test]
fn keys_of_a_silent_room_are_forgotten_in_time() {
    let mut world = World::with(1, |settings| settings.keys_max = 1);
    world.room("ledger", ordered());
    world.room("other", ordered());
    let (ada, _) = join(&mut world, 0, "ledger");
    let (ben, _) = join(&mut world, 0, "other");
    send(&mut world, ada, 1, r#","key":"k1""#, "said");
    let keyed = "{\"op\":\"send\",\"room\":\"other\",\"id\":9,\"key\":\"k\"}\nsaid";
    world.line(ben, keyed);
    assert!(world.take_text(ben).contains("keys_per_client_max"));
    for _ in 0..21 {
        world.wait(Duration::from_mins(1));
        world.line(ada, r#"{"op":"ping"}"#);
        world.line(ben, r#"{"op":"ping"}"#);
    }
    world.take(ben);
    world.line(ben, keyed);
    let told = world.take_text(ben);
    assert!(told.contains(r#""op":"receipt","id":9"#), "{told}");
}
