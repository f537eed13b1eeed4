//! What backends ask of live rooms: say something, see who is there, put somebody
//! out. Never as anybody without a key: that stands in `bad_calls`.

use porthouse_api::control::v1::{MessageRules, Room, RoomRules};
use porthouse_api::live::v1::publish_request::Message as Said;
use porthouse_api::live::v1::{
    KickRequest, ListRoomsRequest, PublishRequest, PurgeRequest, WireForm,
};
use porthouse_e2e::house::House;
use porthouse_e2e::multiplexed::Multiplexed;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tonic::Code;

use crate::shapes::{assert_closed, keeping_last, with_messages, with_rules};

#[tokio::test]
async fn a_backend_publishes_to_every_wire_form_and_sees_who_is_there() {
    let house = House::start().await;
    let backend = house.backend();
    let for_live = backend.make_key(&["live"]).await;
    let ada = backend.signed_in_user("ada").await;
    let revision = backend.make_room("hall", Room::default()).await;
    backend.applied(revision).await;
    let live = backend.with_key(Some(&for_live));
    let mut raw = house.sockets_on_both_puddles("hall", None, 2).await;
    let mut client = Multiplexed::open(house.ws(), Some(&ada.token)).await;
    client.event("authenticated").await;
    let client_id = client.join("hall").await;

    for (said, heard) in [
        (Said::Text("news".to_owned()), Message::text("news")),
        (
            Said::Binary(vec![0, 255].into()),
            Message::binary(vec![0, 255]),
        ),
    ] {
        let published = live.live().publish(to_hall(said)).await;
        let receivers = published.expect("it is taken").into_inner().receivers;
        assert_eq!(receivers, raw.len() as u64 + 1);
        for socket in &mut raw {
            assert_eq!(socket.next().await, heard);
        }
        assert_eq!(client.message("hall").await, heard);
    }

    let rooms = live.live().list_rooms(ListRoomsRequest::default()).await;
    let rooms = rooms.expect("rooms are listed").into_inner().rooms;
    assert_eq!(rooms.len(), 1);
    assert_eq!(
        (rooms[0].name.as_str(), rooms[0].persistent),
        ("rooms/hall", true)
    );
    assert_eq!(rooms[0].sockets, raw.len() as u64 + 1);
    let sockets = live.sockets_in("hall").await;
    let multiplexed = i32::from(WireForm::Multiplexed);
    let listed: Vec<_> = sockets
        .iter()
        .filter(|socket| socket.wire_form == multiplexed)
        .collect();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (listed[0].client.as_str(), listed[0].user.as_str()),
        (client_id.as_str(), "users/ada")
    );
    drop((raw, client));
    house.close().await;
}

#[tokio::test]
async fn who_is_kicked_is_closed_and_told_so() {
    let house = House::start().await;
    let backend = house.backend();
    let mut raw = house.sockets_on_both_puddles("hall", None, 1).await;
    let mut client = house.multiplexed().await;
    let client_id = client.join("hall").await;
    client.join("elsewhere").await;

    let kick = |client: String, room: &str| KickRequest {
        client,
        room: room.to_owned(),
        ..Default::default()
    };
    // Out of one room: the socket and its other room stay.
    let kicked = backend.live().kick(kick(client_id, "rooms/hall")).await;
    assert_eq!(kicked.expect("it is there").into_inner().sockets, 1);
    let closed = client.event("closed").await;
    assert_eq!(
        (&closed["room"], &closed["code"]),
        (&json!("hall"), &json!(4006))
    );
    assert_eq!(closed["rule"], "kick");
    let send = json!({"room": "elsewhere"});
    let taken = client
        .ask_with("send", send, Message::text("still here"))
        .await;
    assert_eq!(taken["op"], "receipt", "{taken}");

    for listed in backend.sockets_in("hall").await {
        let kicked = backend.live().kick(kick(listed.client, "")).await;
        assert_eq!(kicked.expect("it is there").into_inner().sockets, 1);
    }
    for socket in &mut raw {
        assert_closed(&socket.closed().await, 4006, "kick", "retry never");
    }
    assert!(backend.sockets_in("hall").await.is_empty());
    drop((raw, client));
    house.close().await;
}

#[tokio::test]
async fn what_a_room_does_not_take_is_refused_to_a_backend_too() {
    let house = House::start().await;
    let backend = house.backend();
    let rules = MessageRules {
        text: Some(false),
        bytes_max: Some(10),
        ..Default::default()
    };
    let revision = backend.make_room("hall", with_messages(rules)).await;
    backend.applied(revision).await;
    let mut raw = house.sockets_on_both_puddles("hall", None, 1).await;
    for (said, named) in [
        (Said::Text("words".to_owned()), "binary"),
        (Said::Binary(vec![0; 11].into()), "shorter"),
    ] {
        let status = backend.live().publish(to_hall(said)).await;
        let status = status.expect_err("the room does not take it");
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert!(status.message().contains(named), "{status:?}");
    }
    let mut nowhere = to_hall(Said::Binary(vec![1].into()));
    nowhere.room = "rooms/nowhere".to_owned();
    let status = backend.live().publish(nowhere.clone()).await;
    assert_eq!(status.expect_err("nobody is there").code(), Code::NotFound);
    nowhere.room = "no room".to_owned();
    let status = backend.live().publish(nowhere).await;
    assert_eq!(status.expect_err("no name").code(), Code::InvalidArgument);
    // Nothing of it was heard.
    let published = backend
        .live()
        .publish(to_hall(Said::Binary(vec![1, 2].into())))
        .await;
    published.expect("it is taken");
    assert_eq!(raw[0].next().await, Message::binary(vec![1, 2]));
    drop(raw);
    house.close().await;
}

#[tokio::test]
async fn a_backend_purges_what_a_room_has_kept() {
    let house = House::start().await;
    let backend = house.backend();
    let keeping = with_rules(RoomRules {
        history: Some(keeping_last(10)),
        ..Default::default()
    });
    let revision = backend.make_room("hall", keeping).await;
    backend.applied(revision).await;
    let mut client = house.multiplexed().await;
    client.join("hall").await;
    let said = ["one", "two", "three", "four"];
    let mut offsets = Vec::new();
    for text in said {
        let published = backend
            .live()
            .publish(to_hall(Said::Text(text.to_owned())))
            .await;
        let offset = published.expect("it is taken").into_inner().offset;
        offsets.push(offset.expect("the room keeps it"));
        assert_eq!(client.message("hall").await, Message::text(text));
    }

    let purge = |room: &str, through: u64| PurgeRequest {
        room: room.to_owned(),
        through,
    };
    for forgotten in [2, 0] {
        let purged = backend.live().purge(purge("rooms/hall", offsets[1])).await;
        let purged = purged.expect("the room keeps something").into_inner();
        assert_eq!(purged.messages, forgotten, "each is forgotten once");
    }
    let read = client.ask("history", json!({"room": "hall"})).await;
    assert_eq!(read["count"], 2, "{read}");
    for text in &said[2..] {
        assert_eq!(client.message("hall").await, Message::text(*text));
    }
    for (room, code) in [
        ("rooms/nowhere", Code::NotFound),
        ("no room", Code::InvalidArgument),
    ] {
        let status = backend.live().purge(purge(room, 1)).await;
        assert_eq!(status.expect_err("nothing is kept there").code(), code);
    }
    drop(client);
    house.close().await;
}

fn to_hall(said: Said) -> PublishRequest {
    PublishRequest {
        room: "rooms/hall".to_owned(),
        message: Some(said),
        ..Default::default()
    }
}
