//! Tokens of identity providers that are refused: noted, counted by network on all
//! replicas together, and nobody who has a right one waits for them.

use std::time::Duration;

use porthouse_api::control::v1 as wire;
use serde_json::json;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::provider::{SigningKey, issuer, now};
use crate::world::{Caller, World, reason};

/// Borne with, of each network.
const REFUSED_MAX: u32 = 3;

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
    let events = world.audited("SessionService.CreateSession").await;
    assert_eq!(events.len(), 3, "{events:?}");
    for event in events {
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
    // The one more than is borne with is what makes the network wait.
    for at in 0..=REFUSED_MAX {
        let replica = if at % 2 == 0 { &here } else { &other };
        let refused = show(replica, &bad, "192.0.2.7").await;
        assert_eq!(reason(&refused.expect_err("refused")), "TOKEN_REFUSED");
    }
    // So long that it lasts however slow the machine is.
    let many = "UPDATE sign_in_wrongs SET wrong_count = wrong_count + 20 WHERE target = 'tokens'
        AND source = 'network 192.0.2.0/24' AND wrong_count = 4";
    world.execute(many).await;
    for replica in [&here, &other] {
        // Another of the network, by another token.
        let waits = show(replica, "a.b.c", "192.0.2.200").await;
        let waits = waits.expect_err("it waits");
        assert_eq!(waits.code(), Code::ResourceExhausted);
        assert_eq!(reason(&waits), "ATTEMPTS_TOO_MANY");
        let retry = waits.get_error_details().retry_info().cloned();
        let delay = retry.and_then(|retry| retry.retry_delay);
        assert!(delay.is_some_and(|delay| delay > Duration::from_mins(10)));
        // Who has a right one does not wait, and other networks do not either.
        show(replica, &key.token("s-2"), "192.0.2.7")
            .await
            .expect("in");
        let elsewhere = show(replica, &bad, "198.51.100.1").await;
        assert_eq!(reason(&elsewhere.expect_err("refused")), "TOKEN_REFUSED");
    }
    let events = world.audited("SessionService.CreateSession").await;
    let refused = events.iter().filter(|event| event.outcome != "OK").count();
    assert_eq!(refused, 4 + 2, "who waits is not noted");
}
