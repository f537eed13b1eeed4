//! Filters of listings: terms joined by `AND`, each a field, `=` and a value. Owns
//! the grammar, which is read into terms and never into SQL; knows no field.

use super::error::ApiError;

/// The most bytes of a filter.
const FILTER_BYTES_MAX: usize = 1024;
/// The most terms.
const TERMS_MAX: usize = 8;
/// The most bytes of a field.
const FIELD_BYTES_MAX: usize = 96;

/// One thing that must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) field: String,
    pub(crate) value: Value,
}

/// What a field must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// What stood in quotes.
    Text(String),
}

/// Reads a filter; empty: no terms, so all there is.
///
/// # Errors
///
/// A filter that is too long, or not of the grammar: says at which byte.
pub(crate) fn read(text: &str) -> Result<Vec<Term>, ApiError> {
    if text.len() > FILTER_BYTES_MAX {
        let rule = format!("at most {FILTER_BYTES_MAX} bytes");
        return Err(ApiError::field("filter", rule));
    }
    let mut rest = text.trim();
    let mut terms = Vec::new();
    while !rest.is_empty() {
        let at = text.trim_end().len() - rest.len();
        let (term, after) = term(rest).ok_or_else(|| malformed(at))?;
        terms.push(term);
        if terms.len() > TERMS_MAX {
            let rule = format!("at most {TERMS_MAX} terms");
            return Err(ApiError::field("filter", rule));
        }
        let after = after.trim_start();
        if after.is_empty() {
            break;
        }
        let at = text.trim_end().len() - after.len();
        rest = after
            .strip_prefix("AND ")
            .map(str::trim_start)
            .filter(|rest| !rest.is_empty())
            .ok_or_else(|| malformed(at))?;
    }
    Ok(terms)
}

fn malformed(at: usize) -> ApiError {
    let rule = format!(
        "not understood at byte {at}: terms joined by AND, each FIELD = true, FIELD = false or \
         FIELD = \"TEXT\""
    );
    ApiError::field("filter", rule)
}

/// The term at the start, and what comes after it.
fn term(text: &str) -> Option<(Term, &str)> {
    let in_field = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'/');
    let end = text.bytes().position(|byte| !in_field(byte))?;
    let (field, rest) = text.split_at(end);
    if field.is_empty() || field.len() > FIELD_BYTES_MAX {
        return None;
    }
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let (value, rest) = value(rest)?;
    let field = field.to_owned();
    Some((Term { field, value }, rest))
}

fn value(text: &str) -> Option<(Value, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(' ').unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        return match word {
            "true" => Some((Value::Bool(true), rest)),
            "false" => Some((Value::Bool(false), rest)),
            _ => None,
        };
    };
    let mut value = String::new();
    let mut signs = quoted.char_indices();
    while let Some((at, sign)) = signs.next() {
        match sign {
            '"' => return Some((Value::Text(value), &quoted[at + 1..])),
            '\\' => match signs.next()?.1 {
                escaped @ ('"' | '\\') => value.push(escaped),
                _ => return None,
            },
            // Postgres keeps none in text.
            '\0' => return None,
            plain => value.push(plain),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(field: &str, value: &str) -> Term {
        Term {
            field: field.into(),
            value: Value::Text(value.into()),
        }
    }

    #[test]
    fn terms_are_read_in_order() {
        assert_eq!(read(""), Ok(vec![]));
        let disabled = Term {
            field: "disabled".into(),
            value: Value::Bool(true),
        };
        assert_eq!(
            read(r#"  disabled = true AND labels.a/b="x AND \"y\\" "#),
            Ok(vec![disabled, text("labels.a/b", r#"x AND "y\"#)])
        );
        assert_eq!(
            read("username = \"'; DROP TABLE users --\""),
            Ok(vec![text("username", "'; DROP TABLE users --")])
        );
    }

    #[test]
    fn what_is_not_of_the_grammar_is_refused_where_it_begins() {
        for (filter, at) in [
            ("disabled", 0),
            ("disabled = yes", 0),
            ("= true", 0),
            ("disabled = true OR a = true", 16),
            ("disabled = true AND ", 16),
            ("disabled = true AND  a == true", 21),
            ("a = \"open", 0),
            (r#"a = "\n""#, 0),
            ("a = \"\0\"", 0),
            ("A = true", 0),
        ] {
            let Err(ApiError::Field { field, rule }) = read(filter) else {
                panic!("{filter:?} was taken");
            };
            assert_eq!(field, "filter");
            assert!(rule.contains(&format!("byte {at}:")), "{filter:?}: {rule}");
        }
    }

    #[test]
    fn a_filter_is_bounded() {
        let term = "a = true";
        assert!(read(&[term; TERMS_MAX].join(" AND ")).is_ok());
        assert!(read(&[term; TERMS_MAX + 1].join(" AND ")).is_err());
        assert!(read(&format!("a = \"{}\"", "x".repeat(FILTER_BYTES_MAX))).is_err());
        assert!(read(&format!("{} = true", "f".repeat(FIELD_BYTES_MAX + 1))).is_err());
    }
}
