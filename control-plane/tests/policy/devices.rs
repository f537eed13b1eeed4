//! Device tokens, as nodes are told of them: asked for by their hash, and by the
//! log whatever is changed, with their owners too.

use porthouse_api::control::v1 as control;
use porthouse_api::node::v1::change_item::Item;
use porthouse_api::node::v1::resolve_key::Key;
use porthouse_api::node::v1::resolved::Found;
use porthouse_api::node::v1::{ChangePayload, ResolveKey, ResolveRequest, Session};
use porthouse_model::{Credential, CredentialKind};
use prost::Message as _;

use crate::plane::{Node, Plane, SOON};

/// A device token, and its hash.
async fn make(plane: &Plane, rooms: &[&str]) -> (String, Vec<u8>) {
    let request = control::CreateDeviceTokenRequest {
        device_token: Some(control::DeviceToken {
            owner: "users/ada".to_owned(),
            display_name: "Thermometer".to_owned(),
            rooms: rooms.iter().map(|room| format!("rooms/{room}")).collect(),
            ..Default::default()
        }),
        validate_only: false,
    };
    let made = plane.device_tokens().create_device_token(request).await;
    let made = made.expect("a token").into_inner();
    let token = Credential::parse(CredentialKind::DeviceToken, &made.secret).expect("ours");
    let name = made.device_token.expect("a token").name;
    (name, token.hash().as_bytes().to_vec())
}

async fn opened(plane: &Plane, hash: &[u8]) -> Option<Session> {
    let request = ResolveRequest {
        rules_known: porthouse_api::node::RULES_KNOWN,
        min_revision: 0,
        keys: vec![ResolveKey {
            key: Some(Key::SessionTokenSha256(hash.to_vec())),
        }],
    };
    let answer = plane.feed().resolve(request).await.expect("an answer");
    match answer.into_inner().resolved.remove(0).found {
        Some(Found::Session(session)) => Some(session),
        None => None,
        other => panic!("not asked for: {other:?}"),
    }
}

async fn told(node: &mut Node) -> Vec<Item> {
    let change = node.change().await.expect("a change");
    let payload = ChangePayload::decode(change.payload).expect("a payload");
    let items = payload.items.into_iter();
    items.map(|item| item.item.expect("an item")).collect()
}

async fn make_ada(plane: &Plane) {
    let request = control::CreateUserRequest {
        user_id: "ada".to_owned(),
        ..control::CreateUserRequest::default()
    };
    plane.users().create_user(request).await.expect("a user");
}

fn rooms(session: &Session) -> &[String] {
    &session.device.as_ref().expect("a device").room_names
}

async fn rename(plane: &Plane, token: &control::DeviceToken, paths: &[&str]) {
    let paths = paths.iter().map(|&path| path.to_owned()).collect();
    let request = control::UpdateDeviceTokenRequest {
        device_token: Some(token.clone()),
        update_mask: Some(prost_types::FieldMask { paths }),
        validate_only: false,
    };
    let changed = plane.device_tokens().update_device_token(request).await;
    changed.expect("there");
}

#[tokio::test]
async fn a_device_token_that_is_changed_or_ended_is_told_of() {
    let plane = Plane::start().await;
    make_ada(&plane).await;
    let (name, hash) = make(&plane, &["lobby"]).await;
    let before = opened(&plane, &hash).await.expect("it opens");
    assert_eq!(
        (rooms(&before), before.username.as_str()),
        (&["lobby".to_owned()][..], "ada")
    );
    let mut node = Node::watch(&plane, "a").await;
    let moved = control::DeviceToken {
        name: name.clone(),
        rooms: vec!["rooms/yard".to_owned()],
        ..Default::default()
    };
    rename(&plane, &moved, &["rooms"]).await;
    let items = told(&mut node).await;
    let [Item::DeviceToken(told_token)] = &items[..] else {
        panic!("{items:?}");
    };
    let now = opened(&plane, &hash).await.expect("it opens");
    assert_eq!(rooms(&now), ["yard"]);
    assert_eq!(told_token.token_sha256, hash);
    assert_eq!(told_token.session, Some(now.clone()));

    let request = control::DeleteDeviceTokenRequest {
        name,
        etag: String::new(),
    };
    plane
        .device_tokens()
        .delete_device_token(request)
        .await
        .expect("there");
    let items = told(&mut node).await;
    assert!(
        matches!(&items[..], [Item::SessionGone(gone)] if gone.id == now.id),
        "{items:?}"
    );
    assert_eq!(opened(&plane, &hash).await, None);
}

