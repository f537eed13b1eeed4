//! A reader of an event stream that was cut off comes back with the last id it
//! heard, as `EventSource` does, and is told what it missed, or that something is
//! missing. What it speaks is `curl`.

use std::time::Duration;

use porthouse_api::control::v1::{Act, Acts, CapabilityRules, Room, RoomRules};
use porthouse_e2e::house::House;
use porthouse_e2e::wait::within;

use crate::plain::{Heard, curl, saying};
use crate::shapes::{keeping_last, with_rules};

const RECOVERED: [&str; 2] = ["event: recovered", "data: {\"recovered\":true}"];
const ANEW: [&str; 2] = ["event: recovered", "data: {\"recovered\":false}"];

/// Keeps its last three messages; strangers may read them or not.
fn keeping(strangers: &[Act]) -> Room {
    let anonymous = Acts {
        acts: strangers.iter().map(|act| (*act).into()).collect(),
    };
    with_rules(RoomRules {
        history: Some(keeping_last(3)),
        capabilities: Some(CapabilityRules {
            anonymous: Some(anonymous),
            ..Default::default()
        }),
        ..Default::default()
    })
}

/// Says each in the room.
async fn post(house: &House, texts: &[&'static str]) {
    for text in texts {
        assert_eq!(curl(house, "/ledger", &saying(text)).await.1, 202);
    }
}

/// The next block, which must be that the room is here; its id.
async fn place(heard: &mut Heard) -> String {
    let block = heard.event().await;
    let [line] = &block[..] else {
        panic!("no place but {block:?}");
    };
    line.strip_prefix("id: ").expect("an id").to_owned()
}

/// The next event, which must be this message; its id.
async fn message(heard: &mut Heard, text: &str) -> String {
    let event = heard.event().await;
    let [id, name, data] = &event[..] else {
        panic!("no message but {event:?}");
    };
    let expected = ("event: message", format!("data: {text}"));
    assert_eq!((&**name, data.clone()), expected);
    id.strip_prefix("id: ").expect("an id").to_owned()
}

/// A reader comes, maybe once more; what it is told first is its place or whether
/// it goes on.
async fn reader(house: &House, last: Option<&str>) -> Heard {
    let none = async {
        let mut look = tokio::time::interval(Duration::from_millis(20));
        while !house.backend().sockets_in("ledger").await.is_empty() {
            look.tick().await;
        }
    };
    within("the one before goes", none).await;
    let header = format!("Last-Event-ID: {}", last.unwrap_or_default());
    let mut heard = Heard::start(house, "/ledger", &["-H", &header]).await;
    assert_eq!(heard.head().await[0], "HTTP/1.1 200 OK");
    heard
}

#[tokio::test]
async fn a_reader_that_was_cut_off_is_told_what_it_missed_or_that_it_did() {
    let house = House::start().await;
    let all = [Act::See, Act::Join, Act::Send, Act::ReadHistory];
    let backend = house.backend();
    let revision = backend.make_room("ledger", keeping(&all)).await;
    backend.applied(revision).await;
    let mut heard = reader(&house, None).await;
    let start = place(&mut heard).await;
    post(&house, &["heard"]).await;
    let last = message(&mut heard, "heard").await;
    drop(heard);

    post(&house, &["missed", "as well"]).await;
    let mut heard = reader(&house, Some(&last)).await;
    assert_eq!(heard.event().await, RECOVERED);
    message(&mut heard, "missed").await;
    let last = message(&mut heard, "as well").await;
    assert_eq!(place(&mut heard).await, last);
    post(&house, &["live"]).await;
    let last = message(&mut heard, "live").await;
    drop(heard);

    // More was said since it first came than is kept.
    let mut heard = reader(&house, Some(&start)).await;
    assert_eq!(heard.event().await, ANEW);
    assert_eq!(place(&mut heard).await, last);
    drop(heard);

    // Who may no longer read is told nothing of it.
    let room = keeping(&[Act::See, Act::Join, Act::Send]);
    let paths = ["rules.capabilities"];
    let revision = backend.change_room("ledger", room, &paths).await;
    backend.applied(revision).await;
    post(&house, &["unread"]).await;
    let mut heard = reader(&house, Some(&last)).await;
    assert_eq!(heard.event().await, ANEW);
    place(&mut heard).await;
    post(&house, &["live again"]).await;
    message(&mut heard, "live again").await;
    drop(heard);
    house.close().await;
}
