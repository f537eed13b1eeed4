//! The audit log: every write is in it, nobody takes anything out of it, and who
//! tampers with it is found.

use std::time::Duration;

use porthouse_api::control::v1 as control;
use porthouse_api::control::v1::audit_service_client::AuditServiceClient;
use porthouse_api::control::v1::user_service_client::UserServiceClient;
use tokio::time::timeout;
use tonic::{Code, Request, Status};

use crate::plane::{Keyed, Plane, SOON, settings};

fn audit(plane: &Plane) -> AuditServiceClient<Keyed> {
    AuditServiceClient::new(plane.admin_channel())
}

fn user(user_id: &str) -> control::CreateUserRequest {
    control::CreateUserRequest {
        user_id: user_id.into(),
        password: "correct horse".into(),
        ..control::CreateUserRequest::default()
    }
}

async fn listed(plane: &Plane, filter: &str) -> Vec<control::AuditEvent> {
    let request = control::ListAuditEventsRequest {
        filter: filter.into(),
        ..control::ListAuditEventsRequest::default()
    };
    let page = audit(plane).list_audit_events(request).await;
    page.expect("a page").into_inner().audit_events
}

async fn verify(
    plane: &Plane,
    known: Option<&control::VerifyAuditLogResponse>,
) -> control::VerifyAuditLogResponse {
    let request = known.map(|known| control::VerifyAuditLogRequest {
        known_number: known.head_number,
        known_chain: known.head_chain.clone(),
    });
    let checked = audit(plane)
        .verify_audit_log(request.unwrap_or_default())
        .await;
    checked.expect("checked").into_inner()
}

#[tokio::test]
async fn every_write_says_who_did_what_from_where() {
    let plane = Plane::start().await;
    let mut request = Request::new(user("ada"));
    let id = "a-request".parse().expect("a header");
    request.metadata_mut().insert("x-request-id", id);
    plane.users().create_user(request).await.expect("a user");
    let rehearsed = control::CreateUserRequest {
        validate_only: true,
        ..user("bob")
    };
    plane
        .users()
        .create_user(rehearsed)
        .await
        .expect("it could be");
    plane.create_room("lobby").await;
    let sign_in = |password: &str| control::CreateSessionRequest {
        username: "ada".into(),
        password: password.into(),
        client_address: "192.0.2.1".into(),
        ..control::CreateSessionRequest::default()
    };
    let wrong = plane
        .sessions()
        .create_session(sign_in("wrong horse"))
        .await;
    wrong.expect_err("wrong");
    plane
        .sessions()
        .create_session(sign_in("correct horse"))
        .await
        .expect("right");

    let events = listed(&plane, "").await;
    let told: Vec<_> = events
        .iter()
        .map(|event| (&*event.action, &*event.target, &*event.outcome))
        .collect();
    assert_eq!(
        told,
        [
            ("UserService.CreateUser", "user_id=ada", "OK"),
            ("RoomService.CreateRoom", "room_id=lobby", "OK"),
            (
                "SessionService.CreateSession",
                "username=ada",
                "CREDENTIALS_WRONG"
            ),
            ("SessionService.CreateSession", "username=ada", "OK"),
        ]
    );
    let first = &events[0];
    assert_eq!(
        (&*first.name, &*first.request_id),
        ("auditEvents/1", "a-request")
    );
    assert_eq!(first.address, "127.0.0.1");
    assert!(first.actor.starts_with("apiKeys/") && first.time.is_some());
    assert_eq!(events[2].client_address, "192.0.2.1");
    assert!(
        events
            .iter()
            .all(|event| !format!("{event:?}").contains("horse"))
    );

    let rooms = listed(&plane, "action = \"RoomService.CreateRoom\"").await;
    assert_eq!((rooms.len(), &*rooms[0].name), (1, "auditEvents/2"));
    let all = listed(&plane, &format!("actor = \"{}\"", first.actor)).await;
    assert_eq!(all.len(), events.len());
}

#[tokio::test]
async fn a_key_that_is_refused_for_its_scope_is_in_the_log() {
    let plane = Plane::start().await;
    let mut users = UserServiceClient::new(plane.keyed(&["rooms"]).await);
    let refused = users.create_user(user("ada")).await.expect_err("no scope");
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(
        refused.message().contains("users or admin"),
        "{}",
        refused.message()
    );
    let mut watch = watch(&plane, 0).await.expect("a watch");
    let event = timeout(SOON, watch.message())
        .await
        .expect("in time")
        .expect("an event");
    let event = event.expect("it goes on").audit_event.expect("an event");
    assert_eq!(
        (&*event.action, &*event.outcome),
        ("UserService.CreateUser", "SCOPE_MISSING")
    );
    assert!(event.actor.starts_with("apiKeys/"));
}

async fn watch(
    plane: &Plane,
    after: i64,
) -> Result<tonic::Streaming<control::WatchAuditEventsResponse>, Status> {
    let request = control::WatchAuditEventsRequest { after };
    Ok(audit(plane).watch_audit_events(request).await?.into_inner())
}

