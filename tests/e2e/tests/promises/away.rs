//! The control plane is killed: what lives goes on (P17), and what was decided
//! meanwhile holds as soon as it is back (P16). Never kills a node.

use porthouse_api::control::v1::Room;
use porthouse_e2e::house::on_both_puddles;
use porthouse_e2e::planes::Planes;
use porthouse_e2e::raw::Raw;
use tokio_tungstenite::tungstenite::Message;

use crate::shapes::{assert_closed, for_users};

#[tokio::test]
async fn live_rooms_outlive_the_control_plane_and_policy_catches_up() {
    let planes = Planes::found().await;
    let replica = planes.replica(None).await;
    let backend = planes.backend(&replica);
    let node = planes.node("alpha", &replica, &[]).await;
    let ada = backend.signed_in_user("ada").await;
    let bob = backend.signed_in_user("bob").await;
    let cai = backend.signed_in_user("cai").await;
    let revision = backend.make_room("hall", for_users()).await;
    backend.applied(revision).await;
    let mut of_ada = Raw::enter(node.ws, "hall", Some(&ada.token)).await;
    // Both puddles come to know Bob and the room.
    let live = planes.backend_at(node.grpc);
    let mut all_of_bob = on_both_puddles(node.ws, &live, "hall", Some(&bob.token), 2).await;
    let mut of_bob = all_of_bob.remove(0);
    drop(all_of_bob);
    talk(&mut of_ada, &mut of_bob, "before").await;

    let address = replica.grpc;
    let killed = replica.kill().await;
    talk(&mut of_ada, &mut of_bob, "while it is away").await;
    // Known rooms and sessions still open the door.
    let mut late = Raw::enter(node.ws, "hall", Some(&bob.token)).await;
    talk(&mut late, &mut of_bob, "come in").await;
    assert_eq!(of_ada.next().await, Message::text("come in"));
    // What the node does not know it cannot ask: come back later.
    let refused = Raw::refused(node.ws, "hall", Some(&cai.token)).await;
    assert_eq!(refused.status, 503, "{:?}", refused.body);
    assert_eq!(refused.body["retry"], "after");
    assert!(refused.body["retry_after_ms"].is_number());

    // Decided at another replica, which the node does not watch.
    let elsewhere = planes.replica(None).await;
    let decided = planes.backend(&elsewhere);
    let revision = decided.revoke(&ada.session).await;
    let pending = decided.wait_applied(revision, 0).await;
    assert!(!pending.applied, "nobody told the node");
    assert_eq!(pending.pending[0].name, "nodes/alpha");
    talk(&mut of_ada, &mut of_bob, "nobody told us").await;

    let back = planes.replica(Some(address)).await;
    planes.backend(&back).applied(revision).await;
    let (heard, closed) = of_ada.rest().await;
    assert!(heard.is_empty(), "{heard:?}");
    assert_closed(&closed, 4101, "session", "retry authenticate");
    // And the next one, once it watches again.
    let revision = planes.backend(&back).revoke(&bob.session).await;
    planes.backend(&back).applied(revision).await;
    let closed = of_bob.rest().await.1;
    assert_closed(&closed, 4101, "session", "retry authenticate");
    drop(late);
    planes
        .close(node, vec![elsewhere, back], vec![killed])
        .await;
}

#[tokio::test]
async fn a_room_made_by_hand_is_needed_where_nobody_may_make_one_by_entering() {
    let planes = Planes::found().await;
    let replica = planes.replica(None).await;
    let backend = planes.backend(&replica);
    // As an operator has it who changes nothing: users alone make rooms.
    let node = planes.node("beta", &replica, &[]).await;
    let revision = backend.make_room("hall", Room::default()).await;
    backend.applied(revision).await;
    let refused = Raw::refused(node.ws, "nowhere", None).await;
    assert_eq!(refused.status, 404, "{:?}", refused.body);
    assert_eq!(refused.body["code"], 4004);
    assert_eq!(refused.body["rule"], "transient.makers");
    let mut first = Raw::enter(node.ws, "hall", None).await;
    let mut second = Raw::enter(node.ws, "hall", None).await;
    talk(&mut first, &mut second, "here").await;
    let ada = backend.signed_in_user("ada").await;
    let maker = Raw::enter(node.ws, "nowhere", Some(&ada.token)).await;
    drop((first, second, maker));
    planes.close(node, vec![replica], Vec::new()).await;
}

async fn talk(from: &mut Raw, to: &mut Raw, text: &str) {
    from.say(Message::text(text)).await;
    assert_eq!(to.next().await, Message::text(text));
}
