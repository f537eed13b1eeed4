//! What is a set of keys, and which of its keys are of use.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{Algorithm, BadKey, BadKeySet, KEY_SET_BYTES_MAX, KEYS_MAX, KeySet};

use super::signer::Signer;

fn parse(keys: &[Value]) -> Result<KeySet, BadKeySet> {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
}

fn published(keys: &[Value]) -> Result<KeySet, BadKeySet> {
    KeySet::parse_published(json!({ "keys": keys }).to_string().as_bytes())
}

fn with(key: &Value, member: &str, value: impl Into<Value>) -> Value {
    let mut key = key.clone();
    key[member] = value.into();
    key
}

fn refusal(key: Value) -> Option<BadKey> {
    match parse(&[key]) {
        Err(BadKeySet::Key(0, bad)) => Some(bad),
        Err(other) => panic!("{other}"),
        Ok(_) => None,
    }
}

#[test]
fn a_key_has_the_thumbprint_that_the_standards_give_it() {
    // RFC 8037, appendix A.3.
    let key = json!({
        "kty": "OKP", "crv": "Ed25519", "kid": "any", "use": "sig",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    let set = parse(&[key]).expect("a key");
    assert_eq!(
        set.keys()[0].thumbprint().to_string(),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
}

#[test]
fn a_key_that_is_not_public_is_refused() {
    let key = Signer::new(Algorithm::EdDsa, "key").key();
    assert_eq!(refusal(key.clone()), None);
    for secret in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        assert_eq!(refusal(with(&key, secret, "AA")), Some(BadKey::Secret));
    }
    let shared = json!({ "kty": "oct" });
    assert_eq!(refusal(shared), Some(BadKey::Secret));
}

#[test]
fn a_key_for_other_uses_is_refused() {
    let key = Signer::new(Algorithm::EdDsa, "key").key();
    for used in [json!("enc"), json!(""), json!(null), json!(["sig"])] {
        assert_eq!(refusal(with(&key, "use", used)), Some(BadKey::Use));
    }
    for operations in [json!(["sign"]), json!([]), json!("verify"), json!(null)] {
        assert_eq!(
            refusal(with(&key, "key_ops", operations)),
            Some(BadKey::Use)
        );
    }
    let both = with(&with(&key, "use", "sig"), "key_ops", json!(["verify"]));
    assert_eq!(refusal(both), None);
}

#[test]
fn a_key_is_of_a_kind_that_is_taken_and_made_of_what_its_kind_is() {
    let edwards = Signer::new(Algorithm::EdDsa, "key").key();
    let rsa = Signer::new(Algorithm::Rs256, "key").key();
    let curve = Signer::new(Algorithm::Es256, "key").key();
    for (key, bad) in [
        (json!({}), BadKey::Kind),
        (with(&edwards, "kty", "EC"), BadKey::Kind),
        (with(&edwards, "crv", "X25519"), BadKey::Kind),
        (with(&curve, "crv", "secp256k1"), BadKey::Kind),
        (with(&curve, "crv", "P-384"), BadKey::Material),
        (with(&curve, "y", "AA"), BadKey::Material),
        (with(&edwards, "x", "AA"), BadKey::Material),
        (with(&edwards, "x", 7), BadKey::Material),
        (with(&edwards, "alg", "HS256"), BadKey::Algorithm),
        (with(&edwards, "alg", "RS256"), BadKey::Algorithm),
        (with(&rsa, "alg", "ES256"), BadKey::Algorithm),
        (with(&rsa, "n", "AQAB"), BadKey::Material),
        (with(&rsa, "n", "A".repeat(400)), BadKey::Material),
        (with(&rsa, "n", "_".repeat(1_600)), BadKey::Material),
        (with(&rsa, "e", ""), BadKey::Material),
        (with(&rsa, "e", "AAEAAQ"), BadKey::Material),
        (with(&rsa, "e", "AQAB="), BadKey::Material),
        (with(&rsa, "kid", ""), BadKey::KeyId),
        (with(&rsa, "kid", 7), BadKey::KeyId),
    ] {
        assert_eq!(refusal(key.clone()), Some(bad), "{key}");
    }
}

#[test]
fn keys_that_are_called_the_same_are_refused() {
    let one = Signer::of_seed(1, "key");
    let other = Signer::of_seed(2, "key");
    let keys = [one.key(), other.key()];
    assert_eq!(parse(&keys), Err(BadKeySet::Ambiguous));
    assert_eq!(published(&keys), Err(BadKeySet::Ambiguous));
    // One that is of no use is nobody's rival.
    let keys = [one.key(), with(&other.key(), "use", "enc")];
    assert_eq!(published(&keys).expect("keys").keys().len(), 1);
    assert_eq!(parse(&keys), Err(BadKeySet::Key(1, BadKey::Use)));
}

#[test]
fn a_set_is_an_object_with_keys() {
    for text in [
        "",
        "[]",
        "{}",
        r#"{"keys":{}}"#,
        r#"{"keys":[1]}"#,
        r#"{"keys":[],"keys":[]}"#,
        r#"{"keys":[{"kty":"OKP","kty":"RSA"}]}"#,
    ] {
        for read in [KeySet::parse, KeySet::parse_published] {
            assert_eq!(read(text.as_bytes()), Err(BadKeySet::Form), "{text}");
        }
    }
    assert!(KeySet::parse(br#"{"keys":[],"other":1}"#).is_ok());
}

#[test]
fn a_set_is_bounded() {
    let key = |seed: usize| {
        let seed = u8::try_from(seed).expect("few");
        Signer::of_seed(seed, &format!("{seed}")).key()
    };
    let most: Vec<_> = (0..KEYS_MAX).map(key).collect();
    assert_eq!(parse(&most).expect("keys").keys().len(), KEYS_MAX);
    let more: Vec<_> = (0..=KEYS_MAX).map(key).collect();
    assert_eq!(published(&more), Err(BadKeySet::KeysTooMany));
    let long = format!(r#"{{"keys":[]}}{}"#, " ".repeat(KEY_SET_BYTES_MAX));
    assert_eq!(KeySet::parse(long.as_bytes()), Err(BadKeySet::TooLong));
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(bytes in any::<Vec<u8>>()) {
        let _ = KeySet::parse(&bytes);
        let _ = KeySet::parse_published(&bytes);
    }
}
