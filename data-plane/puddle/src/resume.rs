//! Sealed tokens: what a client shows to go on where it was. Owns the keys they
//! are sealed under and their form. Never judges what is claimed: the door and
//! the room's home do.
//!
//! The cipher is XChaCha20-Poly1305. The nonce is a keyed hash of a draw and of
//! what is sealed: the puddle's generator is not one for secrets, and a draw
//! that came twice may not repeat a nonce.

mod claims;
#[cfg(test)]
mod tests;

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use porthouse_model::UnixTime;
use sha2::{Digest as _, Sha256};

pub use claims::{Claims, Holder, PassedAt};

/// The longest token, in bytes of its text.
pub const RESUME_TOKEN_BYTES_MAX: usize = 512;
/// The bytes of a key.
pub const RESUME_KEY_BYTES: usize = 32;
/// The most keys that are held at once.
pub const RESUME_KEYS_MAX: usize = 16;

/// The first byte of a token: how the rest is to be read.
const FORM: u8 = 1;
/// The bytes by which a token names its key.
const KEY_ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 24;

/// The keys that tokens are sealed under: the first seals, each opens what it
/// sealed. Without any no token is given, and none opens. Never shown.
#[derive(Clone, Default)]
pub struct ResumeKeys(Arc<[Key]>);

#[derive(Clone)]
struct Key {
    id: [u8; KEY_ID_BYTES],
    /// What it is made of, where it ends with its process: a black box may keep it.
    drawn: Option<[u8; RESUME_KEY_BYTES]>,
    cipher: XChaCha20Poly1305,
    /// Makes nonces, and nothing else.
    nonces: Sha256,
}

/// Why a text holds no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadResumeKeys {
    /// There is none in it.
    None,
    /// More than may be held.
    TooMany,
    /// A line is not a name and a key.
    Line(usize),
}

impl fmt::Display for BadResumeKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str(
                "there is no key in it: a line is a name, a space and 32 random bytes in base64",
            ),
            Self::TooMany => write!(f, "it holds more than {RESUME_KEYS_MAX} keys"),
            Self::Line(line) => write!(
                f,
                "line {line} is not a key: a name, a space, and 32 random bytes in base64"
            ),
        }
    }
}

impl core::error::Error for BadResumeKeys {}

/// Why a token is worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unopened {
    /// It is no token, was changed, or was sealed under a key that is not here.
    Damaged,
    /// It is older than tokens may be, or from the future.
    Expired,
}

impl ResumeKeys {
    /// These keys, the first of which seals.
    #[must_use]
    pub fn new(keys: &[[u8; RESUME_KEY_BYTES]]) -> Self {
        Self(keys.iter().map(Key::new).collect())
    }

    /// A key that was drawn for one process, and ends with it.
    #[must_use]
    pub fn drawn(key: [u8; RESUME_KEY_BYTES]) -> Self {
        let drawn = Some(key);
        Self(
            [Key {
                drawn,
                ..Key::new(&key)
            }]
            .into(),
        )
    }

    /// What a black box keeps: the keys' names, and those that end with the process.
    pub(crate) fn kept(&self) -> Vec<([u8; KEY_ID_BYTES], Option<[u8; RESUME_KEY_BYTES]>)> {
        self.0.iter().map(|key| (key.id, key.drawn)).collect()
    }

    /// The same again. A key of which only the name is known opens nothing.
    pub(crate) fn again(keys: &[([u8; KEY_ID_BYTES], Option<[u8; RESUME_KEY_BYTES]>)]) -> Self {
        let again = |(id, drawn): &([u8; KEY_ID_BYTES], Option<[u8; RESUME_KEY_BYTES]>)| Key {
            id: *id,
            drawn: *drawn,
            ..Key::new(&drawn.unwrap_or_default())
        };
        Self(keys.iter().map(again).collect())
    }

    /// These keys, each of which only the name was known taken from those given.
    /// Answers how many are not among them.
    pub(crate) fn complete(&mut self, given: &Self) -> usize {
        let mut missing = 0;
        let whole = |key: &Key| {
            let other = given.0.iter().find(|other| other.id == key.id);
            missing += usize::from(key.drawn.is_none() && other.is_none());
            other.filter(|_| key.drawn.is_none()).unwrap_or(key).clone()
        };
        self.0 = self.0.iter().map(whole).collect();
        missing
    }

