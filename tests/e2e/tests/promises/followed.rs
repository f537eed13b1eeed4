//! Backends follow rooms by gRPC: what is said there reaches them once, however
//! it is said, as long as their key stands.

use porthouse_api::control::v1::{DeleteApiKeyRequest, ListApiKeysRequest, RoomRules};
use porthouse_api::live::v1::batch_publish_result::Outcome;
use porthouse_api::live::v1::publish_request::Message as Said;
use porthouse_api::live::v1::subscribe_response::Event;
use porthouse_api::live::v1::{
    BatchPublishRequest, PublishRequest, SaidMessage, SubscribeRequest, SubscribeResponse,
    said_message,
};
use porthouse_e2e::backend::Backend;
use porthouse_e2e::house::House;
use porthouse_e2e::wait::within;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tonic::{Code, Status, Streaming};

use crate::plain::curl;
use crate::shapes::{keeping_last, with_rules};

async fn follow(backend: &Backend, rooms: &[&str]) -> Streaming<SubscribeResponse> {
    let request = SubscribeRequest {
        rooms: rooms.iter().map(|room| format!("rooms/{room}")).collect(),
    };
    let told = within("a subscription", backend.live().subscribe(request)).await;
    let mut told = told.expect("it begins").into_inner();
    assert!(matches!(event(&mut told).await, Ok(Event::Started(_))));
    told
}

async fn event(told: &mut Streaming<SubscribeResponse>) -> Result<Event, Status> {
    let next = within("an event", told.message()).await?;
    let event = next.expect("it has not ended").event;
    Ok(event.expect("something is told"))
}

async fn message(told: &mut Streaming<SubscribeResponse>) -> SaidMessage {
    match event(told).await {
        Ok(Event::Message(message)) => message,
        other => panic!("a message, not {other:?}"),
    }
}

fn text(message: &SaidMessage) -> &str {
    match &message.payload {
        Some(said_message::Payload::Text(text)) => text,
        other => panic!("text, not {other:?}"),
    }
}

fn publish(room: &str, text: &str) -> PublishRequest {
    PublishRequest {
        room: format!("rooms/{room}"),
        message: Some(Said::Text(text.to_owned())),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_backend_hears_what_is_said_in_the_rooms_it_follows_however_it_is_said() {
    let house = House::start().await;
    let backend = house.backend();
    let mut told = follow(backend, &["hall", "den"]).await;
    let mut raw = house.sockets_on_both_puddles("hall", None, 1).await;
    for (number, socket) in raw.iter_mut().enumerate() {
        let said = format!("from puddle {number}");
        socket.say(Message::text(&*said)).await;
        let heard = message(&mut told).await;
        assert_eq!((heard.room.as_str(), text(&heard)), ("rooms/hall", &*said));
        assert!(!heard.client.is_empty() && heard.offset.is_none());
    }
    let (_, status) = curl(
        &house,
        "/hall",
        &["-H", "Content-Type: text/plain", "-d", "posted"],
    )
    .await;
    assert_eq!(status, 202);
    assert_eq!(text(&message(&mut told).await), "posted");
    let published = backend.live().publish(publish("hall", "published")).await;
    published.expect("it is taken");
    let heard = message(&mut told).await;
    assert_eq!((heard.client.as_str(), text(&heard)), ("", "published"));

    let mut ada = house.multiplexed().await;
    let her = ada.join("den").await;
    ada.say_line(
        &json!({"op": "send", "room": "den", "to": [her]}),
        Message::text("to herself"),
    )
    .await;
    ada.say_line(
        &json!({"op": "send", "room": "den"}),
        Message::binary(vec![0, 255]),
    )
    .await;
    let heard = message(&mut told).await;
    let binary = said_message::Payload::Binary(vec![0, 255].into());
    assert_eq!((heard.client, heard.payload), (her, Some(binary)));
    drop((raw, ada, told));
    house.close().await;
}

#[tokio::test]
async fn what_a_room_keeps_is_followed_in_its_order_and_a_batch_has_a_result_each() {
    let house = House::start().await;
    let backend = house.backend();
    let ledger = with_rules(RoomRules {
        history: Some(keeping_last(10)),
        ..Default::default()
    });
    let revision = backend.make_room("ledger", ledger).await;
    backend.applied(revision).await;
    let mut told = follow(backend, &["ledger"]).await;
    let raw = house.sockets_on_both_puddles("ledger", None, 1).await;
    let batch = BatchPublishRequest {
        requests: ["one", "two"]
            .map(|text| publish("ledger", text))
            .into_iter()
            .chain([publish("nowhere", "nobody is there")])
            .collect(),
    };
    let results = backend.live().batch_publish(batch).await;
    let results = results.expect("it can be read").into_inner().results;
    let offsets: Vec<_> = results
        .iter()
        .map(
            |result| match result.outcome.as_ref().expect("an outcome") {
                Outcome::Published(published) => Ok(published.offset),
                Outcome::Failure(failure) => Err((failure.code, failure.reason.as_str())),
            },
        )
        .collect();
    let not_live = Err((i32::from(Code::NotFound), "NOT_LIVE"));
    assert_eq!(offsets, [Ok(Some(1)), Ok(Some(2)), not_live]);
    for (said, offset) in [("one", 1), ("two", 2)] {
        let heard = message(&mut told).await;
        assert_eq!((text(&heard), heard.offset), (said, Some(offset)));
    }
    drop((raw, told));
    house.close().await;
}

#[tokio::test]
async fn a_subscription_ends_with_its_key_and_says_so() {
    let house = House::start().await;
    let backend = house.backend();
    let key = backend.make_key(&["live"]).await;
    let mut told = follow(&backend.with_key(Some(&key)), &["hall"]).await;
    let mut api_keys = backend.api_keys();
    let keys = api_keys.list_api_keys(ListApiKeysRequest::default()).await;
    let keys = keys.expect("keys are listed").into_inner().api_keys;
    let known = keys.iter().find(|key| key.display_name == "for live");
    let name = known.expect("it was made").name.clone();
    let delete = DeleteApiKeyRequest { name };
    let deleted = api_keys.delete_api_key(delete).await;
    deleted.expect("it is deleted");
    let ended = event(&mut told).await.expect_err("it ends");
    assert_eq!(ended.code(), Code::Unauthenticated, "{ended:?}");
    house.close().await;
}

#[tokio::test]
async fn what_cannot_be_followed_names_the_field_or_the_setting() {
    let house = House::start().await;
    let backend = house.backend();
    let refused = async |rooms: Vec<String>| {
        let answer = backend.live().subscribe(SubscribeRequest { rooms }).await;
        answer.expect_err("it is refused")
    };
    for rooms in [
        vec![],
        vec!["hall".to_owned()],
        vec!["rooms/x".to_owned(); 257],
    ] {
        let status = refused(rooms).await;
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().starts_with("`rooms`"), "{status:?}");
    }
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(follow(backend, &["hall"]).await);
    }
    let status = refused(vec!["rooms/hall".to_owned()]).await;
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("subscriptions_max"), "{status:?}");
    drop(open);
    house.close().await;
}
