//! The id of an event in a stream: which life of its room's offsets, and how far
//! in it, as `{epoch}-{offset}`. Owns the text, and no meaning: that somebody
//! shows an id proves nothing.

use crate::home::Stand;

/// What stands between the two numbers.
const BETWEEN: u8 = b'-';

/// Appends the line that gives an event this id.
pub(crate) fn line(stand: Stand, out: &mut Vec<u8>) {
    let Stand { epoch, offset } = stand;
    out.extend_from_slice(format!("id: {epoch}-{offset}\n").as_bytes());
}

/// Reads an id as it was given, and nothing that is written otherwise.
pub(crate) fn read(text: &[u8]) -> Option<Stand> {
    let between = text.iter().position(|byte| *byte == BETWEEN)?;
    let (epoch, offset) = (&text[..between], &text[between + 1..]);
    Some(Stand {
        epoch: number(epoch)?,
        offset: number(offset)?,
    })
}

/// A number in the fewest digits.
fn number(digits: &[u8]) -> Option<u64> {
    let is_short = digits == b"0" || !digits.starts_with(b"0");
    let is_number = is_short && digits.iter().all(u8::is_ascii_digit);
    let digits = is_number.then(|| core::str::from_utf8(digits).ok())??;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(stand: Stand) -> Vec<u8> {
        let mut out = Vec::new();
        line(stand, &mut out);
        let id = out.strip_prefix(b"id: ").expect("a field of its own");
        id.strip_suffix(b"\n").expect("a whole line").to_vec()
    }

    #[test]
    fn what_is_written_otherwise_is_no_id() {
        let known = Stand {
            epoch: 7,
            offset: 41,
        };
        assert_eq!(read(b"7-41"), Some(known));
        for text in [
            "",
            "-",
            "7",
            "7-",
            "-41",
            "7-41-",
            "7--41",
            "+7-41",
            "7-+41",
            "07-41",
            "7-041",
            "7 -41",
            " 7-41",
            "7-41 ",
            "7.41",
            "0x7-41",
            "७-41",
            "7-18446744073709551616",
            "99999999999999999999999999999999999999999-1",
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_id_is_read_as_it_was_written(epoch: u64, offset: u64) {
            let stand = Stand { epoch, offset };
            prop_assert_eq!(read(&written(stand)), Some(stand));
        }

        #[test]
        fn whatever_is_read_is_the_one_way_to_write_it(text in "[0-9+. -]{0,24}") {
            if let Some(stand) = read(text.as_bytes()) {
                prop_assert_eq!(written(stand), text.into_bytes());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }
    }
}
