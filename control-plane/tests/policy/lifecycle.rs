//! How a replica starts and stops, and a database before and after.

use std::time::Duration;

use porthouse_control::{InitError, ServeError, Settings};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::service::Routes;

use crate::cluster::Cluster;
use crate::plane::{Node, Plane, SOON, settings, start};
use crate::slow::Slow;

#[tokio::test]
async fn a_database_without_the_schema_is_refused_with_what_to_do() {
    let cluster = Cluster::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let settings = Settings::new(cluster.url());
    let stop = CancellationToken::new();
    let refused = porthouse_control::serve(settings, listener, Routes::default(), stop).await;
    assert!(matches!(refused, Err(ServeError::NotMigrated)));
}

#[tokio::test]
async fn migrations_run_once_by_whoever_comes_first_and_can_be_taken_back() {
    let cluster = Cluster::start().await;
    let url = cluster.url();
    let (one, other) = tokio::join!(
        porthouse_control::migrate(&url),
        porthouse_control::migrate(&url)
    );
    let (one, other) = (one.expect("migrated"), other.expect("migrated"));
    assert!(
        one.min(other) == 0 && one.max(other) > 0,
        "{one} and {other}"
    );

    let client = cluster.connect().await;
    let mut down: Vec<_> = std::fs::read_dir("../migrations")
        .expect("the migrations")
        .map(|entry| entry.expect("a migration").path())
        .collect();
    down.sort();
    for migration in down.iter().rev() {
        let sql = std::fs::read_to_string(migration.join("down.sql")).expect("a way back");
        client.batch_execute(&sql).await.expect("taken back");
    }
    let left = "SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname = 'public' AND relname NOT LIKE '__diesel%'";
    let left: i64 = client.query_one(left, &[]).await.expect("a count").get(0);
    assert_eq!(left, 0, "nothing is left behind");
}

#[tokio::test]
async fn the_first_key_is_made_once() {
    let plane = Plane::start().await;
    let again = porthouse_control::init(&plane.cluster.url()).await;
    assert!(matches!(again, Err(InitError::Done)));
    let nonsense = porthouse_control::issue_api_key(&plane.cluster.url(), "", &["root"]).await;
    assert!(matches!(nonsense, Err(InitError::Scope(_))));
}

#[tokio::test]
async fn a_replica_that_stops_sends_its_nodes_elsewhere_at_once() {
    let mut plane = Plane::start().await;
    let mut node = Node::watch(&plane, "a").await;
    let began = Instant::now();
    let stopped = plane.stop();
    assert_eq!(node.end().await, Code::Unavailable);
    assert!(began.elapsed() < Duration::from_secs(5));
    let stopped = timeout(SOON, stopped).await;
    assert!(stopped.is_ok(), "it does not wait for its nodes");
}

#[tokio::test]
async fn a_database_that_is_slow_to_connect_to_is_connected_to() {
    let mut plane = Plane::start().await;
    let slow = Slow::before(&plane.cluster.url());
    let address = plane.add_replica_with(settings(slow.url())).await;
    let opened = Node::open(plane.feed_at(address), start("a", 1, None)).await;
    let mut node = opened.expect("opens");
    node.progress().await.expect("the log is read");
    drop(node);
    slow.delay(Duration::from_millis(1_500));
    let client = plane.cluster.connect().await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
    client.execute(cut, &[]).await.expect("cut");

    let deadline = Instant::now() + SOON;
    loop {
        // The watch may have to be opened again, for its lease needs a connection too.
        if let Ok(mut node) = Node::open(plane.feed_at(address), start("a", 1, None)).await
            && node.progress().await.is_ok()
        {
            return;
        }
        assert!(Instant::now() < deadline, "the log is not read any more");
    }
}
