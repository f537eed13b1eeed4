//! Tokens of identity providers, and their keys: no text makes reading one panic,
//! and nothing is believed that the one issuer there is has not signed.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use porthouse_jwt::{Algorithm, KeySet, Token, Trust};
use porthouse_model::UnixTime;

const NOW: UnixTime = UnixTime::from_millis(1_700_000_000_000);

/// A token that was signed (RFC 7515, appendix A.3), with the key it was signed
/// by. It says nothing of whom it is for, so it is never believed as a whole.
const TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0d\
HA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5d\
jxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
const KEYS: &[u8] = br#"{"keys":[{"kty":"EC","crv":"P-256",
    "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

static TRUST: LazyLock<Trust> = LazyLock::new(|| Trust {
    issuer: "joe".to_owned(),
    audiences: vec!["porthouse".to_owned()],
    algorithms: Algorithm::ALL.to_vec(),
    keys: KeySet::parse(KEYS).expect("keys"),
    required_claims: std::collections::BTreeMap::new(),
    leeway: Duration::from_secs(60),
    age_max: Some(Duration::from_secs(60 * 60)),
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((which, bytes)) = data.split_first() else {
        return;
    };
    match which % 3 {
        0 => believe_nothing(&String::from_utf8_lossy(bytes)),
        1 => {
            let mut token = TOKEN.as_bytes().to_vec();
            for change in bytes.chunks_exact(2) {
                let at = usize::from(change[0]) % token.len();
                token[at] ^= change[1] & 0x7f;
            }
            believe_nothing(&String::from_utf8(token).expect("ASCII stays so"));
        }
        _ => {
            let every = KeySet::parse(bytes);
            let some = KeySet::parse_published(bytes);
            if let Ok(every) = every {
                assert_eq!(some, Ok(every), "what a person may write, an issuer may");
            }
        }
    }
});

fn believe_nothing(text: &str) {
    if let Ok(token) = Token::parse(text) {
        assert!(TRUST.verify(&token, NOW).is_err(), "nobody signed it");
    }
}