    /// Reads keys as they are written: one a line, `NAME KEY`, the key in base64;
    /// empty lines and what follows `#` are passed over.
    ///
    /// # Errors
    ///
    /// See [`BadResumeKeys`], which names the line and shows none of it.
    pub fn parse(text: &str) -> Result<Self, BadResumeKeys> {
        let mut keys = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                keys.push(key(line).ok_or(BadResumeKeys::Line(number))?);
            }
        }
        match keys.len() {
            0 => Err(BadResumeKeys::None),
            1..=RESUME_KEYS_MAX => Ok(Self::new(&keys)),
            _ => Err(BadResumeKeys::TooMany),
        }
    }

    /// Seals what a client may claim; nothing without a key. The draw makes two
    /// tokens of the same claims differ.
    ///
    /// # Panics
    ///
    /// When claims are longer than a cipher takes, which they never are.
    #[must_use]
    pub fn seal(&self, claims: &Claims, draw: u64) -> Option<String> {
        let key = self.0.first()?;
        let plain = claims.written();
        let mut nonce = key.nonces.clone();
        nonce.update(draw.to_be_bytes());
        nonce.update(&plain);
        let nonce: [u8; 32] = nonce.finalize().into();
        let nonce: [u8; NONCE_BYTES] = nonce[..NONCE_BYTES].try_into().expect("24 of 32");
        let sealed = key.cipher.encrypt(
            &nonce.into(),
            Payload {
                msg: &plain,
                aad: &heading(key.id),
            },
        );
        let sealed = sealed.expect("claims are shorter than the cipher's most");
        let token = [&heading(key.id)[..], &nonce, &sealed].concat();
        let token = BASE64URL_NOPAD.encode(&token);
        debug_assert!(token.len() <= RESUME_TOKEN_BYTES_MAX, "claims are short");
        Some(token)
    }

    /// Opens a token that is not older than this.
    ///
    /// # Errors
    ///
    /// See [`Unopened`].
    pub fn open(&self, token: &str, now: UnixTime, age_max: Duration) -> Result<Claims, Unopened> {
        if token.len() > RESUME_TOKEN_BYTES_MAX {
            return Err(Unopened::Damaged);
        }
        let bytes = BASE64URL_NOPAD.decode(token.as_bytes());
        let bytes = bytes.map_err(|_| Unopened::Damaged)?;
        let claims = self.opened(&bytes).ok_or(Unopened::Damaged)?;
        let is_early = claims.issued.as_millis() > now.as_millis();
        if is_early || now.since(claims.issued) > age_max {
            return Err(Unopened::Expired);
        }
        Ok(claims)
    }

    fn opened(&self, bytes: &[u8]) -> Option<Claims> {
        let (&form, rest) = bytes.split_first()?;
        let (id, rest) = rest.split_first_chunk::<KEY_ID_BYTES>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>()?;
        if form != FORM {
            return None;
        }
        // Two keys may share a name: each is tried.
        let keys = self.0.iter().filter(|key| key.id == *id);
        let mut opened = keys.filter_map(|key| {
            let payload = Payload {
                msg: sealed,
                aad: &heading(*id),
            };
            key.cipher.decrypt(&(*nonce).into(), payload).ok()
        });
        Claims::read(&opened.next()?)
    }
}

impl Key {
    fn new(key: &[u8; RESUME_KEY_BYTES]) -> Self {
        let derived = |of: &[u8]| -> [u8; 32] {
            let mut hash = Sha256::new();
            hash.update(b"porthouse resume ");
            hash.update(of);
            hash.update(key);
            hash.finalize().into()
        };
        let mut nonces = Sha256::new();
        nonces.update(derived(b"nonce"));
        let [a, b, c, d, ..] = derived(b"key id");
        Self {
            id: [a, b, c, d],
            drawn: None,
            cipher: XChaCha20Poly1305::new(&derived(b"seal").into()),
            nonces,
        }
    }
}

/// What of a token stands in clear before its nonce, and is held to with it.
const fn heading([a, b, c, d]: [u8; KEY_ID_BYTES]) -> [u8; 1 + KEY_ID_BYTES] {
    [FORM, a, b, c, d]
}

fn key(line: &str) -> Option<[u8; RESUME_KEY_BYTES]> {
    let (_, key) = line.split_once(char::is_whitespace)?;
    let key = BASE64.decode(key.trim().as_bytes()).ok()?;
    key.try_into().ok()
}

impl fmt::Debug for ResumeKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResumeKeys({} of them)", self.0.len())
    }
}
