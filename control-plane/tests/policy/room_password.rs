//! Passwords of rooms: wrong ones keep nobody waiting but who gives them, on every
//! replica, until an admin forgets them; and one that is right is kept as dear as
//! passwords are kept by now.

use std::net::SocketAddr;
use std::time::Duration;

use porthouse_api::control::v1 as control;
use porthouse_api::node::v1::{Verdict, VerifyRoomPasswordRequest, VerifyRoomPasswordResponse};
use tokio::time::timeout;
use uuid::Uuid;

use crate::plane::{Plane, SOON, settings};

const PASSWORD: &str = "open sesame";

async fn make_room(plane: &Plane) -> Uuid {
    let request = control::CreateRoomRequest {
        room_id: "den".into(),
        password: PASSWORD.into(),
        ..control::CreateRoomRequest::default()
    };
    let made = plane.rooms().create_room(request).await.expect("a room");
    let room = made.into_inner().room.expect("the room");
    room.uid.parse().expect("an identity")
}

async fn make_template(plane: &Plane) -> Uuid {
    let request = control::CreateRoomTemplateRequest {
        room_template_id: "chat:*".into(),
        password: PASSWORD.into(),
        ..control::CreateRoomTemplateRequest::default()
    };
    let made = plane.room_templates().create_room_template(request).await;
    let template = made.expect("a template").into_inner().room_template;
    let uid = template.expect("the template").uid;
    uid.parse().expect("an identity")
}

async fn show_at(
    plane: &Plane,
    replica: SocketAddr,
    (room, password, from): (Uuid, &str, &str),
) -> VerifyRoomPasswordResponse {
    let request = VerifyRoomPasswordRequest {
        room_id: room.as_bytes().to_vec(),
        password: password.into(),
        client_id: vec![3; 16],
        address: from.into(),
    };
    let verdict = plane.feed_at(replica).verify_room_password(request).await;
    verdict.expect("a verdict").into_inner()
}

async fn show(plane: &Plane, room: Uuid, password: &str, from: &str) -> Verdict {
    let shown = show_at(plane, plane.address(), (room, password, from)).await;
    shown.verdict()
}

