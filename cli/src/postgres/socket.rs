//! The unix socket of a private Postgres.
//!
//! Owns its place: beside the cluster's data, or, because a socket's path has at
//! most 107 bytes, in a short directory of its own that goes with the server.
//! Owns the URL that leads there. Only whom Postgres runs as gets in.

use std::fs::Permissions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::TempDir;

use super::cluster::{Cluster, ROLE};

/// The longest path of a unix socket on Linux: `sun_path` less its NUL.
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// What Postgres adds to the directory: names of sockets end in the port. The
/// lock file beside it is longer, and no socket.
const SOCKET_NAME: &str = ".s.PGSQL.5432";

/// Where a server's socket is.
#[derive(Debug)]
pub(crate) enum SocketDirectory {
    /// Beside the data.
    Beside(PathBuf),
    /// In a directory that is removed with this value.
    Short(TempDir),
}

impl SocketDirectory {
    /// A directory for the socket of a cluster's server.
    pub(crate) fn open(cluster: &Cluster) -> anyhow::Result<Self> {
        let beside = cluster.directory().join("socket");
        let directory = if fits(&beside) {
            std::fs::create_dir_all(&beside)
                .with_context(|| format!("cannot make {}", beside.display()))?;
            Self::Beside(beside)
        } else {
            let short = tempfile::Builder::new()
                .prefix("porthouse-")
                .tempdir_in("/tmp");
            Self::Short(short.context("cannot make a directory in /tmp")?)
        };
        std::fs::set_permissions(directory.path(), Permissions::from_mode(0o700))
            .with_context(|| format!("cannot close {}", directory.path().display()))?;
        cluster.own(directory.path())?;
        Ok(directory)
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Beside(path) => path,
            Self::Short(directory) => directory.path(),
        }
    }

    /// The directory as Postgres reads it in a list: quoted.
    pub(crate) fn quoted(&self) -> String {
        format!("\"{}\"", self.path().to_string_lossy().replace('"', "\"\""))
    }

    /// What leads a client to the server's database.
    pub(crate) fn url(&self) -> String {
        url(self.path())
    }
}

/// What leads a client to the database of a server whose socket is in a directory.
fn url(directory: &Path) -> String {
    let host = percent_encoded(directory);
    format!("postgresql:///postgres?user={ROLE}&host={host}")
}

/// The same, of a data directory's server whose socket is beside the data.
///
/// # Errors
/// When there is none.
pub(crate) fn url_beside(data_dir: &Path) -> anyhow::Result<String> {
    let directory = data_dir.join("postgres/socket");
    let directory = directory
        .canonicalize()
        .with_context(|| format!("there is no {}", directory.display()))?;
    Ok(url(&directory))
}

fn fits(directory: &Path) -> bool {
    directory.join(SOCKET_NAME).as_os_str().len() <= SOCKET_PATH_BYTES_MAX
}

fn percent_encoded(path: &Path) -> String {
    path.as_os_str()
        .as_bytes()
        .iter()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(*byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn socket_below(parent: &Path) -> SocketDirectory {
        std::fs::create_dir_all(parent).expect("a directory");
        let cluster = Cluster::open(parent, None).await.expect("a cluster");
        SocketDirectory::open(&cluster).expect("a place for the socket")
    }

    #[tokio::test]
    async fn a_long_path_gets_a_short_socket_that_goes_with_the_server() {
        let data = tempfile::tempdir().expect("a directory");
        let socket = socket_below(&data.path().join("d".repeat(100))).await;
        let path = socket.path().to_owned();
        assert!(fits(&path));
        let mode = std::fs::metadata(&path)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_path_with_any_characters_survives_the_url_and_the_list() {
        let data = tempfile::tempdir_in("/tmp").expect("a directory");
        let socket = socket_below(&data.path().join("a \"b\", c&d")).await;
        assert!(socket.quoted().contains("a \"\"b\"\", c&d"));
        assert!(
            socket
                .url()
                .contains("%2Fa%20%22b%22%2C%20c%26d%2Fpostgres%2Fsocket")
        );
    }
}
