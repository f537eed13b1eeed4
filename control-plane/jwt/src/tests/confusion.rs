//! Tokens that try to be verified by something else than their issuer's key.

use data_encoding::BASE64URL_NOPAD;
use serde_json::json;

use crate::{Algorithm, BadToken, Refused, Token};

use super::signer::Signer;
use super::{claims, judge, trust};

fn part(text: &str) -> String {
    BASE64URL_NOPAD.encode(text.as_bytes())
}

#[test]
fn nothing_unsigned_or_signed_by_a_shared_secret_is_even_read() {
    let signer = Signer::new(Algorithm::Rs256, "key");
    for name in ["none", "None", "NONE", "", "HS256", "HS384", "HS512", "dir"] {
        let header = json!({ "alg": name, "kid": "key" });
        let unsigned = format!(
            "{}.{}",
            part(&header.to_string()),
            part(&claims().to_string())
        );
        for token in [
            format!("{unsigned}."),
            format!("{unsigned}.AAAA"),
            signer.token_of(&header, &claims()),
        ] {
            assert_eq!(
                Token::parse(&token).err(),
                Some(BadToken::Algorithm),
                "{name}"
            );
        }
    }
    for header in [
        json!({}),
        json!({ "alg": null }),
        json!({ "alg": ["RS256"] }),
    ] {
        let token = signer.token_of(&header, &claims());
        assert_eq!(Token::parse(&token).err(), Some(BadToken::Algorithm));
    }
}

#[test]
fn an_empty_signature_is_wrong() {
    for algorithm in Algorithm::ALL {
        let signer = Signer::new(algorithm, "key");
        let trust = trust(&[signer.key()]);
        let token = signer.token(&claims());
        let (start, signature) = token.rsplit_once('.').expect("three parts");
        for other in ["", "AA", &"AAAA".repeat(signature.len() / 4)] {
            let refused = judge(&trust, &format!("{start}.{other}")).err();
            assert_eq!(refused, Some(Refused::Signature), "{algorithm} {other}");
        }
    }
}

#[test]
fn keys_that_a_header_brings_along_are_not_looked_at() {
    let signer = Signer::new(Algorithm::EdDsa, "key");
    let thief = Signer::of_seed(8, "key");
    let trust = trust(&[signer.key()]);
    for brought in [
        json!({ "alg": "EdDSA", "kid": "key", "jwk": thief.key() }),
        json!({ "alg": "EdDSA", "jwk": thief.key() }),
        json!({ "alg": "EdDSA", "kid": "key", "jku": "http://127.0.0.1:1/keys" }),
        json!({ "alg": "EdDSA", "kid": "key", "x5u": "http://127.0.0.1:1/", "x5c": ["AA=="] }),
    ] {
        let refused = judge(&trust, &thief.token_of(&brought, &claims())).err();
        assert_eq!(refused, Some(Refused::Signature), "{brought}");
        assert!(judge(&trust, &signer.token_of(&brought, &claims())).is_ok());
    }
}

#[test]
fn a_key_is_used_for_its_own_algorithm_alone() {
    let mut signer = Signer::new(Algorithm::Rs256, "key").key();
    signer["alg"] = "PS256".into();
    let reserved = trust(&[signer]);
    let token = Signer::new(Algorithm::Rs256, "key").token(&claims());
    assert_eq!(judge(&reserved, &token).err(), Some(Refused::KeyUnfit));

    // Of another kind than the header says.
    let curve = Signer::new(Algorithm::Es256, "key");
    let trust = trust(&[curve.key()]);
    for named in Algorithm::ALL {
        let header = json!({ "alg": named.as_str(), "kid": "key" });
        let judged = judge(&trust, &curve.token_of(&header, &claims()));
        if named == Algorithm::Es256 {
            assert!(judged.is_ok());
        } else {
            assert_eq!(judged.err(), Some(Refused::KeyUnfit), "{named}");
        }
    }
}

#[test]
fn an_algorithm_that_is_not_among_the_issuers_is_refused_before_its_signature() {
    let signer = Signer::new(Algorithm::Rs256, "key");
    let mut trust = trust(&[signer.key()]);
    trust.algorithms = vec![Algorithm::Ps256];
    assert_eq!(
        judge(&trust, &signer.token(&claims())).err(),
        Some(Refused::Algorithm(Algorithm::Rs256))
    );
}

#[test]
fn a_key_that_nobody_knows_is_said_so() {
    let signer = Signer::new(Algorithm::EdDsa, "new");
    let trust = trust(&[Signer::of_seed(9, "old").key()]);
    let refused = judge(&trust, &signer.token(&claims())).err();
    assert_eq!(refused, Some(Refused::KeyUnknown));
}

#[test]
fn what_is_said_of_claims_is_said_only_after_the_signature() {
    let signer = Signer::new(Algorithm::EdDsa, "key");
    let trust = trust(&[Signer::of_seed(8, "key").key()]);
    let mut expired = claims();
    expired["exp"] = 1.into();
    let refused = judge(&trust, &signer.token(&expired)).err();
    assert_eq!(refused, Some(Refused::Signature));
}
