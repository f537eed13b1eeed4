//! A session that nobody sees for too long ends, and no session ends because nobody
//! could be asked who saw it.

use std::time::Duration;

use porthouse_api::control::v1 as control;
use porthouse_api::node::v1::WatchSeen;
use porthouse_api::node::v1::watch_request::Message as Word;
use porthouse_model::SessionId;
use tokio::time::{Instant, sleep};

use crate::plane::{Node, Plane, SOON, settings};

/// Short enough for a test, and long enough for a report each fifth of a second.
const IDLE: Duration = Duration::from_secs(3);

/// A session, by name and identity.
struct Opened {
    name: String,
    id: SessionId,
}

async fn plane() -> Plane {
    Plane::start_with(|settings| settings.feed.session_idle_max = IDLE).await
}

async fn session(plane: &Plane, user: &str) -> Opened {
    let create = control::CreateUserRequest {
        user_id: user.into(),
        password: "correct horse".into(),
        ..Default::default()
    };
    plane.users().create_user(create).await.expect("a user");
    let open = control::CreateSessionRequest {
        username: user.into(),
        password: "correct horse".into(),
        ..Default::default()
    };
    let opened = plane.sessions().create_session(open).await;
    let name = opened
        .expect("a session")
        .into_inner()
        .session
        .expect("it")
        .name;
    let id = name.strip_prefix("sessions/").expect("a name");
    Opened {
        id: id.parse().expect("an identity"),
        name,
    }
}

async fn is_live(plane: &Plane, opened: &Opened) -> bool {
    let name = opened.name.clone();
    let request = control::GetSessionRequest { name };
    plane.sessions().get_session(request).await.is_ok()
}

/// Reports until a session has ended.
async fn ends(plane: &Plane, node: &Node, (opened, seen): (&Opened, &[&Opened])) {
    let until = Instant::now() + SOON;
    while is_live(plane, opened).await {
        assert!(Instant::now() < until, "it never ends");
        report(node, seen, IDLE / 15).await;
    }
}

/// Reports for this long that these sessions have sockets.
async fn report(node: &Node, seen: &[&Opened], span: Duration) {
    let until = Instant::now() + span;
    while Instant::now() < until {
        let said = WatchSeen {
            session_ids: seen
                .iter()
                .map(|opened| opened.id.as_bytes().to_vec())
                .collect(),
            age: None,
            complete: true,
        };
        node.say(Word::Seen(said)).await;
        sleep(IDLE / 15).await;
    }
}

#[tokio::test]
async fn a_session_that_no_node_sees_ends_and_one_that_is_seen_does_not() {
    let plane = plane().await;
    let mut node = Node::watch(&plane, "node").await;
    let (seen, unseen) = (session(&plane, "ada").await, session(&plane, "bob").await);
    ends(&plane, &node, (&unseen, &[&seen])).await;
    assert!(is_live(&plane, &seen).await);
    let told = node.change().await.expect("nodes are told");
    assert!(told.revision > 0);
}

#[tokio::test]
async fn while_one_node_has_not_reported_no_session_ends() {
    let plane = plane().await;
    let talks = Node::watch(&plane, "talks").await;
    // It lives and says nothing of whom it sees.
    let mute = Node::watch(&plane, "mute").await;
    let opened = session(&plane, "ada").await;
    report(&talks, &[], IDLE * 2).await;
    assert!(is_live(&plane, &opened).await);
    // It says that it saw her, long ago in the time of this test.
    report(&mute, &[&opened], Duration::from_millis(1)).await;
    report(&talks, &[], IDLE / 2).await;
    assert!(is_live(&plane, &opened).await);
}

#[tokio::test]
async fn an_outage_longer_than_the_idle_lifetime_logs_nobody_out() {
    let mut plane = plane().await;
    let node = Node::watch(&plane, "node").await;
    let opened = session(&plane, "ada").await;
    report(&node, &[&opened], IDLE / 2).await;
    drop(node);
    plane.stop().await.expect("it stops");
    // Nothing runs that could see anybody.
    sleep(IDLE * 2).await;
    let address = plane.add_replica_with(idle_settings(&plane)).await;
    plane.turn_to(address);
    let node = Node::watch(&plane, "node").await;
    report(&node, &[], IDLE / 2).await;
    assert!(is_live(&plane, &opened).await, "the idle time begins anew");
    ends(&plane, &node, (&opened, &[])).await;
}

fn idle_settings(plane: &Plane) -> porthouse_control::Settings {
    let mut settings = settings(plane.cluster.url());
    settings.feed.session_idle_max = IDLE;
    settings
}
