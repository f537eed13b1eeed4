//! CBOR (RFC 8949), walked over: one well-formed data item (appendix C) and
//! nothing after it, its text strings UTF-8. Never builds an item.

use super::MESSAGE_DEPTH_MAX;
use super::cursor::{Cursor, Malformed};

/// Whether a message is one CBOR data item.
pub(super) fn is_valid(message: &[u8]) -> bool {
    let mut rest = Cursor::new(message);
    item(&mut rest, MESSAGE_DEPTH_MAX).is_ok() && rest.is_at_end()
}

/// Ends what has no length of its own.
const BREAK: u8 = 0xff;

/// What kind of string stands behind a head.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    Bytes,
    Utf8,
}

/// A head's argument: a number, or that the end is marked.
enum Argument {
    Number(u64),
    Indefinite,
}

fn item(rest: &mut Cursor<'_>, depth_left: u32) -> Result<(), Malformed> {
    use Argument::Number;
    let first = rest.byte()?;
    let argument = argument(rest, first & 0x1f)?;
    match (first >> 5, argument) {
        (0 | 1, Number(_)) => Ok(()),
        (2, argument) => string(rest, &argument, Text::Bytes, 2),
        (3, argument) => string(rest, &argument, Text::Utf8, 3),
        (4, argument) => items(rest, depth_left, &argument, 1),
        (5, argument) => items(rest, depth_left, &argument, 2),
        (6, Number(_)) => item(rest, deeper(depth_left)?),
        // A simple value in a byte of its own is none of those in the head.
        (7, Number(value)) if first & 0x1f != 24 || value >= 32 => Ok(()),
        _ => Err(Malformed),
    }
}

fn deeper(depth_left: u32) -> Result<u32, Malformed> {
    depth_left.checked_sub(1).ok_or(Malformed)
}

fn argument(rest: &mut Cursor<'_>, short: u8) -> Result<Argument, Malformed> {
    match short {
        0..24 => Ok(Argument::Number(short.into())),
        24..28 => rest.number(1 << (short - 24)).map(Argument::Number),
        31 => Ok(Argument::Indefinite),
        _ => Err(Malformed),
    }
}

fn string(
    rest: &mut Cursor<'_>,
    argument: &Argument,
    text: Text,
    major: u8,
) -> Result<(), Malformed> {
    match argument {
        Argument::Number(count) => {
            let bytes = rest.bytes(*count)?;
            let valid = text == Text::Bytes || core::str::from_utf8(bytes).is_ok();
            if valid { Ok(()) } else { Err(Malformed) }
        }
        // Pieces of the same kind, each with its length.
        Argument::Indefinite => loop {
            let first = rest.byte()?;
            if first == BREAK {
                return Ok(());
            }
            match self::argument(rest, first & 0x1f)? {
                Argument::Number(count) if first >> 5 == major => {
                    string(rest, &Argument::Number(count), text, major)?;
                }
                Argument::Number(_) | Argument::Indefinite => return Err(Malformed),
            }
        },
    }
}

