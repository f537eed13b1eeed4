//! The database that `porthouse dev` runs on.
//!
//! Owns which one that is: the one given by `DATABASE_URL`, else a private
//! Postgres in the data directory, from programs found on the machine or, as
//! root on Debian, installed. A private one is reached by its unix socket alone,
//! starts and stops with us and keeps its data. Never looks into it: what is
//! stored there is the control plane's.

use std::path::Path;

use anyhow::Context;

mod account;
mod programs;
mod package;
mod cluster;
mod leftover;
mod socket;
mod server;

pub(crate) use socket::url_beside;

use account::Account;
use cluster::Cluster;
use server::Server;

use crate::secret::Secret;

/// A database that can be connected to.
pub(crate) enum Postgres {
    /// Somebody else's, by its URL.
    Given(Secret),
    /// Ours.
    Private(Box<Server>),
}

impl Postgres {
    /// The database at `given`, else a private one in `directory`, which the
    /// caller has locked, by the programs in `named` if that is given. Says on
    /// standard error what takes time.
    pub(crate) async fn open(
        given: Option<Secret>,
        named: Option<&Path>,
        directory: &Path,
    ) -> anyhow::Result<Self> {
        match given {
            Some(url) => Ok(Self::Given(url)),
            None => private(named, directory)
                .await
                .map(|server| Self::Private(Box::new(server))),
        }
    }

    /// Where the database is. It may hold a password.
    pub(crate) fn url(&self) -> &str {
        match self {
            Self::Given(url) => url.reveal(),
            Self::Private(server) => server.url(),
        }
    }

    /// Waits until a private server ends by itself, which is a failure; a given
    /// one is not ours to watch.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        match self {
            Self::Given(_) => std::future::pending().await,
            Self::Private(server) => server.failed().await,
        }
    }

    /// Stops a private server and waits for it.
    pub(crate) async fn stop(self) {
        match self {
            Self::Given(_) => {}
            Self::Private(server) => server.stop().await,
        }
    }
}

/// Whether the programs of a private Postgres are where they are said to be.
pub(crate) fn check(named: Option<&Path>) -> anyhow::Result<()> {
    programs::Installed::find(named).map(drop)
}

async fn private(named: Option<&Path>, directory: &Path) -> anyhow::Result<Server> {
    let installed = programs::Installed::find(named)?;
    let installed = match installed {
        Some(installed) => installed,
        None => install().await?,
    };
    let account = Account::choose()?;
    let cluster = Cluster::open(directory, account.as_ref()).await?;
    leftover::stop(&cluster.data()).await?;
    let programs = cluster.fitting(installed).await?;
    cluster.fill(&programs).await?;
    Server::start(&cluster, &programs, &directory.join("postgres.log")).await
}

async fn install() -> anyhow::Result<programs::Installed> {
    package::install().await?;
    programs::Installed::find(None)?.context("Debian's postgresql brought no server programs")
}
