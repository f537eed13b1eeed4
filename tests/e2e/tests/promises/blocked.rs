//! Who is blocked is put out and stays outside, until the block ends or is taken
//! away; and a membership that ends puts out. Owns no kick.

use std::time::{Duration, SystemTime};

use porthouse_api::control::v1::block::Subject;
use porthouse_api::control::v1::{
    Block, CreateBlockRequest, CreateBlockResponse, DeleteBlockRequest, Member, Room,
    UpdateBlockRequest, UpdateMemberRequest,
};
use porthouse_e2e::backend::Backend;
use porthouse_e2e::house::House;
use porthouse_e2e::multiplexed::Multiplexed;
use porthouse_e2e::raw::{Raw, Refused, request};
use porthouse_e2e::wait::within;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::shapes::{assert_closed, private};

#[expect(
    clippy::disallowed_methods,
    reason = "an end is said by the wall clock"
)]
pub(crate) fn from_now(span: Duration) -> prost_types::Timestamp {
    (SystemTime::now() + span).into()
}

/// Blocks in `hall`, and waits until nodes obey.
async fn block(
    backend: &Backend,
    subject: Subject,
    lasts: Option<Duration>,
) -> CreateBlockResponse {
    let request = CreateBlockRequest {
        parent: "rooms/hall".to_owned(),
        block: Some(Block {
            subject: Some(subject),
            reason: "spam".to_owned(),
            expire_time: lasts.map(from_now),
            ..Default::default()
        }),
        ..Default::default()
    };
    let made = backend.blocks().create_block(request).await;
    let made = made.expect("a block is made").into_inner();
    backend.applied(made.revision).await;
    made
}

async fn unblock(backend: &Backend, made: CreateBlockResponse) {
    let request = DeleteBlockRequest {
        name: made.block.expect("a block").name,
    };
    let gone = backend.blocks().delete_block(request).await;
    let revision = gone.expect("it is taken away").into_inner().revision;
    backend.applied(revision).await;
}

fn is_blocked(refused: &Refused) -> bool {
    refused.status == 403 && refused.body["rule"] == "block"
}

/// Asks again until it is let in; whatever else refuses is a fault.
async fn enters_again(house: &House, token: Option<&str>) -> Raw {
    let enters = async {
        let mut again = tokio::time::interval(Duration::from_millis(100));
        loop {
            again.tick().await;
            match Raw::ask(house.ws(), request(house.ws(), "/hall", token)).await {
                Ok(socket) => return socket,
                Err(refused) => assert!(is_blocked(&refused), "{refused:?}"),
            }
        }
    };
    within("the block ends", enters).await
}

#[tokio::test]
async fn a_blocked_user_is_put_out_and_comes_in_again_when_the_block_ends() {
    let house = House::start().await;
    let backend = house.backend();
    let ada = backend.signed_in_user("ada").await;
    let bob = backend.signed_in_user("bob").await;
    backend.make_room("hall", Room::default()).await;
    let blocked = house
        .sockets_on_both_puddles("hall", Some(&ada.token), 2)
        .await;
    let mut other = Raw::enter(house.ws(), "hall", Some(&bob.token)).await;
    let mut client = Multiplexed::open(house.ws(), Some(&ada.token)).await;
    client.event("authenticated").await;
    client.join("hall").await;

    let user = || Subject::User("users/ada".to_owned());
    let made = block(backend, user(), None).await;
    for mut socket in blocked {
        assert_closed(&socket.closed().await, 4012, "block", "retry never");
    }
    let closed = client.event("closed").await;
    assert_eq!(
        (&closed["room"], &closed["code"]),
        (&json!("hall"), &json!(4012))
    );
    let refused = Raw::refused(house.ws(), "hall", Some(&ada.token)).await;
    assert!(is_blocked(&refused), "{refused:?}");

    unblock(backend, made).await;
    let mut between = Raw::enter(house.ws(), "hall", Some(&ada.token)).await;
    block(backend, user(), Some(Duration::from_secs(8))).await;
    assert_closed(&between.closed().await, 4012, "block", "retry never");
    let mut again = enters_again(&house, Some(&ada.token)).await;
    again.say(Message::text("sorry")).await;
    assert_eq!(other.next().await, Message::text("sorry"));
    drop((again, other, client));
    house.close().await;
}

