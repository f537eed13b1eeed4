//! Text that is shown to nobody by accident: API keys and database URLs.
//!
//! Owns how a secret comes in: by the environment, from a file, or in the file of
//! settings, never as a flag, because every user of a machine can read the flags
//! of its processes.

use std::fmt;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, FromArgMatches};
use zeroize::Zeroizing;

/// The longest secret that is read from a file, in bytes.
const SECRET_BYTES_MAX: u64 = 4096;

/// A secret. Its `Debug` form does not hold it, and its memory is wiped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    /// The secret itself, for the one place that needs it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// The first line of a file, without space around it.
    ///
    /// # Errors
    /// When the file cannot be read, is empty or longer than 4,096 bytes.
    pub(crate) fn from_file(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let bytes = std::fs::metadata(path)
            .with_context(|| format!("cannot read {shown}"))?
            .len();
        ensure!(
            bytes <= SECRET_BYTES_MAX,
            "{shown} is too long to hold a secret"
        );
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
        let text = Zeroizing::new(text);
        let line = text.lines().next().unwrap_or_default().trim();
        ensure!(!line.is_empty(), "{shown} is empty");
        Ok(Self::from(line.to_owned()))
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// What a command needs, and was not given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NotGiven(pub(crate) &'static str);

impl fmt::Display for NotGiven {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl std::error::Error for NotGiven {}

/// A setting that is a secret, or is in a file of its own: `NAME` and `NAME_file`.
pub(crate) trait Named {
    /// Its name.
    const NAME: &'static str;
    /// The name of the file that has it.
    const FILE: &'static str;
    /// Their variables.
    const VARIABLES: [&'static str; 2];
    /// What it is, and what is in the file.
    const HELP: [&'static str; 2];
}

/// Where a secret of a name is, if it is given.
pub(crate) struct Given<N> {
    place: Option<Place>,
    named: PhantomData<N>,
}

/// Where a secret is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// This is it.
    Here(Secret),
    /// In a file.
    File(PathBuf),
}

impl<N> Given<N> {
    /// Where it is; none: it is not given.
    pub(crate) const fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// The secret; none: it is not given.
    ///
    /// # Errors
    /// When its file does not have it.
    pub(crate) fn secret(&self) -> anyhow::Result<Option<Secret>> {
        match &self.place {
            None => Ok(None),
            Some(Place::Here(secret)) => Ok(Some(secret.clone())),
            Some(Place::File(path)) => Secret::from_file(path).map(Some),
        }
    }
}

impl<N> fmt::Debug for Given<N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(formatter)
    }
}

impl<N: Named> clap::Args for Given<N> {
    fn augment_args(command: Command) -> Command {
        let [variable, file_variable] = N::VARIABLES;
        let [help, file_help] = N::HELP;
        // A flag of its own so that it can be refused with what to do instead.
        let secret = Arg::new(N::NAME)
            .long(N::NAME.replace('_', "-"))
            .env(variable)
            .hide(true)
            .hide_env_values(true)
            .hide_default_value(true)
            .help(help);
        let file = Arg::new(N::FILE)
            .long(N::FILE.replace('_', "-"))
            .env(file_variable)
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help(file_help);
        command.arg(secret).arg(file)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<N: Named> FromArgMatches for Given<N> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let text: Option<&String> = matches.get_one(N::NAME);
        let text = text.map(|text| text.trim()).filter(|text| !text.is_empty());
        let source = matches.value_source(N::NAME);
        if source == Some(ValueSource::CommandLine) {
            return Err(refused::<N>(&format!(
                "--{} would show in the list of processes",
                N::NAME.replace('_', "-")
            )));
        }
        let file: Option<&PathBuf> = matches.get_one(N::FILE);
        let file_source = matches.value_source(N::FILE);
        let here = |text: &str| Place::Here(Secret::from(text.to_owned()));
        let place = match (text, file) {
            (None, None) => None,
            (Some(text), None) => Some(here(text)),
            (Some(_), Some(_)) if source == file_source => {
                let [variable, file_variable] = N::VARIABLES;
                let both = format!("{variable} and {file_variable} are both given");
                return Err(refused::<N>(&both));
            }
            (Some(text), Some(_))
                if source == Some(ValueSource::EnvVariable)
                    && file_source != Some(ValueSource::CommandLine) =>
            {
                Some(here(text))
            }
            (None | Some(_), Some(file)) => Some(Place::File(file.clone())),
        };
        Ok(Self {
            place,
            named: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn refused<N: Named>(why: &str) -> clap::Error {
    let flag = N::FILE.replace('_', "-");
    let [variable, _] = N::VARIABLES;
    clap::Error::raw(
        ErrorKind::ArgumentConflict,
        format!("{why}: give one of --{flag} and {variable}"),
    )
}

#[cfg(test)]
mod tests {
    use clap::Args as _;

    use super::*;

    struct Word;

    impl Named for Word {
        const NAME: &'static str = "word";
        const FILE: &'static str = "word_file";
        const VARIABLES: [&'static str; 2] = ["PORTHOUSE_TEST_WORD", "PORTHOUSE_TEST_WORD_FILE"];
        const HELP: [&'static str; 2] = ["A word", "The file of the word"];
    }

    fn given(words: &[&str]) -> Result<Given<Word>, clap::Error> {
        let command = Given::<Word>::augment_args(Command::new("test"));
        Given::from_arg_matches(&command.try_get_matches_from(words)?)
    }

    #[test]
    fn a_secret_is_not_in_its_debug_form() {
        let secret = Secret::from("phk_example".to_owned());
        assert!(!format!("{secret:?}").contains("phk_"));
        assert!(!format!("{:?}", Place::Here(secret)).contains("phk_"));
    }

    #[test]
    fn a_secret_is_refused_as_a_flag_with_what_to_do_and_without_it() {
        let refused = given(&["test", "--word", "swordfish"]).expect_err("a flag");
        assert_eq!(
            refused.to_string(),
            "error: --word would show in the list of processes: give one of --word-file and \
             PORTHOUSE_TEST_WORD"
        );
        let nothing = given(&["test"]).expect("nothing").secret();
        assert_eq!(nothing.expect("nothing is fine"), None);
    }

    #[test]
    fn a_file_gives_its_first_line() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("key");
        std::fs::write(&path, " phk_example \nrest").expect("a file");
        let words = ["test", "--word-file", path.to_str().expect("text")];
        let secret = given(&words).expect("a file").secret();
        let secret = secret.expect("readable").expect("given");
        assert_eq!(secret.reveal(), "phk_example");
        std::fs::write(&path, "\n").expect("a file");
        assert!(Secret::from_file(&path).is_err());
    }
}
