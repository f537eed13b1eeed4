//! Files and functions stay short enough to be read in one go, and the shell around the puddle stays
//! thin. Clippy measures functions; here their exceptions are counted. Both counts of exceptions are
//! ratchets: they may only fall, and when they do, the new number must be written down, so that it
//! stays. Never judges how well a line is used.

use crate::Complaint;
use crate::code::{starts_with, tokens};
use crate::tree::File;

/// More lines than this and a Rust file is two files.
pub const FILE_LINES_MAX: usize = 600;

/// Files allowed to be longer, and how long they may be.
pub type LongFiles<'a> = &'a [(&'a str, usize)];

/// Complaints about files over the limit, and exceptions that are no longer needed or exact.
#[must_use]
pub fn long_files(files: &[File], exceptions: LongFiles<'_>) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let lines = file.text.lines().count();
        let excepted = exceptions.iter().find(|(path, _)| *path == file.path);
        let message = match excepted {
            None if lines > FILE_LINES_MAX => {
                format!(
                    "has {lines} lines, {FILE_LINES_MAX} are the limit: what are its two subjects?"
                )
            }
            Some((_, most)) if lines > *most => format!("has grown to {lines} lines from {most}"),
            Some(_) if lines <= FILE_LINES_MAX => "is short now: strike its exception".to_owned(),
            Some((_, most)) if lines < *most => {
                format!("lower its exception from {most} to {lines}")
            }
            None | Some(_) => continue,
        };
        complaints.push(Complaint::new(&file.path, 0, message));
    }
    let gone = |path: &str| files.iter().all(|file| file.path != path);
    complaints.extend(
        exceptions
            .iter()
            .filter(|(path, _)| gone(path))
            .map(|(path, _)| Complaint::new(path, 0, "is gone: strike its exception")),
    );
    complaints
}

/// Complaints about long functions that are hidden instead of excused, and about a count of excuses
/// that is not the one written down.
#[must_use]
pub fn long_functions(files: &[File], excuses_max: usize) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut excused = 0;
    for file in files.iter().filter(|file| file.is_rust()) {
        let found = tokens(&file.text);
        for (at, token) in found
            .iter()
            .enumerate()
            .filter(|(_, token)| token.text == "too_many_lines")
        {
            let before = &found[at.saturating_sub(5)..at];
            if starts_with(before, &["expect", "(", "clippy", ":", ":"]) {
                excused += 1;
            } else {
                let message =
                    "`too_many_lines` is excused by #[expect] with a reason, one at a time";
                complaints.push(Complaint::new(&file.path, token.line, message));
            }
        }
    }
    if excused != excuses_max {
        let message = format!(
            "{excused} long functions are excused, {excuses_max} written down: it may only fall"
        );
        complaints.push(Complaint::new("tests/tidy/tests/house.rs", 0, message));
    }
    complaints
}

/// Where the data plane does I/O, and where all of it is.
const SHELL: &str = "data-plane/node/src/";
const DATA_PLANE: &str = "data-plane/";

/// One line in so many of the data plane may be the shell's, which the simulator cannot reach.
const SHELL_SHARE: usize = 4;

/// A complaint if the shell has grown past its share of the data plane's lines.
#[must_use]
pub fn heavy_shell(files: &[File]) -> Option<Complaint> {
    let lines_under = |prefix: &str| -> usize {
        files
            .iter()
            .filter(|file| file.is_rust() && file.path.starts_with(prefix))
            .map(|file| file.text.lines().count())
            .sum()
    };
    let (shell, all) = (lines_under(SHELL), lines_under(DATA_PLANE));
    (shell * SHELL_SHARE > all).then(|| {
        let message =
            format!("{shell} of the data plane's {all} lines: decisions belong into the puddle");
        Complaint::new(SHELL, 0, message)
    })
}

#[cfg(test)]
mod tests {
    use super::{FILE_LINES_MAX, heavy_shell, long_files, long_functions};
    use crate::tree::File;

    fn file(lines: usize) -> [File; 1] {
        [File::new("a/src/room.rs", &"x\n".repeat(lines))]
    }

    #[test]
    fn a_file_over_the_limit_is_caught() {
        assert!(long_files(&file(FILE_LINES_MAX), &[]).is_empty());
        assert_eq!(long_files(&file(FILE_LINES_MAX + 1), &[]).len(), 1);
    }

    #[test]
    fn an_exception_may_only_shrink() {
        assert!(long_files(&file(700), &[("a/src/room.rs", 700)]).is_empty());
        assert_eq!(long_files(&file(701), &[("a/src/room.rs", 700)]).len(), 1);
        assert_eq!(long_files(&file(699), &[("a/src/room.rs", 700)]).len(), 1);
        assert_eq!(long_files(&file(600), &[("a/src/room.rs", 700)]).len(), 1);
        assert_eq!(long_files(&file(1), &[("a/src/gone.rs", 700)]).len(), 1);
    }

    #[test]
    fn one_long_function_more_or_less_than_written_down_is_caught() {
        let excuse = "#[expect(clippy::too_many_lines, reason = \"a table\")] fn f() {}";
        let files = [File::new("a/src/room.rs", excuse)];
        assert!(long_functions(&files, 1).is_empty());
        assert_eq!(long_functions(&files, 0).len(), 1);
        assert_eq!(long_functions(&files, 2).len(), 1);
    }

    #[test]
    fn a_long_function_that_is_hidden_is_caught() {
        let files = [File::new(
            "a/src/room.rs",
            "#[allow(clippy::too_many_lines)] fn f() {}",
        )];
        assert_eq!(long_functions(&files, 0).len(), 1);
    }

    #[test]
    fn a_shell_that_decides_too_much_is_caught() {
        let lines = |path, lines| File::new(path, &"x\n".repeat(lines));
        let puddle = lines("data-plane/puddle/src/room.rs", 300);
        let shell = |count| lines("data-plane/node/src/thread.rs", count);
        assert_eq!(heavy_shell(&[puddle.clone(), shell(100)]), None);
        assert!(heavy_shell(&[puddle, shell(101)]).is_some());
    }
}
