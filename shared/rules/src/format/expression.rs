//! Text that a regular expression matches whole, in linear time. Owns how large
//! one may be; never searches within a message.

use regex::{Regex, RegexBuilder};

use crate::compile::RuleFault;

/// The longest expression, in bytes.
pub(super) const EXPRESSION_BYTES_MAX: usize = 4 * 1024;

/// The most that one expression may take compiled, in bytes.
pub(super) const PROGRAM_BYTES_MAX: usize = 256 * 1024;

/// The most that one expression may take for what it found out while matching,
/// in bytes.
pub(super) const CACHE_BYTES_MAX: usize = 1024 * 1024;

/// A room's expression, compiled.
#[derive(Debug)]
pub(crate) struct Expression(Regex);

impl Expression {
    pub(super) fn compile(expression: &str) -> Result<Self, RuleFault> {
        let fault = |needed: String| RuleFault::new("messages.format.expression", needed);
        if expression.is_empty() || expression.len() > EXPRESSION_BYTES_MAX {
            return Err(fault(format!("1 to {EXPRESSION_BYTES_MAX} bytes")));
        }
        // Alone first: what is no expression by itself must not become one between anchors.
        build(expression).map_err(|error| fault(needed(&error)))?;
        build(&format!(r"\A(?:{expression})\z"))
            .map(Self)
            .map_err(|error| fault(needed(&error)))
    }

    pub(super) fn is_match(&self, message: &[u8]) -> bool {
        core::str::from_utf8(message).is_ok_and(|text| self.0.is_match(text))
    }
}

fn build(expression: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(expression)
        .size_limit(PROGRAM_BYTES_MAX)
        .dfa_size_limit(CACHE_BYTES_MAX)
        .build()
}

/// What is wrong with an expression, in one line.
fn needed(error: &regex::Error) -> String {
    if let regex::Error::CompiledTooBig(bytes) = error {
        return format!("an expression that takes at most {bytes} bytes compiled");
    }
    let reason = error.to_string();
    let last = reason.lines().last().unwrap_or_default();
    format!(
        "a regular expression: {}",
        last.trim_start_matches("error: ")
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(expression: &str) -> String {
        let fault = Expression::compile(expression).expect_err("refused");
        assert_eq!(fault.field, "messages.format.expression");
        fault.needed.into_owned()
    }

    #[test]
    fn a_message_is_matched_whole() {
        let room = Expression::compile("[a-z]+|[0-9]{2}").expect("an expression");
        for (message, matches) in [
            ("hello", true),
            ("42", true),
            ("hello ", false),
            ("4", false),
            ("423", false),
            ("hello\n", false),
            ("", false),
        ] {
            assert_eq!(room.is_match(message.as_bytes()), matches, "{message:?}");
        }
        assert!(!room.is_match(b"\xff"));
    }

    #[test]
    fn an_expression_cannot_leave_its_anchors() {
        assert!(refused("a)|(?:b").starts_with("a regular expression: "));
        let lines = Expression::compile("(?m)^a$").expect("an expression");
        assert!(lines.is_match(b"a") && !lines.is_match(b"a\na"));
    }

    #[test]
    fn what_would_cost_too_much_is_refused_when_it_is_written() {
        assert!(refused(r"\w{2000}{50}").contains("262144 bytes"));
        assert!(refused(&"a".repeat(EXPRESSION_BYTES_MAX + 1)).contains("4096 bytes"));
        assert!(refused("").contains("1 to"));
        // Neither can be matched in linear time.
        assert_eq!(
            refused(r"(a)\1"),
            "a regular expression: backreferences are not supported"
        );
        assert!(refused("(?=a)").contains("look-around"));
    }

    #[test]
    fn catastrophic_expressions_are_not() {
        let room = Expression::compile("(a*)*b").expect("an expression");
        assert!(!room.is_match("a".repeat(1024 * 1024).as_bytes()));
    }

    proptest! {
        #[test]
        fn no_expression_and_no_bytes_make_it_panic(expression: String, bytes: Vec<u8>) {
            if let Ok(room) = Expression::compile(&expression) {
                let _ = room.is_match(&bytes);
            }
        }

        #[test]
        fn what_is_written_out_matches_itself(text in ".{1,40}") {
            let room = Expression::compile(&regex::escape(&text)).expect("an expression");
            prop_assert!(room.is_match(text.as_bytes()));
        }
    }
}