#[tokio::test]
async fn device_tokens_stay_when_sessions_end_and_follow_their_owner() {
    let plane = Plane::start().await;
    make_ada(&plane).await;
    let (_, hash) = make(&plane, &["lobby"]).await;
    let mut node = Node::watch(&plane, "a").await;
    let user = "users/ada".to_owned();
    let password = control::SetPasswordRequest {
        name: user.clone(),
        password: "battery staple".to_owned(),
        ..Default::default()
    };
    plane.users().set_password(password).await.expect("there");
    let items = told(&mut node).await;
    let [Item::UserGone(_), Item::DeviceToken(stays)] = &items[..] else {
        panic!("{items:?}");
    };
    assert_eq!(stays.token_sha256, hash);
    assert!(opened(&plane, &hash).await.is_some());

    let disable = control::DisableUserRequest {
        name: user.clone(),
        ..Default::default()
    };
    plane.users().disable_user(disable).await.expect("there");
    let items = told(&mut node).await;
    assert!(matches!(&items[..], [Item::UserGone(_)]), "{items:?}");
    assert_eq!(opened(&plane, &hash).await, None);
    let enable = control::EnableUserRequest {
        name: user.clone(),
        ..Default::default()
    };
    plane.users().enable_user(enable).await.expect("there");
    let items = told(&mut node).await;
    assert!(matches!(&items[..], [Item::DeviceToken(back)] if back.token_sha256 == hash));
    assert!(opened(&plane, &hash).await.is_some());

    let delete = control::DeleteUserRequest {
        name: user,
        ..Default::default()
    };
    plane.users().delete_user(delete).await.expect("there");
    let items = told(&mut node).await;
    let ends = |item: &Item| matches!(item, Item::UserGone(_));
    let again = |item: &Item| matches!(item, Item::DeviceToken(_));
    assert!(
        items.iter().any(ends) && !items.iter().any(again),
        "{items:?}"
    );
    assert_eq!(opened(&plane, &hash).await, None);
}

