//! How a process is told its settings: by flag, environment or file.
//!
//! Owns that a setting has one name in all three (`--log-format`,
//! `PORTHOUSE_LOG_FORMAT`, `log_format`) and which of them counts: a flag before
//! the environment, before the file, before the default. What settings there
//! are is said once, as arguments of a command: each that has a flag and
//! a variable is one. Never shows a secret; an argument whose variable is hidden
//! holds one.

use std::path::PathBuf;

use clap::Parser;

mod setting;
mod file;
mod effective;
mod sample;

pub use effective::{Effective, effective};
pub use file::ConfigurationError;
pub use sample::sample;
pub use setting::{Setting, settings};

use file::File;

/// Which file has settings.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Arguments {
    /// Read settings from a TOML file; flags and the environment count more
    #[arg(long, value_name = "FILE", env = "PORTHOUSE_CONFIG", global = true)]
    pub config: Option<PathBuf>,
}

/// What a process was started with, the file's settings in it.
///
/// Ends the process when it asks for help or cannot be read, as clap does.
///
/// # Errors
/// When the file is not right.
pub fn parse<P: Parser>() -> Result<P, ConfigurationError> {
    let command = P::command();
    let matches = command.clone().get_matches();
    // Found at the root wherever it was given, for it is global.
    let named: Option<PathBuf> = matches.try_get_one("config").unwrap_or_default().cloned();
    let matches = match named {
        None => matches,
        Some(path) => File::read(&path, &command)?
            .defaults_of(command)
            .get_matches(),
    };
    Ok(
        P::from_arg_matches(&matches)
            .unwrap_or_else(|error| error.format(&mut P::command()).exit()),
    )
}
