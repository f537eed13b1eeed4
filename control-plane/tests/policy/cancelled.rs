//! Calls whose callers go away at any moment leave nothing half done: no open
//! transaction, and no write without its event.

mod writes;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{Request, Response};
use porthouse_api::FILE_DESCRIPTOR_SET;
use porthouse_api::control::v1 as control;
use porthouse_api::control::v1::audit_service_client::AuditServiceClient;
use porthouse_control::Replica;
use prost::Message;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;

use crate::plane::{Plane, SOON, sealing_keys, settings};
use writes::{Call, Write};

/// Calls whose callers lose patience.
const CALLS: u32 = 240;
/// A call is cut at most at so many of its polls.
const POLLS_MAX: usize = 200;

/// Milliseconds without a transaction after which none is thought to come.
const CALM: u32 = 12;

/// What is written outside of the transaction that does what was asked: when a key was
/// last used, that somebody tried to sign in, how far nodes have told whom they see.
const WRITTEN_BESIDE: [&str; 3] = ["api_keys", "session_watch", "sign_in_wrongs"];

/// A replica that is called without a socket between, so that a call's every poll is
/// known.
#[derive(Clone)]
pub(crate) struct Here {
    replica: Replica,
    key: http::HeaderValue,
}

impl tower::Service<Request<Body>> for Here {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let key = self.key.clone();
        request.headers_mut().insert("authorization", key);
        let replica = self.replica.clone();
        Box::pin(async move { Ok(replica.answer(request).await) })
    }
}

/// How many rows of a table there are more, and how many are new or changed.
type Change = BTreeMap<String, (i64, i64)>;

/// A database, a replica to prepare things by, and one whose calls are cut.
pub(crate) struct Scene {
    pub(crate) plane: Plane,
    pub(crate) database: tokio_postgres::Client,
    here: Here,
    rows: String,
    _stop: tokio_util::sync::DropGuard,
}

impl Scene {
    async fn new(log: Log) -> Self {
        let plane = Plane::start().await;
        let database = plane.cluster.connect().await;
        let stop = CancellationToken::new();
        let mut settings = settings(plane.cluster.url());
        // Another key seals here than there.
        settings.sealing_keys = Some(Arc::new(sealing_keys(&["new", "test"])));
        let replica = Replica::start(&settings, Routes::default(), stop.clone()).await;
        let key = match log {
            Log::All => plane.admin_key(),
            Log::Some => plane.node_key(),
        };
        Self {
            here: Here {
                replica: replica.expect("it starts"),
                key: key.parse().expect("a header"),
            },
            rows: counting(&database).await,
            plane,
            database,
            _stop: stop.drop_guard(),
        }
    }

    /// Waits until no transaction is under way. One that is yet to begin, on a connection
    /// that is being made, is waited for by time: so long that a busy machine is no excuse.
    async fn settle(&self) {
        let open = "SELECT count(*) FROM pg_stat_activity
            WHERE application_name = 'porthouse-control' AND xact_start IS NOT NULL";
        let ended = async {
            let mut calm = 0;
            while calm < CALM {
                sleep(Duration::from_millis(1)).await;
                let open = self.database.query_one(open, &[]).await.expect("a count");
                calm = if open.get::<_, i64>(0) == 0 {
                    calm + 1
                } else {
                    0
                };
            }
        };
        timeout(SOON, ended).await.expect("every transaction ends");
    }

    /// The database's present transaction, and its rows.
    async fn now(&self) -> (i64, Change) {
        let now = "SELECT pg_current_xact_id()::text::bigint";
        let now = self.database.query_one(now, &[]).await.expect("a number");
        let now = now.get(0);
        (now, self.rows(now).await)
    }

    /// How many rows each table has, and how many were written since.
    async fn rows(&self, since: i64) -> Change {
        let rows = self.database.query(&self.rows, &[&since]).await;
        let rows = rows.expect("counts").into_iter();
        rows.map(|row| (row.get(0), (row.get(1), row.get(2))))
            .collect()
    }
}

