//! The feed: where a watch begins, what comes on it, and when it ends.

use std::time::Duration;

use porthouse_api::control::v1 as control;
use porthouse_api::control::v1::api_key_service_client::ApiKeyServiceClient;
use porthouse_api::node::v1::watch_request::Message as Word;
use porthouse_api::node::v1::{Position, WatchAlive, WatchApplied};
use tokio::time::{Instant, timeout};
use tonic::Code;

use crate::plane::{Node, Plane, SOON, position, start};

#[tokio::test]
async fn a_watch_goes_on_from_its_position() {
    let plane = Plane::start().await;
    let mut node = Node::watch(&plane, "a").await;
    plane.create_room("one").await;
    let change = node.change().await.expect("a change");
    drop(node);
    for n in 0..150 {
        plane.create_room(&format!("room-{n}")).await;
    }
    let start = start("a", 1, Some(position(&change)));
    let mut node = Node::open(plane.feed(), start)
        .await
        .expect("the watch opens");
    for n in 1..=150 {
        let next = node.change().await.expect("a change");
        assert_eq!(next.revision, change.revision + n);
    }
    plane.create_room("two").await;
    assert_eq!(
        node.change().await.expect("a change").revision,
        change.revision + 151
    );
}

#[tokio::test]
async fn a_position_of_another_history_means_resync() {
    let plane = Plane::start().await;
    let revision = plane.create_room("one").await;
    for from in [
        Position {
            revision,
            chain: vec![7; 32],
        },
        Position {
            revision: revision + 9,
            chain: vec![7; 32],
        },
    ] {
        let refused = Node::open(plane.feed(), start("a", 1, Some(from))).await;
        assert_eq!(
            refused.err().map(|status| status.code()),
            Some(Code::OutOfRange)
        );
    }
}

#[tokio::test]
async fn a_log_that_was_rewound_ends_every_watch() {
    let plane = Plane::start().await;
    plane.create_room("kept").await;
    let mut node = Node::watch(&plane, "a").await;
    plane.create_room("lost").await;
    node.change().await.expect("a change");
    let lost = node.at.clone();

    let client = plane.cluster.connect().await;
    let rewind = "DELETE FROM policy_log WHERE revision = (SELECT max(revision) FROM policy_log)";
    client.execute(rewind, &[]).await.expect("rewound");
    assert_eq!(node.end().await, Code::Aborted);
    let refused = Node::open(plane.feed(), start("a", 1, Some(lost.clone()))).await;
    assert_eq!(
        refused.err().map(|status| status.code()),
        Some(Code::OutOfRange)
    );

    // The number is given again, to something else.
    let revision = plane.create_room("other").await;
    assert_eq!(revision, lost.revision);
    let refused = Node::open(plane.feed(), start("a", 1, Some(lost))).await;
    assert_eq!(
        refused.err().map(|status| status.code()),
        Some(Code::OutOfRange)
    );
}

#[tokio::test]
async fn a_log_whose_hashes_do_not_hold_is_not_passed_on() {
    let plane = Plane::start().await;
    let mut node = Node::watch(&plane, "a").await;
    let client = plane.cluster.connect().await;
    let forged = "INSERT INTO policy_log (revision, chain, payload)
        SELECT coalesce(max(revision), 0) + 1, sha256('forged'), '' FROM policy_log";
    client.execute(forged, &[]).await.expect("forged");
    assert_eq!(node.end().await, Code::Aborted);
}

