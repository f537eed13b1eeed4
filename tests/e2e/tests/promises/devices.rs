//! Device tokens: a client without a login is where its token says, at once and
//! whatever that is changed to. Owns no rule of a room.

use porthouse_api::control::v1::{
    DeleteDeviceTokenRequest, DeviceToken, DisableUserRequest, EnableUserRequest, Room,
    UpdateDeviceTokenRequest,
};
use porthouse_e2e::backend::Backend;
use porthouse_e2e::house::House;
use porthouse_e2e::multiplexed::Multiplexed;
use porthouse_e2e::raw::Raw;
use prost_types::FieldMask;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::shapes::{assert_closed, private};

/// Gives a device these rooms, and waits until nodes obey.
async fn give(backend: &Backend, name: &str, rooms: &[&str]) {
    let request = UpdateDeviceTokenRequest {
        device_token: Some(DeviceToken {
            name: name.to_owned(),
            rooms: rooms.iter().map(|room| format!("rooms/{room}")).collect(),
            ..Default::default()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["rooms".to_owned()],
        }),
        validate_only: false,
    };
    let changed = backend.device_tokens().update_device_token(request).await;
    let revision = changed.expect("it is changed").into_inner().revision;
    backend.applied(revision).await;
}

/// Ends a device token, and waits until nodes obey.
async fn end(backend: &Backend, name: String) {
    let request = DeleteDeviceTokenRequest {
        name,
        ..Default::default()
    };
    let gone = backend.device_tokens().delete_device_token(request).await;
    let revision = gone.expect("it ends").into_inner().revision;
    backend.applied(revision).await;
}

#[tokio::test]
async fn a_device_is_in_its_rooms_and_moves_with_its_token() {
    let house = House::start().await;
    let backend = house.backend();
    backend.make_user("ada", "correct horse").await;
    for room in ["hall", "yard"] {
        backend.make_room(room, Room::default()).await;
    }
    let (name, token) = backend.make_device("ada", &["hall"]).await;
    let mut listener = Raw::enter(house.ws(), "yard", None).await;

    let mut device = Multiplexed::open(house.ws(), Some(&token)).await;
    let known = device.event("authenticated").await;
    assert_eq!(
        (&known["username"], &known["device"]),
        (&json!("ada"), &json!("Thermometer"))
    );
    assert_eq!(
        name,
        format!("deviceTokens/{}", known["client"].as_str().expect("an id"))
    );
    let admitted = device.event("admitted").await;
    assert_eq!(
        (&admitted["room"], &admitted["client"]),
        (&json!("hall"), &known["client"])
    );
    let mut raw = Raw::enter(house.ws(), "hall", Some(&token)).await;
    let refused = Raw::refused(house.ws(), "yard", Some(&token)).await;
    assert_eq!(
        (refused.status, &refused.body["rule"]),
        (403, &json!("device_token.rooms"))
    );

    give(backend, &name, &["hall", "yard"]).await;
    assert_eq!(device.event("admitted").await["room"], "yard");
    device
        .say_line(
            &json!({"op": "send", "room": "yard"}),
            Message::text("21 degrees"),
        )
        .await;
    assert_eq!(listener.next().await, Message::text("21 degrees"));

    give(backend, &name, &["yard"]).await;
    let closed = device.event("closed").await;
    assert_eq!(
        (&closed["room"], &closed["code"]),
        (&json!("hall"), &json!(4019))
    );
    assert_closed(
        &raw.closed().await,
        4019,
        "device_token.rooms",
        "retry never",
    );
    let mut raw = Raw::enter(house.ws(), "yard", Some(&token)).await;

    end(backend, name).await;
    assert_closed(
        &device.closed().await,
        4101,
        "session",
        "retry authenticate",
    );
    assert_closed(&raw.closed().await, 4101, "session", "retry authenticate");
    let refused = Raw::refused(house.ws(), "yard", Some(&token)).await;
    assert_eq!(refused.status, 401);
    house.close().await;
}

#[tokio::test]
async fn a_device_comes_and_goes_with_its_owner_and_not_with_their_password() {
    let house = House::start().await;
    let backend = house.backend();
    let ada = backend.signed_in_user("ada").await;
    backend.make_room("hall", private()).await;
    let (_, token) = backend.make_device("ada", &["hall"]).await;
    let refused = Raw::refused(house.ws(), "hall", Some(&token)).await;
    assert_eq!(
        refused.body["rule"], "visibility.private",
        "its owner is no member"
    );
    let member = backend.make_member("hall", "ada").await;
    backend.applied(member).await;
    let mut own = Raw::enter(house.ws(), "hall", Some(&ada.token)).await;
    let mut device = Raw::enter(house.ws(), "hall", Some(&token)).await;

    let password = porthouse_api::control::v1::SetPasswordRequest {
        name: "users/ada".to_owned(),
        password: "battery staple".to_owned(),
        ..Default::default()
    };
    let changed = backend.users().set_password(password).await;
    backend
        .applied(changed.expect("it is set").into_inner().revision)
        .await;
    assert_eq!(own.closed().await.code, 4101);
    assert!(device.try_say(Message::text("still here")).await);

    let disable = DisableUserRequest {
        name: "users/ada".to_owned(),
        ..Default::default()
    };
    let disabled = backend.users().disable_user(disable).await;
    backend
        .applied(disabled.expect("there").into_inner().revision)
        .await;
    assert_eq!(device.closed().await.code, 4101);
    assert_eq!(
        Raw::refused(house.ws(), "hall", Some(&token)).await.status,
        401
    );
    let enable = EnableUserRequest {
        name: "users/ada".to_owned(),
        ..Default::default()
    };
    let enabled = backend.users().enable_user(enable).await;
    backend
        .applied(enabled.expect("there").into_inner().revision)
        .await;
    Raw::enter(house.ws(), "hall", Some(&token)).await;
    house.close().await;
}
