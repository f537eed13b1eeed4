//! Who is there is told truly: one entry a client with its devices, changes
//! together, a grace for who comes back, to those alone who may see it; and who
//! was cut off without a close is noticed to be gone.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use porthouse_api::control::v1::{
    Act, Acts, CapabilityRules, PresenceRules, Room, RoomRules, Shown,
};
use porthouse_e2e::house::{Ground, House};
use porthouse_e2e::link::Link;
use porthouse_e2e::multiplexed::{Multiplexed, Told};
use porthouse_e2e::raw::Raw;
use serde_json::{Value, json};

use crate::shapes::with_rules;

/// Strangers who come at once.
const STRANGERS: usize = 200;
/// Between two events, at the least.
const INTERVAL: Duration = Duration::from_secs(1);
/// Silence after which a socket is pinged.
const SILENCE: Duration = Duration::from_secs(3);

fn showing(shown: Shown, grace_seconds: i64) -> RoomRules {
    let seconds = |seconds| prost_types::Duration { seconds, nanos: 0 };
    RoomRules {
        presence: Some(PresenceRules {
            shown: shown.into(),
            grace: Some(seconds(grace_seconds)),
            interval: Some(seconds(1)),
        }),
        ..Default::default()
    }
}

async fn make(house: &House, room: &str, rules: RoomRules) {
    let revision = house.backend().make_room(room, with_rules(rules)).await;
    house.backend().applied(revision).await;
}

/// Somebody inside who looks, and what it is shown at first.
async fn looking(house: &House, room: &str) -> (Multiplexed, Value) {
    let mut watcher = house.multiplexed().await;
    watcher.join(room).await;
    let shown = watcher.ask("presence", json!({ "room": room })).await;
    assert_eq!(shown["op"], "presence", "{shown}");
    (watcher, shown)
}

fn ids(list: &Value) -> Vec<String> {
    let entries = list.as_array().map_or(&[][..], Vec::as_slice);
    let id = |entry: &Value| {
        entry["client"]
            .as_str()
            .or(entry.as_str())
            .map(str::to_owned)
    };
    entries.iter().filter_map(id).collect()
}

/// What changes of one client next, and how: whatever else is told is passed over.
async fn change_of(watcher: &mut Multiplexed, client: &str) -> (&'static str, Value) {
    loop {
        let event = watcher.event("presence").await;
        for how in ["joined", "updated", "left"] {
            let entries = event[how].as_array().map_or(&[][..], Vec::as_slice);
            let its = |entry: &&Value| entry["client"] == client || **entry == client;
            if let Some(entry) = entries.iter().find(its) {
                return (how, entry.clone());
            }
        }
    }
}

#[tokio::test]
async fn a_client_is_one_entry_with_its_devices_and_who_comes_back_never_left() {
    let house = House::start().await;
    make(&house, "hall", showing(Shown::Identities, 3_600)).await;
    make(&house, "yard", showing(Shown::Identities, 0)).await;
    let ada = house.backend().signed_in_user("ada").await;
    let token = Some(&*ada.token);
    let (mut watcher, shown) = looking(&house, "hall").await;
    assert_eq!(
        (&shown["count"], ids(&shown["present"]).len()),
        (&json!(1), 1)
    );

    let mut sockets = vec![Raw::enter(house.ws(), "hall", token).await];
    let mut client = Multiplexed::open(house.ws(), token).await;
    let id = client.event("authenticated").await["client"].clone();
    let id = id.as_str().expect("a client id").to_owned();
    let (how, entry) = change_of(&mut watcher, &id).await;
    assert_eq!((how, &entry["username"]), ("joined", &json!("ada")));
    assert_eq!(entry["devices"], json!({ "raw": 1 }));
    client.join("hall").await;
    sockets.push(Raw::enter(house.ws(), "hall", token).await);
    let mut devices = Value::Null;
    while devices != json!({ "raw": 2, "multiplexed": 1 }) {
        let (how, entry) = change_of(&mut watcher, &id).await;
        assert_eq!(how, "updated", "one entry, whatever it comes by: {entry}");
        devices = entry["devices"].clone();
    }

    // All of its sockets go, and one comes back within the grace.
    drop((sockets, client));
    let mut back = Raw::enter(house.ws(), "hall", token).await;
    while devices != json!({ "raw": 1 }) {
        let (how, entry) = change_of(&mut watcher, &id).await;
        assert_eq!(how, "updated", "it neither left nor joined: {entry}");
        devices = entry["devices"].clone();
    }
    // Who looks is told; who does not is only counted.
    back.say("nothing of ours came").await;
    loop {
        match watcher.next().await {
            Told::Line { header, .. } if header["op"] == "presence" => {
                let gone = [&header["joined"], &header["left"]].map(ids).concat();
                assert!(!gone.contains(&id), "it neither left nor joined: {header}");
            }
            Told::Line { payload, .. } => {
                break assert_eq!(payload.to_string(), "nothing of ours came");
            }
            Told::Closed(closed) => panic!("{closed:?}"),
        }
    }

    // Without a grace it has left at once.
    let (mut watcher, _) = looking(&house, "yard").await;
    let passing = Raw::enter(house.ws(), "yard", token).await;
    assert_eq!(change_of(&mut watcher, &id).await.0, "joined");
    drop(passing);
    assert_eq!(change_of(&mut watcher, &id).await.0, "left");
    drop((watcher, back));
    house.close().await;
}

