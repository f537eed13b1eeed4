//! Who is kept out of a room, as nodes are told: users by key, ranges of
//! addresses with their room.

use std::time::{Duration, SystemTime};

use porthouse_api::control::v1 as control;
use porthouse_api::control::v1::block::Subject;
use porthouse_api::node::v1::change_item::Item;
use porthouse_api::node::v1::resolve_key::Key;
use porthouse_api::node::v1::resolved::Found;
use porthouse_api::node::v1::{Block, BlockKey, ChangePayload, ResolveKey, ResolveRequest, Room};
use prost::Message as _;

use crate::plane::{Node, Plane, SOON};

async fn block(plane: &Plane, subject: Subject, lasts: Option<Duration>) -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "an end is said by the wall clock"
    )]
    let expire_time = lasts.map(|lasts| (SystemTime::now() + lasts).into());
    let request = control::CreateBlockRequest {
        parent: "rooms/lobby".to_owned(),
        block: Some(control::Block {
            subject: Some(subject),
            expire_time,
            ..Default::default()
        }),
        validate_only: false,
    };
    let made = plane.blocks().create_block(request).await;
    made.expect("a block")
        .into_inner()
        .block
        .expect("a block")
        .name
}

async fn unblock(plane: &Plane, name: &str) {
    let request = control::DeleteBlockRequest {
        name: name.to_owned(),
    };
    plane.blocks().delete_block(request).await.expect("there");
}

fn user(name: &str) -> Subject {
    Subject::User(format!("users/{name}"))
}

fn range(range: &str) -> Subject {
    Subject::AddressRange(range.to_owned())
}

async fn make_user(plane: &Plane, name: &str) -> Vec<u8> {
    let request = control::CreateUserRequest {
        user_id: name.to_owned(),
        ..control::CreateUserRequest::default()
    };
    let made = plane.users().create_user(request).await.expect("a user");
    let user = made.into_inner().user.expect("a user");
    let id: porthouse_model::UserId = user.uid.parse().expect("a UUID");
    id.as_bytes().to_vec()
}

/// The room, and the user's block in it.
async fn resolved(plane: &Plane, user_id: &[u8]) -> (Room, Option<Block>) {
    let ask = async |key| {
        let request = ResolveRequest {
            rules_known: porthouse_api::node::RULES_KNOWN,
            min_revision: 0,
            keys: vec![ResolveKey { key: Some(key) }],
        };
        let answer = plane.feed().resolve(request).await.expect("an answer");
        answer.into_inner().resolved.remove(0).found
    };
    let Some(Found::Room(room)) = ask(Key::RoomName("lobby".to_owned())).await else {
        panic!("no room");
    };
    let key = BlockKey {
        room_id: room.id.clone(),
        user_id: user_id.to_vec(),
    };
    let block = match ask(Key::Block(key)).await {
        Some(Found::Block(block)) => Some(block),
        None => None,
        other => panic!("not asked for: {other:?}"),
    };
    (room, block)
}

async fn told(node: &mut Node) -> Vec<Item> {
    let change = node.change().await.expect("a change");
    let payload = ChangePayload::decode(change.payload).expect("a payload");
    let items = payload.items.into_iter();
    items.map(|item| item.item.expect("an item")).collect()
}

fn ranges(room: &Room) -> Vec<&str> {
    let blocks = room.address_blocks.iter();
    blocks.map(|block| block.range.as_str()).collect()
}

