//! Tokens of identity providers that are refused: noted, counted by network on all
//! replicas together, without a statement each, and nobody who has a right one waits
//! for them.

use std::time::Duration;

use porthouse_api::control::v1 as wire;
use serde_json::json;
use tokio::time::sleep;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::provider::{SigningKey, issuer, now};
use crate::world::{Caller, World, reason};

/// Borne with, of each network.
const REFUSED_MAX: u32 = 3;
/// Looks for what comes within a second or two.
const LOOKS_MAX: usize = 400;

async fn show(
    caller: &Caller,
    jwt: &str,
    from: &str,
) -> Result<wire::CreateSessionResponse, Status> {
    let request = wire::CreateSessionRequest {
        jwt: jwt.to_owned(),
        client_address: from.to_owned(),
        ..Default::default()
    };
    let opened = caller.sessions().create_session(request).await;
    opened.map(tonic::Response::into_inner)
}

async fn world() -> (World, SigningKey) {
    let settings = |settings: &mut porthouse_control::Settings| {
        settings.issuer.refused_tokens_max = REFUSED_MAX;
    };
    let world = World::start_with(settings).await;
    let key = SigningKey::new(1, "one");
    world.trust("acme", issuer(&[&key])).await;
    (world, key)
}

#[tokio::test]
async fn a_refused_token_is_in_the_audit_log_with_where_it_came_from() {
    let (world, key) = world().await;
    let old = key.token_with("s-1", &json!({ "exp": now() - 3_600 }));
    for jwt in [old.as_str(), "no token at all", "a.b.c"] {
        let refused = show(&world.admin(), jwt, "192.0.2.7").await;
        assert_eq!(reason(&refused.expect_err("refused")), "TOKEN_REFUSED");
    }
    for event in refused_events(&world, 3).await {
        assert_eq!(event.outcome, "TOKEN_REFUSED");
        assert_eq!(event.client_address, "192.0.2.7");
        assert!(event.actor.starts_with("apiKeys/"));
        let told = format!("{event:?}");
        assert!(!told.contains(&old) && !told.contains("no token"), "{told}");
    }
}

#[tokio::test]
async fn refused_tokens_keep_their_network_waiting_on_every_replica_and_no_right_one() {
    let (world, key) = world().await;
    let (other, _serving) = world.beside().await;
    let here = world.admin();
    let bad = SigningKey::new(2, "one").token("s-1");
    for at in 0..=REFUSED_MAX {
        let replica = if at % 2 == 0 { &here } else { &other };
        let refused = show(replica, &bad, "192.0.2.7").await;
        assert_eq!(reason(&refused.expect_err("refused")), "TOKEN_REFUSED");
    }
    refused_events(&world, 4).await;
    // So long that it lasts however slow the machine is.
    let many = "UPDATE sign_in_wrongs SET wrong_count = wrong_count + 20 WHERE target = 'tokens'
        AND source = 'network 192.0.2.0/24' AND wrong_count = 4";
    world.execute(many).await;
    for replica in [&here, &other] {
        // Another of the network, by another token; once the replica has written what it
        // counted itself, and so read what the others did.
        let waits = until_it_waits(replica, "192.0.2.200").await;
        assert_eq!(waits.code(), Code::ResourceExhausted);
        assert_eq!(reason(&waits), "ATTEMPTS_TOO_MANY");
        // Who has a right one does not wait, and other networks do not either.
        show(replica, &key.token("s-2"), "192.0.2.7")
            .await
            .expect("in");
        let elsewhere = show(replica, &bad, "198.51.100.1").await;
        assert_eq!(reason(&elsewhere.expect_err("refused")), "TOKEN_REFUSED");
    }
}

/// How long whoever was refused is to wait.
fn delay(refused: &Status) -> Duration {
    let retry = refused.get_error_details().retry_info().cloned();
    let delay = retry.and_then(|retry| retry.retry_delay);
    delay.unwrap_or_default()
}

