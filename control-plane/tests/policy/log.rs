//! The log: numbers in commit order, none without, none lost.

use std::time::Duration;

use porthouse_api::control::v1 as control;
use porthouse_api::node::v1::ChangePayload;
use porthouse_api::node::v1::change_item::Item;
use prost::Message as _;
use tokio::time::{Instant, sleep, timeout};

use crate::plane::{Node, Plane, SOON};

/// What a transaction of the control plane ends with.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('porthouse.policy_log'))";
const NUMBER: &str = "WITH gone AS (DELETE FROM policy_pending RETURNING id),
     head AS (SELECT revision, chain FROM policy_log ORDER BY revision DESC LIMIT 1)
     INSERT INTO policy_log (revision, chain, payload)
     SELECT coalesce((SELECT revision FROM head), 0) + 1,
            sha256(coalesce((SELECT chain FROM head), '') || ''::bytea), ''::bytea
     RETURNING revision";

const INSERT_ROOM: &str = "INSERT INTO rooms (id, name, rules) VALUES (gen_random_uuid(), $1, '')";

#[tokio::test]
async fn revisions_are_given_in_commit_order() {
    let plane = Plane::start().await;
    let mut node = Node::watch(&plane, "a").await;
    let mut slow = plane.cluster.connect().await;
    let transaction = slow.transaction().await.expect("a transaction");
    transaction
        .execute(INSERT_ROOM, &[&"slow"])
        .await
        .expect("inserted");

    // It has written and is not numbered: others pass it.
    let passing = plane.create_room("passing").await;
    assert_eq!(node.change().await.expect("a change").revision, passing);

    // It is numbered and has not committed: others wait for it.
    transaction.execute(LOCK, &[]).await.expect("locked");
    let revision: i64 = transaction
        .query_one(NUMBER, &[])
        .await
        .expect("numbered")
        .get(0);
    assert_eq!(revision, passing + 1);
    let mut waiting = Box::pin(plane.create_room("waiting"));
    assert!(
        timeout(Duration::from_millis(300), &mut waiting)
            .await
            .is_err()
    );
    transaction.commit().await.expect("committed");

    assert_eq!(waiting.await, passing + 2);
    assert_eq!(node.change().await.expect("a change").revision, passing + 1);
    assert_eq!(node.change().await.expect("a change").revision, passing + 2);
}

#[tokio::test]
async fn writers_at_once_leave_no_hole_and_no_number_twice() {
    let plane = Plane::start().await;
    let mut node = Node::watch(&plane, "a").await;
    let names: Vec<String> = (0..40).map(|n| format!("room-{n}")).collect();
    let writes = names.iter().map(|name| plane.create_room(name));
    let mut revisions = futures_util::future::join_all(writes).await;
    revisions.sort_unstable();
    let mut seen = Vec::new();
    for _ in &revisions {
        seen.push(node.change().await.expect("a change").revision);
    }
    assert_eq!(seen, revisions);
}

#[tokio::test]
async fn a_commit_without_a_number_is_refused() {
    let plane = Plane::start().await;
    let client = plane.cluster.connect().await;
    let refused = client
        .execute(INSERT_ROOM, &[&"sneaked"])
        .await
        .expect_err("refused");
    let refused = refused.as_db_error().expect("by the database");
    assert_eq!(refused.constraint(), Some("policy_pending_numbered"));

    plane.create_room("lobby").await;
    for bypass in [
        "UPDATE rooms SET members_only = true",
        "DELETE FROM rooms",
        "INSERT INTO policy_pending (kind, subject_id) VALUES ('user_gone', gen_random_uuid())",
    ] {
        assert!(client.execute(bypass, &[]).await.is_err(), "{bypass}");
    }
    client
        .execute("UPDATE rooms SET labels = '{}'", &[])
        .await
        .expect("nodes obey no labels");
}

