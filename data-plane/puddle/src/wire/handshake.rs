//! What a `porthouse.raw.v1` client says before it starts: a JSON object in a
//! text frame. Owns how it is read; what it is told are events of
//! `porthouse.v1`. Anything else is no line, and nobody's message.

use std::borrow::Cow;

use porthouse_model::MessageKind;
use serde::Deserialize;

use super::multiplexed::Answer;
use crate::question::Secret;

/// The longest line.
const LINE_BYTES_MAX: usize = 4 * 1024;
/// The longest password, as in `porthouse.v1`.
const PASSWORD_BYTES_MAX: usize = 1024;
/// The longest code, as in `porthouse.v1`.
const CODE_BYTES_MAX: usize = 64;

/// A line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// The answer to what was asked.
    Answer(Answer),
    /// From here on raw frames.
    Start,
}

/// Its fields; a key given twice is no line.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    op: Cow<'a, str>,
    #[serde(borrow)]
    password: Option<Cow<'a, str>>,
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
}

/// Reads a frame, if it is a line.
pub(crate) fn read(kind: MessageKind, payload: &[u8]) -> Option<Line> {
    if kind != MessageKind::Text || payload.len() > LINE_BYTES_MAX {
        return None;
    }
    let fields: Fields<'_> = serde_json::from_slice(payload).ok()?;
    match (&*fields.op, fields.password, fields.code) {
        ("start", None, None) => Some(Line::Start),
        ("answer", Some(password), None) => {
            let password = secret(password, PASSWORD_BYTES_MAX)?;
            Some(Line::Answer(Answer::Password(password)))
        }
        ("answer", None, Some(code)) => {
            Some(Line::Answer(Answer::Code(secret(code, CODE_BYTES_MAX)?)))
        }
        _ => None,
    }
}

fn secret(text: Cow<'_, str>, bytes_max: usize) -> Option<Secret> {
    let valid = (1..=bytes_max).contains(&text.len()) && !text.contains('\0');
    valid.then(|| Secret::new(text.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &str) -> Option<Line> {
        read(MessageKind::Text, line.as_bytes())
    }

    #[test]
    fn start_and_answers_are_lines() {
        assert_eq!(text(r#"{"op":"start"}"#), Some(Line::Start));
        assert_eq!(
            text(r#"{"op":"answer","room":"a","password":"open \"sesame\""}"#),
            Some(Line::Answer(Answer::Password(Secret::new(
                "open \"sesame\"".into()
            ))))
        );
        assert_eq!(
            text(r#"{"op":"answer","code":"123456"}"#),
            Some(Line::Answer(Answer::Code(Secret::new("123456".into()))))
        );
    }

    #[test]
    fn anything_else_is_no_line() {
        let long = format!(r#"{{"op":"answer","password":"{}"}}"#, "a".repeat(1025));
        for line in [
            "",
            "start",
            r#"{"op":"start","op":"start"}"#,
            r#"{"op":"answer"}"#,
            r#"{"op":"answer","password":""}"#,
            r#"{"op":"answer","password":"a\u0000"}"#,
            r#"{"op":"answer","password":"a","code":"b"}"#,
            r#"["start"]"#,
            &long,
        ] {
            assert_eq!(text(line), None, "{line}");
        }
        assert_eq!(read(MessageKind::Binary, br#"{"op":"start"}"#), None);
    }
}