#[tokio::test]
async fn progress_comes_each_second_and_stops_when_the_log_cannot_be_read() {
    let plane = Plane::start().await;
    let revision = plane.create_room("lobby").await;
    let mut node = Node::watch(&plane, "a").await;
    let began = Instant::now();
    for _ in 0..3 {
        assert_eq!(node.progress().await.expect("progress").revision, revision);
    }
    assert!(began.elapsed() < Duration::from_secs(5), "each second");

    let mut client = plane.cluster.connect().await;
    let transaction = client.transaction().await.expect("a transaction");
    transaction
        .execute("LOCK policy_log IN ACCESS EXCLUSIVE MODE", &[])
        .await
        .expect("locked");
    // What was read before the lock may still be on its way.
    let _ = timeout(Duration::from_secs(1), node.progress()).await;
    let silence = timeout(Duration::from_millis(2_500), node.progress()).await;
    assert!(
        silence.is_err(),
        "nobody read the log, and progress was told: {silence:?}"
    );
    transaction.rollback().await.expect("unlocked");

    // At once on this watch, or on the next if its lease has run out meanwhile.
    if node.progress().await.is_err() {
        let mut node = Node::watch(&plane, "a").await;
        node.progress().await.expect("progress");
    }
}

#[tokio::test]
async fn a_change_is_told_at_once() {
    let plane = Plane::start().await;
    let mut node = Node::watch(&plane, "a").await;
    let mut delays = Vec::new();
    for n in 0..50 {
        plane.create_room(&format!("room-{n}")).await;
        let committed = Instant::now();
        node.change().await.expect("a change");
        delays.push(committed.elapsed());
    }
    delays.sort_unstable();
    assert!(
        delays[25] < Duration::from_millis(100),
        "woken, not polled: {:?}",
        delays[25]
    );
}

#[tokio::test]
async fn a_new_process_takes_the_name_of_an_older_one() {
    let plane = Plane::start().await;
    let mut older = Node::open(plane.feed(), start("a", 1, None))
        .await
        .expect("opens");
    let mut newer = Node::open(plane.feed(), start("a", 2, None))
        .await
        .expect("opens");
    assert_eq!(older.end().await, Code::Aborted);
    newer.progress().await.expect("the newer goes on");
}

#[tokio::test]
async fn a_node_that_falls_silent_is_cut_off() {
    let plane = Plane::start().await;
    let mut node = Node::watch(&plane, "a").await;
    node.fall_silent();
    assert_eq!(node.end().await, Code::Aborted);
}

#[tokio::test]
async fn a_watch_ends_when_its_key_is_deleted() {
    let plane = Plane::start().await;
    let mut node = Node::watch(&plane, "a").await;
    let mut keys = ApiKeyServiceClient::new(plane.admin_channel());
    let listed = keys.list_api_keys(control::ListApiKeysRequest::default());
    let listed = listed.await.expect("the keys").into_inner().api_keys;
    let nodes_key = listed.into_iter().find(|key| key.display_name == "nodes");
    let delete = control::DeleteApiKeyRequest {
        name: nodes_key.expect("the nodes' key").name,
    };
    keys.delete_api_key(delete).await.expect("deleted");
    let began = Instant::now();
    let end = timeout(SOON, node.end()).await.expect("it ends");
    assert_eq!(end, Code::Unauthenticated);
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_watch_ends_when_its_key_expires() {
    let plane = Plane::start().await;
    let mut node = Node::watch(&plane, "a").await;
    let client = plane.cluster.connect().await;
    // Without the triggers, which let nobody change a key around the log.
    let expire = "SET session_replication_role = replica;
        UPDATE api_keys SET expire_time = now() WHERE display_name = 'nodes'";
    client.batch_execute(expire).await.expect("expired");
    let end = timeout(SOON, node.end()).await.expect("it ends");
    assert_eq!(end, Code::Unauthenticated);
}

#[tokio::test]
async fn a_node_that_breaks_the_protocol_is_told_so() {
    let plane = Plane::start().await;
    let alive = Word::Alive(WatchAlive::default());
    let ahead = Word::Applied(WatchApplied {
        revision: 1 << 40,
        deliver_max: None,
    });
    let again = Word::Start(start("a", 1, None));
    for word in [ahead, again] {
        let mut node = Node::watch(&plane, "a").await;
        node.say(alive.clone()).await;
        node.say(word).await;
        assert_eq!(node.end().await, Code::InvalidArgument);
    }
    let refused = Node::open(plane.feed(), start("No Name", 1, None)).await;
    assert_eq!(
        refused.err().map(|status| status.code()),
        Some(Code::InvalidArgument)
    );
}