#[tokio::test]
async fn the_log_cannot_be_rewritten() {
    let plane = Plane::start().await;
    plane.create_room("lobby").await;
    let client = plane.cluster.connect().await;
    assert!(
        client
            .execute("UPDATE policy_log SET payload = ''", &[])
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_write_that_changes_nothing_answers_the_present_revision() {
    let plane = Plane::start().await;
    let made = plane.create_room("lobby").await;
    let request = control::UpdateRoomRequest {
        room: Some(control::Room {
            name: "rooms/lobby".to_owned(),
            labels: [("a".to_owned(), "b".to_owned())].into(),
            ..control::Room::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["labels".to_owned()],
        }),
        ..control::UpdateRoomRequest::default()
    };
    let updated = plane
        .rooms()
        .update_room(request)
        .await
        .expect("updated")
        .into_inner();
    assert_eq!(updated.revision, made);
}

#[tokio::test]
async fn a_users_end_is_few_items_however_much_goes_with_it() {
    let plane = Plane::start().await;
    let user = control::CreateUserRequest {
        user_id: "sana".to_owned(),
        ..control::CreateUserRequest::default()
    };
    plane.users().create_user(user).await.expect("a user");
    let mut client = plane.cluster.connect().await;
    let transaction = client.transaction().await.expect("a transaction");
    let sessions = "INSERT INTO sessions (id, user_id, token_sha256, expire_time)
        SELECT gen_random_uuid(), users.id, sha256(n::text::bytea), now() + interval '1 hour'
        FROM users, generate_series(1, 3000) AS n";
    transaction.execute(sessions, &[]).await.expect("sessions");
    transaction
        .commit()
        .await
        .expect("sessions stay out of the log");

    let mut node = Node::watch(&plane, "a").await;
    let delete = control::DeleteUserRequest {
        name: "users/sana".to_owned(),
        ..Default::default()
    };
    plane.users().delete_user(delete).await.expect("deleted");
    let change = node.change().await.expect("a change");
    let payload = ChangePayload::decode(change.payload).expect("a payload");
    let items: Vec<_> = payload.items.iter().map(|item| &item.item).collect();
    let expected = matches!(
        items[..],
        [
            Some(Item::UserGone(_)),
            Some(Item::EndpointGone(_)),
            Some(Item::RoomGone(_)),
        ]
    );
    assert!(expected, "the user, and their freeport with it: {items:?}");
}

#[tokio::test]
async fn a_call_that_is_cancelled_leaves_no_open_transaction() {
    let plane = Plane::start().await;
    let mut holder = plane.cluster.connect().await;
    let transaction = holder.transaction().await.expect("a transaction");
    transaction.execute(LOCK, &[]).await.expect("locked");
    for n in 0..8 {
        let name = format!("room-{n}");
        let call = plane.create_room(&name);
        assert!(
            timeout(Duration::from_millis(50), call).await.is_err(),
            "it waits for the lock"
        );
    }
    transaction.commit().await.expect("the lock is free");

    let client = plane.cluster.connect().await;
    let open = "SELECT count(*) FROM pg_stat_activity
        WHERE application_name = 'porthouse-control' AND xact_start IS NOT NULL";
    let deadline = Instant::now() + SOON;
    loop {
        let open: i64 = client.query_one(open, &[]).await.expect("a count").get(0);
        if open == 0 {
            break;
        }
        assert!(Instant::now() < deadline, "{open} transactions stay open");
        sleep(Duration::from_millis(20)).await;
    }
    // Each that had begun came to its end, and the plane goes on.
    plane.create_room("after").await;
}

#[tokio::test]
async fn writers_that_wait_leave_room_for_readers() {
    let plane = Plane::start().await;
    let made = plane.create_room("lobby").await;
    let mut holder = plane.cluster.connect().await;
    let transaction = holder.transaction().await.expect("a transaction");
    transaction.execute(LOCK, &[]).await.expect("locked");
    let names: Vec<String> = (0..40).map(|n| format!("room-{n}")).collect();
    let mut rooms = plane.rooms();
    let writers: Vec<_> = names
        .iter()
        .map(|name| {
            let request = control::CreateRoomRequest {
                room_id: name.clone(),
                ..control::CreateRoomRequest::default()
            };
            let mut rooms = rooms.clone();
            tokio::spawn(async move { rooms.create_room(request).await })
        })
        .collect();
    let get = control::GetRoomRequest {
        name: "rooms/lobby".to_owned(),
    };
    for _ in 0..3 {
        let answer = timeout(Duration::from_secs(2), rooms.get_room(get.clone())).await;
        answer.expect("in time").expect("a room");
        let mut node = Node::watch(&plane, "a").await;
        assert_eq!(node.progress().await.expect("progress").revision, made);
    }
    drop(writers);
    transaction.rollback().await.expect("unlocked");
}
