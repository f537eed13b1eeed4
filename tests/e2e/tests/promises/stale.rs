//! A room that may not act on what is old lets nobody in, and then goes still, when
//! the control plane is killed, stopped or out of reach, and nobody who was revoked
//! hears a node that was stopped (P16). Never asks a node what it thinks it knows.

use std::time::Duration;

use porthouse_api::control::v1::{ConnectionRules, Room, RoomRules, StalenessRules};
use porthouse_e2e::house::on_both_puddles;
use porthouse_e2e::link::Link;
use porthouse_e2e::planes::{Node, Planes, Replica};
use porthouse_e2e::raw::{Closed, Raw, Refused, request};
use porthouse_e2e::wait::within;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_tungstenite::tungstenite::Message;

use crate::shapes::{assert_closed, with_rules};

/// How long the room lets people in without word.
const ADMIT_MAX: Duration = Duration::from_secs(5);
/// How long it delivers.
const DELIVER_MAX: Duration = Duration::from_secs(7);
/// What a word that was under way and a machine full of other tests may add.
const MARGIN: Duration = Duration::from_secs(3);
/// When who was put out, or not let in, may come again.
const RETRY: &str = "retry after 5000ms";
/// How often is tried what will be otherwise soon.
const OFTEN: Duration = Duration::from_millis(100);

/// What keeps word from a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The control plane is killed: its connections end.
    Killed,
    /// It is stopped: its connections stay up, and nothing comes.
    Stopped,
    /// It runs, and nothing passes between it and the node.
    CutOff,
}

#[tokio::test]
async fn a_room_goes_still_when_the_control_plane_is_killed_and_opens_when_it_is_back() {
    goes_still(Fault::Killed).await;
}

#[tokio::test]
async fn a_room_goes_still_when_the_control_plane_is_silent_and_opens_when_it_speaks() {
    goes_still(Fault::Stopped).await;
}

#[tokio::test]
async fn a_room_goes_still_when_the_control_plane_is_cut_off_and_opens_when_it_is_not() {
    goes_still(Fault::CutOff).await;
}

async fn goes_still(fault: Fault) {
    let planes = Planes::found().await;
    let replica = planes.replica(None).await;
    let link = Link::to(replica.grpc).await;
    let node = planes
        .node_over(link.address(), "alpha", &replica, &[])
        .await;
    let backend = planes.backend(&replica);
    let (ada, bob) = (
        backend.signed_in_user("ada").await,
        backend.signed_in_user("bob").await,
    );
    backend
        .applied(backend.make_room("hall", strict()).await)
        .await;
    let live = planes.backend_at(node.grpc);
    let of_ada = on_both_puddles(node.ws, &live, "hall", Some(&ada.token), 2).await;
    let of_bob = on_both_puddles(node.ws, &live, "hall", Some(&bob.token), 2).await;
    let (ends, speaks) = hears_bob(of_ada, of_bob);

    let began = Instant::now();
    let (replica, killed) = match fault {
        Fault::Killed => (Err(replica.grpc), vec![replica.kill().await]),
        Fault::Stopped => {
            replica.suspend();
            (Ok(replica), Vec::new())
        }
        Fault::CutOff => {
            link.cut();
            (Ok(replica), Vec::new())
        }
    };
    assert_shuts(&node, &bob.token, began).await;
    for end in ends {
        let (last, closed, when) = end.await.expect("it is closed as documented");
        assert_closed(&closed, 4204, "staleness", RETRY);
        let bound = began + DELIVER_MAX + MARGIN;
        assert!(when <= bound, "{fault:?}: {:?} late", when - bound);
        assert!(last.is_none_or(|last| last <= when));
    }
    speaks.await.expect("it says what it can");

    let replica = match replica {
        Err(address) => planes.replica(Some(address)).await,
        Ok(replica) => {
            match fault {
                Fault::Stopped => replica.go_on(),
                Fault::Killed | Fault::CutOff => link.close(),
            }
            replica
        }
    };
    assert_opens(&planes, &node, &replica, [&ada.token, &bob.token]).await;
    planes.close(node, vec![replica], killed).await;
}