#[tokio::test]
async fn a_block_whose_end_is_changed_ends_then() {
    let house = House::start().await;
    let backend = house.backend();
    let ada = backend.signed_in_user("ada").await;
    backend.make_room("hall", Room::default()).await;
    let mut inside = Raw::enter(house.ws(), "hall", Some(&ada.token)).await;
    let user = Subject::User("users/ada".to_owned());
    let made = block(backend, user, None).await;
    assert_closed(&inside.closed().await, 4012, "block", "retry never");
    let ends = |span| UpdateBlockRequest {
        block: Some(Block {
            expire_time: Some(from_now(span)),
            ..made.block.clone().expect("a block")
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["expire_time".to_owned()],
        }),
        ..Default::default()
    };
    let mut blocks = backend.blocks();
    let changed = blocks.update_block(ends(Duration::from_secs(4))).await;
    let changed = changed.expect("it is changed").into_inner();
    backend.applied(changed.revision).await;
    drop(enters_again(&house, Some(&ada.token)).await);
    // It has ended, and cannot be changed any more.
    let late = blocks.update_block(ends(Duration::from_mins(1))).await;
    let late = late.expect_err("it has ended");
    assert_eq!(late.code(), tonic::Code::NotFound);
    house.close().await;
}

#[tokio::test]
async fn a_blocked_range_puts_out_every_socket_of_its_addresses_but_the_owners() {
    let house = House::start().await;
    let backend = house.backend();
    let ada = backend.signed_in_user("ada").await;
    let room = Room {
        owner: "users/ada".to_owned(),
        ..Default::default()
    };
    backend.make_room("hall", room).await;
    let strangers = house.sockets_on_both_puddles("hall", None, 2).await;
    let mut owner = Raw::enter(house.ws(), "hall", Some(&ada.token)).await;

    let far = Subject::AddressRange("203.0.113.0/24".to_owned());
    block(backend, far, None).await;
    let near = Subject::AddressRange("127.0.0.9/8".to_owned());
    let made = block(backend, near, None).await;
    for mut stranger in strangers {
        assert_closed(&stranger.closed().await, 4012, "block", "retry never");
    }
    let refused = Raw::refused(house.ws(), "hall", None).await;
    assert!(is_blocked(&refused), "{refused:?}");
    // Only this room keeps them out.
    drop(Raw::enter(house.ws(), "elsewhere", None).await);

    unblock(backend, made).await;
    let mut stranger = Raw::enter(house.ws(), "hall", None).await;
    stranger.say(Message::text("back")).await;
    assert_eq!(owner.next().await, Message::text("back"));
    drop((stranger, owner));
    house.close().await;
}

#[tokio::test]
async fn a_membership_that_ends_puts_its_member_out() {
    let house = House::start().await;
    let backend = house.backend();
    let ada = backend.signed_in_user("ada").await;
    let bob = backend.signed_in_user("bob").await;
    backend.make_room("vault", private()).await;
    backend.make_member("vault", "bob").await;
    let revision = backend.make_member("vault", "ada").await;
    backend.applied(revision).await;
    let sockets = house
        .sockets_on_both_puddles("vault", Some(&ada.token), 2)
        .await;
    let mut stays = Raw::enter(house.ws(), "vault", Some(&bob.token)).await;
    let request = UpdateMemberRequest {
        member: Some(Member {
            name: "rooms/vault/members/ada".to_owned(),
            expire_time: Some(from_now(Duration::from_secs(2))),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["expire_time".to_owned()],
        }),
        ..Default::default()
    };
    let changed = backend.members().update_member(request).await;
    changed.expect("the membership is changed");
    for mut socket in sockets {
        let closed = socket.closed().await;
        assert_closed(&closed, 4003, "visibility.private", "retry never");
    }
    let refused = Raw::refused(house.ws(), "vault", Some(&ada.token)).await;
    assert_eq!(refused.status, 403, "{:?}", refused.body);
    let mut friend = Raw::enter(house.ws(), "vault", Some(&bob.token)).await;
    friend.say(Message::text("only we")).await;
    assert_eq!(stays.next().await, Message::text("only we"));
    drop((stays, friend));
    house.close().await;
}

#[tokio::test]
async fn a_blocked_device_is_put_out_and_its_owner_stays() {
    let house = House::start().await;
    let backend = house.backend();
    let ada = backend.signed_in_user("ada").await;
    backend.make_room("hall", Room::default()).await;
    let (name, token) = backend.make_device("ada", &["hall"]).await;
    let mut device = Raw::enter(house.ws(), "hall", Some(&token)).await;
    let mut own = Raw::enter(house.ws(), "hall", Some(&ada.token)).await;
    let made = block(backend, Subject::DeviceToken(name), None).await;
    assert_closed(&device.closed().await, 4012, "block", "retry never");
    let refused = Raw::refused(house.ws(), "hall", Some(&token)).await;
    assert!(is_blocked(&refused), "{refused:?}");
    assert!(own.try_say(Message::text("still here")).await);
    unblock(backend, made).await;
    Raw::enter(house.ws(), "hall", Some(&token)).await;
    house.close().await;
}
