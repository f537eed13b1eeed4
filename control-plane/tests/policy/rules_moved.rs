//! Rooms of the time when each rule had a column: the migration keeps their rules,
//! and back again. Calls no service.

use porthouse_api::node::v1;
use porthouse_model::{Audience, Content, RoomRules};
use prost::Message as _;
use std::time::Duration;

use crate::cluster::Cluster;

const BEFORE: [&str; 4] = [
    include_str!("../../../migrations/2026-11-24-000001_identity/up.sql"),
    include_str!("../../../migrations/2026-11-24-000002_rooms/up.sql"),
    include_str!("../../../migrations/2026-11-24-000003_policy_log/up.sql"),
    include_str!("../../../migrations/2026-11-24-000004_nodes/up.sql"),
];
const UP: &str = include_str!("../../../migrations/2026-11-24-000005_room_rules/up.sql");
const DOWN: &str = include_str!("../../../migrations/2026-11-24-000005_room_rules/down.sql");

/// Rows come without a revision, as only a test writes them.
const ROOMS: &str = "
    ALTER TABLE policy_pending DISABLE TRIGGER policy_pending_numbered;
    INSERT INTO rooms (id, name) VALUES (gen_random_uuid(), 'plain');
    INSERT INTO rooms (id, name, members_only, user_required, text_refused, message_bytes_max,
                       echo, receivers_named, admit_max_ms, deliver_max_ms)
    VALUES (gen_random_uuid(), 'strict', true, true, true, 16777216, true, false, 1500, 2592000000);
    ALTER TABLE policy_pending ENABLE TRIGGER policy_pending_numbered;";

const SHOWN: &str = "
    SELECT row_to_json(rooms)::text FROM (SELECT name, members_only, user_required, text_refused,
        binary_refused, message_bytes_max, echo, receivers_named, admit_max_ms, deliver_max_ms
        FROM rooms ORDER BY name) AS rooms";

#[tokio::test]
async fn rules_move_into_one_column_and_back() {
    let cluster = Cluster::start().await;
    let client = cluster.connect().await;
    let run = async |sql: &str| client.batch_execute(sql).await;
    for sql in BEFORE {
        run(sql).await.expect("migrates");
    }
    run(ROOMS).await.expect("rooms");
    let shown = async || {
        let rows = client.query(SHOWN, &[]).await.expect("rows");
        let rows = rows.iter().map(|row| row.get::<_, String>(0));
        rows.collect::<Vec<_>>()
    };
    let before = shown().await;
    run(UP).await.expect("migrates");

    let rows = client
        .query("SELECT rules FROM rooms ORDER BY name", &[])
        .await
        .expect("rows");
    let rules = |at: usize| {
        let bytes: &[u8] = rows[at].get(0);
        let message = v1::RoomRules::decode(bytes).expect("a message");
        RoomRules::try_from(message).expect("rules")
    };
    assert_eq!(rules(0), RoomRules::default());
    let mut strict = RoomRules::default();
    strict.connection.audience = Audience::Users;
    strict.messages.content = Content::Binary;
    strict.messages.bytes_max = 16 << 20;
    strict.broadcast.echo = true;
    strict.broadcast.receivers_named = false;
    strict.staleness.admit_max = Duration::from_millis(1500);
    strict.staleness.deliver_max = Some(Duration::from_hours(30 * 24));
    assert_eq!(rules(1), strict);

    run(DOWN).await.expect("goes back");
    assert_eq!(shown().await, before);
}

#[tokio::test]
async fn rules_that_have_no_column_hold_the_way_back() {
    let cluster = Cluster::start().await;
    let client = cluster.connect().await;
    for sql in BEFORE.into_iter().chain([ROOMS, UP]) {
        client.batch_execute(sql).await.expect("migrates");
    }
    let mut rules = RoomRules::default();
    rules.delivery.order = porthouse_model::Order::Ordered;
    let bytes = v1::RoomRules::from(&rules).encode_to_vec();
    let update = "UPDATE rooms SET rules = $1 WHERE name = 'plain'";
    let disable = "ALTER TABLE policy_pending DISABLE TRIGGER policy_pending_numbered";
    client.batch_execute(disable).await.expect("for a test");
    client.execute(update, &[&bytes]).await.expect("a room");
    let refused = client.batch_execute(DOWN).await.expect_err("held");
    let message = refused.as_db_error().expect("by the database").message();
    assert!(message.contains("does not know"), "{message}");
}
