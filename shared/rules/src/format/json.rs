//! JSON (RFC 8259), walked over: nothing is built, and nothing allocated. Says
//! nothing about keys that stand twice: the grammar allows them.

use super::MESSAGE_DEPTH_MAX;
use super::cursor::{Cursor, Malformed};

/// Whether a message is one JSON value.
pub(super) fn is_valid(message: &[u8]) -> bool {
    core::str::from_utf8(message).is_ok() && text(Cursor::new(message)).is_ok()
}

fn text(mut rest: Cursor<'_>) -> Result<(), Malformed> {
    value(&mut rest, MESSAGE_DEPTH_MAX)?;
    space(&mut rest);
    if rest.is_at_end() {
        Ok(())
    } else {
        Err(Malformed)
    }
}

fn value(rest: &mut Cursor<'_>, depth_left: u32) -> Result<(), Malformed> {
    space(rest);
    match rest.peek().ok_or(Malformed)? {
        b'{' => sequence(rest, depth_left, b'}', |rest, depth_left| {
            space(rest);
            string(rest)?;
            space(rest);
            literal(rest, b":")?;
            value(rest, depth_left)
        }),
        b'[' => sequence(rest, depth_left, b']', value),
        b'"' => string(rest),
        b't' => literal(rest, b"true"),
        b'f' => literal(rest, b"false"),
        b'n' => literal(rest, b"null"),
        _ => number(rest),
    }
}

/// An object's members or an array's values, between their brackets.
fn sequence(
    rest: &mut Cursor<'_>,
    depth_left: u32,
    end: u8,
    item: impl Fn(&mut Cursor<'_>, u32) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let depth_left = depth_left.checked_sub(1).ok_or(Malformed)?;
    rest.byte()?;
    space(rest);
    if rest.peek() == Some(end) {
        rest.byte()?;
        return Ok(());
    }
    loop {
        item(rest, depth_left)?;
        space(rest);
        match rest.byte()? {
            b',' => {}
            byte if byte == end => return Ok(()),
            _ => return Err(Malformed),
        }
    }
}

fn string(rest: &mut Cursor<'_>) -> Result<(), Malformed> {
    literal(rest, b"\"")?;
    loop {
        rest.take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f));
        match rest.byte()? {
            b'"' => return Ok(()),
            b'\\' => escape(rest)?,
            _ => return Err(Malformed),
        }
    }
}

fn escape(rest: &mut Cursor<'_>) -> Result<(), Malformed> {
    match rest.byte()? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
        b'u' if rest.bytes(4)?.iter().all(u8::is_ascii_hexdigit) => Ok(()),
        _ => Err(Malformed),
    }
}

fn number(rest: &mut Cursor<'_>) -> Result<(), Malformed> {
    if rest.peek() == Some(b'-') {
        rest.byte()?;
    }
    if rest.peek() == Some(b'0') {
        rest.byte()?;
    } else {
        digits(rest)?;
    }
    if rest.peek() == Some(b'.') {
        rest.byte()?;
        digits(rest)?;
    }
    if matches!(rest.peek(), Some(b'e' | b'E')) {
        rest.byte()?;
        if matches!(rest.peek(), Some(b'+' | b'-')) {
            rest.byte()?;
        }
        digits(rest)?;
    }
    Ok(())
}

fn digits(rest: &mut Cursor<'_>) -> Result<(), Malformed> {
    match rest.take_while(|byte| byte.is_ascii_digit()) {
        0 => Err(Malformed),
        _ => Ok(()),
    }
}

fn literal(rest: &mut Cursor<'_>, literal: &[u8]) -> Result<(), Malformed> {
    if rest.bytes(literal.len() as u64)? == literal {
        Ok(())
    } else {
        Err(Malformed)
    }
}

fn space(rest: &mut Cursor<'_>) {
    rest.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn nested(depth: u32) -> String {
        let brackets = |bracket: &str| bracket.repeat(depth as usize);
        brackets("[") + &brackets("]")
    }

    #[test]
    fn what_the_grammar_says_is_taken_and_nothing_else() {
        for text in [
            "0",
            "-0.5e+10",
            "1E400",
            "\"\"",
            r#""\u00e9\ud800\n""#,
            " [ ] ",
            "{}",
            "true",
            r#"{"a":1,"a":[null,false,{"b":"c"}]}"#,
            "\t[1, 2]\r\n",
        ] {
            assert!(is_valid(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            " ",
            "01",
            "+1",
            "1.",
            ".5",
            "1e",
            "--1",
            "tru",
            "truex",
            "'a'",
            "\"a",
            "\"\n\"",
            r#""\x""#,
            r#""\u12g4""#,
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "{\"a\":1,}",
            "[}",
            "1 2",
            "\u{feff}1",
            "NaN",
            "// 1\n1",
        ] {
            assert!(!is_valid(text.as_bytes()), "{text}");
        }
        assert!(!is_valid(b"\"\xff\""));
    }

    #[test]
    fn what_is_too_deep_is_refused_however_deep_it_is() {
        assert!(is_valid(nested(MESSAGE_DEPTH_MAX).as_bytes()));
        assert!(!is_valid(nested(MESSAGE_DEPTH_MAX + 1).as_bytes()));
        assert!(!is_valid(nested(100_000).as_bytes()));
        assert!(!is_valid("{\"a\":".repeat(100_000).as_bytes()));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = is_valid(&bytes);
        }

        #[test]
        fn it_agrees_with_another_parser(
            text in r#"[\[\]{}:,"\\ u0-9a-fA-Ftrnl.eE+-]{0,12}"#,
        ) {
            let other = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(is_valid(text.as_bytes()), other, "{}", text);
        }

        #[test]
        fn what_is_written_is_taken(
            numbers in prop::collection::vec(any::<f64>(), 0..9),
            words in prop::collection::vec(".{0,9}", 0..9),
        ) {
            let value = Value::from_iter([("numbers", Value::from(numbers)), ("words", words.into())]);
            prop_assert!(is_valid(value.to_string().as_bytes()));
        }
    }
}
