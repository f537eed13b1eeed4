//! A reader that stops reading misses what its room's rule says, is told so where
//! it can be, and is noticed by nobody else.

use std::time::{Duration, Instant};

use porthouse_api::control::v1::{DeliveryRules, Room, RoomRules, SlowConsumer};
use porthouse_e2e::house::House;
use porthouse_e2e::multiplexed::{Multiplexed, Told};
use porthouse_e2e::raw::Raw;
use porthouse_e2e::wait::within;
use tokio::time::interval;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::shapes::assert_closed;

/// More than the kernel's buffers and what the node keeps for a socket hold together.
const MESSAGES: usize = 260;
const MESSAGE_BYTES: usize = 60_000;
/// How long a close frame has to be written.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(5);

fn ruled(slow_consumer: SlowConsumer) -> Room {
    let delivery = DeliveryRules {
        slow_consumer: slow_consumer.into(),
        ..Default::default()
    };
    Room {
        rules: Some(RoomRules {
            delivery: Some(delivery),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Everything is said in a room, and heard by somebody who reads, one by one. Answers
/// both, who are still inside.
async fn said_and_heard(house: &House, room: &str) -> (Raw, Raw) {
    let mut speaker = Raw::enter(house.ws(), room, None).await;
    let mut keen = Raw::enter(house.ws(), room, None).await;
    for number in 0..MESSAGES {
        let mut text = format!("{number} ");
        text.push_str(&".".repeat(MESSAGE_BYTES));
        speaker.say(Message::text(text.clone())).await;
        assert_eq!(keen.next().await, Message::text(text), "{number}");
    }
    (speaker, keen)
}

/// The numbers of the messages that a socket gets, and where some are missing how
/// many, until all are accounted for.
async fn read_all(slow: &mut Multiplexed, room: &str) -> (Vec<usize>, Vec<usize>) {
    let (mut numbers, mut gaps) = (Vec::new(), Vec::new());
    while numbers.len() + gaps.iter().sum::<usize>() < MESSAGES {
        match slow.next().await {
            Told::Line { header, .. } if header["op"] == "gap" => {
                assert_eq!(header["room"], room);
                let dropped = header["dropped"].as_u64().expect("a number");
                gaps.push(usize::try_from(dropped).expect("few"));
            }
            Told::Line { header, payload } => {
                assert_eq!(header["op"], "message", "{header}");
                numbers.push(number(&payload));
            }
            Told::Closed(closed) => panic!("{room}: {closed:?}"),
        }
    }
    (numbers, gaps)
}

fn number(message: &Message) -> usize {
    let text = message.to_text().expect("text");
    let (number, _) = text.split_once(' ').expect("it is numbered");
    number.parse().expect("a number")
}

#[tokio::test]
async fn a_reader_that_stops_misses_what_the_room_says_and_nobody_else_does() {
    let house = House::start().await;
    let backend = house.backend();
    for (room, rule) in [
        ("oldest", SlowConsumer::DropOldest),
        ("newest", SlowConsumer::DropNewest),
        ("latest", SlowConsumer::Conflate),
    ] {
        let revision = backend.make_room(room, ruled(rule)).await;
        backend.applied(revision).await;
        let mut slow = house.multiplexed().await;
        slow.join(room).await;
        let mut raw = Raw::enter(house.ws(), room, None).await;
        said_and_heard(&house, room).await;

        let (numbers, gaps) = read_all(&mut slow, room).await;
        assert!(!gaps.is_empty() && numbers.is_sorted(), "{room}: {gaps:?}");
        assert_eq!(numbers[0], 0, "{room}: what had begun comes");
        let last = *numbers.last().expect("some came");
        if rule == SlowConsumer::DropNewest {
            let first_gap = numbers
                .iter()
                .zip(0..)
                .take_while(|(a, b)| **a == *b)
                .count();
            assert!(first_gap > 15, "{room}: the oldest came: {numbers:?}");
        } else {
            assert_eq!(last, MESSAGES - 1, "{room}: the newest came");
            // A raw socket is not told, and misses the same.
            let mut heard = number(&raw.next().await);
            let mut came = 1;
            while heard != MESSAGES - 1 {
                heard = number(&raw.next().await);
                came += 1;
            }
            assert!(came < MESSAGES, "{room}: {came}");
        }
        drop((slow, raw));
    }
    house.close().await;
}

#[tokio::test]
async fn a_reader_that_stops_is_closed_where_the_room_forgives_nothing() {
    let house = House::start().await;
    let room = ruled(SlowConsumer::Close);
    let revision = house.backend().make_room("close", room).await;
    house.backend().applied(revision).await;
    let mut slow = Raw::enter(house.ws(), "close", None).await;
    said_and_heard(&house, "close").await;
    let (messages, closed) = slow.rest().await;
    assert_closed(
        &closed,
        4203,
        "socket_backlog_bytes_max",
        "retry after 1000ms",
    );
    let numbers: Vec<usize> = messages.iter().map(number).collect();
    let all_before: Vec<usize> = (0..numbers.len()).collect();
    assert_eq!(numbers, all_before, "whole messages, none missing before");
    house.close().await;
}

#[tokio::test]
async fn a_revoked_reader_that_had_stopped_gets_nothing_of_what_waited_for_it() {
    let house = House::start().await;
    let backend = house.backend();
    let ada = backend.signed_in_user("ada").await;
    // Where the newest waits for whoever does not read.
    let room = ruled(SlowConsumer::DropOldest);
    backend.applied(backend.make_room("full", room).await).await;
    let mut slow = Raw::enter(house.ws(), "full", Some(&ada.token)).await;
    let mut multiplexed = Multiplexed::open(house.ws(), Some(&ada.token)).await;
    multiplexed.event("authenticated").await;
    multiplexed.join("full").await;
    let (mut speaker, mut keen) = said_and_heard(&house, "full").await;

    backend.applied(backend.revoke(&ada.session).await).await;
    speaker.say(Message::text("afterwards")).await;
    assert_eq!(keen.next().await, Message::text("afterwards"));

    // What the kernel had, the rest of a frame, and the close.
    let (messages, closed) = slow.rest().await;
    assert_closed(&closed, 4101, "session", "retry authenticate");
    had_of_the_first(&messages.iter().map(number).collect::<Vec<_>>());
    let (lines, closed) = multiplexed.rest().await;
    assert_closed(&closed, 4101, "session", "retry authenticate");
    let payloads = lines.iter().map(|line| match line {
        Told::Line { header, payload } if header["op"] == "message" => number(payload),
        other @ (Told::Line { .. } | Told::Closed(_)) => panic!("no message: {other:?}"),
    });
    had_of_the_first(&payloads.collect::<Vec<_>>());
    drop((speaker, keen));
    house.close().await;
}

#[tokio::test]
async fn a_revoked_reader_that_never_reads_again_is_cut_off() {
    let house = House::start().await;
    let backend = house.backend();
    let ada = backend.signed_in_user("ada").await;
    let room = ruled(SlowConsumer::DropOldest);
    backend.applied(backend.make_room("full", room).await).await;
    let mut slow = Raw::enter(house.ws(), "full", Some(&ada.token)).await;
    let (mut speaker, mut keen) = said_and_heard(&house, "full").await;

    let revoked = Instant::now();
    backend.applied(backend.revoke(&ada.session).await).await;
    speaker.say(Message::text("afterwards")).await;
    assert_eq!(keen.next().await, Message::text("afterwards"));
    // Its close frame cannot be written. Whoever sends to a connection that was cut is
    // told so by the kernel.
    let mut pace = interval(Duration::from_millis(100));
    let cut = async {
        while slow.try_say(Message::Ping(Bytes::new())).await {
            pace.tick().await;
        }
    };
    within("it is cut", cut).await;
    let took = revoked.elapsed();
    assert!(took >= CLOSE_TIME_MAX, "it has its time to close: {took:?}");
    drop((speaker, keen));
    house.close().await;
}

/// The first messages, whole and none missing, and none of those that waited.
fn had_of_the_first(numbers: &[usize]) {
    let first: Vec<usize> = (0..numbers.len()).collect();
    assert_eq!(numbers, first, "nothing that waited");
    assert!(numbers.len() < MESSAGES);
}
