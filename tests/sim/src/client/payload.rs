//! What messages hold: a number that names them, where they are long enough, and filling that no
//! two share. Text is always valid UTF-8.

use crate::chance::Chance;
use crate::checker::TAG_BYTES;
use crate::checker::hash;
use crate::checker::line::{Body, Kind, Shape};

/// A message of digits says a number of eight that begins with a one. Others do not begin so.
const DIGITS_FROM: u32 = 10_000_000;

/// How a text begins whose length follows in one, two or four bytes: of these none is how another
/// message begins.
const PACKED_TEXT: [u8; 3] = [0xd9, 0xda, 0xdb];
const CBOR_TEXT: [u8; 3] = [0x78, 0x79, 0x7a];

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

    /// A message of about so many bytes that has a shape: a number, and spaces.
    pub(crate) fn fill_shaped(
        out: &mut Vec<u8>,
        (kind, len, shape): (Kind, usize, Shape),
        message: u32,
    ) -> Body {
        let start = out.len();
        let len = len.max(shortest(shape));
        match shape {
            Shape::Plain => debug_assert!(false, "it has a shape"),
            Shape::Digits => {}
            Shape::Packed => head(out, PACKED_TEXT, len),
            Shape::Cbor => head(out, CBOR_TEXT, len),
        }
        out.extend_from_slice(format!("{}", DIGITS_FROM + message).as_bytes());
        out.resize(start + len, b' ');
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
        shape: shape(payload),
    }
}

/// The fewest bytes of such a message.
pub(crate) const fn shortest(shape: Shape) -> usize {
    match shape {
        Shape::Plain => 0,
        Shape::Digits => TAG_BYTES,
        Shape::Packed | Shape::Cbor => TAG_BYTES + 2,
    }
}

/// How a text begins, so that all together is so long.
fn head(out: &mut Vec<u8>, [one, two, four]: [u8; 3], len: usize) {
    if let Ok(len) = u8::try_from(len - 2) {
        out.extend_from_slice(&[one, len]);
    } else if let Ok(len) = u16::try_from(len - 3) {
        out.push(two);
        out.extend_from_slice(&len.to_be_bytes());
    } else {
        let len = u32::try_from(len - 5).expect("a short message");
        out.push(four);
        out.extend_from_slice(&len.to_be_bytes());
    }
}

/// The shape a message has if its head says so, and what is behind that.
fn behind_head(payload: &[u8]) -> (Shape, &[u8]) {
    let shaped = |shape, heads: [u8; 3], first: u8| {
        let at = heads.iter().position(|head| *head == first)?;
        Some((shape, payload.get([2, 3, 5][at]..)?))
    };
    let first = payload.first().copied();
    first
        .and_then(|first| {
            shaped(Shape::Packed, PACKED_TEXT, first)
                .or_else(|| shaped(Shape::Cbor, CBOR_TEXT, first))
        })
        .unwrap_or((Shape::Digits, payload))
}

fn shape(payload: &[u8]) -> Shape {
    let (shape, text) = behind_head(payload);
    let Some((tag, rest)) = text.split_at_checked(TAG_BYTES) else {
        return Shape::Plain;
    };
    let is_number = tag[0] == b'1' && tag.iter().all(u8::is_ascii_digit);
    if is_number && rest.iter().all(|byte| *byte == b' ') {
        shape
    } else {
        Shape::Plain
    }
}

/// The number a message says it has.
pub(crate) fn number(payload: &[u8]) -> Option<u32> {
    if payload.len() < TAG_BYTES {
        return None;
    }
    let tag = behind_head(payload).1.get(..TAG_BYTES)?;
    let tag = std::str::from_utf8(tag).ok()?;
    if tag.starts_with('1') {
        let said: Option<u32> = tag.parse().ok();
        return Some(said.map_or(u32::MAX, |said| said - DIGITS_FROM));
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
            assert_eq!(text.shape, Shape::Plain);
        }
    }

    #[test]
    fn messages_of_a_shape_are_seen_to_have_it_and_say_who_they_are() {
        for shape in [Shape::Digits, Shape::Packed, Shape::Cbor] {
            for len in [0, 8, 10, 257, 258, 259, 65_538, 65_539, 70_001] {
                let mut out = Vec::new();
                let body = Payloads::fill_shaped(&mut out, (Kind::Binary, len, shape), 77);
                assert_eq!((body.shape, body.len), (shape, len.max(shortest(shape))));
                assert_eq!(number(&out), Some(77));
                out.push(b'x');
                assert_eq!(super::shape(&out), Shape::Plain);
            }
        }
    }
}