#[tokio::test]
async fn a_room_says_that_users_are_blocked_with_the_first_and_the_last() {
    let plane = Plane::start().await;
    plane.create_room("lobby").await;
    let (ada, ben) = (
        make_user(&plane, "ada").await,
        make_user(&plane, "ben").await,
    );
    let mut node = Node::watch(&plane, "a").await;
    let first = block(&plane, user("ada"), None).await;
    let (room, blocked) = resolved(&plane, &ada).await;
    assert!(room.users_blocked);
    assert_eq!(resolved(&plane, &ben).await.1, None);
    let blocked = blocked.expect("blocked");
    assert_eq!(
        told(&mut node).await,
        [Item::Room(room), Item::Block(blocked)]
    );

    let second = block(&plane, user("ben"), None).await;
    let items = told(&mut node).await;
    assert!(
        matches!(&items[..], [Item::Block(block)] if block.user_id == ben),
        "{items:?}"
    );
    unblock(&plane, &first).await;
    let items = told(&mut node).await;
    assert!(
        matches!(&items[..], [Item::BlockGone(gone)] if gone.user_id == ada),
        "{items:?}"
    );
    unblock(&plane, &second).await;
    let items = told(&mut node).await;
    let [Item::Room(room), Item::BlockGone(gone)] = &items[..] else {
        panic!("{items:?}");
    };
    assert!(!room.users_blocked && gone.user_id == ben);
    assert_eq!(resolved(&plane, &ben).await.1, None);
}

#[tokio::test]
async fn ranges_are_told_with_their_room_and_with_every_change_of_it() {
    let plane = Plane::start().await;
    plane.create_room("lobby").await;
    let mut node = Node::watch(&plane, "a").await;
    let wide = block(&plane, range("203.0.113.9/24"), None).await;
    block(
        &plane,
        range("2001:db8::/56"),
        Some(Duration::from_hours(1)),
    )
    .await;
    let both = ["2001:db8::/56", "203.0.113.0/24"];
    let (room, _) = resolved(&plane, &[7; 16]).await;
    assert_eq!(ranges(&room), both);
    assert!(room.address_blocks[0].expire_time.is_some());
    for expected in [&both[1..], &both[..]] {
        let items = told(&mut node).await;
        assert!(
            matches!(&items[..], [Item::Room(room)] if ranges(room) == expected),
            "{items:?}"
        );
    }
    unblock(&plane, &wide).await;
    let items = told(&mut node).await;
    assert!(
        matches!(&items[..], [Item::Room(room)] if ranges(room) == both[..1]),
        "{items:?}"
    );
}

#[tokio::test]
async fn what_has_expired_is_resolved_no_more_and_ends_without_a_revision() {
    let plane = Plane::start().await;
    plane.create_room("lobby").await;
    let ada = make_user(&plane, "ada").await;
    let lasts = Some(Duration::from_millis(500));
    block(&plane, user("ada"), lasts).await;
    block(&plane, range("10.0.0.0/8"), lasts).await;
    let mut node = Node::watch(&plane, "a").await;
    let expires = async {
        loop {
            let (room, block) = resolved(&plane, &ada).await;
            if !room.users_blocked && room.address_blocks.is_empty() && block.is_none() {
                break;
            }
        }
    };
    tokio::time::timeout(SOON, expires)
        .await
        .expect("they expire");
    // Made anew: whoever knew it says nothing of the one before.
    block(&plane, user("ada"), None).await;
    let items = told(&mut node).await;
    assert!(
        matches!(&items[..], [Item::Room(_), Item::Block(block)] if block.expire_time.is_none()),
        "{items:?}"
    );
}

#[tokio::test]
async fn a_user_who_is_deleted_takes_their_blocks_along_as_one_change() {
    let plane = Plane::start().await;
    plane.create_room("lobby").await;
    let ada = make_user(&plane, "ada").await;
    block(&plane, user("ada"), None).await;
    let mut node = Node::watch(&plane, "a").await;
    let request = control::DeleteUserRequest {
        name: "users/ada".to_owned(),
        ..Default::default()
    };
    plane.users().delete_user(request).await.expect("there");
    let items = told(&mut node).await;
    let tells_block = |item: &Item| matches!(item, Item::Block(_) | Item::BlockGone(_));
    assert!(!items.iter().any(tells_block), "{items:?}");
    assert_eq!(resolved(&plane, &ada).await.1, None);
}
