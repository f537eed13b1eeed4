//! What messages hold: a number that names them, where they are long enough, and filling that no
//! two share. Text is always valid UTF-8.

use crate::chance::Chance;
use crate::checker::TAG_BYTES;
use crate::checker::hash;
use crate::checker::line::{Body, Kind};

/// A message that is JSON says a number of eight digits that begins with a one. Others do not
/// begin so.
const JSON_FROM: u32 = 10_000_000;

/// The longest filling.
const POOL_BYTES: usize = 128 * 1024;

/// Filling to cut messages from.
#[derive(Debug)]
pub(crate) struct Payloads {
    binary: Vec<u8>,
    text: Vec<u8>,
}

impl Payloads {
    pub(crate) fn new(chance: &mut Chance) -> Self {
        let words = POOL_BYTES / 8;
        let binary = (0..words)
            .flat_map(|_| chance.next().to_le_bytes())
            .collect();
        // Characters of two bytes: any even cut is between two of them.
        let letter = |chance: &mut Chance| {
            let char = char::from_u32(u32::try_from(chance.between(0x80, 0x7ff)).expect("11 bits"));
            let mut bytes = [0; 2];
            char.expect("no surrogate").encode_utf8(&mut bytes);
            bytes
        };
        let text = (0..POOL_BYTES / 2).flat_map(|_| letter(chance)).collect();
        Self { binary, text }
    }

    /// A message of so many bytes that is JSON: a number, and spaces.
    pub(crate) fn fill_json(out: &mut Vec<u8>, (kind, len): (Kind, usize), message: u32) -> Body {
        let start = out.len();
        out.extend_from_slice(format!("{}", JSON_FROM + message).as_bytes());
        out.resize(start + len.max(TAG_BYTES), b' ');
        body(kind, &out[start..])
    }

    /// A message of so many bytes.
    pub(crate) fn fill(
        &self,
        out: &mut Vec<u8>,
        (kind, len): (Kind, usize),
        message: u32,
        chance: &mut Chance,
    ) -> Body {
        let start = out.len();
        if len >= TAG_BYTES {
            out.extend_from_slice(format!("{message:08x}").as_bytes());
        }
        let rest = len - (out.len() - start);
        match kind {
            Kind::Binary => {
                let from = chance.index(POOL_BYTES);
                copy(out, &self.binary, from, rest);
            }
            Kind::Text => {
                let from = 2 * chance.index(POOL_BYTES / 2);
                if rest % 2 == 1 {
                    out.push(b'.');
                }
                copy(out, &self.text, from, rest - rest % 2);
            }
        }
        body(kind, &out[start..])
    }
}

/// Copies so many bytes of a pool that begins again at its end.
fn copy(out: &mut Vec<u8>, pool: &[u8], from: usize, len: usize) {
    let (mut at, mut left) = (from, len);
    while left > 0 {
        let part = left.min(pool.len() - at);
        out.extend_from_slice(&pool[at..at + part]);
        (at, left) = (0, left - part);
    }
}

/// A message as the checker reads of it.
pub(crate) fn body(kind: Kind, payload: &[u8]) -> Body {
    Body {
        kind,
        len: payload.len(),
        hash: hash::content(payload),
        json: is_json(payload),
    }
}

fn is_json(payload: &[u8]) -> bool {
    let Some((tag, rest)) = payload.split_at_checked(TAG_BYTES) else {
        return false;
    };
    tag[0] == b'1' && tag.iter().all(u8::is_ascii_digit) && rest.iter().all(|byte| *byte == b' ')
}

/// The number a message says it has.
pub(crate) fn number(payload: &[u8]) -> Option<u32> {
    let tag = payload.get(..TAG_BYTES)?;
    let tag = std::str::from_utf8(tag).ok()?;
    if tag.starts_with('1') {
        let said: Option<u32> = tag.parse().ok();
        return Some(said.map_or(u32::MAX, |said| said - JSON_FROM));
    }
    // What has no number there is no message of anybody's.
    Some(u32::from_str_radix(tag, 16).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_every_length_are_valid_and_say_who_they_are() {
        let mut chance = Chance::new(3);
        let payloads = Payloads::new(&mut chance);
        for len in (0..40).chain([65_536, 70_001]) {
            let mut out = Vec::new();
            let text = payloads.fill(&mut out, (Kind::Text, len), 77, &mut chance);
            assert!(std::str::from_utf8(&out).is_ok());
            assert_eq!((text.len, out.len()), (len, len));
            assert_eq!(number(&out), (len >= TAG_BYTES).then_some(77));
        }
    }
}