/// Shows tokens that are none until their network waits for long.
async fn until_it_waits(replica: &Caller, from: &str) -> Status {
    for _ in 0..LOOKS_MAX {
        let refused = show(replica, "a.b.c", from).await.expect_err("refused");
        if delay(&refused) > Duration::from_mins(10) {
            return refused;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("it does not wait");
}

/// The refusals that are noted, once they are so many.
async fn refused_events(world: &World, many: usize) -> Vec<wire::AuditEvent> {
    for _ in 0..LOOKS_MAX {
        let mut events = world.audited("SessionService.CreateSession").await;
        events.retain(|event| event.outcome != "OK");
        if events.len() >= many {
            assert_eq!(events.len(), many, "{events:?}");
            return events;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("they are not noted");
}

#[tokio::test]
async fn who_waits_is_not_noted_and_who_is_noted_is_counted() {
    let (world, _) = world().await;
    let here = world.admin();
    let mut noted = 0;
    loop {
        let refused = show(&here, "a.b.c", "192.0.2.7").await;
        match reason(&refused.expect_err("refused")).as_str() {
            "TOKEN_REFUSED" => noted += 1,
            "ATTEMPTS_TOO_MANY" => break,
            other => panic!("{other}"),
        }
    }
    assert!(noted > REFUSED_MAX, "{noted}");
    for _ in 0..10 {
        let waits = show(&here, "a.b.c", "192.0.2.8").await;
        // The wait of a second may be over on a slow machine.
        noted += u32::from(reason(&waits.expect_err("refused")) == "TOKEN_REFUSED");
    }
    refused_events(&world, usize::try_from(noted).expect("few")).await;
    let known = world.connect().await;
    let counted = "SELECT wrong_count FROM sign_in_wrongs WHERE source = 'network 192.0.2.0/24'";
    let counted = known.query_one(counted, &[]).await.expect("a row");
    assert_eq!(counted.get::<_, i32>(0), i32::try_from(noted).expect("few"));
}

/// The tables in which they are counted and noted are somebody else's for a while.
#[tokio::test]
async fn a_refused_token_waits_for_no_statement() {
    let (world, key) = world().await;
    let bad = SigningKey::new(2, "one").token("s-1");
    let old = key.token_with("s-1", &json!({ "exp": now() - 3_600 }));
    let holder = world.connect().await;
    let hold = "BEGIN; LOCK TABLE sign_in_wrongs, audit_log IN ACCESS EXCLUSIVE MODE";
    holder.batch_execute(hold).await.expect("held");
    let mut shown = 0;
    for jwt in ["no token at all", bad.as_str(), old.as_str()] {
        for network in 0..20 {
            let from = format!("192.0.{network}.7");
            let refused = show(&world.admin(), jwt, &from).await;
            assert_eq!(reason(&refused.expect_err("refused")), "TOKEN_REFUSED");
            shown += 1;
        }
    }
    // One that cannot be read asks nothing of the database at all.
    let hold = "LOCK TABLE issuers IN ACCESS EXCLUSIVE MODE";
    holder.batch_execute(hold).await.expect("held");
    let refused = show(&world.admin(), "a.b.c", "192.0.3.7").await;
    assert_eq!(reason(&refused.expect_err("refused")), "TOKEN_REFUSED");
    holder.batch_execute("COMMIT").await.expect("let go");
    refused_events(&world, shown + 1).await;
}

#[tokio::test]
async fn a_refused_token_is_noted_though_the_replica_is_told_to_stop_at_once() {
    let (mut world, _) = world().await;
    let refused = show(&world.admin(), "a.b.c", "192.0.2.7").await;
    assert_eq!(reason(&refused.expect_err("refused")), "TOKEN_REFUSED");
    world.stop().await;
    let noted = "SELECT count(*) FROM audit_log WHERE action = 'SessionService.CreateSession'";
    let noted = world.connect().await.query_one(noted, &[]).await;
    assert_eq!(noted.expect("a number").get::<_, i64>(0), 1);
}
