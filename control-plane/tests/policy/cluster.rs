//! A Postgres of one test's own: a cluster in a temporary directory, reachable
//! through a Unix socket alone, stopped when it is dropped.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_postgres::{Client, NoTls};

/// How long a server may take to answer.
const START_TIME_MAX: Duration = Duration::from_secs(30);

/// A running server; its database is `postgres`, empty at first.
pub(crate) struct Cluster {
    server: Child,
    directory: TempDir,
}

impl Cluster {
    /// Makes and starts one.
    pub(crate) async fn start() -> Self {
        let directory = TempDir::with_prefix("porthouse-test-").expect("a temporary directory");
        let user = unprivileged();
        if let Some((uid, gid)) = user {
            chown(directory.path(), Some(uid), Some(gid)).expect("root may give a directory away");
        }
        let data = directory.path().join("data");
        let status = command("initdb", user)
            .args([
                "--no-sync",
                "--auth=trust",
                "--username=postgres",
                "--locale=C",
            ])
            .args(["--encoding=UTF8", "--pgdata"])
            .arg(&data)
            .stdout(Stdio::null())
            .status()
            .expect("initdb runs");
        assert!(status.success(), "initdb made a cluster");
        let server = command("postgres", user)
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(directory.path())
            .args([
                "-c",
                "listen_addresses=",
                "-c",
                "fsync=off",
                "-c",
                "max_connections=60",
            ])
            .stderr(fs::File::create(directory.path().join("log")).expect("a log"))
            .spawn()
            .expect("postgres runs");
        let cluster = Self { server, directory };
        cluster.answers().await;
        cluster
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!(
            "host={} user=postgres dbname=postgres",
            self.directory.path().display()
        )
    }

    /// A connection that goes around the control plane.
    pub(crate) async fn connect(&self) -> Client {
        self.try_connect().await.expect("the server answers")
    }

    async fn try_connect(&self) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(&self.url(), NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    async fn answers(&self) {
        let deadline = Instant::now() + START_TIME_MAX;
        while self.try_connect().await.is_err() {
            assert!(Instant::now() < deadline, "the server does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let pid = i32::try_from(self.server.id()).ok().and_then(Pid::from_raw);
        // Cuts every connection and stops.
        let _ = kill_process(pid.expect("a child's process id"), Signal::INT);
        let _ = self.server.wait();
    }
}

/// A command of the newest Postgres that is installed.
fn command(name: &str, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(binaries().join(name));
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command.current_dir("/");
    command
}

fn binaries() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    versions
        .map(|version| version.path().join("bin"))
        .filter(|bin| bin.join("postgres").exists())
        .max()
        .unwrap_or_else(|| Path::new("/usr/local/bin").to_owned())
}

/// Whom to run as when root runs the test, since Postgres refuses root.
fn unprivileged() -> Option<(u32, u32)> {
    if !geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("root may read the users");
    let entry = |name: &str| {
        let line = users
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2).map(str::parse);
        Some((ids.next()?.ok()?, ids.next()?.ok()?))
    };
    Some(
        entry("postgres")
            .or_else(|| entry("nobody"))
            .expect("an unprivileged user"),
    )
}
