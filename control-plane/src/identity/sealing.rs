//! Secrets at rest: sealed under keys that the configuration names and the
//! database never holds. Never draws one, and never shows a key or a secret.
//!
//! The cipher is XChaCha20-Poly1305. What is sealed for one place opens for no
//! other, so a row that is copied over another one is noticed.

use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use data_encoding::BASE64;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::chance::{self, SEALING_KEY_BYTES, SEALING_NONCE_BYTES};

/// The most keys that are held at once.
const KEYS_MAX: usize = 16;
/// The most bytes of a key's name.
const KEY_ID_BYTES_MAX: usize = 32;
/// The first byte of what is sealed: how the rest is to be read.
const FORM: u8 = 1;

/// The keys that secrets are sealed under: the first seals, each opens what it
/// sealed. Written as one line a key, `NAME KEY`, where the name is 1 to 32 of
/// `a-z`, `0-9`, `-` and `_` and the key 32 random bytes in base64; empty lines
/// and what follows `#` are passed over.
pub struct SealingKeys {
    keys: Vec<Key>,
}

struct Key {
    id: String,
    cipher: XChaCha20Poly1305,
}

/// Why a text holds no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSealingKeys {
    /// There is none in it.
    #[error("there is no key in it: a line is a name, a space and 32 random bytes in base64")]
    None,
    /// More than may be held.
    #[error("it holds more than {KEYS_MAX} keys")]
    TooMany,
    /// A line is not a name and a key.
    #[error(
        "line {0} is not a key: a name of 1 to {KEY_ID_BYTES_MAX} of a-z, 0-9, - and _, a space, \
         and 32 random bytes in base64"
    )]
    Line(usize),
    /// Two keys of one name.
    #[error("line {0} names a key that an earlier line names")]
    Twice(usize),
}

/// Why something sealed does not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unopened {
    /// The key of this name is not among those configured.
    KeyMissing(String),
    /// It was not sealed for this place, or was changed since.
    Damaged,
}

/// Where a sealed secret is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A user's second factor.
    SecondFactor(Uuid),
    /// A room's code.
    RoomCode(Uuid),
    /// What a room's hook is shown.
    Hook(Uuid),
}

impl Place {
    /// What a sealing is bound to.
    fn bytes(self) -> Vec<u8> {
        let (kind, id): (&[u8], Uuid) = match self {
            Self::SecondFactor(user) => (b"second factor ", user),
            Self::RoomCode(room) => (b"room code ", room),
            Self::Hook(room) => (b"hook ", room),
        };
        [kind, id.as_bytes()].concat()
    }
}

impl SealingKeys {
    /// Reads keys as they are written.
    ///
    /// # Errors
    ///
    /// See [`BadSealingKeys`], which names the line and shows none of it.
    pub fn parse(text: &str) -> Result<Self, BadSealingKeys> {
        let mut keys: Vec<Key> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let key = Key::parse(line).ok_or(BadSealingKeys::Line(number))?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(BadSealingKeys::Twice(number));
            }
            keys.push(key);
        }
        match keys.len() {
            0 => Err(BadSealingKeys::None),
            1..=KEYS_MAX => Ok(Self { keys }),
            _ => Err(BadSealingKeys::TooMany),
        }
    }

    /// A line with a new key of this name.
    #[must_use]
    pub fn draw(id: &str) -> Zeroizing<String> {
        let key = chance::sealing_key();
        let written = Zeroizing::new(BASE64.encode(&key[..]));
        Zeroizing::new(format!("{id} {}", *written))
    }

    /// Seals a secret for its place, under the first key.
    pub(crate) fn seal(&self, secret: &[u8], place: Place) -> Vec<u8> {
        let key = &self.keys[0];
        let nonce = chance::sealing_nonce();
        let payload = Payload {
            msg: secret,
            aad: &place.bytes(),
        };
        let sealed = key.cipher.encrypt(&nonce.into(), payload);
        let sealed = sealed.expect("a secret is shorter than the cipher's most");
        let id_bytes = u8::try_from(key.id.len()).expect("a name is short");
        [&[FORM, id_bytes][..], key.id.as_bytes(), &nonce, &sealed].concat()
    }

    /// Opens what was sealed for this place.
    pub(crate) fn open(&self, sealed: &[u8], place: Place) -> Result<Zeroizing<Vec<u8>>, Unopened> {
        let (id, nonce, sealed) = parts(sealed).ok_or(Unopened::Damaged)?;
        let mut keys = self.keys.iter();
        let key = keys
            .find(|key| key.id == id)
            .ok_or_else(|| Unopened::KeyMissing(id.to_owned()))?;
        let payload = Payload {
            msg: sealed,
            aad: &place.bytes(),
        };
        let opened = key.cipher.decrypt(&(*nonce).into(), payload);
        opened.map(Zeroizing::new).map_err(|_| Unopened::Damaged)
    }

    /// The keys' names, of which the first seals.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }

    /// Whether it was sealed under another key than the one that seals now.
    pub(crate) fn is_outdated(&self, sealed: &[u8]) -> bool {
        parts(sealed).is_none_or(|(id, _, _)| id != self.keys[0].id)
    }
}

