//! Behind a trusted proxy clients are counted and blocked by where it says that
//! they are; whoever is no trusted proxy says nothing of where it is.

use porthouse_api::control::v1::block::Subject;
use porthouse_api::control::v1::{
    Block, ConnectionRules, CreateBlockRequest, Rate, Room, RoomRules,
};
use porthouse_e2e::house::{Ground, House};
use porthouse_e2e::raw::{Raw, Refused, request, with_header};

use crate::shapes::assert_closed;

const ADA: &str = "203.0.113.7, 192.0.2.1";
const BEN: &str = "198.51.100.7";

/// Enters by a proxy that says this.
async fn enter(house: &House, room: &str, said: &str) -> Result<Raw, Refused> {
    let path = format!("/{room}");
    let request = request(house.ws(), &path, None);
    Raw::ask(house.ws(), with_header(request, "x-forwarded-for", said)).await
}

/// Two joins at once from one address.
fn two_at_once() -> Room {
    let connection = ConnectionRules {
        joins_per_address: Some(Rate {
            per_second: 1,
            burst: Some(2),
        }),
        ..Default::default()
    };
    Room {
        rules: Some(RoomRules {
            connection: Some(connection),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[tokio::test]
async fn two_clients_behind_one_proxy_are_counted_and_blocked_apart() {
    let ground = Ground::new(None);
    let house = ground.house_with(&["--trusted-proxies", "127.0.0.1"]).await;
    let backend = house.backend();
    backend.make_room("door", two_at_once()).await;
    backend
        .applied(backend.make_room("hall", Room::default()).await)
        .await;
    // So many that one second's more does not hide it.
    let mut refused = 0;
    for _ in 0..16 {
        refused += usize::from(enter(&house, "door", ADA).await.is_err());
    }
    assert!(refused > 0, "16 joins at once from one client");
    drop(enter(&house, "door", BEN).await.expect("another client"));

    let mut ada = enter(&house, "hall", ADA).await.expect("she is inside");
    let mut ben = enter(&house, "hall", BEN).await.expect("he is inside");
    let request = CreateBlockRequest {
        parent: "rooms/hall".to_owned(),
        block: Some(Block {
            subject: Some(Subject::AddressRange("192.0.2.0/24".to_owned())),
            ..Default::default()
        }),
        ..Default::default()
    };
    let made = backend.blocks().create_block(request).await;
    backend
        .applied(made.expect("a block").into_inner().revision)
        .await;
    assert_closed(&ada.closed().await, 4012, "block", "retry never");
    let kept_out = enter(&house, "hall", ADA)
        .await
        .expect_err("she is blocked");
    assert_eq!(
        (kept_out.status, &kept_out.body["rule"]),
        (403, &"block".into())
    );
    ben.say("still here").await;
    drop(enter(&house, "hall", BEN).await.expect("he is not"));

    let bad = enter(&house, "hall", "unknown").await;
    let bad = bad.expect_err("the proxy says no address");
    assert_eq!(
        (bad.status, &bad.body["rule"]),
        (400, &"http.x_forwarded_for".into())
    );
    drop(ben);
    house.close().await;
}

#[tokio::test]
async fn nobody_is_believed_who_is_no_trusted_proxy() {
    let ground = Ground::new(None);
    let house = ground
        .house_with(&["--trusted-proxies", "192.0.2.0/24"])
        .await;
    let backend = house.backend();
    backend
        .applied(backend.make_room("door", two_at_once()).await)
        .await;
    let mut refused = 0;
    for number in 0..16 {
        let said = format!("198.51.100.{number}");
        refused += usize::from(enter(&house, "door", &said).await.is_err());
    }
    assert!(refused > 0, "each said to be elsewhere, and was believed");
    drop(
        enter(&house, "hall", "unknown")
            .await
            .expect("it is not read"),
    );
    house.close().await;
}
