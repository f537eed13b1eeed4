//! Rooms that nobody made: what their owners may, and that a room that is made under such a name
//! takes over. Owns no template's rooms.

use porthouse_api::control::v1::Room;
use porthouse_e2e::house::House;
use porthouse_e2e::multiplexed::Multiplexed;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::shapes::{assert_put_out_as_strangers, for_users};

#[tokio::test]
async fn an_owner_hands_a_room_on_with_all_its_powers() {
    let house = House::start().await;
    let mut maker = house.multiplexed().await;
    let maker_id = maker.join("den").await;
    let ada = house.backend().signed_in_user("ada").await;
    let mut guest = Multiplexed::open(house.ws(), Some(&ada.token)).await;
    guest.event("authenticated").await;
    let guest_id = guest.join("den").await;
    let text_only = || Message::text(r#"{"content":"text"}"#);
    let den = || json!({"room": "den"});
    let refused = guest.ask_with("rules", den(), text_only()).await;
    assert_eq!(refused["rule"], "capabilities.change_rules", "{refused}");

    let passed = maker
        .ask("pass", json!({"room": "den", "client": guest_id}))
        .await;
    assert_eq!(
        (&passed["op"], &passed["owner"]),
        (&json!("owner"), &json!(guest_id))
    );
    assert_eq!(guest.event("owner").await["owner"], json!(guest_id));
    let refused = maker.ask_with("rules", den(), text_only()).await;
    assert_eq!(refused["rule"], "capabilities.change_rules", "{refused}");
    let told = guest.ask_with("rules", den(), text_only()).await;
    assert_eq!(told["op"], "rules", "{told}");
    maker.event("rules").await;
    let unsaid = maker
        .ask_with("send", den(), Message::binary(b"x".as_slice()))
        .await;
    assert_eq!(unsaid["rule"], "messages.binary", "{unsaid}");
    // And puts out who made it, who may come back where the new owner says so.
    let kick = json!({"room": "den", "client": maker_id, "rejoin": true});
    assert_eq!(guest.ask("kick", kick).await["op"], "kicked");
    assert_eq!(maker.event("closed").await["code"], 4006);
    maker.join("den").await;
    drop((maker, guest));
    house.close().await;
}

#[tokio::test]
async fn a_room_that_is_made_under_a_live_name_takes_over() {
    let house = House::start().await;
    let backend = house.backend();
    let strangers = house.sockets_on_both_puddles("den", None, 1).await;
    let ada = backend.signed_in_user("ada").await;
    let mut client = Multiplexed::open(house.ws(), Some(&ada.token)).await;
    client.event("authenticated").await;
    client.join("den").await;
    let mut friends = house
        .sockets_on_both_puddles("den", Some(&ada.token), 1)
        .await;

    let revision = backend.make_room("den", for_users()).await;
    backend.applied(revision).await;
    assert_put_out_as_strangers(strangers).await;
    let again = client.event("admitted").await;
    assert!(again.get("owner").is_none(), "{again}");
    let rules = client
        .ask_with("rules", json!({"room": "den"}), Message::text("{}"))
        .await;
    let needed = "a transient room, which somebody owns";
    assert_eq!(rules["needed"], needed, "{rules}");
    friends[0].say("we are still here").await;
    let heard = client.message("den").await;
    assert_eq!(heard.to_string(), "we are still here");
    let mut late = Multiplexed::open(house.ws(), Some(&ada.token)).await;
    late.event("authenticated").await;
    let admitted = late.ask("join", json!({"room": "den"})).await;
    assert_eq!(admitted["op"], "admitted", "{admitted}");
    assert!(admitted.get("owner").is_none(), "{admitted}");
    let open = backend
        .change_room("den", Room::default(), &["rules"])
        .await;
    backend.applied(open).await;
    drop(house.sockets_on_both_puddles("den", None, 1).await);
    drop((client, late, friends));
    house.close().await;
}
