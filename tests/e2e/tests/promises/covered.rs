//! A template rules the rooms that it covers and that nobody made, from the
//! revision at which it was made, changed or deleted. Owns no room's own rules.

use porthouse_api::control::v1::{
    CreateRoomTemplateRequest, DeleteRoomRequest, DeleteRoomTemplateRequest, MessageRules, Room,
    RoomTemplate, SetRoomTemplatePasswordRequest, UpdateRoomTemplateRequest,
};
use porthouse_e2e::backend::Backend;
use porthouse_e2e::house::House;
use porthouse_e2e::raw::Raw;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::shapes::{assert_closed, assert_put_out_as_strangers, for_users, with_messages};

/// Rules of rooms with messages no longer than this.
fn at_most(bytes_max: u32) -> Room {
    with_messages(MessageRules {
        bytes_max: Some(bytes_max),
        ..Default::default()
    })
}

/// Makes a template with a room's rules, and waits until nodes obey it.
async fn cover(backend: &Backend, prefix: &str, like: Room) {
    let request = CreateRoomTemplateRequest {
        room_template_id: prefix.to_owned(),
        room_template: Some(RoomTemplate {
            rules: like.rules,
            ..Default::default()
        }),
        ..Default::default()
    };
    let made = backend.room_templates().create_room_template(request).await;
    let made = made.expect("a template is made").into_inner();
    backend.applied(made.revision).await;
}

/// Changes all rules of a template, and waits until nodes obey them.
async fn change(backend: &Backend, prefix: &str, like: Room) {
    let request = UpdateRoomTemplateRequest {
        room_template: Some(RoomTemplate {
            name: format!("roomTemplates/{prefix}"),
            rules: like.rules,
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["rules".to_owned()],
        }),
        ..Default::default()
    };
    let changed = backend.room_templates().update_room_template(request).await;
    let changed = changed.expect("the template is changed").into_inner();
    backend.applied(changed.revision).await;
}

/// Deletes a template, and waits until nodes obey.
async fn uncover(backend: &Backend, prefix: &str) {
    let request = DeleteRoomTemplateRequest {
        name: format!("roomTemplates/{prefix}"),
        ..Default::default()
    };
    let gone = backend.room_templates().delete_room_template(request).await;
    let gone = gone.expect("the template is deleted").into_inner();
    backend.applied(gone.revision).await;
}

/// How many of so many bytes a room takes: says them, and is closed or not.
async fn takes(house: &House, room: &str, bytes: usize) -> bool {
    let mut speaker = Raw::enter(house.ws(), room, None).await;
    let mut listener = Raw::enter(house.ws(), room, None).await;
    speaker.say(Message::text("x".repeat(bytes))).await;
    // What is taken reaches the other; what is not closes who said it.
    tokio::select! {
        heard = listener.next() => {
            assert_eq!(heard, Message::text("x".repeat(bytes)));
            true
        }
        closed = speaker.closed() => {
            assert_eq!(closed.code, 1009, "{closed:?}");
            false
        }
    }
}

#[tokio::test]
async fn a_template_rules_a_room_that_nobody_made() {
    let house = House::start().await;
    let backend = house.backend();
    assert!(takes(&house, "chat:a", 11).await, "nothing covers it yet");
    cover(backend, "chat:*", at_most(10)).await;
    assert!(!takes(&house, "chat:a", 11).await);
    assert!(takes(&house, "chat:a", 10).await);
    assert!(takes(&house, "chat", 11).await, "it is not covered");
    house.close().await;
}

#[tokio::test]
async fn a_changed_template_puts_out_who_is_inside_and_no_longer_may_be() {
    let house = House::start().await;
    let backend = house.backend();
    let ada = backend.signed_in_user("ada").await;
    cover(backend, "chat:*", Room::default()).await;
    let strangers = house.sockets_on_both_puddles("chat:a", None, 2).await;
    let mut elsewhere = Raw::enter(house.ws(), "hall", None).await;
    let mut user = Raw::enter(house.ws(), "chat:a", Some(&ada.token)).await;
    let mut client = house.multiplexed().await;
    client.join("chat:b").await;

    change(backend, "chat:*", for_users()).await;
    assert_put_out_as_strangers(strangers).await;
    let closed = client.event("closed").await;
    assert_eq!(
        (&closed["room"], &closed["code"]),
        (&json!("chat:b"), &json!(4103))
    );
    let refused = Raw::refused(house.ws(), "chat:c", None).await;
    assert_eq!(refused.status, 401, "{:?}", refused.body);
    // Whoever may stay hears the next who comes.
    let mut friend = Raw::enter(house.ws(), "chat:a", Some(&ada.token)).await;
    friend.say(Message::text("we stay")).await;
    assert_eq!(user.next().await, Message::text("we stay"));
    let mut other = Raw::enter(house.ws(), "hall", None).await;
    other.say(Message::text("so do we")).await;
    assert_eq!(elsewhere.next().await, Message::text("so do we"));
    house.close().await;
}

