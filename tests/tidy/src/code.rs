//! A Rust file as tokens: words and single signs with their lines, without comments and without
//! what stands in strings. Knows just enough of the language to skip test code; it does not expand
//! macros, and never resolves a name, so a rule built on it sees what is written, not what is meant.

use crate::tree::File;
use std::collections::BTreeSet;

/// A word (name, keyword, number) or one sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// As written.
    pub text: &'a str,
    /// Line in the file, from 1.
    pub line: usize,
}

/// All tokens of a file, test code included.
#[must_use]
pub fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut reader = Reader {
        text,
        at: 0,
        line: 1,
        found: Vec::new(),
    };
    while reader.step() {}
    reader.found
}

/// The tokens that end up in the shipped program: [`tokens`] without items under `#[cfg(test)]`.
#[must_use]
pub fn shipped_tokens(text: &str) -> Vec<Token<'_>> {
    let all = tokens(text);
    let mut shipped = Vec::with_capacity(all.len());
    let mut at = 0;
    while at < all.len() {
        match test_attribute_end(&all[at..]) {
            Some(_) if all[at + 1].text == "!" => break,
            Some(length) => at = item_end(&all, at + length),
            None => {
                shipped.push(all[at]);
                at += 1;
            }
        }
    }
    shipped
}

/// Whether the tokens at the start of `tokens` are these words and signs. `::` is two signs.
#[must_use]
pub fn starts_with(tokens: &[Token<'_>], wanted: &[&str]) -> bool {
    tokens.len() >= wanted.len()
        && tokens
            .iter()
            .zip(wanted)
            .all(|(token, want)| token.text == *want)
}

/// The files, and directories ending in `/`, that are compiled for tests alone: integration tests,
/// and modules declared as `#[cfg(test)] mod name;`.
#[must_use]
pub fn test_places(files: &[File]) -> BTreeSet<String> {
    let mut places = BTreeSet::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let all = tokens(&file.text);
        for at in 0..all.len() {
            let Some(length) = test_attribute_end(&all[at..]) else {
                continue;
            };
            let item = &all[skip_attributes(&all, at + length)..];
            let item = &item[visibility_length(item)..];
            if let [first, name, last, ..] = item
                && (first.text, last.text) == ("mod", ";")
            {
                let place = child_place(&file.path, name.text);
                places.insert(format!("{place}.rs"));
                places.insert(format!("{place}/"));
            }
        }
    }
    places
}

/// Whether a file is only compiled for tests; `places` is what [`test_places`] found.
#[must_use]
pub fn is_test_only(path: &str, places: &BTreeSet<String>) -> bool {
    path.starts_with("tests/")
        || path.starts_with("benches/")
        || path.contains("/tests/")
        || path.contains("/benches/")
        || places.contains(path)
        || places
            .iter()
            .any(|place| place.ends_with('/') && path.starts_with(place.as_str()))
}

/// Where the module `name` declared in the file at `path` lives, without `.rs`.
fn child_place(path: &str, name: &str) -> String {
    let (directory, file) = path.rsplit_once('/').unwrap_or(("", path));
    match file {
        "lib.rs" | "main.rs" | "mod.rs" => format!("{directory}/{name}"),
        _ => format!("{}/{name}", path.trim_end_matches(".rs")),
    }
}

