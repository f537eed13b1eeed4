//! A kick on one node is a block on all of them: written once, shown like any
//! other, and never shorter than what was there.

use std::time::{Duration, SystemTime};

use porthouse_api::control::v1 as control;
use porthouse_api::control::v1::audit_service_client::AuditServiceClient;
use porthouse_api::control::v1::block::Subject;
use porthouse_api::node::v1::change_item::Item;
use porthouse_api::node::v1::{ChangePayload, KeepOutRequest, KeepOutResponse};
use porthouse_model::{ClientId, UserId};
use prost::Message as _;
use tonic::{Code, Status};

use crate::plane::{Node, Plane};

const MINUTE: i64 = 60;

async fn make_user(plane: &Plane, name: &str) -> Vec<u8> {
    let request = control::CreateUserRequest {
        user_id: name.to_owned(),
        ..control::CreateUserRequest::default()
    };
    let made = plane.users().create_user(request).await.expect("a user");
    let user = made.into_inner().user.expect("a user");
    let id: UserId = user.uid.parse().expect("a UUID");
    id.as_bytes().to_vec()
}

async fn make_room(plane: &Plane, owner: &str) {
    let request = control::CreateRoomRequest {
        room_id: "hall".to_owned(),
        room: Some(control::Room {
            owner: owner.to_owned(),
            ..control::Room::default()
        }),
        ..control::CreateRoomRequest::default()
    };
    plane.rooms().create_room(request).await.expect("a room");
}

fn kick(client: &[u8], seconds: i64) -> KeepOutRequest {
    KeepOutRequest {
        room_name: "hall".to_owned(),
        room_id: Vec::new(),
        client_id: client.to_vec(),
        duration: Some(prost_types::Duration { seconds, nanos: 0 }),
        by_client_id: Vec::new(),
    }
}

async fn asked(plane: &Plane, request: KeepOutRequest) -> Result<KeepOutResponse, Status> {
    let answer = plane.feed().keep_out(request).await;
    answer.map(tonic::Response::into_inner)
}

async fn kept_out(plane: &Plane, request: KeepOutRequest) -> KeepOutResponse {
    asked(plane, request).await.expect("an answer")
}

async fn block(plane: &Plane, name: &str) -> control::Block {
    let request = control::GetBlockRequest {
        name: name.to_owned(),
    };
    let block = plane.blocks().get_block(request).await.expect("a block");
    block.into_inner().block.expect("a block")
}

/// In how many seconds a block ends.
async fn lasts(plane: &Plane, name: &str) -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "an end is said by the wall clock"
    )]
    let now = SystemTime::now();
    let ends = block(plane, name).await.expire_time.expect("an end");
    let ends = SystemTime::try_from(ends).expect("a time");
    ends.duration_since(now).unwrap_or(Duration::ZERO).as_secs()
}