/// An array's items, or a map's, which come in pairs.
fn items(
    rest: &mut Cursor<'_>,
    depth_left: u32,
    argument: &Argument,
    each: u64,
) -> Result<(), Malformed> {
    let depth_left = deeper(depth_left)?;
    match argument {
        // Each takes a byte at least, so a lie about their number ends early.
        Argument::Number(count) => {
            let count = count.checked_mul(each).ok_or(Malformed)?;
            (0..count).try_for_each(|_| item(rest, depth_left))
        }
        Argument::Indefinite => {
            while rest.peek() != Some(BREAK) {
                (0..each).try_for_each(|_| item(rest, depth_left))?;
            }
            rest.byte().map(|_| ())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(digits: &str) -> Vec<u8> {
        let digit = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal");
        (0..digits.len()).step_by(2).map(digit).collect()
    }

    #[test]
    fn the_examples_of_the_rfc_are_taken() {
        // RFC 8949, appendix A.
        for digits in [
            "00",
            "17",
            "1818",
            "1903e8",
            "1a000f4240",
            "1b000000e8d4a51000",
            "20",
            "3903e7",
            "c249010000000000000000",
            "f90000",
            "fa47c35000",
            "fb3ff199999999999a",
            "f4",
            "f6",
            "f7",
            "f0",
            "f8ff",
            "c11a514b67b0",
            "d74401020304",
            "40",
            "4401020304",
            "60",
            "62c3bc",
            "80",
            "83010203",
            "8301820203820405",
            "a0",
            "a201020304",
            "a26161016162820203",
            "5f42010243030405ff",
            "7f657374726561646d696e67ff",
            "9fff",
            "9f018202039f0405ffff",
            "83018202039f0405ff",
            "bf61610161629f0203ffff",
            "826161bf61626163ff",
        ] {
            let message = bytes(digits);
            assert!(is_valid(&message), "{digits}");
            assert!(!is_valid(&message[..message.len() - 1]), "cut: {digits}");
            assert!(
                !is_valid(&[&message[..], &[0]].concat()),
                "one more: {digits}"
            );
        }
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        // RFC 8949, appendix F.
        for digits in [
            "18",
            "1901",
            "a1",
            "a101",
            "c0",
            "5f",
            "5f4100",
            "7f6100",
            "9f",
            "9f0102",
            "bf",
            "bf0102",
            "819f",
            "1c",
            "1d",
            "1e",
            "3c",
            "5c",
            "7d",
            "9e",
            "bc",
            "dd",
            "fc",
            "fd",
            "fe",
            "f800",
            "f81f",
            "5f00ff",
            "5f21ff",
            "5f6100ff",
            "5f80ff",
            "7f4100ff",
            "5f5f4100ffff",
            "7f7f6100ffff",
            "ff",
            "81ff",
            "8200ff",
            "a1ff",
            "a100ff",
            "9fff00ff",
            "bf00ff",
            "bf000000ff",
            "1f",
            "3f",
            "df",
            "61ff",
            "7f61ff",
            "9bffffffffffffffff",
            "bbffffffffffffffff",
            "5bffffffffffffffff",
        ] {
            assert!(!is_valid(&bytes(digits)), "{digits}");
        }
        assert!(!is_valid(&[]));
    }

    #[test]
    fn what_is_too_deep_is_refused_however_deep_it_is() {
        for outer in [&[0x81][..], &[0xc1], &[0x9f]] {
            let nested = |depth: u32| {
                let ends: &[u8] = if outer == [0x9f] { &[BREAK] } else { &[] };
                [
                    &outer.repeat(depth as usize)[..],
                    &[0],
                    &ends.repeat(depth as usize),
                ]
                .concat()
            };
            assert!(is_valid(&nested(MESSAGE_DEPTH_MAX)), "{outer:x?}");
            assert!(!is_valid(&nested(MESSAGE_DEPTH_MAX + 1)), "{outer:x?}");
            assert!(!is_valid(&nested(100_000)), "{outer:x?}");
        }
    }

    /// An item as it is written, of at most 4 levels.
    fn written() -> impl Strategy<Value = Vec<u8>> {
        let head = |major: u8, length: usize| major << 5 | u8::try_from(length).expect("short");
        let leaf = prop_oneof![
            any::<u64>().prop_map(|number| [&[0x1b][..], &number.to_be_bytes()].concat()),
            any::<f64>().prop_map(|number| [&[0xfb][..], &number.to_be_bytes()].concat()),
            ".{0,4}".prop_map(move |text| [&[head(3, text.len())][..], text.as_bytes()].concat()),
        ];
        leaf.prop_recursive(4, 64, 8, move |inner| {
            prop::collection::vec(inner, 0..16)
                .prop_map(move |items| [vec![head(4, items.len())], items.concat()].concat())
        })
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = is_valid(&bytes);
        }

        #[test]
        fn what_is_written_is_taken(message in written()) {
            prop_assert!(is_valid(&message));
        }
    }
}
