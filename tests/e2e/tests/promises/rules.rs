//! A change takes effect on the sockets that are open: a room's rules, its
//! password, its members, its end; a user's password and right to sign in.
//! Revoked sessions stand in `revocation`.

use porthouse_api::control::v1::message_format::Kind;
use porthouse_api::control::v1::{
    DeleteMemberRequest, DeleteRoomRequest, DeleteUserRequest, DisableUserRequest, MessageFormat,
    MessageRules, Room, SetPasswordRequest,
};
use porthouse_e2e::house::House;
use porthouse_e2e::multiplexed::Multiplexed;
use porthouse_e2e::raw::Raw;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::shapes::{
    assert_closed, assert_put_out_as_strangers, for_users, private, with_messages,
};

#[tokio::test]
async fn a_kind_of_message_that_is_no_longer_taken_closes_who_sends_it() {
    let house = House::start().await;
    let backend = house.backend();
    backend.make_room("hall", Room::default()).await;
    let mut sockets = house.sockets_on_both_puddles("hall", None, 3).await;
    let mut client = house.multiplexed().await;
    client.join("hall").await;
    sockets[0].say(Message::text("words")).await;
    assert_eq!(sockets[1].next().await, Message::text("words"));
    assert_eq!(client.message("hall").await, Message::text("words"));

    let binary_alone = MessageRules {
        text: Some(false),
        ..Default::default()
    };
    let room = with_messages(binary_alone);
    let revision = backend
        .change_room("hall", room, &["rules.messages.text"])
        .await;
    backend.applied(revision).await;
    let mut speaker = sockets.remove(0);
    speaker.say(Message::text("more words")).await;
    assert_closed(
        &speaker.closed().await,
        1003,
        "messages.text",
        "retry never",
    );
    let send = json!({"room": "hall"});
    let refused = client
        .ask_with("send", send.clone(), Message::text("words"))
        .await;
    assert_eq!(refused["op"], "refused", "{refused}");
    assert_eq!(refused["code"], 1003);
    let taken = client
        .ask_with("send", send, Message::binary(vec![1, 2]))
        .await;
    assert_eq!(taken["op"], "receipt", "{taken}");
    // The first heard words; nobody hears the refused ones.
    assert_eq!(sockets[0].next().await, Message::binary(vec![1, 2]));
    drop((sockets, client));
    house.close().await;
}

#[tokio::test]
async fn a_room_that_now_needs_a_user_puts_out_who_is_none() {
    let house = House::start().await;
    let backend = house.backend();
    let ada = backend.signed_in_user("ada").await;
    backend.make_room("hall", Room::default()).await;
    let strangers = house.sockets_on_both_puddles("hall", None, 2).await;
    let mut user = Raw::enter(house.ws(), "hall", Some(&ada.token)).await;
    let mut client = house.multiplexed().await;
    client.join("hall").await;
    client.join("elsewhere").await;

    let paths = ["rules.connection.user_required"];
    let revision = backend.change_room("hall", for_users(), &paths).await;
    backend.applied(revision).await;
    assert_put_out_as_strangers(strangers).await;
    let closed = client.event("closed").await;
    assert_eq!(
        (&closed["room"], &closed["code"]),
        (&json!("hall"), &json!(4103))
    );
    // Its other room stays.
    let send = json!({"room": "elsewhere"});
    let taken = client
        .ask_with("send", send, Message::text("still here"))
        .await;
    assert_eq!(taken["op"], "receipt", "{taken}");
    // So does the user.
    let mut other = Raw::enter(house.ws(), "hall", Some(&ada.token)).await;
    other.say(Message::text("we stay")).await;
    assert_eq!(user.next().await, Message::text("we stay"));
    drop((user, other, client));
    house.close().await;
}

#[tokio::test]
async fn a_new_password_is_asked_of_who_can_be_asked_and_puts_out_the_rest() {
    const PASSWORD: &str = "set while they talk";
    let house = House::start().await;
    let backend = house.backend();
    backend.make_room("hall", Room::default()).await;
    let sockets = house.sockets_on_both_puddles("hall", None, 2).await;
    let mut client = house.multiplexed().await;
    let mut other = house.multiplexed().await;
    client.join("hall").await;
    other.join("hall").await;

    let revision = backend.set_room_password("hall", PASSWORD).await;
    backend.applied(revision).await;
    for mut socket in sockets {
        let closed = socket.closed().await;
        assert_closed(&closed, 4104, "entry.password", "retry authenticate");
    }
    for client in [&mut client, &mut other] {
        let challenge = client.event("challenge").await;
        assert_eq!(
            (&challenge["room"], &challenge["id"]),
            (&json!("hall"), &json!(null))
        );
    }
    let answer = json!({"room": "hall", "password": PASSWORD});
    let admitted = client.ask("answer", answer.clone()).await;
    assert_eq!(admitted["op"], "admitted", "{admitted}");
    // Who has not answered neither speaks nor hears.
    let send = json!({"room": "hall"});
    let unheard = other
        .ask_with("send", send.clone(), Message::text("psst"))
        .await;
    assert_eq!(unheard["op"], "error", "{unheard}");
    client
        .ask_with("send", send.clone(), Message::text("to nobody"))
        .await;
    let admitted = other.ask("answer", answer).await;
    assert_eq!(admitted["op"], "admitted", "{admitted}");
    client
        .ask_with("send", send, Message::text("welcome back"))
        .await;
    assert_eq!(other.message("hall").await, Message::text("welcome back"));
    drop((client, other));
    house.close().await;
}

