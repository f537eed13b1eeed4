//! Every Rust file begins with `//!`, saying what it owns and what it never does. Whether what it
//! says is true stays a reader's judgement.

use crate::Complaint;
use crate::tree::File;

/// Fewer words than this say nothing ("the tests", "types").
const HEADER_WORDS_MIN: usize = 5;

/// Complaints about files that do not introduce themselves.
#[must_use]
pub fn silent_files(files: &[File]) -> Vec<Complaint> {
    files
        .iter()
        .filter(|file| file.is_rust() && header_words(&file.text) < HEADER_WORDS_MIN)
        .map(|file| {
            Complaint::new(
                &file.path,
                1,
                "begins without `//!` lines that say what it owns and never does",
            )
        })
        .collect()
}

fn header_words(text: &str) -> usize {
    text.lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(|line| line.split_whitespace().count())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::silent_files;
    use crate::tree::File;

    fn complaints(text: &str) -> usize {
        silent_files(&[File::new("a/src/room.rs", text)]).len()
    }

    #[test]
    fn a_file_that_does_not_introduce_itself_is_caught() {
        assert_eq!(
            complaints("use std::fmt;\n//! Owns rooms and never sockets."),
            1
        );
        assert_eq!(complaints("\n//! Owns rooms and never their sockets."), 1);
        assert_eq!(complaints("//! Rooms.\n"), 1);
        assert_eq!(complaints("//! Owns rooms; never\n//! their sockets.\n"), 0);
    }
}