#[tokio::test]
async fn who_watches_is_sent_what_comes_and_more_than_may_are_refused() {
    let plane = Plane::start().await;
    plane
        .users()
        .create_user(user("ada"))
        .await
        .expect("a user");
    let mut watches = Vec::new();
    for _ in 0..16 {
        watches.push(watch(&plane, -1).await.expect("a watch"));
    }
    let refused = watch(&plane, -1).await.expect_err("one more than may");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    plane.create_room("lobby").await;
    for watch in &mut watches {
        let event = timeout(SOON, watch.message()).await.expect("in time");
        let event = event.expect("an event").expect("it goes on");
        assert_eq!(event.audit_event.expect("an event").target, "room_id=lobby");
    }
    drop(watches);
    // A place is free as soon as it was noticed that its holder has gone.
    let again = async {
        while watch(&plane, -1).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(SOON, again).await.expect("a place");
}

#[tokio::test]
async fn whoever_tampers_with_the_log_is_found() {
    let plane = Plane::start().await;
    for user_id in ["a", "b", "c", "d"] {
        plane
            .users()
            .create_user(user(user_id))
            .await
            .expect("a user");
    }
    let whole = verify(&plane, None).await;
    assert_eq!((whole.head_number, &*whole.broken_event), (4, ""));
    let database = plane.cluster.connect().await;
    for edit in [
        "UPDATE audit_log SET actor = ''",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
    ] {
        let refused = database.execute(edit, &[]).await.expect_err(edit);
        let refused = refused.as_db_error().expect("by the database");
        assert_eq!(refused.message(), "the audit log only grows", "{edit}");
    }
    // Who owns the table can take the trigger away, and is found.
    database
        .execute(
            "ALTER TABLE audit_log DISABLE TRIGGER audit_log_immutable",
            &[],
        )
        .await
        .expect("a superuser may");
    for (edit, undo, row) in [
        (
            "UPDATE audit_log SET payload = payload || '\\x00' WHERE number = 2",
            "UPDATE audit_log SET payload = substr(payload, 1, length(payload) - 1)
             WHERE number = 2",
            2,
        ),
        (
            "UPDATE audit_log SET action = 'x' WHERE number = 3",
            "UPDATE audit_log SET action = 'UserService.CreateUser' WHERE number = 3",
            3,
        ),
        (
            "UPDATE audit_log SET number = 9 WHERE number = 1",
            "UPDATE audit_log SET number = 1 WHERE number = 9",
            1,
        ),
    ] {
        database.execute(edit, &[]).await.expect("edited");
        let broken = verify(&plane, None).await;
        assert_eq!(broken.broken_event, format!("auditEvents/{row}"), "{edit}");
        assert!(!broken.problem.is_empty());
        database.execute(undo, &[]).await.expect("undone");
        assert_eq!(verify(&plane, None).await, whole);
    }
    // The end cut off: only who kept the head can tell.
    database
        .execute("DELETE FROM audit_log WHERE number = 4", &[])
        .await
        .expect("cut");
    assert_eq!(verify(&plane, None).await.head_number, 3);
    assert_eq!(
        verify(&plane, Some(&whole)).await.broken_event,
        "auditEvents/4"
    );
    plane.users().create_user(user("e")).await.expect("a user");
    assert_eq!(
        verify(&plane, Some(&whole)).await.broken_event,
        "auditEvents/4"
    );
}

#[tokio::test]
async fn a_service_that_does_not_own_the_log_cannot_edit_it() {
    let mut plane = Plane::start().await;
    let database = plane.cluster.connect().await;
    database
        .batch_execute("CREATE ROLE porthouse_service LOGIN")
        .await
        .expect("a role");
    porthouse_control::grant(&plane.cluster.url(), "porthouse_service")
        .await
        .expect("granted");
    let url = plane
        .cluster
        .url()
        .replace("user=postgres", "user=porthouse_service");
    let replica = plane.add_replica_with(settings(url.clone())).await;
    let mut users = plane.users_at(replica);
    users.create_user(user("ada")).await.expect("it serves");
    assert_eq!(verify(&plane, None).await.head_number, 1);
    let (service, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
        .await
        .expect("a connection");
    tokio::spawn(connection);
    for edit in [
        "UPDATE audit_log SET actor = ''",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "ALTER TABLE audit_log DISABLE TRIGGER audit_log_immutable",
        "GRANT UPDATE ON audit_log TO porthouse_service",
        "UPDATE policy_log SET payload = ''",
        "DELETE FROM policy_log",
    ] {
        let refused = service.execute(edit, &[]).await;
        let warned = refused.is_ok() && edit.starts_with("GRANT");
        assert!(refused.is_err() || warned, "{edit}");
    }
    assert_eq!(verify(&plane, None).await.head_number, 1);
}
