//! Keys that are fetched: when, how often, and what holds when they are not.

use std::time::{Duration, SystemTime};

use porthouse_api::control::v1 as wire;
use porthouse_control::{IssuerSettings, PrivateAddresses};
use tonic::Code;

use crate::provider::{Published, SigningKey, issuer, key_set, until};
use crate::world::{World, details, reason};

/// The least that may be between two fetches.
const FETCH_EVERY: Duration = Duration::from_millis(100);

/// Nothing is fetched on schedule while a test runs.
fn unhurried() -> IssuerSettings {
    IssuerSettings {
        private_addresses: PrivateAddresses::Allow,
        keys_refresh: Duration::from_hours(1),
        keys_age_max: Duration::from_hours(2),
        refused_tokens_max: 1_000,
        ..IssuerSettings::default()
    }
}

/// A world that trusts an issuer whose keys are published there.
async fn world(published: &Published, settings: IssuerSettings) -> World {
    let world = World::start_with(|all| all.issuer = settings).await;
    let given = wire::Issuer {
        jwks: String::new(),
        jwks_uri: published.url.clone(),
        ..issuer(&[])
    };
    world.trust("acme", given).await;
    world
}

async fn read(world: &World) -> wire::Issuer {
    let get = wire::GetIssuerRequest {
        name: "issuers/acme".into(),
    };
    let read = world
        .admin()
        .issuers()
        .get_issuer(get)
        .await
        .expect("there");
    read.into_inner().issuer.expect("an issuer")
}

#[tokio::test]
async fn keys_are_fetched_when_they_are_needed_and_unknown_ones_cost_one_fetch_a_minute() {
    let key = SigningKey::new(1, "one");
    let published = Published::new(key_set(&[&key])).await;
    let world = world(&published, unhurried()).await;
    let asked = async |seed: u8| {
        let thief = SigningKey::new(seed, &format!("unknown-{seed}"));
        let refused = world.show(&thief.token("s-1")).await.expect_err("unknown");
        assert_eq!(reason(&refused), "TOKEN_REFUSED");
    };
    world.show(&key.token("s-1")).await.expect("in");
    let first = published.asked();
    assert!((1..=2).contains(&first), "at once: {first}");
    for seed in 10..40 {
        asked(seed).await;
    }
    assert_eq!(published.asked(), first, "however many keys are unknown");
    world.show(&key.token("s-1")).await.expect("in");
    let now = read(&world).await;
    assert_eq!(now.keys[0].kid, "one");
    assert!(now.fetch_time.is_some());
}

