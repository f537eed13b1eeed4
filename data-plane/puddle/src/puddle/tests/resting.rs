//! Rooms with a rate: who speaks too fast there is not read for a while, and
//! nothing is refused that could wait. What cannot be held up is refused.

use core::num::NonZeroU32;
use core::time::Duration;

use porthouse_model::{MessageKind, MessageRules, Rate, Rates, Refused, RoomRules};

use super::homes::{home_and_other, ordered, restart};
use super::world::{Client, World, frame};
use crate::wire::frame::client;
use crate::{Command, Publish, Reply};

use MessageKind::Text;

/// Two at once, ten a second.
fn rated() -> RoomRules {
    let rate = Rate {
        per_second: NonZeroU32::new(10).expect("not zero"),
        burst: NonZeroU32::new(2).expect("not zero"),
    };
    RoomRules {
        messages: MessageRules {
            rates: Rates {
                per_room: Some(rate),
                ..Rates::default()
            },
            ..MessageRules::default()
        },
        ..RoomRules::default()
    }
}

/// Says the numbers of a range, all in one read.
fn say_at_once(world: &mut World, speaker: Client, numbers: core::ops::Range<u8>) {
    let frames = numbers.map(|number| client::frame(true, client::TEXT, &[b'0' + number]));
    world.bytes(speaker, frames.flatten().collect());
}

fn heard(world: &mut World, listener: Client, numbers: core::ops::Range<u8>) {
    let frames: Vec<u8> = numbers
        .flat_map(|number| frame(Text, &[b'0' + number]))
        .collect();
    assert_eq!(world.take(listener), frames);
}

#[test]
fn who_speaks_too_fast_is_held_up_and_nothing_is_refused() {
    let (home, other) = home_and_other("ledger");
    for at in [home, other] {
        let mut world = World::new(3);
        world.room("ledger", rated());
        let listener = world.raw(home, "ledger");
        let speaker = world.raw(at, "ledger");
        say_at_once(&mut world, speaker, 0..9);
        heard(&mut world, listener, 0..3);
        for number in 3..9 {
            world.wait(Duration::from_millis(99));
            heard(&mut world, listener, 0..0);
            world.wait(Duration::from_millis(1));
            heard(&mut world, listener, number..number + 1);
        }
        assert!(!world.is_ended(speaker));
    }
}

#[test]
fn more_speakers_than_can_be_held_up_are_refused() {
    let mut world = World::new(1);
    world.room("ledger", rated());
    let speakers: Vec<_> = (0..20).map(|_| world.raw(0, "ledger")).collect();
    for speaker in &speakers {
        world.say(*speaker, Text, b"hello");
    }
    // Two at once, and as many as are due within a second.
    let code = 4216_u16.to_be_bytes();
    let told = speakers.iter().map(|speaker| world.take(*speaker));
    let refused = told.filter(|told| told.windows(2).any(|pair| pair == code));
    assert_eq!(refused.count(), 20 - 2 - 10);
}

#[test]
fn a_backend_is_told_to_come_again_and_counts_like_everybody() {
    let mut world = World::new(1);
    world.room("ledger", rated());
    let listener = world.raw(0, "ledger");
    let publish = Command::Publish(
        Publish {
            room: "ledger".parse().expect("a name"),
            kind: Text,
            payload: b"news".to_vec().into(),
            to: Vec::new(),
            except: Vec::new(),
        }
        .into(),
    );
    let replies: Vec<_> = (0..3).flat_map(|_| world.order(&publish)).collect();
    assert!(matches!(replies[1], Reply::Placed { offset: 2, .. }));
    assert_eq!(replies[2], Reply::Refused(Refused::RoomTooFast));
    assert_eq!(world.take(listener), frame(Text, b"news").repeat(2));
    world.wait(Duration::from_millis(100));
    let again = world.order(&publish);
    assert!(matches!(again[0], Reply::Placed { offset: 3, .. }));
}

#[test]
fn who_waits_for_a_home_that_began_anew_is_read_again() {
    let (home, other) = home_and_other("ledger");
    let mut world = World::new(3);
    world.room("ledger", rated());
    let listener = world.raw(other, "ledger");
    let speaker = world.raw(other, "ledger");
    world.hops_stand = true;
    say_at_once(&mut world, speaker, 0..2);
    world.lose_hops_of(home);
    restart(&mut world, home, 9);
    world.release_hops();
    say_at_once(&mut world, speaker, 2..3);
    let heard = world.take_text(listener);
    assert!(heard.contains('2'), "{heard:?}");
}

#[test]
fn who_waits_in_a_room_that_has_no_rate_any_more_is_read_again() {
    let (_, other) = home_and_other("ledger");
    let mut world = World::new(3);
    let ordered = ordered();
    let messages = rated().messages;
    world.room(
        "ledger",
        RoomRules {
            messages,
            ..ordered.clone()
        },
    );
    let listener = world.raw(other, "ledger");
    let speaker = world.raw(other, "ledger");
    world.hops_stand = true;
    say_at_once(&mut world, speaker, 0..2);
    world.rule("ledger", ordered);
    world.release_hops();
    say_at_once(&mut world, speaker, 2..3);
    heard(&mut world, listener, 0..3);
}
