//! What is wrong with the database, and what callers and nodes hear of it: to come
//! back, and nothing that was not so.

use porthouse_api::control::v1 as control;
use porthouse_api::node::v1::resolve_key::Key;
use porthouse_api::node::v1::{ResolveKey, ResolveRequest};
use tokio::net::TcpListener;
use tokio::time::{Duration, Instant, sleep};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::cluster::Cluster;
use crate::plane::{Node, Plane, SOON, settings};
use crate::pooled::Pooled;

/// How often is looked for what comes of itself.
const OFTEN: Duration = Duration::from_millis(20);

#[tokio::test]
async fn a_pooler_that_swallows_notifications_is_refused_with_the_setting() {
    let cluster = Cluster::start().await;
    porthouse_control::migrate(&cluster.url())
        .await
        .expect("migrated");
    let pooled = Pooled::before(&cluster.url());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let stop = CancellationToken::new();
    let served =
        porthouse_control::serve(settings(pooled.url()), listener, Routes::default(), stop).await;
    let refused = served.expect_err("nobody would be woken");
    let said = refused.to_string();
    assert!(said.contains("database_url"), "{said}");
    assert!(said.contains("session mode"), "{said}");
}

#[tokio::test]
async fn a_database_that_takes_no_writes_is_read_and_callers_are_told_when_to_come_back() {
    let plane = Plane::start().await;
    plane.create_room("lobby").await;
    let client = plane.cluster.connect().await;
    for sql in [
        "ALTER SYSTEM SET default_transaction_read_only = on",
        "SELECT pg_reload_conf()",
    ] {
        client.batch_execute(sql).await.expect("set");
    }
    let refused = until(async |number| make(&plane, number).await.err()).await;
    assert_comes_back(&refused, "STORE_UNAVAILABLE");

    // What is there is still answered.
    let mut rooms = plane.rooms();
    let listed = rooms.list_rooms(control::ListRoomsRequest::default());
    assert!(!listed.await.expect("read").get_ref().rooms.is_empty());
    let request = ResolveRequest {
        rules_known: porthouse_api::node::RULES_KNOWN,
        min_revision: 0,
        keys: vec![ResolveKey {
            key: Some(Key::RoomName("lobby".to_owned())),
        }],
    };
    let resolved = plane.feed().resolve(request).await.expect("read");
    assert!(resolved.get_ref().resolved[0].found.is_some());

    for sql in [
        "ALTER SYSTEM RESET default_transaction_read_only",
        "SELECT pg_reload_conf()",
    ] {
        client.batch_execute(sql).await.expect("set");
    }
    until(async |number| make(&plane, number + 10_000).await.ok()).await;
    let mut node = Node::watch(&plane, "a").await;
    node.progress().await.expect("it is as before");
}

#[tokio::test]
async fn a_write_that_another_one_stands_against_is_taken_back_and_told_to_come_again() {
    let plane = Plane::start().await;
    plane.create_room("lobby").await;
    let mut other = plane.cluster.connect().await;
    let watching = plane.cluster.connect().await;
    let transaction = other.transaction().await.expect("a transaction");
    // It never gives way by itself.
    let locks = "SET LOCAL deadlock_timeout = '1h'; LOCK policy_log IN EXCLUSIVE MODE";
    transaction.batch_execute(locks).await.expect("locked");
    let mut rooms = plane.rooms();
    let delete = || control::DeleteRoomRequest {
        name: "rooms/lobby".to_owned(),
        ..Default::default()
    };
    let writing = tokio::spawn(async move { rooms.delete_room(delete()).await });
    until(async |_| {
        let waits = "SELECT 1 FROM pg_locks WHERE NOT granted";
        let found = watching.query_opt(waits, &[]).await.expect("looked");
        found.map(|_| ())
    })
    .await;
    // Now each waits for the other.
    let against = transaction
        .execute(
            "UPDATE rooms SET version = version WHERE name = 'lobby'",
            &[],
        )
        .await;
    let refused = writing.await.expect("no panic").expect_err("it gives way");
    assert_comes_back(&refused, "STORE_CONTENDED");
    assert_eq!(against.expect("this one goes on"), 1, "nothing was written");
    transaction.rollback().await.expect("taken back");
    let again = plane.rooms().delete_room(delete()).await;
    again.expect("nothing is in its way any more");
}

async fn make(plane: &Plane, number: usize) -> Result<(), Status> {
    let request = control::CreateRoomRequest {
        room_id: format!("room-{number}"),
        ..Default::default()
    };
    plane.rooms().create_room(request).await.map(|_| ())
}

/// Tries until there is something.
async fn until<T>(mut tried: impl AsyncFnMut(usize) -> Option<T>) -> T {
    let deadline = Instant::now() + SOON;
    for number in 0.. {
        if let Some(found) = tried(number).await {
            return found;
        }
        assert!(Instant::now() < deadline, "it does not come");
        sleep(OFTEN).await;
    }
    unreachable!("it is tried without end")
}

fn assert_comes_back(refused: &Status, reason: &str) {
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    let details = refused.get_error_details();
    assert_eq!(
        details.error_info().map(|info| info.reason.as_str()),
        Some(reason)
    );
    let retry = details.retry_info().expect("when to come back");
    assert!(retry.retry_delay.is_some());
}
