//! Calls whose callers go away at any moment leave nothing half done: no open
//! transaction, and no write without its event.

use std::time::Duration;

use porthouse_api::control::v1 as control;
use porthouse_api::control::v1::audit_service_client::AuditServiceClient;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::plane::{Plane, SOON};

const CALLS: u32 = 240;

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_cancelled_anywhere_leaves_no_transaction_open() {
    let plane = Plane::start().await;
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
            tokio::time::sleep(Duration::from_millis(20)).await;
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