#[tokio::test]
async fn a_templates_password_is_asked_at_each_of_its_rooms_and_of_who_is_inside() {
    const PASSWORD: &str = "of all chats";
    let house = House::start().await;
    let backend = house.backend();
    cover(backend, "chat:*", Room::default()).await;
    let mut inside = Raw::enter(house.ws(), "chat:a", None).await;
    let mut client = house.multiplexed().await;
    client.join("chat:a").await;
    let request = SetRoomTemplatePasswordRequest {
        name: "roomTemplates/chat:*".to_owned(),
        password: house.secrets().keep("a template's password", PASSWORD),
        ..Default::default()
    };
    let mut templates = backend.room_templates();
    let set = templates.set_room_template_password(request).await;
    let set = set.expect("a password").into_inner();
    backend.applied(set.revision).await;
    let closed = inside.closed().await;
    assert_closed(&closed, 4104, "entry.password", "retry authenticate");
    let challenge = client.event("challenge").await;
    assert_eq!(challenge["room"], "chat:a", "{challenge}");
    for room in ["chat:a", "chat:b"] {
        if room == "chat:b" {
            let asked = client.ask("join", json!({"room": room})).await;
            assert_eq!(asked["step"], "password", "{asked}");
        }
        let wrong = json!({"room": room, "password": "of no chat"});
        let again = client.ask("answer", wrong).await;
        assert_eq!(again["op"], "challenge", "{again}");
        let right = json!({"room": room, "password": PASSWORD});
        let admitted = client.ask("answer", right).await;
        assert_eq!(admitted["op"], "admitted", "{admitted}");
    }
    drop((inside, client));
    house.close().await;
}

#[tokio::test]
async fn the_longest_prefix_counts_and_the_next_when_it_is_gone() {
    let house = House::start().await;
    let backend = house.backend();
    cover(backend, "chat:*", at_most(10)).await;
    cover(backend, "chat:free:*", at_most(20)).await;
    let (name, other) = ("chat:free:a", "chat:a");
    assert!(takes(&house, name, 20).await && !takes(&house, name, 21).await);
    assert!(takes(&house, other, 10).await && !takes(&house, other, 11).await);
    let inside = house.sockets_on_both_puddles(name, None, 2).await;

    uncover(backend, "chat:free:*").await;
    for mut socket in inside {
        socket.say(Message::text("x".repeat(11))).await;
        let closed = socket.closed().await;
        assert_eq!(closed.code, 1009, "{closed:?}");
    }
    assert!(takes(&house, name, 10).await && !takes(&house, name, 11).await);
    uncover(backend, "chat:*").await;
    assert!(takes(&house, name, 21).await, "nothing covers it now");
    house.close().await;
}

#[tokio::test]
async fn a_room_of_its_own_overrides_and_its_end_brings_the_template_back() {
    let house = House::start().await;
    let backend = house.backend();
    cover(backend, "chat:*", at_most(10)).await;
    let revision = backend.make_room("chat:a", at_most(20)).await;
    backend.applied(revision).await;
    assert!(takes(&house, "chat:a", 20).await);
    change(backend, "chat:*", at_most(15)).await;
    assert!(takes(&house, "chat:a", 20).await, "it is not concerned");
    let request = DeleteRoomRequest {
        name: "rooms/chat:a".to_owned(),
        ..Default::default()
    };
    let gone = backend.rooms().delete_room(request).await;
    let revision = gone.expect("it is deleted").into_inner().revision;
    backend.applied(revision).await;
    assert!(!takes(&house, "chat:a", 16).await);
    assert!(takes(&house, "chat:a", 15).await);
    house.close().await;
}
