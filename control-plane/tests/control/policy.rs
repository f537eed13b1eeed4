//! Revisions, and waiting for them.

use porthouse_api::control::v1 as wire;
use tonic::Code;

use crate::world::{World, field};

#[tokio::test]
async fn every_write_answers_its_revision() {
    let world = World::start().await;
    let mut policy = world.admin().policy();
    let mut head = async || {
        let answer = policy
            .get_revision(wire::GetRevisionRequest {})
            .await
            .expect("a head");
        answer.into_inner().revision
    };
    assert_eq!(head().await, 0);
    let user = world.user("sana", "correct horse").await;
    assert_eq!(user.revision, 0, "nodes need not know of a user");
    let room = world.room("lobby").await;
    assert_eq!((room.revision, head().await), (1, 1));
    let session = world
        .sign_in("sana", "correct horse")
        .await
        .expect("a session");
    assert_eq!((session.revision, head().await), (1, 1));
    let delete = wire::DeleteUserRequest {
        name: "users/sana".into(),
        ..Default::default()
    };
    let gone = world
        .admin()
        .users()
        .delete_user(delete)
        .await
        .expect("there")
        .into_inner();
    assert_eq!((gone.revision, head().await), (2, 2));
}

#[tokio::test]
async fn without_nodes_a_revision_is_applied_at_once_and_a_future_one_never() {
    let world = World::start().await;
    let room = world.room("lobby").await;
    let mut policy = world.admin().policy();
    let wait = |revision| wire::WaitAppliedRequest {
        revision,
        timeout: None,
    };
    let answer = policy
        .wait_applied(wait(room.revision))
        .await
        .expect("given")
        .into_inner();
    assert!(answer.applied && answer.pending.is_empty());
    for revision in [-1, room.revision + 1] {
        let status = policy
            .wait_applied(wait(revision))
            .await
            .expect_err("not given");
        assert_eq!(
            (status.code(), field(&status).as_str()),
            (Code::InvalidArgument, "revision")
        );
    }
    let list = wire::ListNodesRequest::default();
    assert!(
        world
            .admin()
            .nodes()
            .list_nodes(list)
            .await
            .expect("a page")
            .into_inner()
            .nodes
            .is_empty()
    );
    let delete = wire::DeleteNodeRequest {
        name: "nodes/nobody".into(),
    };
    let status = world
        .admin()
        .nodes()
        .delete_node(delete)
        .await
        .expect_err("none");
    assert_eq!(status.code(), Code::NotFound);
}