#[tokio::test]
async fn wrong_passwords_of_a_room_keep_their_network_waiting_on_every_replica_and_nobody_else() {
    let mut plane = Plane::start().await;
    let other_replica = plane.add_replica().await;
    let den = make_room(&plane).await;
    for last in 1..=10 {
        let from = format!("192.0.2.{last}");
        let wrong = show(&plane, den, "open barley", &from).await;
        assert_eq!(wrong, Verdict::Wrong);
    }
    // Many more, so that the wait is long, and a restart of anything is no help.
    let database = plane.cluster.connect().await;
    let more = "UPDATE sign_in_wrongs SET wrong_count = 30, wrong_time = now()";
    assert_eq!(database.execute(more, &[]).await.expect("more"), 1);
    let waits = (den, PASSWORD, "192.0.2.200");
    let later = show_at(&plane, other_replica, waits).await;
    assert_eq!(later.verdict(), Verdict::Later);
    let delay = later.retry_delay.expect("how long").seconds;
    assert!(
        (800..=900).contains(&delay),
        "a quarter of an hour: {delay}"
    );
    let elsewhere = (den, PASSWORD, "203.0.113.1");
    let right = show_at(&plane, other_replica, elsewhere).await;
    assert_eq!(right.verdict(), Verdict::Right);

    let unlock = control::UnlockRoomRequest {
        room: "rooms/den".into(),
    };
    let unlocked = plane.doors().unlock_room(unlock).await.expect("there");
    assert_eq!(unlocked.into_inner().forgotten_count, 1);
    let heard = async {
        while show_at(&plane, other_replica, waits).await.verdict() != Verdict::Right {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, heard).await.expect("within a second or so");
}

#[tokio::test]
async fn who_enters_a_room_is_forgiven_what_was_mistyped() {
    let plane = Plane::start().await;
    let den = make_room(&plane).await;
    for _ in 0..3 {
        for _ in 0..9 {
            let wrong = show(&plane, den, "open barley", "192.0.2.1").await;
            assert_eq!(wrong, Verdict::Wrong);
        }
        let right = show(&plane, den, PASSWORD, "192.0.2.1").await;
        assert_eq!(right, Verdict::Right);
    }
}

#[tokio::test]
async fn an_admin_forgets_wrong_passwords_of_a_template_and_of_no_other() {
    let plane = Plane::start().await;
    let (den, chat) = (make_room(&plane).await, make_template(&plane).await);
    for door in [den, chat] {
        for _ in 0..10 {
            show(&plane, door, "open barley", "192.0.2.1").await;
        }
    }
    let unlock = |room: &str| control::UnlockRoomRequest { room: room.into() };
    let mut doors = plane.doors();
    let unlocked = doors.unlock_room(unlock("roomTemplates/chat:*")).await;
    let unlocked = unlocked.expect("there").into_inner();
    assert_eq!(unlocked.forgotten_count, 1);
    let database = plane.cluster.connect().await;
    let kept = "SELECT target FROM sign_in_wrongs";
    let kept = database.query_one(kept, &[]).await.expect("one");
    assert_eq!(kept.get::<_, String>(0), format!("door {den}"));
    let none = doors.unlock_room(unlock("rooms/nowhere")).await;
    assert_eq!(none.expect_err("absent").code(), tonic::Code::NotFound);
}

#[tokio::test]
async fn who_waits_for_a_rooms_password_asks_the_database_nothing() {
    let plane = Plane::start().await;
    let den = make_room(&plane).await;
    for _ in 0..10 {
        show(&plane, den, "open barley", "192.0.2.1").await;
    }
    let mut database = plane.cluster.connect().await;
    let more = "UPDATE sign_in_wrongs SET wrong_count = 30, wrong_time = now()";
    database.execute(more, &[]).await.expect("more");
    // It is remembered for a second, which a slow machine may need for less.
    for _ in 0..20 {
        let asked = show(&plane, den, PASSWORD, "192.0.2.1").await;
        assert_eq!(asked, Verdict::Later);
        let held = database.transaction().await.expect("it begins");
        let lock = "LOCK TABLE rooms, sign_in_wrongs IN ACCESS EXCLUSIVE MODE";
        held.batch_execute(lock).await.expect("nobody reads");
        let again = show(&plane, den, PASSWORD, "192.0.2.1");
        let told = timeout(Duration::from_millis(500), again).await;
        held.rollback().await.expect("all may read");
        if let Ok(told) = told {
            assert_eq!(told, Verdict::Later);
            return;
        }
    }
    panic!("it asked the database each time");
}

#[tokio::test]
async fn a_rooms_password_kept_at_an_older_cost_is_kept_anew_and_nodes_are_told_nothing() {
    let mut plane = Plane::start().await;
    let (den, chat) = (make_room(&plane).await, make_template(&plane).await);
    let mut dearer = settings(plane.cluster.url());
    dearer.hashing.cost.passes = 2;
    let replica = plane.add_replica_with(dearer).await;
    let database = plane.cluster.connect().await;
    let kept = async |table: &str| {
        let kept = format!("SELECT password_phc, password_version, version FROM {table}");
        let row = database.query_one(&kept, &[]).await.expect("one");
        (
            row.get::<_, String>(0),
            row.get::<_, i64>(1),
            row.get::<_, i64>(2),
        )
    };
    let log = "SELECT count(*) FROM policy_log";
    let before = database.query_one(log, &[]).await.expect("a count");
    for (table, door) in [("rooms", den), ("room_templates", chat)] {
        let (cheap, ..) = kept(table).await;
        assert!(cheap.contains("t=1"), "{cheap}");
        for _ in 0..2 {
            let right = show_at(&plane, replica, (door, PASSWORD, "192.0.2.1")).await;
            assert_eq!(
                (right.verdict(), right.password_version),
                (Verdict::Right, 1)
            );
            let (dear, password_version, version) = kept(table).await;
            assert!(dear.contains("t=2"), "{dear}");
            assert_eq!((password_version, version), (1, 1));
        }
        let wrong = show_at(&plane, replica, (door, "open barley", "192.0.2.1")).await;
        assert_eq!(wrong.verdict(), Verdict::Wrong);
    }
    let after = database.query_one(log, &[]).await.expect("a count");
    assert_eq!(after.get::<_, i64>(0), before.get::<_, i64>(0));
}
