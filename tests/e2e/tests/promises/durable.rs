//! What was stored is never lost, within what the rules keep, whichever process
//! is killed (P4): the node, or the NATS server that keeps it. Nothing is said to
//! be stored that is not.

use std::net::SocketAddr;

use porthouse_api::control::v1::{DeleteRoomRequest, HistoryRules, Room, RoomRules};
use porthouse_e2e::multiplexed::{Multiplexed, Told};
use porthouse_e2e::nats::Nats;
use porthouse_e2e::planes::Planes;
use porthouse_e2e::wait::within;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::shapes::keeping_last;

/// Messages that are stored before the node is killed.
const STORED: usize = 200;

fn durable() -> Room {
    Room {
        rules: Some(RoomRules {
            history: Some(HistoryRules {
                durable: Some(true),
                ..keeping_last(1_000)
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

async fn join(ws: SocketAddr) -> (Multiplexed, Value) {
    let mut client = Multiplexed::open(ws, None).await;
    let admitted = client.ask("join", json!({"room": "ledger"})).await;
    assert_eq!(admitted["op"], "admitted", "{admitted}");
    (client, admitted)
}

async fn store(client: &mut Multiplexed, text: &str) -> Value {
    let send = json!({"room": "ledger", "receipt": "stored"});
    client.ask_with("send", send, Message::text(text)).await
}

/// What is in history, with its places.
async fn history(client: &mut Multiplexed) -> Vec<(u64, String)> {
    let mut all = Vec::new();
    let mut since = 0;
    loop {
        let ask = json!({"room": "ledger", "since": since});
        let read = client.ask("history", ask).await;
        assert_eq!(read["op"], "history", "{read}");
        let count = read["count"].as_u64().expect("a number");
        for _ in 0..count {
            let Told::Line { header, payload } = client.next().await else {
                panic!("the socket was closed");
            };
            let offset = header["offset"].as_u64().expect("it has its place");
            all.push((offset, payload.to_text().expect("text").to_owned()));
        }
        since = read["through"].as_u64().expect("a number");
        if count == 0 {
            return all;
        }
    }
}

#[tokio::test]
async fn what_was_stored_outlives_a_node_that_is_killed() {
    let nats = Nats::start().await;
    let planes = Planes::found().await;
    let replica = planes.replica(None).await;
    let backend = planes.backend(&replica);
    let revision = backend.make_room("ledger", durable()).await;
    let url = nats.url();
    let flags = ["--nats-url", &url];
    let node = planes.node("alpha", &replica, &flags).await;
    backend.applied(revision).await;
    let (mut client, before) = join(node.ws).await;
    let mut said = Vec::new();
    for number in 1..=STORED {
        let text = format!("message {number}");
        let receipt = store(&mut client, &text).await;
        assert_eq!(receipt["level"], "stored", "{receipt}");
        said.push((receipt["offset"].as_u64().expect("its place"), text));
    }
    // Some more are under way when it is killed.
    for number in 0..50 {
        let send = json!({"op": "send", "room": "ledger"});
        client
            .say_line(&send, Message::text(format!("late {number}")))
            .await;
    }
    let killed = node.kill().await;

    let node = planes.node("alpha", &replica, &flags).await;
    let (mut client, after) = join(node.ws).await;
    assert_eq!(after["epoch"], before["epoch"]);
    let kept = history(&mut client).await;
    assert_eq!(kept[..STORED], said[..]);
    let late = kept[STORED..].iter().zip(0..);
    for ((offset, text), number) in late {
        assert_eq!(
            (*offset, text.as_str()),
            (STORED as u64 + number + 1, &*format!("late {number}"))
        );
    }
    drop(client);
    planes.close(node, vec![replica], vec![killed]).await;
}

#[tokio::test]
async fn a_store_that_is_killed_is_an_honest_refusal_and_loses_nothing() {
    let mut nats = Nats::start().await;
    let planes = Planes::found().await;
    let replica = planes.replica(None).await;
    let backend = planes.backend(&replica);
    let revision = backend.make_room("ledger", durable()).await;
    let url = nats.url();
    let flags = ["--nats-url", &url];
    let node = planes.node("alpha", &replica, &flags).await;
    backend.applied(revision).await;
    let (mut client, before) = join(node.ws).await;
    let (mut hearer, _) = join(node.ws).await;
    assert_eq!(store(&mut client, "one").await["level"], "stored");

    nats.kill().await;
    let refused = store(&mut client, "lost").await;
    assert_eq!(refused["op"], "refused", "{refused}");
    assert_eq!(refused["rule"], "history.durable", "{refused}");
    assert_eq!(refused["retry"], "after", "{refused}");
    nats.start_again().await;
    let stored = async {
        loop {
            let answer = store(&mut client, "two").await;
            if answer["op"] == "receipt" {
                return answer;
            }
            assert_eq!(answer["rule"], "history.durable", "{answer}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let receipt = within("the store is back", stored).await;
    assert_eq!(receipt["offset"], 2, "{receipt}");
    for text in ["one", "two"] {
        assert_eq!(hearer.message("ledger").await, Message::text(text));
    }
    let (mut late, after) = join(node.ws).await;
    assert_eq!(after["epoch"], before["epoch"]);
    let kept = history(&mut late).await;
    assert_eq!(kept, [(1, "one".to_owned()), (2, "two".to_owned())]);
    drop((client, hearer, late));
    planes.close(node, vec![replica], Vec::new()).await;
}

#[tokio::test]
async fn without_a_store_a_durable_room_is_refused_and_the_setting_named() {
    let planes = Planes::found().await;
    let replica = planes.replica(None).await;
    let backend = planes.backend(&replica);
    let revision = backend.make_room("ledger", durable()).await;
    let node = planes.node("alpha", &replica, &[]).await;
    backend.applied(revision).await;
    let mut client = Multiplexed::open(node.ws, None).await;
    let refused = client.ask("join", json!({"room": "ledger"})).await;
    assert_eq!(refused["code"], 4220, "{refused}");
    assert_eq!(refused["rule"], "history.durable", "{refused}");
    let needed = refused["needed"].as_str().expect("it says what is needed");
    assert!(needed.contains("--nats-url"), "{needed}");
    drop(client);
    planes.close(node, vec![replica], Vec::new()).await;
}

#[tokio::test]
async fn a_room_that_was_deleted_while_its_node_was_dead_is_forgotten_by_the_store() {
    let nats = Nats::start().await;
    let planes = Planes::found().await;
    let replica = planes.replica(None).await;
    let backend = planes.backend(&replica);
    let url = nats.url();
    let flags = ["--nats-url", &url];
    backend.make_room("ledger", durable()).await;
    let revision = backend.make_room("gone", durable()).await;
    let node = planes.node("alpha", &replica, &flags).await;
    backend.applied(revision).await;
    let (mut client, _) = join(node.ws).await;
    assert_eq!(store(&mut client, "kept").await["level"], "stored");
    let admitted = client.ask("join", json!({"room": "gone"})).await;
    assert_eq!(admitted["op"], "admitted", "{admitted}");
    let send = json!({"room": "gone", "receipt": "stored"});
    for _ in 0..3 {
        let text = Message::text("to be forgotten");
        let receipt = client.ask_with("send", send.clone(), text).await;
        assert_eq!(receipt["level"], "stored", "{receipt}");
    }
    assert_eq!(nats.records().await, 4);
    drop(client);
    let killed = node.kill().await;
    let request = DeleteRoomRequest {
        name: "rooms/gone".to_owned(),
        ..DeleteRoomRequest::default()
    };
    backend.rooms().delete_room(request).await.expect("there");

    let node = planes.node("alpha", &replica, &flags).await;
    let forgotten = async {
        while nats.records().await != 1 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    within("the store has forgotten", forgotten).await;
    let (mut client, _) = join(node.ws).await;
    let kept = history(&mut client).await;
    assert_eq!(kept, [(1, "kept".to_owned())]);
    drop(client);
    planes.close(node, vec![replica], vec![killed]).await;
}