/// A log that lost its end, as when a standby takes over that had not got it: with
/// what was written, the node's word that it had applied it is gone too.
#[tokio::test]
async fn a_node_takes_back_what_a_log_lost_and_applies_what_has_its_number_now() {
    let planes = Planes::found().await;
    let replica = planes.replica(None).await;
    let node = planes.node("alpha", &replica, &[]).await;
    let backend = planes.backend(&replica);
    let ada = backend.signed_in_user("ada").await;
    let bob = backend.signed_in_user("bob").await;
    backend
        .applied(backend.make_room("hall", strict()).await)
        .await;
    let live = planes.backend_at(node.grpc);
    let of_ada = on_both_puddles(node.ws, &live, "hall", Some(&ada.token), 2).await;
    let of_bob = on_both_puddles(node.ws, &live, "hall", Some(&bob.token), 2).await;
    planes
        .sql("CREATE TABLE sessions_before AS SELECT * FROM sessions")
        .await;

    let lost = backend.revoke(&bob.session).await;
    backend.applied(lost).await;
    for mut socket in of_bob {
        let closed = socket.closed().await;
        assert_closed(&closed, 4101, "session", "retry authenticate");
    }
    planes
        .sql(&format!(
            "BEGIN;
             SET LOCAL session_replication_role = replica;
             INSERT INTO sessions SELECT * FROM sessions_before
                 WHERE id NOT IN (SELECT id FROM sessions);
             DELETE FROM policy_log WHERE revision >= {lost};
             UPDATE nodes SET applied_revision = least(applied_revision, {lost} - 1);
             COMMIT"
        ))
        .await;

    // The number is given again, and nobody takes the one for the other.
    let again = backend.revoke(&ada.session).await;
    assert_eq!(again, lost);
    backend.applied(again).await;
    let mut speaker = enters(&node, &bob.token).await;
    // The session is no more when that is answered: what is said now is not heard.
    speaker.say(Message::text("after the answer")).await;
    for mut socket in of_ada {
        let closed = socket.closed().await;
        assert_closed(&closed, 4101, "session", "retry authenticate");
    }
    let refused = Raw::refused(node.ws, "hall", Some(&ada.token)).await;
    assert_eq!(refused.status, 401, "{:?}", refused.body);
    // And the log is followed as before.
    backend.applied(backend.revoke(&bob.session).await).await;
    let closed = speaker.closed().await;
    assert_closed(&closed, 4101, "session", "retry authenticate");
    planes.close(node, vec![replica], Vec::new()).await;
}

/// The node is stopped, not the control plane: what was said to it meanwhile, and what
/// it had not read, it passes on to nobody.
#[tokio::test]
async fn a_node_that_was_stopped_while_a_session_was_revoked_says_nothing_to_it() {
    let planes = Planes::found().await;
    let replica = planes.replica(None).await;
    let node = planes.node("alpha", &replica, &[]).await;
    let backend = planes.backend(&replica);
    let ada = backend.signed_in_user("ada").await;
    let bob = backend.signed_in_user("bob").await;
    backend
        .applied(backend.make_room("hall", strict()).await)
        .await;
    let live = planes.backend_at(node.grpc);
    let of_ada = on_both_puddles(node.ws, &live, "hall", Some(&ada.token), 2).await;
    let mut of_bob = on_both_puddles(node.ws, &live, "hall", Some(&bob.token), 2).await;

    node.suspend();
    let stopped = Instant::now();
    let revision = backend.revoke(&ada.session).await;
    for number in 0..50 {
        for socket in &mut of_bob {
            socket.say(Message::text(format!("unread {number}"))).await;
        }
    }
    let pending = backend.wait_applied(revision, 0).await;
    assert!(!pending.applied, "it stands still");
    assert_eq!(pending.pending[0].name, "nodes/alpha");
    // Not waited for: this is how long it is stopped.
    sleep_until(stopped + DELIVER_MAX + Duration::from_secs(1)).await;
    node.go_on();
    let woke = Instant::now();

    for mut socket in of_ada {
        let (heard, closed) = socket.rest().await;
        assert!(heard.is_empty(), "{heard:?}");
        assert!(woke.elapsed() <= MARGIN, "after {:?}", woke.elapsed());
        // Its room was still, or it heard of the revocation first.
        match closed.code {
            4204 => assert_closed(&closed, 4204, "staleness", RETRY),
            _ => assert_closed(&closed, 4101, "session", "retry authenticate"),
        }
    }
    backend.applied(revision).await;
    let refused = Raw::refused(node.ws, "hall", Some(&ada.token)).await;
    assert_eq!(refused.status, 401, "{:?}", refused.body);
    drop((enters(&node, &bob.token).await, of_bob));
    planes.close(node, vec![replica], Vec::new()).await;
}

