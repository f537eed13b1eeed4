//! The secrets of a run, and the search for them in what its processes said
//! (P20). Owns the forms a secret could be written in; never prints one.

use std::sync::Mutex;

use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};

/// A shorter one would be found by chance.
const SECRET_BYTES_MIN: usize = 8;

/// What must not be said.
#[derive(Debug, Default)]
pub struct Secrets(Mutex<Vec<Secret>>);

#[derive(Clone)]
struct Secret {
    what: String,
    text: String,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Secret({})", self.what)
    }
}

impl Secrets {
    /// Keeps a secret to be searched for, and gives it back.
    ///
    /// # Panics
    /// When it is too short to be told from chance.
    pub fn keep(&self, what: &str, text: &str) -> String {
        assert!(
            text.len() >= SECRET_BYTES_MIN,
            "{what} is too short to be searched for"
        );
        let secret = Secret {
            what: what.to_owned(),
            text: text.to_owned(),
        };
        self.0
            .lock()
            .expect("no thread panics while it holds this")
            .push(secret);
        text.to_owned()
    }

    /// Which secrets stand in a text, and in which form.
    pub fn found_in(&self, text: &str) -> Vec<String> {
        let secrets = self
            .0
            .lock()
            .expect("no thread panics while it holds this")
            .clone();
        let forms = secrets.iter().flat_map(|secret| {
            forms(&secret.text)
                .into_iter()
                .map(move |(form, written)| (&secret.what, form, written))
        });
        forms
            .filter(|(_, _, written)| text.contains(written))
            .map(|(what, form, _)| format!("{what} ({form})"))
            .collect()
    }
}

/// A secret as it could be written down.
fn forms(text: &str) -> Vec<(&'static str, String)> {
    let bytes = text.as_bytes();
    let mut forms = vec![
        ("raw", text.to_owned()),
        ("hex", HEXLOWER.encode(bytes)),
        ("hex", HEXUPPER.encode(bytes)),
        ("a list of bytes", listed(bytes)),
        ("URL", percent_encoded(bytes, b"", "%20")),
        ("URL", percent_encoded(bytes, b"-._~", "%20")),
        ("URL", percent_encoded(bytes, b"-._~!$&'()*+,;=:@", "%20")),
        ("form", percent_encoded(bytes, b"-._*", "+")),
        ("escaped", format!("{text:?}").trim_matches('"').to_owned()),
    ];
    // Token characters alone: the part that is random, without its prefix.
    if let Some(("phs" | "phk" | "pht" | "pho" | "phc" | "phd", random)) = text.split_once('_') {
        forms.push(("raw, without its prefix", random.to_owned()));
    }
    for before in 0..3 {
        forms.push(("base64", base64(&BASE64, bytes, before)));
        forms.push(("base64url", base64(&BASE64URL, bytes, before)));
    }
    forms
}

/// As `Debug` writes bytes.
fn listed(bytes: &[u8]) -> String {
    let shown = format!("{bytes:?}");
    shown.trim_matches(['[', ']']).to_owned()
}

/// Everything but letters, digits and what is `kept`; spaces by a sign of their own.
fn percent_encoded(bytes: &[u8], kept: &[u8], space: &str) -> String {
    let encoded = |byte: &u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => char::from(*byte).to_string(),
        b' ' => space.to_owned(),
        kept_one if kept.contains(kept_one) => char::from(*kept_one).to_string(),
        other => format!("%{other:02X}"),
    };
    bytes.iter().map(encoded).collect()
}

/// The characters that are the secret's alone when `before` bytes stand before
/// it in what is encoded.
fn base64(encoding: &data_encoding::Encoding, bytes: &[u8], before: usize) -> String {
    let mut all = vec![0; before];
    all.extend(bytes);
    let whole = all.len() / 3 * 3;
    encoding.encode(&all[..whole])[if before == 0 { 0 } else { 4 }..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "phs_a secret that nobody says";

    fn found(said: &str) -> usize {
        let secrets = Secrets::default();
        secrets.keep("a token", SECRET);
        secrets.found_in(said).len()
    }

    #[test]
    fn a_secret_is_found_in_every_form() {
        assert!(found(&format!("GET /lobby?token={SECRET} HTTP/1.1")) > 0);
        assert!(found(&HEXLOWER.encode(SECRET.as_bytes())) > 0);
        assert!(found(&format!("{:?}", SECRET.as_bytes())) > 0);
        assert!(found("phs%5Fa%20secret%20that%20nobody%20says") > 0);
        for before in ["", "u", "ab", "abc", "user:"] {
            assert!(found(&BASE64.encode(format!("{before}{SECRET}\n").as_bytes())) > 0);
        }
    }

    #[test]
    fn a_planted_secret_is_found_whatever_it_was_planted_by() {
        let secret = "sesame: open, \"please\"!";
        let planted = [
            secret.to_owned(),
            HEXLOWER.encode(secret.as_bytes()),
            HEXUPPER.encode(secret.as_bytes()),
            BASE64.encode(secret.as_bytes()),
            BASE64URL.encode(secret.as_bytes()),
            data_encoding::BASE64_NOPAD.encode(secret.as_bytes()),
            data_encoding::BASE64URL_NOPAD.encode(secret.as_bytes()),
            "sesame%3A%20open%2C%20%22please%22%21".to_owned(),
            "sesame:%20open,%20%22please%22!".to_owned(),
            "sesame%3A+open%2C+%22please%22%21".to_owned(),
            serde_json::json!({ "password": secret }).to_string(),
            format!("{:?}", Some(secret)),
            format!("{:?}", secret.as_bytes()),
        ];
        for planted in planted {
            let secrets = Secrets::default();
            secrets.keep("a room's password", secret);
            let log = format!("2026-01-01 INFO porthouse: asked={planted} done");
            assert!(!secrets.found_in(&log).is_empty(), "{planted}");
            assert!(
                secrets
                    .found_in("2026-01-01 INFO porthouse: done")
                    .is_empty()
            );
        }
    }

    #[test]
    fn what_is_no_secret_is_not_found() {
        assert_eq!(found("GET /lobby HTTP/1.1, phs_, a secret"), 0);
    }
}