#[tokio::test]
async fn a_kick_is_a_block_that_nodes_are_told_and_a_longer_one_stays() {
    let plane = Plane::start().await;
    let (ada, ben) = (
        make_user(&plane, "ada").await,
        make_user(&plane, "ben").await,
    );
    make_room(&plane, "users/ben").await;
    let mut node = Node::watch(&plane, "a").await;
    let by = KeepOutRequest {
        by_client_id: ben.clone(),
        ..kick(&ada, 5 * MINUTE)
    };
    let first = kept_out(&plane, by.clone()).await;
    let made = block(&plane, &first.block).await;
    assert_eq!(made.subject, Some(Subject::User("users/ada".to_owned())));
    assert_eq!(made.reason, "kicked by users/ben");
    assert!((290..=300).contains(&lasts(&plane, &first.block).await));
    let change = node.change().await.expect("a change");
    assert_eq!(change.revision, first.revision);
    let payload = ChangePayload::decode(change.payload).expect("a payload");
    let tells = |item: &Item| matches!(item, Item::Block(block) if block.user_id == ada);
    let mut items = payload.items.into_iter().filter_map(|item| item.item);
    assert!(items.any(|item| tells(&item)));

    // Asked again, or for less, nothing is written.
    let again = kept_out(&plane, by).await;
    assert_eq!(
        (&again.block, again.revision),
        (&first.block, first.revision)
    );
    let shorter = kept_out(&plane, kick(&ada, MINUTE)).await;
    assert_eq!(shorter.revision, first.revision);
    // Nor by whoever kicks over and over, as time goes by.
    let a_little = kept_out(&plane, kick(&ada, 5 * MINUTE + 20)).await;
    assert_eq!(a_little.revision, first.revision);
    let longer = kept_out(&plane, kick(&ada, 10 * MINUTE)).await;
    assert_eq!(longer.block, first.block);
    assert!(longer.revision > first.revision);
    assert!(lasts(&plane, &first.block).await > 500);

    let owner = kept_out(&plane, kick(&ben, MINUTE)).await;
    assert_eq!(owner.block, "", "the owner is never kept out");

    let mut audit = AuditServiceClient::new(plane.admin_channel());
    let request = control::ListAuditEventsRequest::default();
    let events = audit.list_audit_events(request).await.expect("a page");
    let events = events.into_inner().audit_events;
    let kicks = events
        .iter()
        .filter(|event| event.action == "PolicyFeedService.KeepOut");
    let kicks: Vec<&control::AuditEvent> = kicks.collect();
    assert_eq!(kicks.len(), 2, "each that wrote: {kicks:?}");
    assert!(kicks[0].target.contains(&first.block), "{kicks:?}");
}

#[tokio::test]
async fn a_device_is_kept_out_and_nobody_where_there_is_no_such_room_or_client() {
    let plane = Plane::start().await;
    let ada = make_user(&plane, "ada").await;
    make_room(&plane, "").await;
    let request = control::CreateDeviceTokenRequest {
        device_token: Some(control::DeviceToken {
            owner: "users/ada".to_owned(),
            display_name: "Thermometer".to_owned(),
            rooms: vec!["rooms/hall".to_owned()],
            ..Default::default()
        }),
        ..Default::default()
    };
    let made = plane.device_tokens().create_device_token(request).await;
    let device = made.expect("a device").into_inner().device_token;
    let device = device.expect("a device").name;
    let id = device.strip_prefix("deviceTokens/").expect("a name");
    let id: ClientId = id.parse().expect("a UUID");
    let out = kept_out(&plane, kick(id.as_bytes(), MINUTE)).await;
    let made = block(&plane, &out.block).await;
    assert_eq!(made.subject, Some(Subject::DeviceToken(device)));
    assert_eq!(made.reason, "kicked by a backend");

    let nobody = kept_out(&plane, kick(&[9; 16], MINUTE)).await;
    let elsewhere = KeepOutRequest {
        room_name: "nowhere".to_owned(),
        ..kick(&ada, MINUTE)
    };
    let before = KeepOutRequest {
        room_id: vec![7; 16],
        ..kick(&ada, MINUTE)
    };
    assert_eq!(nobody.block, "");
    assert_eq!(kept_out(&plane, elsewhere).await.block, "");
    assert_eq!(kept_out(&plane, before).await.block, "");
}

#[tokio::test]
async fn what_no_node_asks_is_refused() {
    let plane = Plane::start().await;
    let ada = make_user(&plane, "ada").await;
    for (request, field) in [
        (kick(&ada, 0), "duration"),
        (kick(&ada, -1), "duration"),
        (kick(&ada, 8 * 24 * 60 * MINUTE), "duration"),
        (kick(&[], MINUTE), "client_id"),
        (kick(&[1; 15], MINUTE), "client_id"),
        (
            KeepOutRequest {
                room_name: "no room".to_owned(),
                ..kick(&ada, MINUTE)
            },
            "room_name",
        ),
        (
            KeepOutRequest {
                room_id: vec![1],
                ..kick(&ada, MINUTE)
            },
            "room_id",
        ),
    ] {
        let refused = asked(&plane, request).await.expect_err(field);
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}");
        assert!(refused.message().starts_with(field), "{refused}");
    }
}
