//! `MessagePack`, walked over: one value and nothing after it. Never looks into
//! strings or extensions.

use super::MESSAGE_DEPTH_MAX;
use super::cursor::{Cursor, Malformed};

/// Whether a message is one `MessagePack` value.
pub(super) fn is_valid(message: &[u8]) -> bool {
    let mut rest = Cursor::new(message);
    value(&mut rest, MESSAGE_DEPTH_MAX).is_ok() && rest.is_at_end()
}

/// What stands behind a value's first byte.
enum Body {
    /// Bytes that mean nothing to a walker.
    Bytes(u64),
    /// So many values.
    Values(u64),
}

fn value(rest: &mut Cursor<'_>, depth_left: u32) -> Result<(), Malformed> {
    match body(rest)? {
        Body::Bytes(count) => rest.bytes(count).map(|_| ()),
        Body::Values(count) => {
            let depth_left = depth_left.checked_sub(1).ok_or(Malformed)?;
            // Each takes a byte at least, so a lie about their number ends early.
            (0..count).try_for_each(|_| value(rest, depth_left))
        }
    }
}

/// The specification's table of formats.
fn body(rest: &mut Cursor<'_>) -> Result<Body, Malformed> {
    let first = rest.byte()?;
    Ok(match first {
        0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => Body::Bytes(0),
        0x80..=0x8f => Body::Values(2 * u64::from(first & 0x0f)),
        0x90..=0x9f => Body::Values(u64::from(first & 0x0f)),
        0xa0..=0xbf => Body::Bytes(u64::from(first & 0x1f)),
        0xc1 => return Err(Malformed),
        // Binary and strings, by their length in 1, 2 or 4 bytes.
        0xc4..=0xc6 => Body::Bytes(rest.number(1 << (first - 0xc4))?),
        0xd9..=0xdb => Body::Bytes(rest.number(1 << (first - 0xd9))?),
        // Extensions: their type is one byte more.
        0xc7..=0xc9 => Body::Bytes(rest.number(1 << (first - 0xc7))? + 1),
        0xd4..=0xd8 => Body::Bytes((1 << (first - 0xd4)) + 1),
        // Floats of 4 and 8 bytes, integers of 1 to 8.
        0xca | 0xcb => Body::Bytes(4 << (first - 0xca)),
        0xcc..=0xcf => Body::Bytes(1 << (first - 0xcc)),
        0xd0..=0xd3 => Body::Bytes(1 << (first - 0xd0)),
        0xdc | 0xdd => Body::Values(rest.number(2 << (first - 0xdc))?),
        0xde | 0xdf => Body::Values(2 * rest.number(2 << (first - 0xde))?),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_format_of_the_table_is_taken() {
        for message in [
            &[0x7f][..],
            &[0xe0],
            &[0xff],
            &[0xc0],
            &[0xc2],
            &[0xc3],
            &[0x80],
            &[0x90],
            &[0xa0],
            &[0x81, 0xa1, b'a', 1],
            &[0x92, 1, 0xc0],
            &[0xa2, b'h', b'i'],
            &[0xc4, 1, 0],
            &[0xc5, 0, 1, 0],
            &[0xc6, 0, 0, 0, 1, 0],
            &[0xc7, 1, 9, 0],
            &[0xc8, 0, 1, 9, 0],
            &[0xc9, 0, 0, 0, 1, 9, 0],
            &[0xca, 0, 0, 0, 0],
            &[0xcb, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0xcc, 0],
            &[0xcd, 0, 0],
            &[0xce, 0, 0, 0, 0],
            &[0xcf, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0xd0, 0],
            &[0xd1, 0, 0],
            &[0xd2, 0, 0, 0, 0],
            &[0xd3, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0xd4, 9, 0],
            &[0xd5, 9, 0, 0],
            &[0xd6, 9, 0, 0, 0, 0],
            &[0xd9, 1, b'a'],
            &[0xda, 0, 1, b'a'],
            &[0xdb, 0, 0, 0, 1, b'a'],
            &[0xdc, 0, 1, 0],
            &[0xdd, 0, 0, 0, 1, 0],
            &[0xde, 0, 1, 0, 0],
            &[0xdf, 0, 0, 0, 1, 0, 0],
        ] {
            assert!(is_valid(message), "{message:x?}");
            assert!(
                !is_valid(&message[..message.len() - 1]),
                "cut: {message:x?}"
            );
            assert!(
                !is_valid(&[message, &[0]].concat()),
                "one more: {message:x?}"
            );
        }
        assert!(is_valid(&[&[0xd8, 9][..], &[0; 16]].concat()));
        assert!(!is_valid(&[0xc1]));
    }

    #[test]
    fn a_lie_about_the_length_is_refused_at_once() {
        assert!(!is_valid(&[0xdd, 0xff, 0xff, 0xff, 0xff]));
        assert!(!is_valid(&[0xdf, 0xff, 0xff, 0xff, 0xff, 0]));
        assert!(!is_valid(&[0xc6, 0xff, 0xff, 0xff, 0xff]));
    }

    #[test]
    fn what_is_too_deep_is_refused_however_deep_it_is() {
        let nested = |depth: usize| [vec![0x91; depth], vec![0xc0]].concat();
        assert!(is_valid(&nested(MESSAGE_DEPTH_MAX as usize)));
        assert!(!is_valid(&nested(MESSAGE_DEPTH_MAX as usize + 1)));
        assert!(!is_valid(&nested(100_000)));
    }

    /// A value as it is written, of at most 4 levels.
    fn written() -> impl Strategy<Value = Vec<u8>> {
        let leaf = prop_oneof![
            (0_u8..0x80).prop_map(|number| vec![number]),
            any::<u64>().prop_map(|number| [&[0xcf][..], &number.to_be_bytes()].concat()),
            "[a-z]{0,31}".prop_map(|text| {
                let first = 0xa0 | u8::try_from(text.len()).expect("short");
                [&[first][..], text.as_bytes()].concat()
            }),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop::collection::vec(inner, 0..16).prop_map(|values| {
                let first = 0x90 | u8::try_from(values.len()).expect("short");
                [vec![first], values.concat()].concat()
            })
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
