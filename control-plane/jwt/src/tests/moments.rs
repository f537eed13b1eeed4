//! When a token holds, to the edge.

use std::time::Duration;

use porthouse_model::UnixTime;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{Algorithm, Refused, Token, Trust};

use super::signer::Signer;
use super::{NOW, claims, claims_with, judge, trust};

/// Leeway of `trust`, in seconds.
const LEEWAY: u64 = 30;

fn signed_and_trusted() -> (Signer, Trust) {
    let signer = Signer::new(Algorithm::EdDsa, "key");
    let trust = trust(&[signer.key()]);
    (signer, trust)
}

#[test]
fn a_token_expires_at_its_expiry_and_not_a_moment_later() {
    let (signer, trust) = signed_and_trusted();
    let judge = |exp: Value| judge(&trust, &signer.token(&claims_with("exp", exp)));
    assert!(judge(json!(NOW - LEEWAY + 1)).is_ok());
    assert_eq!(
        judge(json!(NOW - LEEWAY)).err(),
        Some(Refused::Expired(Duration::from_secs(LEEWAY)))
    );
    let part = f64::from(u32::try_from(NOW - LEEWAY).expect("before 2106")) + 0.5;
    assert!(judge(json!(part)).is_ok(), "a part of a second counts");
}

#[test]
fn a_token_without_an_expiry_or_with_an_odd_one_is_refused() {
    let (signer, trust) = signed_and_trusted();
    let mut none = claims();
    none.as_object_mut().expect("an object").remove("exp");
    let refused = judge(&trust, &signer.token(&none)).err();
    assert_eq!(refused, Some(Refused::Moment("exp")));
    for odd in [
        json!("1800000000"),
        Value::Null,
        json!(true),
        json!([NOW]),
        json!(-1),
        json!(-1e300),
        json!(1e300),
        json!(253_402_300_800_u64),
        json!(u64::MAX),
    ] {
        for claim in ["exp", "nbf", "iat"] {
            let refused = judge(&trust, &signer.token(&claims_with(claim, odd.clone()))).err();
            assert_eq!(refused, Some(Refused::Moment(claim)), "{claim} {odd}");
        }
    }
}

#[test]
fn a_token_does_not_hold_before_it_begins_or_was_made() {
    let (signer, trust) = signed_and_trusted();
    for claim in ["nbf", "iat"] {
        let judge = |from: u64| judge(&trust, &signer.token(&claims_with(claim, from)));
        assert!(judge(NOW + LEEWAY).is_ok(), "{claim}");
        assert_eq!(
            judge(NOW + LEEWAY + 1).err(),
            Some(Refused::NotYet(Duration::from_secs(LEEWAY + 1))),
            "{claim}"
        );
    }
}

#[test]
fn a_token_may_be_as_old_as_its_issuers_may_and_no_older() {
    let (signer, mut trust) = signed_and_trusted();
    trust.age_max = Some(Duration::from_mins(1));
    let judge = |iat: u64| judge(&trust, &signer.token(&claims_with("iat", iat)));
    assert!(judge(NOW - 60 - LEEWAY).is_ok());
    assert_eq!(
        judge(NOW - 61 - LEEWAY).err(),
        Some(Refused::TooOld(Duration::from_secs(1)))
    );
    let mut none = claims();
    none.as_object_mut().expect("an object").remove("iat");
    let refused = super::judge(&trust, &signer.token(&none)).err();
    assert_eq!(refused, Some(Refused::Moment("iat")));
}

proptest! {
    #[test]
    fn a_token_holds_exactly_between_its_moments(
        now in 0_u64..10_000,
        exp in 0_u64..10_000,
        nbf in 0_u64..10_000,
        leeway in 0_u64..100,
    ) {
        let (signer, mut trust) = signed_and_trusted();
        trust.leeway = Duration::from_secs(leeway);
        let mut all = claims();
        (all["exp"], all["nbf"], all["iat"]) = (exp.into(), nbf.into(), 0.into());
        let token = Token::parse(&signer.token(&all)).expect("a token");
        let holds = trust.verify(&token, UnixTime::from_millis(now * 1000)).is_ok();
        prop_assert_eq!(holds, now < exp + leeway && nbf <= now + leeway);
    }
}
