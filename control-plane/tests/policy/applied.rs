//! `WaitApplied`: never early, and whom it waits for.

use std::time::Duration;

use porthouse_api::control::v1::node_service_client::NodeServiceClient;
use porthouse_api::node::v1::watch_request::Message as Word;
use porthouse_api::node::v1::{Position, WatchLeave};
use tokio::time::{Instant, timeout};
use tonic::Code;

use crate::plane::{Node, Plane, SOON, start, wait_applied};

const AT_ONCE: Duration = Duration::ZERO;

#[tokio::test]
async fn without_nodes_it_answers_at_once() {
    let plane = Plane::start().await;
    let revision = plane.create_room("lobby").await;
    let answer = plane.wait_applied(revision, SOON).await.expect("an answer");
    assert!(answer.applied && answer.pending.is_empty());
}

#[tokio::test]
async fn a_future_revision_is_refused() {
    let plane = Plane::start().await;
    let revision = plane.create_room("lobby").await;
    let refused = plane
        .wait_applied(revision + 1, SOON)
        .await
        .expect_err("refused");
    assert_eq!(refused.code(), Code::InvalidArgument);
    let refused = plane.wait_applied(-1, SOON).await.expect_err("refused");
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn it_answers_when_the_last_node_has_applied_and_not_before() {
    let plane = Plane::start().await;
    let mut first = Node::watch(&plane, "a").await;
    let mut second = Node::watch(&plane, "b").await;
    let revision = plane.create_room("lobby").await;
    first.change().await.expect("a change");
    second.change().await.expect("a change");

    let mut waiting = Box::pin(plane.wait_applied(revision, SOON));
    let early = Duration::from_millis(600);
    assert!(
        timeout(early, &mut waiting).await.is_err(),
        "nobody has applied it"
    );
    first.applied(revision).await;
    assert!(
        timeout(early, &mut waiting).await.is_err(),
        "one has not applied it"
    );
    second.applied(revision).await;
    assert!(waiting.await.expect("an answer").applied);
}

#[tokio::test]
async fn a_number_that_is_given_again_is_not_applied_by_who_applied_what_had_it_before() {
    let plane = Plane::start().await;
    plane.create_room("kept").await;
    let mut node = Node::watch(&plane, "a").await;
    let lost = plane.create_room("lost").await;
    node.change().await.expect("a change");
    node.applied(lost).await;
    let before = plane.wait_applied(lost, SOON).await.expect("an answer");
    assert!(before.applied);

    let client = plane.cluster.connect().await;
    let rewind = "DELETE FROM policy_log WHERE revision = (SELECT max(revision) FROM policy_log)";
    client.execute(rewind, &[]).await.expect("rewound");
    let again = plane.create_room("other").await;
    assert_eq!(again, lost);
    let answer = plane.wait_applied(again, AT_ONCE).await.expect("an answer");
    assert!(!answer.applied, "it was never told");
    assert_eq!(answer.pending[0].applied_revision, again - 1);
}

#[tokio::test]
async fn it_names_who_has_not_applied_and_until_when_that_may_deliver() {
    let plane = Plane::start().await;
    let mut ahead = Node::watch(&plane, "ahead").await;
    let mut limited = start("limited", 1, None);
    limited.deliver_max = Some(prost_types::Duration {
        seconds: 3_600,
        nanos: 0,
    });
    let _limited = Node::open(plane.feed(), limited).await.expect("opens");
    let _unlimited = Node::watch(&plane, "unlimited").await;
    let revision = plane.create_room("lobby").await;
    ahead.change().await.expect("a change");
    ahead.applied(revision).await;

    let answer = plane
        .wait_applied(revision, Duration::from_millis(500))
        .await
        .expect("an answer");
    assert!(!answer.applied);
    let names: Vec<&str> = answer
        .pending
        .iter()
        .map(|node| node.name.as_str())
        .collect();
    assert_eq!(names, ["nodes/limited", "nodes/unlimited"]);
    assert!(answer.pending[0].until.is_some(), "an hour after its lease");
    assert!(answer.pending[1].until.is_none(), "without limit");
    assert_eq!(answer.pending[0].applied_revision, revision - 1);
}

#[tokio::test]
async fn a_node_that_may_deliver_longer_than_time_is_waited_for_without_limit() {
    let plane = Plane::start().await;
    let mut endless = start("endless", 1, None);
    endless.deliver_max = Some(prost_types::Duration {
        seconds: i64::MAX,
        nanos: 0,
    });
    let _endless = Node::open(plane.feed(), endless).await.expect("opens");
    let revision = plane.create_room("lobby").await;
    let answer = plane
        .wait_applied(revision, AT_ONCE)
        .await
        .expect("an answer");
    assert_eq!(answer.pending[0].name, "nodes/endless");
    assert!(answer.pending[0].until.is_none());
}

#[tokio::test]
async fn a_node_from_before_the_first_revision_is_waited_for_when_its_row_is_gone() {
    let plane = Plane::start().await;
    let revision = plane.create_room("lobby").await;
    let at_zero = start("a", 1, Some(Position::default()));
    let node = Node::open(plane.feed(), at_zero).await.expect("opens");
    let answer = plane.wait_applied(1, AT_ONCE).await.expect("an answer");
    assert!(!answer.applied, "it may hold what stood before");
    node.applied(revision).await;
    assert!(
        plane
            .wait_applied(1, SOON)
            .await
            .expect("an answer")
            .applied
    );
}

#[tokio::test]
async fn a_node_that_came_after_a_revision_does_not_hold_it_up() {
    let plane = Plane::start().await;
    let revision = plane.create_room("lobby").await;
    let node = Node::watch(&plane, "a").await;
    assert!(node.at.revision >= revision);
    assert!(
        plane
            .wait_applied(revision, AT_ONCE)
            .await
            .expect("an answer")
            .applied
    );
}

#[tokio::test]
async fn a_node_that_resyncs_has_applied_no_more_than_before() {
    let plane = Plane::start().await;
    let node = Node::watch(&plane, "a").await;
    let before = node.at.revision;
    let revision = plane.create_room("lobby").await;
    drop(node);
    // The same process without a position still holds what it had.
    let node = Node::watch(&plane, "a").await;
    assert_eq!(node.at.revision, revision);
    let answer = plane
        .wait_applied(revision, AT_ONCE)
        .await
        .expect("an answer");
    assert_eq!(answer.pending[0].applied_revision, before);
    node.applied(revision).await;
    assert!(
        plane
            .wait_applied(revision, SOON)
            .await
            .expect("an answer")
            .applied
    );
}

#[tokio::test]
async fn a_node_that_is_gone_is_waited_for_until_it_is_replaced_or_deleted() {
    let plane = Plane::start().await;
    drop(Node::watch(&plane, "a").await);
    drop(Node::watch(&plane, "b").await);
    let revision = plane.create_room("lobby").await;
    let answer = plane
        .wait_applied(revision, AT_ONCE)
        .await
        .expect("an answer");
    assert_eq!(answer.pending.len(), 2);

    let _again = Node::open(plane.feed(), start("a", 2, None))
        .await
        .expect("opens");
    let waiting = tokio::spawn(wait_applied(plane.policy(), revision, SOON));
    let mut nodes = NodeServiceClient::new(plane.admin_channel());
    let delete = porthouse_api::control::v1::DeleteNodeRequest {
        name: "nodes/b".to_owned(),
    };
    nodes.delete_node(delete).await.expect("deleted");
    assert!(waiting.await.expect("a task").expect("an answer").applied);
}

#[tokio::test]
async fn a_node_that_leaves_is_not_waited_for() {
    let plane = Plane::start().await;
    let mut node = Node::watch(&plane, "a").await;
    let revision = plane.create_room("lobby").await;
    let waiting = tokio::spawn(wait_applied(plane.policy(), revision, SOON));
    node.say(Word::Leave(WatchLeave {})).await;
    assert_eq!(node.end().await, Code::Ok);
    assert!(waiting.await.expect("a task").expect("an answer").applied);
}

#[tokio::test]
async fn a_node_whose_rooms_cannot_deliver_any_more_is_not_waited_for() {
    let plane = Plane::start().await;
    let mut limited = start("a", 1, None);
    limited.deliver_max = Some(prost_types::Duration {
        seconds: 1,
        nanos: 0,
    });
    drop(Node::open(plane.feed(), limited).await.expect("opens"));
    let revision = plane.create_room("lobby").await;
    let began = Instant::now();
    assert!(
        plane
            .wait_applied(revision, SOON)
            .await
            .expect("an answer")
            .applied
    );
    assert!(
        began.elapsed() > Duration::from_secs(1),
        "it might have delivered for a second"
    );
}

#[tokio::test]
async fn an_acknowledgement_at_one_replica_wakes_who_waits_at_another() {
    let mut plane = Plane::start().await;
    let other = plane.add_replica().await;
    let mut node = Node::open(plane.feed_at(other), start("a", 1, None))
        .await
        .expect("opens");
    let mut delays = Vec::new();
    for n in 0..20 {
        let revision = plane.create_room(&format!("room-{n}")).await;
        let waiting = tokio::spawn(wait_applied(plane.policy(), revision, SOON));
        node.change().await.expect("a change");
        let acknowledged = Instant::now();
        node.applied(revision).await;
        assert!(waiting.await.expect("a task").expect("an answer").applied);
        delays.push(acknowledged.elapsed());
    }
    delays.sort_unstable();
    assert!(
        delays[10] < Duration::from_millis(100),
        "woken, not polled: {:?}",
        delays[10]
    );
}