/// The key's name, the nonce and the sealed bytes.
fn parts(sealed: &[u8]) -> Option<(&str, &[u8; SEALING_NONCE_BYTES], &[u8])> {
    let (&[form, id_bytes], rest) = sealed.split_first_chunk()?;
    let (id, rest) = rest.split_at_checked(id_bytes.into())?;
    let (nonce, sealed) = rest.split_first_chunk()?;
    (form == FORM).then_some((std::str::from_utf8(id).ok()?, nonce, sealed))
}

impl Key {
    fn parse(line: &str) -> Option<Self> {
        let (id, key) = line.split_once(char::is_whitespace)?;
        let may_name = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        if id.len() > KEY_ID_BYTES_MAX || !id.bytes().all(may_name) {
            return None;
        }
        let key = Zeroizing::new(BASE64.decode(key.trim().as_bytes()).ok()?);
        let key: &[u8; SEALING_KEY_BYTES] = key[..].try_into().ok()?;
        Some(Self {
            id: id.to_owned(),
            cipher: XChaCha20Poly1305::new(key.into()),
        })
    }
}

impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.keys.iter().map(|key| &key.id))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place::SecondFactor(Uuid::from_bytes([1; 16]));

    fn keys(lines: &[&str]) -> SealingKeys {
        SealingKeys::parse(&lines.join("\n")).expect("keys")
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let (old, new) = (SealingKeys::draw("old"), SealingKeys::draw("new"));
        let before = keys(&[&old]);
        let sealed = before.seal(b"secret", PLACE);
        assert!(!before.is_outdated(&sealed));
        let after = keys(&["# turned over", &new, "", &old]);
        assert_eq!(**after.open(&sealed, PLACE).expect("opens"), *b"secret");
        assert!(after.is_outdated(&sealed));
        let sealed = after.seal(b"secret", PLACE);
        assert_eq!(
            before.open(&sealed, PLACE),
            Err(Unopened::KeyMissing("new".into()))
        );
    }

    #[test]
    fn what_is_sealed_for_one_place_opens_for_no_other() {
        let keys = keys(&[&SealingKeys::draw("a")]);
        let sealed = keys.seal(b"secret", PLACE);
        let others = [
            Place::SecondFactor(Uuid::from_bytes([2; 16])),
            Place::RoomCode(Uuid::from_bytes([1; 16])),
            Place::Hook(Uuid::from_bytes([1; 16])),
        ];
        for other in others {
            assert_eq!(keys.open(&sealed, other), Err(Unopened::Damaged));
        }
    }

    #[test]
    fn what_was_changed_or_cut_does_not_open() {
        let keys = keys(&[&SealingKeys::draw("a")]);
        let sealed = keys.seal(b"secret", PLACE);
        for end in 0..sealed.len() {
            assert!(keys.open(&sealed[..end], PLACE).is_err(), "cut at {end}");
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(keys.open(&changed, PLACE).is_err(), "changed at {at}");
        }
    }

    #[test]
    fn a_bad_line_is_named_and_not_shown() {
        let good = SealingKeys::draw("a");
        let cases = [
            (String::new(), BadSealingKeys::None),
            ("# none".into(), BadSealingKeys::None),
            (format!("{}\nb c2hvcnQ=", *good), BadSealingKeys::Line(2)),
            (good.replacen('a', "A", 1), BadSealingKeys::Line(1)),
            (format!("{0}\n{0}", *good), BadSealingKeys::Twice(2)),
        ];
        for (text, bad) in cases {
            assert_eq!(SealingKeys::parse(&text).map(|_| ()), Err(bad));
        }
        let many: Vec<_> = (0..=KEYS_MAX)
            .map(|n| SealingKeys::draw(&n.to_string()).to_string())
            .collect();
        let bad = SealingKeys::parse(&many.join("\n")).map(|_| ());
        assert_eq!(bad, Err(BadSealingKeys::TooMany));
    }

    #[test]
    fn keys_are_shown_by_their_names() {
        let line = SealingKeys::draw("shown");
        let key = line.split_once(' ').expect("a name and a key").1.to_owned();
        let shown = format!("{:?}", keys(&[&line]));
        assert!(shown.contains("shown") && !shown.contains(&key), "{shown}");
    }
}
