//! Keys that are shown to the wrong plane, and requests that say what this version does not
//! know: each is refused by name.

use porthouse_api::control::v1 as control;
use porthouse_api::control::v1::room_service_client::RoomServiceClient;
use porthouse_api::node::v1::policy_feed_service_client::PolicyFeedServiceClient;
use porthouse_api::node::v1::{OpenSessionRequest, ResolveRequest};
use tonic::Code;

use crate::plane::Plane;

#[tokio::test]
async fn a_nodes_key_is_no_backends_and_a_backends_is_no_nodes() {
    let plane = Plane::start().await;
    let mut rooms = RoomServiceClient::new(plane.keyed(&["node"]).await);
    let listed = rooms.list_rooms(control::ListRoomsRequest::default()).await;
    let refused = listed.expect_err("it is a node's");
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("rooms"), "{refused:?}");

    for scopes in [&["rooms"][..], &["users", "sessions"], &["admin"]] {
        let mut feed = PolicyFeedServiceClient::new(plane.keyed(scopes).await);
        let resolved = feed.resolve(ResolveRequest::default()).await;
        let opened = feed.open_session(OpenSessionRequest::default()).await;
        for refused in [resolved.err(), opened.err()] {
            let refused = refused.expect("it is no node's");
            assert_eq!(refused.code(), Code::PermissionDenied, "{scopes:?}");
            assert!(refused.message().contains("node"), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn a_value_of_a_later_version_is_refused_by_its_field() {
    let plane = Plane::start().await;
    let rules = control::RoomRules {
        delivery: Some(control::DeliveryRules {
            slow_consumer: 99,
            ..Default::default()
        }),
        ..Default::default()
    };
    let request = control::CreateRoomRequest {
        room_id: "lobby".to_owned(),
        room: Some(control::Room {
            rules: Some(rules),
            ..Default::default()
        }),
        ..Default::default()
    };
    let made = plane.rooms().create_room(request).await;
    let refused = made.expect_err("nobody knows what it means");
    assert_eq!(refused.code(), Code::InvalidArgument);
    let details = String::from_utf8_lossy(refused.details()).into_owned();
    assert!(details.contains("slow_consumer"), "{refused:?}");
}
