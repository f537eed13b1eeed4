//! Who is put out of a room that was made stays outside when the node is killed
//! and begins anew: the kick is a block of the control plane by then.

use std::time::Duration;

use porthouse_api::control::v1::block::Subject;
use porthouse_api::control::v1::{Block, ListBlocksRequest, Room};
use porthouse_e2e::backend::Backend;
use porthouse_e2e::multiplexed::Multiplexed;
use porthouse_e2e::planes::Planes;
use porthouse_e2e::raw::Raw;
use porthouse_e2e::wait::within;
use serde_json::json;

/// The room's blocks, once there are any.
async fn blocks(backend: &Backend) -> Vec<Block> {
    let written = async {
        let mut look = tokio::time::interval(Duration::from_millis(50));
        loop {
            look.tick().await;
            let request = ListBlocksRequest {
                parent: "rooms/hall".to_owned(),
                ..ListBlocksRequest::default()
            };
            let listed = backend.blocks().list_blocks(request).await;
            let blocks = listed.expect("a page").into_inner().blocks;
            if !blocks.is_empty() {
                return blocks;
            }
        }
    };
    within("the kick is written", written).await
}

#[tokio::test]
async fn who_was_kicked_is_kept_out_by_the_next_node_too_even_if_it_was_written_late() {
    let planes = Planes::found().await;
    let replica = planes.replica(None).await;
    let backend = planes.backend(&replica);
    let node = planes.node("kicker", &replica, &[]).await;
    let host = backend.signed_in_user("host").await;
    let guest = backend.signed_in_user("guest").await;
    let room = Room {
        owner: "users/host".to_owned(),
        ..Room::default()
    };
    backend.applied(backend.make_room("hall", room).await).await;
    let mut owner = Multiplexed::open(node.ws, Some(&host.token)).await;
    owner.event("authenticated").await;
    owner.join("hall").await;
    let mut inside = Multiplexed::open(node.ws, Some(&guest.token)).await;
    inside.event("authenticated").await;
    let client = inside.join("hall").await;

    // The control plane is away: the kick holds at once, and is written later.
    let address = replica.grpc;
    let killed_plane = replica.kill().await;
    let kicked = owner
        .ask("kick", json!({"room": "hall", "client": client}))
        .await;
    assert_eq!(kicked["op"], "kicked", "{kicked}");
    assert_eq!(inside.event("closed").await["code"], 4006);
    let refused = inside.ask("join", json!({"room": "hall"})).await;
    assert_eq!(refused["code"], 4012, "{refused}");

    let replica = planes.replica(Some(address)).await;
    let backend = planes.backend(&replica);
    let [block] = &blocks(&backend).await[..] else {
        panic!("one block");
    };
    let user = Subject::User("users/guest".to_owned());
    assert_eq!(block.subject, Some(user));
    assert_eq!(block.reason, "kicked by users/host");
    assert!(block.expire_time.is_some());

    drop((owner, inside));
    let killed_node = node.kill().await;
    let node = planes.node("kicker", &replica, &[]).await;
    let refused = Raw::refused(node.ws, "hall", Some(&guest.token)).await;
    assert_eq!(
        (refused.status, &refused.body["rule"]),
        (403, &"block".into())
    );
    drop(Raw::enter(node.ws, "hall", Some(&host.token)).await);
    planes
        .close(node, vec![replica], vec![killed_plane, killed_node])
        .await;
}
