//! A limit by address holds on the whole node, whichever puddle the kernel gives
//! a connection to.

use std::time::Instant;

use porthouse_api::control::v1::{ConnectionRules, Rate, Room, RoomRules};
use porthouse_e2e::house::House;
use porthouse_e2e::raw::{Raw, request};

/// Joins of one address at once.
const BURST: u32 = 8;
/// Enough that the kernel has surely given both puddles more than that.
const TRIED: usize = 64;

#[tokio::test]
async fn an_address_joins_a_room_so_often_and_not_once_more_a_puddle() {
    let house = House::start().await;
    let connection = ConnectionRules {
        joins_per_address: Some(Rate {
            per_second: 1,
            burst: Some(BURST),
        }),
        ..Default::default()
    };
    let room = Room {
        rules: Some(RoomRules {
            connection: Some(connection),
            ..Default::default()
        }),
        ..Default::default()
    };
    house.backend().make_room("door", room).await;
    let began = Instant::now();
    let mut inside = Vec::new();
    for _ in 0..TRIED {
        match Raw::ask(house.ws(), request(house.ws(), "/door", None)).await {
            Ok(socket) => inside.push(socket),
            Err(refused) => {
                assert_eq!(refused.status, 429, "{refused:?}");
                assert_eq!(refused.body["rule"], "connection.joins_per_address");
            }
        }
    }
    let later = usize::try_from(began.elapsed().as_secs()).expect("a short test");
    let burst = usize::try_from(BURST).expect("a small number");
    let may_be = burst..=burst + later + 1;
    assert!(may_be.contains(&inside.len()), "{} joined", inside.len());
    drop(inside);
    house.close().await;
}