#[tokio::test]
async fn a_new_key_signs_in_without_a_restart_and_one_that_is_gone_ends_its_sessions() {
    let (old, new) = (SigningKey::new(1, "old"), SigningKey::new(2, "new"));
    let published = Published::new(key_set(&[&old])).await;
    let settings = IssuerSettings {
        keys_refresh: Duration::from_secs(1),
        keys_fetch_every_min: FETCH_EVERY,
        ..unhurried()
    };
    let world = world(&published, settings).await;
    let by_old = world.show(&old.token("s-1")).await.expect("in");

    published.publish(Some(key_set(&[&old, &new])));
    until("the new key", async || {
        world.show(&new.token("s-1")).await.is_ok()
    })
    .await;
    assert!(world.lives(&by_old).await);
    let by_new = world.show(&new.token("s-1")).await.expect("in");

    published.publish(Some(key_set(&[&new])));
    until("the old key's end", async || !world.lives(&by_old).await).await;
    assert!(world.lives(&by_new).await);
    let refused = world.show(&old.token("s-1")).await.expect_err("withdrawn");
    assert_eq!(reason(&refused), "TOKEN_REFUSED");
    let list = wire::ListAuditEventsRequest {
        filter: "action = \"IssuerService.KeysWithdrawn\"".into(),
        ..Default::default()
    };
    let events = world
        .admin()
        .audit()
        .list_audit_events(list)
        .await
        .expect("events");
    let events = events.into_inner().audit_events;
    assert_eq!(events[0].target, "issuer=issuers/acme sessions=1");
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_are_trusted_for_a_while_and_then_nobody_signs_in() {
    let key = SigningKey::new(1, "one");
    let published = Published::new(key_set(&[&key])).await;
    let settings = IssuerSettings {
        keys_refresh: Duration::from_secs(1),
        keys_age_max: Duration::from_secs(4),
        keys_fetch_every_min: FETCH_EVERY,
        ..unhurried()
    };
    let world = world(&published, settings).await;
    let opened = world.show(&key.token("s-1")).await.expect("in");
    published.publish(None);
    until("word of it", async || {
        !read(&world).await.fetch_error.is_empty()
    })
    .await;
    assert!(read(&world).await.fetch_error.contains("503"));
    world
        .show(&key.token("s-1"))
        .await
        .expect("they are not too old yet");
    until("keys too old", async || {
        world.show(&key.token("s-1")).await.is_err()
    })
    .await;
    let refused = world.show(&key.token("s-1")).await.expect_err("too old");
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(reason(&refused), "ISSUER_AWAY");
    assert!(details(&refused).retry_info().is_some());
    assert!(world.lives(&opened).await, "who is in stays");

    published.publish(Some(key_set(&[&key])));
    until("the issuer is back", async || {
        world.show(&key.token("s-1")).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn of_many_who_come_with_a_new_key_at_once_one_has_it_fetched() {
    let (old, new) = (SigningKey::new(1, "old"), SigningKey::new(2, "new"));
    let published = Published::new(key_set(&[&old])).await;
    let settings = IssuerSettings {
        keys_fetch_every_min: FETCH_EVERY,
        ..unhurried()
    };
    let world = world(&published, settings).await;
    world.show(&old.token("s-1")).await.expect("in");
    published.publish(Some(key_set(&[&old, &new])));
    // Until the last fetch is long enough ago.
    until("the new key", async || {
        world.show(&new.token("s-1")).await.is_ok()
    })
    .await;
    let third = SigningKey::new(3, "third");
    published.publish(Some(key_set(&[&old, &new, &third])));
    until("that the next fetch may be made", async || {
        let fetched = read(&world).await.fetch_time.expect("they were fetched");
        let fetched = SystemTime::try_from(fetched).expect("a time");
        fetched.elapsed().is_ok_and(|age| age >= FETCH_EVERY)
    })
    .await;
    let before = published.asked();
    let tokens: Vec<_> = (0..12).map(|n| third.token(&format!("s-{n}"))).collect();
    let all = futures_util::future::join_all(tokens.iter().map(|token| world.show(token))).await;
    for opened in all {
        opened.expect("in");
    }
    assert_eq!(published.asked(), before + 1);
}

#[tokio::test]
async fn keys_at_a_private_address_are_not_fetched_unless_they_may_be() {
    let key = SigningKey::new(1, "one");
    let published = Published::new(key_set(&[&key])).await;
    let settings = IssuerSettings {
        private_addresses: PrivateAddresses::Refuse,
        ..unhurried()
    };
    let world = world(&published, settings).await;
    let refused = world.show(&key.token("s-1")).await.expect_err("refused");
    assert_eq!(reason(&refused), "ISSUER_AWAY");
    assert_eq!(published.asked(), 0);
    let why = read(&world).await.fetch_error;
    assert!(why.contains("--issuer-private-addresses"), "{why}");
}

#[tokio::test]
async fn a_set_that_is_none_changes_nothing() {
    let key = SigningKey::new(1, "one");
    let published = Published::new(key_set(&[&key])).await;
    let settings = IssuerSettings {
        keys_refresh: Duration::from_secs(1),
        ..unhurried()
    };
    let world = world(&published, settings).await;
    let opened = world.show(&key.token("s-1")).await.expect("in");
    for bad in ["<html>", "{\"keys\":[{}],\"keys\":[]}", &"x".repeat(70_000)] {
        published.publish(Some(bad.to_owned()));
        let before = published.asked();
        until("another fetch", async || published.asked() > before + 1).await;
        assert!(world.lives(&opened).await, "{}", &bad[..6]);
        world
            .show(&key.token("s-1"))
            .await
            .expect("the keys that were");
    }
}
