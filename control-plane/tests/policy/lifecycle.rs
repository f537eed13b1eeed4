//! How a replica starts and stops, and a database before and after.

use std::time::Duration;

use porthouse_control::{InitError, ServeError, Settings};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::service::Routes;

use crate::cluster::Cluster;
use crate::plane::{Node, Plane, SOON};

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
