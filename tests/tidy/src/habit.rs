//! Habits of the code: shipped code states an invariant instead of calling `unwrap`, a module is
//! named for the thing in it, and a lint is silenced with a reason. Judges words, never meaning.

use crate::Complaint;
use crate::code::{Token, closing, is_test_only, shipped_tokens, starts_with, test_places, tokens};
use crate::tree::File;

/// Names that say what kind of thing a module is, and not which.
const KINDS: [&str; 9] = [
    "common", "helper", "helpers", "manager", "managers", "misc", "types", "util", "utils",
];

/// Complaints about `unwrap()` in code that is not a test.
#[must_use]
pub fn unwraps(files: &[File]) -> Vec<Complaint> {
    let places = test_places(files);
    let mut complaints = Vec::new();
    for file in files
        .iter()
        .filter(|file| file.is_rust() && !is_test_only(&file.path, &places))
    {
        let shipped = shipped_tokens(&file.text);
        for at in 0..shipped.len() {
            if starts_with(&shipped[at..], &[".", "unwrap", "(", ")"]) {
                let message =
                    "`unwrap()`: say with `expect` why it cannot fail, or return the error";
                complaints.push(Complaint::new(&file.path, shipped[at].line, message));
            }
        }
    }
    complaints
}

/// Complaints about modules named for their kind, as files, directories or inline.
#[must_use]
pub fn modules_named_for_their_kind(files: &[File]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let parts = file.path.trim_end_matches(".rs").split('/');
        let in_path = parts
            .filter(|part| KINDS.contains(part))
            .map(|part| (0, part));
        let found = tokens(&file.text);
        let inline = found.windows(3).filter_map(|window| match window {
            [word, name, Token { text: "{", .. }] if word.text == "mod" => {
                Some((name.line, name.text))
            }
            _ => None,
        });
        for (line, name) in in_path.chain(inline.filter(|(_, name)| KINDS.contains(name))) {
            let message = format!("a module `{name}` is named for its kind: which thing is in it?");
            complaints.push(Complaint::new(&file.path, line, message));
        }
    }
    complaints
}

/// Complaints about `allow` and `expect` attributes that give no reason.
#[must_use]
pub fn silent_excuses(files: &[File]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let found = tokens(&file.text);
        for at in 0..found.len() {
            let here = &found[at..];
            let open = match here {
                _ if starts_with(here, &["#", "["]) => 1,
                _ if starts_with(here, &["#", "!", "["]) => 2,
                _ => continue,
            };
            let is_excuse = ["allow", "expect"]
                .iter()
                .any(|word| starts_with(&here[open + 1..], &[word, "("]));
            let end = closing(here, open).unwrap_or(here.len());
            if is_excuse && here[open..end].iter().all(|token| token.text != "reason") {
                let message = "a lint is silenced without `reason = \"…\"`";
                complaints.push(Complaint::new(&file.path, here[0].line, message));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::{modules_named_for_their_kind, silent_excuses, unwraps};
    use crate::tree::File;

    #[test]
    fn an_unwrap_in_shipped_code_is_caught() {
        let text = "fn f() { g().unwrap(); h().unwrap_or(1); }\n#[cfg(test)] mod tests { fn f() { g().unwrap() } }";
        assert_eq!(unwraps(&[File::new("a/src/lib.rs", text)]).len(), 1);
        assert!(unwraps(&[File::new("tests/e2e/src/lib.rs", text)]).is_empty());
    }

    #[test]
    fn a_module_named_for_its_kind_is_caught() {
        let complaints = |path, text| modules_named_for_their_kind(&[File::new(path, text)]).len();
        assert_eq!(complaints("a/src/utils.rs", ""), 1);
        assert_eq!(complaints("a/src/room/types/name.rs", ""), 1);
        assert_eq!(complaints("a/src/lib.rs", "mod helpers { fn f() {} }"), 1);
        assert_eq!(complaints("a/src/room.rs", "mod tests { fn f() {} }"), 0);
    }

    #[test]
    fn a_lint_silenced_without_a_reason_is_caught() {
        let complaints = |text| silent_excuses(&[File::new("a/src/lib.rs", text)]).len();
        assert_eq!(complaints("#[allow(dead_code)] fn f() {}"), 1);
        assert_eq!(complaints("#![expect(missing_docs)]"), 1);
        assert_eq!(
            complaints("#[expect(clippy::x, reason = \"a table\")] fn f() {}"),
            0
        );
        assert_eq!(complaints("#[must_use] fn f() { a.expect(\"b\") }"), 0);
    }
}