#[tokio::test]
async fn that_a_device_token_is_used_is_noted() {
    let plane = Plane::start().await;
    make_ada(&plane).await;
    let (name, hash) = make(&plane, &[]).await;
    opened(&plane, &hash).await.expect("it opens");
    let noted = async {
        let mut again = tokio::time::interval(std::time::Duration::from_millis(20));
        loop {
            again.tick().await;
            let request = control::GetDeviceTokenRequest { name: name.clone() };
            let got = plane.device_tokens().get_device_token(request).await;
            let token = got.expect("there").into_inner().device_token;
            if token.expect("a token").last_used_time.is_some() {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, noted)
        .await
        .expect("it is noted");
}

fn blocks(session: Option<&Session>) -> Vec<(&str, bool)> {
    let device = session
        .expect("it opens")
        .device
        .as_ref()
        .expect("a device");
    let blocks = device.blocks.iter();
    blocks
        .map(|block| (block.room_name.as_str(), block.expire_time.is_some()))
        .collect()
}

/// What nodes are told of a device token, which is all that they are told.
fn device_alone(items: &[Item]) -> Option<&Session> {
    let [Item::DeviceToken(token)] = items else {
        panic!("{items:?}");
    };
    token.session.as_ref()
}

#[tokio::test]
async fn a_block_of_a_device_is_told_with_it() {
    let plane = Plane::start().await;
    make_ada(&plane).await;
    plane.create_room("lobby").await;
    let (name, hash) = make(&plane, &["lobby", "yard"]).await;
    let mut node = Node::watch(&plane, "a").await;
    let request = control::CreateBlockRequest {
        parent: "rooms/lobby".to_owned(),
        block: Some(control::Block {
            subject: Some(control::block::Subject::DeviceToken(name.clone())),
            ..Default::default()
        }),
        validate_only: false,
    };
    let mut service = plane.blocks();
    let made = service.create_block(request.clone()).await;
    let block = made.expect("a block").into_inner().block.expect("a block");
    assert_eq!(
        block.subject,
        Some(control::block::Subject::DeviceToken(name))
    );
    let again = service.create_block(request.clone()).await;
    assert_eq!(again.expect_err("twice").code(), tonic::Code::AlreadyExists);
    let items = told(&mut node).await;
    assert_eq!(blocks(device_alone(&items)), [("lobby", false)]);
    let now = opened(&plane, &hash).await;
    assert_eq!(blocks(now.as_ref()), [("lobby", false)]);

    let ends = control::UpdateBlockRequest {
        block: Some(control::Block {
            expire_time: Some(prost_types::Timestamp {
                seconds: 4_000_000_000,
                nanos: 0,
            }),
            ..block.clone()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["expire_time".to_owned()],
        }),
        validate_only: false,
    };
    service.update_block(ends).await.expect("there");
    let items = told(&mut node).await;
    assert_eq!(blocks(device_alone(&items)), [("lobby", true)]);

    let delete = control::DeleteBlockRequest { name: block.name };
    service.delete_block(delete).await.expect("there");
    let items = told(&mut node).await;
    assert!(blocks(device_alone(&items)).is_empty());
    assert!(blocks(opened(&plane, &hash).await.as_ref()).is_empty());

    // A room that is gone keeps nobody out of another of its name.
    service.create_block(request).await.expect("a block");
    assert_eq!(blocks(device_alone(&told(&mut node).await)).len(), 1);
    let delete = control::DeleteRoomRequest {
        name: "rooms/lobby".to_owned(),
        ..Default::default()
    };
    plane.rooms().delete_room(delete).await.expect("there");
    let items = told(&mut node).await;
    let [Item::RoomGone(_), Item::DeviceToken(token)] = &items[..] else {
        panic!("{items:?}");
    };
    assert!(blocks(token.session.as_ref()).is_empty());
}

#[tokio::test]
async fn a_block_of_a_device_goes_with_its_token() {
    let plane = Plane::start().await;
    make_ada(&plane).await;
    plane.create_room("lobby").await;
    let (name, _) = make(&plane, &["lobby"]).await;
    let request = control::CreateBlockRequest {
        parent: "rooms/lobby".to_owned(),
        block: Some(control::Block {
            subject: Some(control::block::Subject::DeviceToken(name.clone())),
            ..Default::default()
        }),
        validate_only: false,
    };
    plane
        .blocks()
        .create_block(request.clone())
        .await
        .expect("a block");
    let mut node = Node::watch(&plane, "a").await;
    let delete = control::DeleteDeviceTokenRequest {
        name,
        etag: String::new(),
    };
    let deleted = plane.device_tokens().delete_device_token(delete).await;
    deleted.expect("there");
    let items = told(&mut node).await;
    assert!(matches!(&items[..], [Item::SessionGone(_)]), "{items:?}");
    let list = control::ListBlocksRequest {
        parent: "rooms/lobby".to_owned(),
        ..Default::default()
    };
    let listed = plane.blocks().list_blocks(list).await.expect("a page");
    assert!(listed.into_inner().blocks.is_empty());
    let gone = plane.blocks().create_block(request).await;
    assert_eq!(gone.expect_err("gone").code(), tonic::Code::NotFound);
}