/// Users alone, and nobody on what is old.
fn strict() -> Room {
    let span = |span: Duration| {
        Some(prost_types::Duration {
            seconds: i64::try_from(span.as_secs()).expect("it is short"),
            nanos: 0,
        })
    };
    with_rules(RoomRules {
        connection: Some(ConnectionRules {
            user_required: Some(true),
            ..Default::default()
        }),
        staleness: Some(StalenessRules {
            admit_max: span(ADMIT_MAX),
            deliver_max: span(DELIVER_MAX),
        }),
        ..Default::default()
    })
}

/// How a listener ended: when it last heard something, what the close frame said, and
/// when that came.
type End = JoinHandle<(Option<Instant>, Closed, Instant)>;

/// Listens on all of Ada's sockets and all but one of Bob's, which speaks all the time.
fn hears_bob(of_ada: Vec<Raw>, mut of_bob: Vec<Raw>) -> (Vec<End>, JoinHandle<()>) {
    let mut speaker = of_bob.remove(0);
    let listeners = of_ada.into_iter().chain(of_bob);
    let ends = listeners.map(|socket| tokio::spawn(until_closed(socket)));
    let ends = ends.collect();
    let speaks = tokio::spawn(async move {
        let mut often = interval(OFTEN);
        often.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while speaker.try_say(Message::text("still here")).await {
            often.tick().await;
        }
    });
    (ends, speaks)
}

async fn until_closed(mut socket: Raw) -> (Option<Instant>, Closed, Instant) {
    let mut last = None;
    loop {
        match socket.next().await {
            Message::Close(frame) => {
                let when = Instant::now();
                let frame = frame.expect("a close frame says why");
                let closed = Closed {
                    code: frame.code.into(),
                    reason: frame.reason.to_string(),
                };
                return (last, closed, when);
            }
            Message::Text(_)
            | Message::Binary(_)
            | Message::Ping(_)
            | Message::Pong(_)
            | Message::Frame(_) => last = Some(Instant::now()),
        }
    }
}

/// Whoever comes when the room may admit nobody any more is told so, and to come back.
async fn assert_shuts(node: &Node, token: &str, began: Instant) {
    let bound = began + ADMIT_MAX + MARGIN;
    let trying = async {
        let mut often = interval(OFTEN);
        loop {
            often.tick().await;
            let asked = Instant::now();
            match Raw::ask(node.ws, request(node.ws, "/hall", Some(token))).await {
                Ok(_) => assert!(asked < bound, "let in {:?} late", asked - bound),
                Err(refused) => return refused,
            }
        }
    };
    assert_stale(&within("the room to shut", trying).await);
}

fn assert_stale(refused: &Refused) {
    assert_eq!(refused.status, 503, "{:?}", refused.body);
    assert_eq!(refused.body["code"], 4204, "{:?}", refused.body);
    assert_eq!(refused.body["rule"], "staleness");
    assert_eq!(refused.body["retry"], "after");
}

/// Enters as soon as it may.
async fn enters(node: &Node, token: &str) -> Raw {
    let trying = async {
        let mut often = interval(OFTEN);
        loop {
            often.tick().await;
            let asked = Raw::ask(node.ws, request(node.ws, "/hall", Some(token))).await;
            if let Ok(socket) = asked {
                return socket;
            }
        }
    };
    within("the room to open", trying).await
}

/// All come in again and hear each other, and what is written is applied.
async fn assert_opens(planes: &Planes, node: &Node, replica: &Replica, tokens: [&str; 2]) {
    let mut first = enters(node, tokens[0]).await;
    let mut second = enters(node, tokens[1]).await;
    first.say(Message::text("back")).await;
    assert_eq!(second.next().await, Message::text("back"));
    let backend = planes.backend(replica);
    let revision = backend.make_room("another", strict()).await;
    backend.applied(revision).await;
}
