//! Which database a command is given.

use crate::secret::{Given, Named, NotGiven, Secret};

/// What to say of it in `--help`.
pub(crate) const HELP: &str = "\
The database is given by the environment or a file, because its URL may hold a password:
  DATABASE_URL=postgresql://USER:PASSWORD@HOST/DATABASE";

/// The database's URL.
pub(crate) struct Url;

impl Named for Url {
    const NAME: &'static str = "database_url";
    const FILE: &'static str = "database_url_file";
    // The first as every tool has it.
    const VARIABLES: [&'static str; 2] = ["DATABASE_URL", "PORTHOUSE_DATABASE_URL_FILE"];
    const HELP: [&'static str; 2] = [
        "The database: postgresql://USER:PASSWORD@HOST/DATABASE",
        "Read the database's URL from a file, not from DATABASE_URL",
    ];
}

/// Where the database's URL is.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    #[command(flatten)]
    url: Given<Url>,
}

impl Arguments {
    /// The database's URL.
    ///
    /// # Errors
    /// When none is given, with how to give one.
    pub(crate) fn url(&self) -> anyhow::Result<Secret> {
        let none = NotGiven("no database is given: set DATABASE_URL or --database-url-file");
        self.given()?.ok_or_else(|| none.into())
    }

    /// The database's URL; none: none is given.
    pub(crate) fn given(&self) -> anyhow::Result<Option<Secret>> {
        self.url.secret()
    }
}
