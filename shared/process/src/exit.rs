//! How a process says that it failed.
//!
//! Owns the form of the last words: what went wrong, then each cause below it,
//! for the person who started the process. Never prints a `Debug` form, which
//! could hold what is not for the screen.

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;

/// The exit status of a process that failed.
const FAILED_STATUS: u8 = 1;

/// Turns a program's outcome into its exit status, with the failure, if there
/// is one, told on standard error.
pub fn status<E>(program: &str, outcome: Result<(), E>) -> ExitCode
where
    E: AsRef<dyn Error + Send + Sync + 'static>,
{
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", last_words(program, error.as_ref()));
            ExitCode::from(FAILED_STATUS)
        }
    }
}

fn last_words(program: &str, error: &(dyn Error + 'static)) -> String {
    let mut words = format!("{program}: {error}");
    let mut cause = error.source();
    while let Some(below) = cause {
        write!(words, "\n  because {below}").expect("a string takes all that is written");
        cause = below.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the house does not open")]
    struct Closed(#[source] io::Error);

    #[test]
    fn a_failure_names_its_causes() {
        let error = Closed(io::Error::other("the key is lost"));
        assert_eq!(
            last_words("porthouse", &error),
            "porthouse: the house does not open\n  because the key is lost"
        );
    }
}
