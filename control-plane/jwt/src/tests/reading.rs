//! What is no token, and that no text makes reading one panic.

use data_encoding::BASE64URL_NOPAD;
use proptest::prelude::*;
use serde_json::json;

use crate::{Algorithm, BadToken, Refused, TOKEN_BYTES_MAX, Token};

use super::signer::Signer;
use super::{claims, judge, trust};

fn refused(text: &str) -> Option<BadToken> {
    Token::parse(text).err()
}

fn token() -> String {
    Signer::new(Algorithm::EdDsa, "key").token(&claims())
}

#[test]
fn a_token_has_three_parts_and_no_more() {
    let token = token();
    let parts: Vec<_> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        panic!("three parts")
    };
    for bad in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        header.to_owned(),
        format!("{header}.{claims}"),
        format!("{header}.{claims}.{signature}.{signature}"),
        format!("{header}.{claims}.{signature}.a.b"),
        format!("{header}..{signature}"),
        format!(".{claims}.{signature}"),
        format!("{token}\n"),
        format!("{token}\0"),
        format!(" {token}"),
        format!("{token}="),
        format!("{header}\n.{claims}.{signature}"),
        format!("{header}.{claims}.{signature}é"),
    ] {
        assert_eq!(refused(&bad), Some(BadToken::Form), "{bad:?}");
    }
}

#[test]
fn base64_has_one_form() {
    let token = token();
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    // 64 bytes end in two bits that mean nothing, and must be zero.
    let last = signature.chars().last().expect("a signature");
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = alphabet.find(last).expect("in the alphabet");
    for other in 1..16 {
        let sign = &alphabet[at + other..=at + other];
        let changed = format!("{signed}.{}{sign}", &signature[..signature.len() - 1]);
        assert_eq!(refused(&changed), Some(BadToken::Form), "{sign}");
    }
    let plain = signature.replace('-', "+").replace('_', "/");
    let plain = format!("{signed}.+/{plain}");
    assert_eq!(refused(&plain), Some(BadToken::Form));
}

#[test]
fn header_and_claims_are_objects_that_name_each_member_once() {
    let signer = Signer::new(Algorithm::EdDsa, "key");
    let header = r#"{"alg":"EdDSA","kid":"key"}"#;
    let claims = claims().to_string();
    for (header, claims) in [
        (r#"{"alg":"EdDSA","alg":"EdDSA"}"#, claims.as_str()),
        (r#"{"alg":"EdDSA","\u0061lg":"RS256"}"#, &claims),
        (r#"["alg"]"#, &claims),
        ("null", &claims),
        (header, "[]"),
        (header, ""),
        (
            header,
            r#"{"iss":"https://id.example","sub":"a","sub":"b"}"#,
        ),
        (header, r#"{"iss":"https://id.example"}{}"#),
    ] {
        let token = signer.signed(header, claims);
        assert_eq!(refused(&token), Some(BadToken::Form), "{header} {claims}");
    }
}

#[test]
fn headers_that_ask_for_more_are_refused() {
    let signer = Signer::new(Algorithm::EdDsa, "key");
    let trust = trust(&[signer.key()]);
    let read = |header| refused(&signer.token_of(&header, &claims()));
    let kind = |kind| json!({ "alg": "EdDSA", "kid": "key", "typ": kind });
    for good in [
        "JWT",
        "jwt",
        "at+jwt",
        "application/at+jwt",
        "Application/JWT",
    ] {
        let token = signer.token_of(&kind(json!(good)), &claims());
        assert!(judge(&trust, &token).is_ok(), "{good}");
    }
    for bad in [json!("logout+jwt"), json!("dpop+jwt"), json!(""), json!(1)] {
        assert_eq!(read(kind(bad.clone())), Some(BadToken::Kind), "{bad}");
    }
    for critical in [json!(["b64"]), json!([]), json!(null)] {
        let header = json!({ "alg": "EdDSA", "crit": critical, "b64": false });
        assert_eq!(read(header), Some(BadToken::Critical));
    }
    for id in [json!(""), json!(7), json!(null), json!("k".repeat(256))] {
        let header = json!({ "alg": "EdDSA", "kid": id });
        assert_eq!(read(header), Some(BadToken::KeyId));
    }
}

#[test]
fn a_token_says_who_it_is_from() {
    let signer = Signer::new(Algorithm::EdDsa, "key");
    for claims in [json!({}), json!({ "iss": 1 }), json!({ "iss": null })] {
        assert_eq!(refused(&signer.token(&claims)), Some(BadToken::Issuer));
    }
}

#[test]
fn a_token_that_is_too_long_is_not_looked_at() {
    let mut long = token();
    long.push_str(&"A".repeat(TOKEN_BYTES_MAX + 1 - long.len()));
    assert_eq!(refused(&long), Some(BadToken::TooLong));
    long.pop();
    assert_ne!(refused(&long), Some(BadToken::TooLong));
    assert_eq!(refused(&"a.".repeat(1 << 20)), Some(BadToken::TooLong));
}

proptest! {
    #[test]
    fn no_text_makes_reading_panic(text in any::<String>()) {
        let _ = Token::parse(&text);
    }

    #[test]
    fn no_three_parts_make_reading_panic(
        header in any::<Vec<u8>>(),
        claims in any::<Vec<u8>>(),
        signature in any::<Vec<u8>>(),
    ) {
        let part = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        let _ = Token::parse(&[part(&header), part(&claims), part(&signature)].join("."));
    }

    #[test]
    fn a_token_with_one_byte_changed_is_never_believed(at in any::<usize>(), bits in 1_u8..128) {
        let signer = Signer::new(Algorithm::EdDsa, "key");
        let trust = trust(&[signer.key()]);
        let mut bytes = signer.token(&claims()).into_bytes();
        let at = at % bytes.len();
        bytes[at] ^= bits;
        let text = String::from_utf8(bytes).expect("ASCII stays so");
        if let Ok(token) = Token::parse(&text) {
            let now = porthouse_model::UnixTime::from_millis(super::NOW * 1000);
            let judged = trust.verify(&token, now);
            prop_assert!(judged.is_err());
            prop_assert_ne!(judged.err(), Some(Refused::Audience), "its signature comes first");
        }
    }
}