/// Counts the rows of all tables in one statement, so in one snapshot.
async fn counting(database: &tokio_postgres::Client) -> String {
    let names = "SELECT table_name::text FROM information_schema.tables
        WHERE table_schema = 'public' AND table_type = 'BASE TABLE'";
    let names = database.query(names, &[]).await.expect("tables");
    let counts: Vec<_> = names
        .iter()
        .map(|row| row.get::<_, String>(0))
        .filter(|name| !WRITTEN_BESIDE.contains(&name.as_str()))
        .map(|name| {
            format!(
                "SELECT '{name}', count(*),
                     count(*) FILTER (WHERE xmin::text::bigint > $1) FROM {name}"
            )
        })
        .collect();
    counts.join(" UNION ALL ")
}

/// What changed between two counts; nothing: none.
fn change(before: &Change, after: Change) -> Change {
    after
        .into_iter()
        .map(|(name, (rows, fresh))| {
            let more = rows - before[&name].0;
            (name, (more, fresh))
        })
        .filter(|(_, change)| *change != (0, 0))
        .collect()
}

/// Polls a call so often and drops it; answers how it ended, if it did.
async fn cut(mut call: Call, polls: usize) -> Option<Result<(), Status>> {
    let mut left = polls;
    poll_fn(|context| {
        left -= 1;
        match call.as_mut().poll(context) {
            Poll::Ready(ended) => Poll::Ready(Some(ended)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Which calls the audit log has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Log {
    All,
    Some,
}

/// Cuts each of these calls at each of its polls. A call that was cut has done all that
/// a whole one does; or nothing, and then the same is done whole by the next.
async fn leave_nothing_half_done(writes: &[Write], log: Log) {
    let scene = Scene::new(log).await;
    for (at, write) in writes.iter().enumerate() {
        let mut whole = None;
        let mut ended = None;
        let mut polls = 0;
        while ended.is_none() {
            polls += 1;
            assert!(polls < POLLS_MAX, "{} never ends", write.method);
            let ready = (write.ready)(&scene, format!("c{at}p{polls}")).await;
            scene.settle().await;
            let (since, before) = scene.now().await;
            ended = cut(ready(scene.here.clone()), polls).await;
            scene.settle().await;
            let mut changed = change(&before, scene.rows(since).await);
            if let Some(Err(status)) = &ended {
                panic!("{}: {status}", write.method);
            }
            if changed.is_empty() {
                let again = ready(scene.here.clone()).await;
                again.unwrap_or_else(|status| panic!("{} again: {status}", write.method));
                changed = change(&before, scene.rows(since).await);
            }
            let whole = whole.get_or_insert_with(|| changed.clone());
            let noted = whole.contains_key("audit_log");
            assert!(noted || log == Log::Some, "{}: {whole:?}", write.method);
            assert!(!whole.is_empty(), "{} writes nothing", write.method);
            assert_eq!(changed, *whole, "{} cut at poll {polls}", write.method);
        }
        assert!(polls > 1, "{} was cut nowhere", write.method);
    }
    let verify = control::VerifyAuditLogRequest::default();
    let mut audit = AuditServiceClient::new(scene.plane.admin_channel());
    let checked = audit.verify_audit_log(verify).await.expect("checked");
    assert_eq!(checked.into_inner().problem, "");
}

#[tokio::test]
async fn a_write_of_users_that_is_cut_at_any_await_is_whole_or_not_there() {
    leave_nothing_half_done(writes::OF_USERS, Log::All).await;
}

#[tokio::test]
async fn a_write_of_sessions_that_is_cut_at_any_await_is_whole_or_not_there() {
    leave_nothing_half_done(writes::OF_SESSIONS, Log::All).await;
}

#[tokio::test]
async fn a_write_of_rooms_that_is_cut_at_any_await_is_whole_or_not_there() {
    leave_nothing_half_done(writes::OF_ROOMS, Log::All).await;
}

#[tokio::test]
async fn a_write_of_nodes_that_is_cut_at_any_await_is_whole_or_not_there() {
    leave_nothing_half_done(writes::OF_NODES, Log::Some).await;
}

#[test]
fn every_call_of_control_v1_that_writes_is_cut() {
    let reads = ["Get", "List", "Watch", "Verify", "Wait", "Explain"];
    let cut = [writes::OF_USERS, writes::OF_SESSIONS, writes::OF_ROOMS];
    are_cut("porthouse.control.v1", &reads, &cut);
}

/// A watch is no call with an end, and a room's password changes nothing but how many were
/// wrong, which is written beside.
#[test]
fn every_call_of_node_v1_that_writes_is_cut() {
    let reads = ["Watch", "Resolve", "Find", "VerifyRoomPassword"];
    are_cut("porthouse.node.v1", &reads, &[writes::OF_NODES]);
}

/// What a call does is told by its name.
fn are_cut(package: &str, reads: &[&str], cut: &[&[Write]]) {
    let files = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("our own");
    let services = files.file.iter().filter(|file| file.package() == package);
    let methods = services
        .flat_map(|file| &file.service)
        .flat_map(|service| &service.method);
    let cut: Vec<_> = cut
        .iter()
        .copied()
        .flatten()
        .map(|write| write.method)
        .collect();
    let mut found = 0;
    for method in methods {
        let reads = reads.iter().any(|read| method.name().starts_with(read));
        let name = snake(method.name());
        let is_cut = cut.contains(&name.as_str());
        assert!(
            reads != is_cut,
            "{name}: it belongs into cancelled/writes.rs, if it writes"
        );
        found += 1;
    }
    assert!(found > 0, "{package} has calls");
}

/// `create_user` of `CreateUser`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_cancelled_anywhere_leaves_no_transaction_open() {
    // So few that calls wait for a connection, and for a place to write.
    let plane = Plane::start_with(|settings| settings.store.connections_max = 4).await;
    // Calls take longer where much else runs: the patience is a measure of one.
    let began = Instant::now();
    let whole = control::CreateUserRequest {
        user_id: "whole".into(),
        ..control::CreateUserRequest::default()
    };
    plane.users().create_user(whole).await.expect("a user");
    let took = began.elapsed();
    let mut calls = JoinSet::new();
    for call in 0..CALLS {
        let mut users = plane.users();
        let request = control::CreateUserRequest {
            user_id: format!("user{call}"),
            ..control::CreateUserRequest::default()
        };
        // From at once to well after the end, in no order.
        let patience = took * (call * 7_919 % 4_000) / 1_000;
        calls.spawn(async move { timeout(patience, users.create_user(request)).await.is_err() });
        if calls.len() >= 24 {
            calls.join_next().await;
        }
    }
    calls.join_all().await;

    let database = plane.cluster.connect().await;
    let open = "SELECT count(*) FROM pg_stat_activity
        WHERE application_name = 'porthouse-control' AND xact_start IS NOT NULL
          AND (state LIKE 'idle in transaction%' OR query LIKE '%users%')";
    let ended = async {
        while database
            .query_one(open, &[])
            .await
            .expect("a count")
            .get::<_, i64>(0)
            > 0
        {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, ended).await.expect("every transaction ends");

    // Of one moment: a write that nobody waits for any more may still commit.
    let counts = "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM audit_log),
        (SELECT count(*) FROM policy_pending)";
    let written = async || -> i64 {
        let counted = database.query_one(counts, &[]).await.expect("a count");
        let (users, events): (i64, i64) = (counted.get(0), counted.get(1));
        assert_eq!(events, users, "each write has its event");
        assert_eq!(counted.get::<_, i64>(2), 0);
        users
    };
    let users = written().await;
    assert!(users > 0);
    // The connections are as good as new.
    for again in 0..32 {
        let request = control::CreateUserRequest {
            user_id: format!("again{again}"),
            ..control::CreateUserRequest::default()
        };
        plane.users().create_user(request).await.expect("a user");
    }
    let verify = control::VerifyAuditLogRequest::default();
    let mut audit = AuditServiceClient::new(plane.admin_channel());
    let checked = audit.verify_audit_log(verify).await.expect("checked");
    let head = checked.into_inner().head_number;
    assert!((users + 32..=written().await).contains(&head), "{head}");
}
