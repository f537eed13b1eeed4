//! Tokens that an issuer would sign and tokens that nobody should believe, judged.

use std::collections::BTreeMap;
use std::time::Duration;

use porthouse_model::UnixTime;
use serde_json::{Value, json};

use crate::{Algorithm, KeySet, Refused, Token, Trust, Verified};

mod confusion;
mod moments;
mod reading;
mod sets;
mod signer;

use signer::Signer;

/// A moment in 2023, in seconds.
const NOW: u64 = 1_700_000_000;

/// What is trusted of an issuer with these keys.
fn trust(keys: &[Value]) -> Trust {
    let set = json!({ "keys": keys }).to_string();
    Trust {
        issuer: "https://id.example".to_owned(),
        audiences: vec!["porthouse".to_owned(), "other".to_owned()],
        algorithms: Algorithm::ALL.to_vec(),
        keys: KeySet::parse(set.as_bytes()).expect("keys"),
        required_claims: BTreeMap::new(),
        leeway: Duration::from_secs(30),
        age_max: None,
    }
}

/// Claims that are believed.
fn claims() -> Value {
    json!({
        "iss": "https://id.example",
        "aud": "porthouse",
        "sub": "sana",
        "exp": NOW + 300,
        "iat": NOW,
        "name": "Sana",
    })
}

/// The same with this one claim.
fn claims_with(claim: &str, value: impl Into<Value>) -> Value {
    let mut all = claims();
    all[claim] = value.into();
    all
}

fn judge(trust: &Trust, token: &str) -> Result<Verified, Refused> {
    let token = Token::parse(token).expect("it can be read");
    trust.verify(&token, UnixTime::from_millis(NOW * 1000))
}

#[test]
fn a_token_signed_by_each_algorithm_is_believed() {
    for (at, algorithm) in Algorithm::ALL.into_iter().enumerate() {
        let signer = Signer::new(algorithm, "key");
        let trust = trust(&[signer.key()]);
        let verified = judge(&trust, &signer.token(&claims())).expect("believed");
        assert_eq!(verified.subject, "sana", "{at} {algorithm}");
        assert_eq!(verified.text("name"), Some("Sana"));
        assert_eq!(verified.expires, UnixTime::from_millis((NOW + 300) * 1000));
        assert_eq!(verified.key, trust.keys.keys()[0].thumbprint());
    }
}

#[test]
fn a_token_without_the_name_of_a_key_means_the_only_one_that_fits() {
    let signer = Signer::new(Algorithm::EdDsa, "");
    let other = Signer::new(Algorithm::Es256, "other");
    let both = trust(&[signer.key(), other.key()]);
    assert!(judge(&both, &signer.token(&claims())).is_ok());
    let twice = trust(&[signer.key(), Signer::of_seed(9, "other").key()]);
    assert_eq!(
        judge(&twice, &signer.token(&claims())).err(),
        Some(Refused::KeyUnknown)
    );
}

#[test]
fn a_token_for_somebody_else_is_refused() {
    let signer = Signer::new(Algorithm::EdDsa, "key");
    let trust = trust(&[signer.key()]);
    let judge = |claims: &Value| judge(&trust, &signer.token(claims));
    for audience in [
        json!("Porthouse"),
        json!("porthouse "),
        json!(""),
        json!([]),
        json!(["elsewhere", 1, null, ["porthouse"]]),
        json!({ "porthouse": true }),
        Value::Null,
        json!(1),
    ] {
        let refused = judge(&claims_with("aud", audience.clone())).err();
        assert_eq!(refused, Some(Refused::Audience), "{audience}");
    }
    let mut none = claims();
    none.as_object_mut().expect("an object").remove("aud");
    assert_eq!(judge(&none).err(), Some(Refused::Audience));
    assert!(judge(&claims_with("aud", json!(["elsewhere", "other"]))).is_ok());
}

#[test]
fn a_token_of_another_issuer_is_refused_though_the_key_is_right() {
    let signer = Signer::new(Algorithm::EdDsa, "key");
    let trust = trust(&[signer.key()]);
    for issuer in [
        "https://id.example/",
        "https://ID.example",
        "http://id.example",
        "",
    ] {
        let token = signer.token(&claims_with("iss", issuer));
        assert_eq!(
            judge(&trust, &token).err(),
            Some(Refused::Issuer),
            "{issuer}"
        );
    }
}

#[test]
fn a_subject_is_a_text_that_can_be_kept() {
    let signer = Signer::new(Algorithm::EdDsa, "key");
    let trust = trust(&[signer.key()]);
    for subject in [
        json!(""),
        json!(7),
        Value::Null,
        json!(["sana"]),
        json!("a\u{0}b"),
        json!("a\nb"),
        json!("s".repeat(256)),
    ] {
        let token = signer.token(&claims_with("sub", subject.clone()));
        assert_eq!(
            judge(&trust, &token).err(),
            Some(Refused::Subject),
            "{subject}"
        );
    }
    let longest = "s".repeat(255);
    let token = signer.token(&claims_with("sub", longest.clone()));
    assert_eq!(judge(&trust, &token).expect("believed").subject, longest);
}

#[test]
fn what_must_be_claimed_must_be_so() {
    let signer = Signer::new(Algorithm::EdDsa, "key");
    let mut trust = trust(&[signer.key()]);
    let required = [("email_verified", "true"), ("groups", "staff")];
    trust.required_claims = required
        .map(|(claim, value)| (claim.to_owned(), value.to_owned()))
        .into();
    let token = |verified: Value, groups: Value| {
        let mut all = claims();
        all["email_verified"] = verified;
        all["groups"] = groups;
        signer.token(&all)
    };
    assert!(judge(&trust, &token(json!(true), json!(["x", "staff"]))).is_ok());
    assert!(judge(&trust, &token(json!("true"), json!("staff"))).is_ok());
    for (verified, groups, missing) in [
        (json!(false), json!("staff"), "email_verified"),
        (json!(1), json!("staff"), "email_verified"),
        (json!(true), json!(["staffers"]), "groups"),
        (json!(true), json!([["staff"]]), "groups"),
        (json!(true), json!({ "staff": true }), "groups"),
        (json!(true), Value::Null, "groups"),
    ] {
        assert_eq!(
            judge(&trust, &token(verified, groups)).err(),
            Some(Refused::ClaimMissing(missing.to_owned()))
        );
    }
}

#[test]
fn a_token_is_not_shown() {
    let signer = Signer::new(Algorithm::EdDsa, "key");
    let text = signer.token(&claims());
    let token = Token::parse(&text).expect("a token");
    let shown = format!("{token:?}");
    assert!(
        !shown.contains("sana") && !shown.contains("id.example"),
        "{shown}"
    );
    for part in text.split('.') {
        assert!(!shown.contains(part), "{shown}");
    }
}