/// How many tokens the attribute at the start takes, if it is `#[cfg(test)]` or `#![cfg(test)]`,
/// `all(test, …)` included and `not(test)` not.
fn test_attribute_end(tokens: &[Token<'_>]) -> Option<usize> {
    let open = match tokens {
        [hash, bracket, ..] if (hash.text, bracket.text) == ("#", "[") => 1,
        [hash, bang, bracket, ..] if (hash.text, bang.text, bracket.text) == ("#", "!", "[") => 2,
        _ => return None,
    };
    let end = closing(tokens, open)?;
    let inside = &tokens[open + 1..end];
    let is_test = starts_with(inside, &["cfg", "(", "test", ")"])
        || starts_with(inside, &["cfg", "(", "all", "(", "test"]);
    is_test.then_some(end + 1)
}

/// Where the item that starts at `at` ends: past its block, or past its `;`.
fn item_end(tokens: &[Token<'_>], at: usize) -> usize {
    let mut at = skip_attributes(tokens, at);
    while at < tokens.len() {
        match tokens[at].text {
            ";" => return at + 1,
            "{" => return closing(tokens, at).map_or(tokens.len(), |end| end + 1),
            "(" | "[" => at = closing(tokens, at).map_or(tokens.len(), |end| end + 1),
            _ => at += 1,
        }
    }
    at
}

fn skip_attributes(tokens: &[Token<'_>], mut at: usize) -> usize {
    while at < tokens.len() && starts_with(&tokens[at..], &["#", "["]) {
        at = closing(tokens, at + 1).map_or(tokens.len(), |end| end + 1);
    }
    at
}

fn visibility_length(tokens: &[Token<'_>]) -> usize {
    if !starts_with(tokens, &["pub"]) {
        0
    } else if starts_with(&tokens[1..], &["("]) {
        closing(tokens, 1).map_or(1, |end| end + 1)
    } else {
        1
    }
}

/// Where the bracket opened at `open` is closed.
pub(crate) fn closing(tokens: &[Token<'_>], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// Walks a file once, remembering the line.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    found: Vec<Token<'a>>,
}

impl<'a> Reader<'a> {
    /// Reads one token, comment, string or space; false at the end.
    fn step(&mut self) -> bool {
        let rest = &self.text[self.at..];
        let Some(first) = rest.chars().next() else {
            return false;
        };
        if rest.starts_with("//") {
            self.advance(rest.find('\n').unwrap_or(rest.len()));
        } else if rest.starts_with("/*") {
            self.advance(block_comment_length(rest));
        } else if let Some(length) = string_length(rest) {
            self.advance(length);
        } else if first == '\'' {
            self.advance(quote_length(rest));
        } else if is_word(first) {
            self.push(rest.find(|sign| !is_word(sign)).unwrap_or(rest.len()));
        } else if first.is_whitespace() {
            self.advance(first.len_utf8());
        } else {
            self.push(first.len_utf8());
        }
        true
    }

    fn push(&mut self, length: usize) {
        let text: &'a str = &self.text[self.at..self.at + length];
        self.found.push(Token {
            text,
            line: self.line,
        });
        self.advance(length);
    }

    fn advance(&mut self, length: usize) {
        let passed = &self.text[self.at..self.at + length];
        self.line += passed.matches('\n').count();
        self.at += length;
    }
}

fn is_word(sign: char) -> bool {
    sign.is_alphanumeric() || sign == '_'
}

/// Comments nest in Rust.
fn block_comment_length(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest[at..];
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// How long the string at the start is: plain, byte, C or raw, quotes included.
fn string_length(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        rest.strip_prefix(prefix)
            .is_some_and(|after| after.starts_with(['"', '#']))
    })?;
    let after = &rest[prefix.len()..];
    let hashes = after.len() - after.trim_start_matches('#').len();
    if !after[hashes..].starts_with('"') || (hashes > 0 && !prefix.ends_with('r')) {
        return None;
    }
    let body = prefix.len() + hashes + 1;
    if prefix.ends_with('r') {
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(
            rest[body..]
                .find(&end)
                .map_or(rest.len(), |found| body + found + end.len()),
        );
    }
    let mut escaped = false;
    for (at, sign) in rest[body..].char_indices() {
        match sign {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(body + at + 1),
            _ => {}
        }
    }
    Some(rest.len())
}

/// A character such as `'x'` or `'\''`; for a lifetime the quote alone, its name being a word.
fn quote_length(rest: &str) -> usize {
    let mut signs = rest.char_indices().skip(1);
    match signs.next() {
        Some((_, '\\')) => {
            let _escaped = signs.next();
            signs
                .find(|(_, sign)| *sign == '\'')
                .map_or(rest.len(), |(at, _)| at + 1)
        }
        Some(_) => match signs.next() {
            Some((at, '\'')) => at + 1,
            _ => 1,
        },
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::{is_test_only, shipped_tokens, test_places, tokens};
    use crate::tree::File;

    fn words(text: &str) -> Vec<&str> {
        tokens(text).iter().map(|token| token.text).collect()
    }

    fn shipped(text: &str) -> Vec<&str> {
        shipped_tokens(text)
            .iter()
            .map(|token| token.text)
            .collect()
    }

    #[test]
    fn comments_and_strings_hold_no_tokens() {
        assert_eq!(words("a // b\n/* c /* d */ e */ f"), ["a", "f"]);
        assert_eq!(words(r##"a "b \" c" r#"d " e"# b"f" cr"g" h"##), ["a", "h"]);
        assert_eq!(
            words(r"'x' '\'' '\u{41}' 'ä' &'static str"),
            ["&", "static", "str"]
        );
        assert_eq!(words("r#async b'x' br"), ["r", "#", "async", "b", "br"]);
    }

    #[test]
    fn a_token_knows_its_line() {
        let found = tokens("a\n\"b\nc\"\n/*\n*/ d");
        assert_eq!(
            found.iter().map(|token| token.line).collect::<Vec<_>>(),
            [1, 5]
        );
    }

    #[test]
    fn test_code_is_not_shipped() {
        assert_eq!(
            shipped("a; #[cfg(test)] mod tests { fn b() {} } c"),
            ["a", ";", "c"]
        );
        assert_eq!(shipped("#[cfg(test)] #[path = \"x\"] mod t; d"), ["d"]);
        assert_eq!(
            shipped("#[cfg(all(test, unix))] fn f(a: [u8; 2]) -> A { x } e"),
            ["e"]
        );
        assert_eq!(shipped("#![cfg(test)] everything"), [""; 0]);
        assert!(shipped("#[cfg(not(test))] fn f() {}").contains(&"f"));
    }

    #[test]
    fn a_module_declared_for_tests_is_a_test_place() {
        let places = test_places(&[
            File::new(
                "a/src/lib.rs",
                "mod room;\n#[cfg(test)]\npub(crate) mod world;",
            ),
            File::new("a/src/room.rs", "#[cfg(test)] mod tests;"),
        ]);
        assert!(is_test_only("a/src/world.rs", &places));
        assert!(is_test_only("a/src/world/link.rs", &places));
        assert!(is_test_only("a/src/room/tests.rs", &places));
        assert!(is_test_only("a/tests/all.rs", &places));
        assert!(!is_test_only("a/src/room.rs", &places));
    }
}