#[tokio::test]
async fn a_deleted_room_and_a_removed_membership_put_out_who_is_inside() {
    let house = House::start().await;
    let backend = house.backend();
    let ada = backend.signed_in_user("ada").await;
    let bob = backend.signed_in_user("bob").await;
    backend.make_room("vault", private()).await;
    backend.make_room("hall", Room::default()).await;
    backend.make_member("vault", "ada").await;
    let revision = backend.make_member("vault", "bob").await;
    backend.applied(revision).await;
    let removed = house
        .sockets_on_both_puddles("vault", Some(&ada.token), 2)
        .await;
    let mut stays = Raw::enter(house.ws(), "vault", Some(&bob.token)).await;
    let inside = house.sockets_on_both_puddles("hall", None, 2).await;
    let mut client = Multiplexed::open(house.ws(), Some(&ada.token)).await;
    client.event("authenticated").await;
    client.join("hall").await;

    let request = DeleteMemberRequest {
        name: "rooms/vault/members/ada".to_owned(),
        ..Default::default()
    };
    let answer = backend.members().delete_member(request).await;
    let revision = answer.expect("it is removed").into_inner().revision;
    backend.applied(revision).await;
    for mut socket in removed {
        let closed = socket.closed().await;
        assert_closed(&closed, 4003, "visibility.private", "retry never");
    }
    let request = DeleteRoomRequest {
        name: "rooms/hall".to_owned(),
        ..Default::default()
    };
    let answer = backend.rooms().delete_room(request).await;
    let revision = answer.expect("it is deleted").into_inner().revision;
    backend.applied(revision).await;
    for mut socket in inside {
        assert_closed(&socket.closed().await, 4005, "room", "retry never");
    }
    let closed = client.event("closed").await;
    assert_eq!(
        (&closed["room"], &closed["code"]),
        (&json!("hall"), &json!(4005))
    );
    let mut friend = Raw::enter(house.ws(), "vault", Some(&bob.token)).await;
    friend.say(Message::text("only we")).await;
    assert_eq!(stays.next().await, Message::text("only we"));
    drop((stays, friend, client));
    house.close().await;
}

#[tokio::test]
async fn a_disabled_user_and_a_changed_password_close_every_socket_of_the_user() {
    const NEW_PASSWORD: &str = "bob's second password";
    let house = House::start().await;
    let backend = house.backend();
    let ada = backend.signed_in_user("ada").await;
    let bob = backend.signed_in_user("bob").await;
    let of_ada = house
        .sockets_on_both_puddles("hall", Some(&ada.token), 2)
        .await;
    let mut of_bob = Raw::enter(house.ws(), "hall", Some(&bob.token)).await;

    let request = DisableUserRequest {
        name: "users/ada".to_owned(),
        ..Default::default()
    };
    let answer = backend.users().disable_user(request).await;
    let revision = answer.expect("she is disabled").into_inner().revision;
    backend.applied(revision).await;
    for mut socket in of_ada {
        let closed = socket.closed().await;
        assert_closed(&closed, 4101, "session", "retry authenticate");
    }
    let request = SetPasswordRequest {
        name: "users/bob".to_owned(),
        password: house.secrets().keep("a new password", NEW_PASSWORD),
        ..Default::default()
    };
    let answer = backend.users().set_password(request).await;
    let revision = answer.expect("it is set").into_inner().revision;
    backend.applied(revision).await;
    let closed = of_bob.closed().await;
    assert_closed(&closed, 4101, "session", "retry authenticate");

    // Signed in over the wire by the new one; not by the old, nor disabled.
    for (username, password, op) in [
        ("bob", NEW_PASSWORD, "authenticated"),
        ("bob", "the password of bob", "refused"),
        ("ada", "the password of ada", "refused"),
    ] {
        let mut client = house.multiplexed().await;
        let auth = json!({"username": username, "password": password});
        let reply = client.ask("auth", auth).await;
        assert_eq!(reply["op"], op, "{username}: {reply}");
        if op == "refused" {
            assert_eq!(
                (&reply["code"], &reply["rule"]),
                (&json!(4106), &json!("sign_in"))
            );
        }
    }
    house.close().await;
}

#[tokio::test]
async fn a_change_of_many_rooms_with_long_rules_reaches_the_nodes() {
    // More than 4 MiB in all, which is what gRPC takes unless it is told otherwise.
    const ROOMS: usize = 80;
    let house = House::start().await;
    let backend = house.backend();
    let ada = backend.signed_in_user("ada").await;
    let schema = json!({"description": "x".repeat(60_000)}).to_string();
    for number in 0..ROOMS {
        let format = MessageFormat {
            kind: Some(Kind::JsonSchema(schema.clone())),
        };
        let room = with_messages(MessageRules {
            format: Some(format),
            ..Default::default()
        });
        let room = Room {
            owner: "users/ada".to_owned(),
            ..room
        };
        backend.make_room(&format!("long-{number}"), room).await;
    }
    let mut user = Raw::enter(house.ws(), "hall", Some(&ada.token)).await;
    let request = DeleteUserRequest {
        name: "users/ada".to_owned(),
        ..Default::default()
    };
    let gone = backend.users().delete_user(request).await;
    let revision = gone.expect("the user is deleted").into_inner().revision;
    backend.applied(revision).await;
    assert_closed(&user.closed().await, 4101, "session", "retry authenticate");
    let revision = backend.make_room("later", Room::default()).await;
    backend.applied(revision).await;
    house.close().await;
}
