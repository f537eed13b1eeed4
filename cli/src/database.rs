//! Which database a command is given.

use std::path::PathBuf;

use anyhow::Context;

use crate::secret::Secret;

/// Holds the database's URL.
const VARIABLE: &str = "DATABASE_URL";
/// What to say of it in `--help`.
pub(crate) const HELP: &str = "\
The database is given by the environment, because its URL may hold a password:
  DATABASE_URL=postgresql://USER:PASSWORD@HOST/DATABASE";

/// Where the database's URL is.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// Read the database's URL from a file, not from `DATABASE_URL`
    #[arg(long, value_name = "FILE", env = "PORTHOUSE_DATABASE_URL_FILE")]
    database_url_file: Option<PathBuf>,
}

impl Arguments {
    /// The database's URL.
    ///
    /// # Errors
    /// When none is given, with how to give one.
    pub(crate) fn url(&self) -> anyhow::Result<Secret> {
        self.given()?
            .context("no database is given: set DATABASE_URL or --database-url-file")
    }

    /// The database's URL; none: none is given.
    pub(crate) fn given(&self) -> anyhow::Result<Option<Secret>> {
        match &self.database_url_file {
            Some(file) => Secret::from_file(file).map(Some),
            None => Secret::from_environment(VARIABLE),
        }
    }
}
