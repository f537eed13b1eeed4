//! The directory of a private Postgres.
//!
//! Owns its place and its making. It is `postgres` in the data directory, and
//! belongs to whom Postgres runs as. Where that account cannot reach (a data
//! directory below /root, say), it is a link to a directory below
//! /var/lib/porthouse; removing the data directory then starts afresh too.
//! Never touches the files Postgres keeps in it.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail, ensure};
use tokio::process::Command;

use super::account::Account;
use super::programs::{Installed, Programs};

/// Who owns everything in the cluster, as Postgres sees it.
pub(crate) const ROLE: &str = "porthouse";
/// Where clusters go that an account could not reach in the data directory.
const ELSEWHERE: &str = "/var/lib/porthouse";
/// A data directory that others may pass through, and not list.
const PASSABLE: u32 = 0o711;

/// A directory for a Postgres of our own.
#[derive(Debug)]
pub(crate) struct Cluster {
    directory: PathBuf,
    account: Option<Account>,
}

impl Cluster {
    /// The cluster of a data directory, made if there is none. The caller has
    /// locked the data directory.
    pub(crate) async fn open(data: &Path, account: Option<&Account>) -> anyhow::Result<Self> {
        let link = data.join("postgres");
        if !link.exists() {
            place(&link, data, account).await?;
        }
        let directory = link
            .canonicalize()
            .with_context(|| format!("{} leads nowhere: remove it", link.display()))?;
        let cluster = Self {
            directory,
            account: account.cloned(),
        };
        cluster.own(&cluster.directory)?;
        Ok(cluster)
    }

    /// Where Postgres keeps its files.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// The directory itself: ours to put more into.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Gives a file or directory to whom Postgres runs as.
    pub(crate) fn own(&self, path: &Path) -> anyhow::Result<()> {
        self.account
            .as_ref()
            .map_or(Ok(()), |account| account.own(path))
    }

    /// A command that runs as Postgres must, and is told nothing by our
    /// environment: PGPORT or a language would change what it does and says.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(name);
            }
        }
        command
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .current_dir(&self.directory);
        if let Some(account) = &self.account {
            account.lend(&mut command);
        }
        command
    }

    /// The programs to run this cluster by: those of the release that made it.
    pub(crate) async fn fitting(&self, installed: Installed) -> anyhow::Result<Programs> {
        let Ok(version) = std::fs::read_to_string(self.data().join("PG_VERSION")) else {
            return Ok(installed.preferred);
        };
        let version: u32 = version
            .trim()
            .parse()
            .context("the cluster's PG_VERSION is damaged")?;
        for programs in std::iter::once(installed.preferred).chain(installed.others) {
            if programs.release().await? == version {
                return Ok(programs);
            }
        }
        bail!(
            "{} was made by Postgres {version}, which is no longer on this machine: install it, \
             or use another --data-dir",
            self.directory.display()
        )
    }

    /// Makes the files of an empty cluster; leaves those of any other alone.
    pub(crate) async fn fill(&self, programs: &Programs) -> anyhow::Result<()> {
        if self.data().join("PG_VERSION").exists() {
            return Ok(());
        }
        eprintln!(
            "porthouse: making a database in {}",
            self.directory.display()
        );
        // Renamed when it is whole: one that was interrupted is never taken for it.
        let unfinished = self.directory.join("data.unfinished");
        if unfinished.exists() {
            std::fs::remove_dir_all(&unfinished)
                .with_context(|| format!("cannot remove {}", unfinished.display()))?;
        }
        let made = self
            .command(&programs.initdb())
            .arg("--pgdata")
            .arg(&unfinished)
            .arg(format!("--username={ROLE}"))
            // Whoever reaches the socket may enter: it stands in a directory for us alone.
            .args(["--auth=trust", "--encoding=UTF8", "--locale=C"])
            .kill_on_drop(true)
            .output()
            .await
            .context("initdb does not run")?;
        ensure!(
            made.status.success(),
            "initdb failed: {}",
            String::from_utf8_lossy(&made.stderr).trim()
        );
        std::fs::rename(&unfinished, self.data()).context("cannot name the new cluster")
    }
}

/// Makes the cluster's directory at `link`, or elsewhere with a link to it.
async fn place(link: &Path, data: &Path, account: Option<&Account>) -> anyhow::Result<()> {
    if let Some(account) = account
        && !reachable(data, account).await?
    {
        // Of an earlier directory that is gone.
        let _ = std::fs::remove_file(link);
        return place_elsewhere(link, account);
    }
    private_directory(link)
}

/// Whether an account gets to what is in our data directory, which is made
/// passable for it: what is secret there has a mode of its own.
async fn reachable(data: &Path, account: &Account) -> anyhow::Result<bool> {
    if account.reaches(data).await? {
        return Ok(true);
    }
    let mode = std::fs::metadata(data)?.permissions().mode();
    std::fs::set_permissions(data, Permissions::from_mode(mode | PASSABLE))?;
    if account.reaches(data).await? {
        return Ok(true);
    }
    std::fs::set_permissions(data, Permissions::from_mode(mode))?;
    Ok(false)
}

fn place_elsewhere(link: &Path, account: &Account) -> anyhow::Result<()> {
    let name = format!("dev-{}", uuid::Uuid::new_v4().simple());
    let directory = Path::new(ELSEWHERE).join(name);
    std::fs::create_dir_all(ELSEWHERE).with_context(|| format!("cannot make {ELSEWHERE}"))?;
    private_directory(&directory)?;
    eprintln!(
        "porthouse: {} cannot reach {}, so the database goes to {}",
        account.name(),
        link.display(),
        directory.display()
    );
    symlink(&directory, link).with_context(|| format!("cannot make {}", link.display()))
}

fn private_directory(path: &Path) -> anyhow::Result<()> {
    std::fs::create_dir(path).with_context(|| format!("cannot make {}", path.display()))?;
    std::fs::set_permissions(path, Permissions::from_mode(0o700))
        .with_context(|| format!("cannot close {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_cluster_stands_in_the_data_directory_for_its_owner_alone() {
        let data = tempfile::tempdir().expect("a directory");
        let cluster = Cluster::open(data.path(), None).await.expect("a cluster");
        let expected = data.path().canonicalize().expect("a path").join("postgres");
        assert_eq!(cluster.directory(), expected);
        let mode = std::fs::metadata(&expected)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[tokio::test]
    async fn our_environment_does_not_reach_postgres() {
        let data = tempfile::tempdir().expect("a directory");
        let cluster = Cluster::open(data.path(), None).await.expect("a cluster");
        let command = cluster.command(Path::new("postgres"));
        let mut set = command
            .as_std()
            .get_envs()
            .filter(|(_, value)| value.is_some());
        assert!(set.all(|(name, _)| name == "LC_ALL"));
    }
}