#[tokio::test]
async fn many_who_come_and_go_are_told_together() {
    let house = House::start().await;
    make(&house, "hall", showing(Shown::Identities, 0)).await;
    make(&house, "yard", showing(Shown::Counts, 0)).await;
    let (mut watcher, _) = looking(&house, "hall").await;
    let (mut counter, shown) = looking(&house, "yard").await;
    assert_eq!(
        (&shown["count"], &shown["present"]),
        (&json!(1), &Value::Null)
    );

    let began = Instant::now();
    let come = |room: &'static str| {
        let ws = house.ws();
        let come = (0..STRANGERS).map(move |_| Raw::enter(ws, room, None));
        futures_util::future::join_all(come)
    };
    let (in_hall, in_yard) = tokio::join!(come("hall"), come("yard"));
    let mut events = 0;
    let mut here = BTreeSet::new();
    let mut seq = Value::Null;
    while here.len() < STRANGERS {
        let event = watcher.event("presence").await;
        for client in ids(&event["joined"]) {
            assert!(here.insert(client), "nobody joins twice: {event}");
        }
        assert_eq!(ids(&event["left"]), [""; 0]);
        assert_eq!(event["count"], json!(here.len() + 1), "{event}");
        events += 1;
        seq = event["seq"].clone();
    }
    let mut told = Value::Null;
    while told != json!(STRANGERS + 1) {
        told = counter.event("presence").await["count"].clone();
    }
    drop((in_hall, in_yard));
    while !here.is_empty() {
        let event = watcher.event("presence").await;
        assert!(event["seq"].as_u64() > seq.as_u64(), "in order: {event}");
        for client in ids(&event["left"]) {
            assert!(here.remove(&client), "nobody leaves twice: {event}");
        }
        events += 1;
    }
    while told != json!(1) {
        told = counter.event("presence").await["count"].clone();
    }
    let intervals = began.elapsed().as_secs() / INTERVAL.as_secs();
    assert!(
        events <= intervals + 2,
        "{events} events in {intervals} intervals"
    );
    drop((watcher, counter));
    house.close().await;
}

#[tokio::test]
async fn who_may_not_see_who_is_there_is_told_so() {
    let house = House::start().await;
    let acts = [Act::See, Act::Join, Act::Send].map(i32::from).to_vec();
    let rules = RoomRules {
        capabilities: Some(CapabilityRules {
            anonymous: Some(Acts { acts }),
            ..Default::default()
        }),
        ..showing(Shown::Identities, 0)
    };
    make(&house, "hall", rules).await;
    let revision = house.backend().make_room("plain", Room::default()).await;
    house.backend().applied(revision).await;
    let ada = house.backend().signed_in_user("ada").await;
    let mut stranger = house.multiplexed().await;
    let id = stranger.join("hall").await;
    let refused = stranger.ask("presence", json!({"room": "hall"})).await;
    let refused = (&refused["op"], &refused["rule"]);
    let expected = (&json!("refused"), &json!("capabilities.see_presence"));
    assert_eq!(refused, expected);
    stranger.join("plain").await;
    let nothing = stranger.ask("presence", json!({"room": "plain"})).await;
    assert_eq!(
        (&nothing["op"], &nothing["rule"]),
        (&json!("error"), &json!("presence"))
    );

    let mut user = Multiplexed::open(house.ws(), Some(&ada.token)).await;
    user.event("authenticated").await;
    user.join("hall").await;
    let shown = user.ask("presence", json!({"room": "hall"})).await;
    assert!(ids(&shown["present"]).contains(&id), "{shown}");
    drop((stranger, user));
    house.close().await;
}

#[tokio::test]
async fn a_client_that_was_cut_off_without_a_close_is_gone_within_its_time() {
    let ground = Ground::new(None);
    let ms = SILENCE.as_millis().to_string();
    let house = ground.house_with(&["--silence-ms-max", &ms]).await;
    make(&house, "hall", showing(Shown::Identities, 1)).await;
    let (mut watcher, _) = looking(&house, "hall").await;
    let link = Link::to(house.ws()).await;
    let mut lost = Multiplexed::open(link.address(), None).await;
    let id = lost.join("hall").await;
    assert_eq!(change_of(&mut watcher, &id).await.0, "joined");
    // Both answer pings from here on, and say nothing.
    let lost = tokio::spawn(async move { lost.next().await });
    let mut raw = Raw::enter(link.address(), "hall", None).await;
    let raw = tokio::spawn(async move { raw.next().await });
    let event = watcher.event("presence").await;
    let other = ids(&event["joined"]).remove(0);

    // Who answers pings stays, however long nobody says anything: nobody is seen
    // to go.
    watcher.pinged(2).await;
    link.cut();
    let cut = Instant::now();
    let mut gone = BTreeSet::new();
    while gone.len() < 2 {
        let event = watcher.event("presence").await;
        gone.extend(ids(&event["left"]));
    }
    assert_eq!(gone, BTreeSet::from([id, other]));
    // Twice the silence, the grace, the interval, and as long again on a loaded machine.
    let bound = (SILENCE * 2 + Duration::from_secs(1) + INTERVAL) * 2;
    assert!(cut.elapsed() < bound, "{:?}", cut.elapsed());
    lost.abort();
    raw.abort();
    drop((watcher, link));
    house.close().await;
}
