//! A running private Postgres.
//!
//! Owns the process: started with settings of ours, watched, stopped. It is in a
//! process group of its own, so that a Ctrl-C reaches us alone and it stops last.
//! Never configures it by file: what it needs is on its command line.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::cluster::Cluster;
use super::programs::Programs;
use super::socket::SocketDirectory;

/// How long a start may take; after a power cut the server recovers first.
const START_TIME_MAX: Duration = Duration::from_mins(2);
/// How long an orderly stop may take before the server is told to drop all.
const STOP_TIME_MAX: Duration = Duration::from_secs(20);
/// How long what is left of a server that was killed may hold its memory.
const REMAINS_TIME_MAX: Duration = Duration::from_secs(20);
/// How often we look whether the server is ready: it tells by a file.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What Postgres says while a process of its killed predecessor is not gone.
const REMAINS: &str = "pre-existing shared memory block";
/// How much of the end of the server's log a failure shows, in lines.
const LOG_LINES_MAX: usize = 6;
/// util-linux's program that asks the kernel to stop the server when we are
/// killed, which we could only ask ourselves by unsafe code.
const SETPRIV: [&str; 3] = ["setpriv", "--pdeathsig", "INT"];

/// Settings that differ from Postgres' own. The log has failures of the server
/// alone: those of statements are their caller's, and could hold what they wrote. When
/// something was committed is kept, so that it can be measured how soon it is obeyed.
const SETTINGS: [&str; 5] = [
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "log_min_messages=fatal",
    "log_destination=stderr",
    "track_commit_timestamp=on",
];

/// A server that is ready. Dropped, it is told to stop and not waited for.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    url: String,
    log: PathBuf,
    /// Removed, if it is a directory of its own, after the server has stopped.
    _socket: SocketDirectory,
}

impl Server {
    /// Starts a cluster's server and waits until it is ready.
    pub(crate) async fn start(
        cluster: &Cluster,
        programs: &Programs,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let program = outlived_by_nothing(cluster, &programs.postgres()).await;
        let again_until = tokio::time::Instant::now() + REMAINS_TIME_MAX;
        loop {
            let mut server = Self::spawn(cluster, &program, log)?;
            let Err(failure) = server.ready(&cluster.data()).await else {
                return Ok(server);
            };
            let remains = format!("{failure:#}").contains(REMAINS);
            if !remains || tokio::time::Instant::now() >= again_until {
                return Err(failure);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What leads a client to its database.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Waits until the server ends although nobody asked it to.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        let status = self.child.wait().await;
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        anyhow!("Postgres ended by itself ({status}): {}", self.last_words())
    }

    /// Stops the server: in order, else at once.
    pub(crate) async fn stop(mut self) {
        for signal in [Signal::INT, Signal::QUIT] {
            self.signal(signal);
            if tokio::time::timeout(STOP_TIME_MAX, self.child.wait())
                .await
                .is_ok()
            {
                return;
            }
        }
        if let Err(error) = self.child.kill().await {
            tracing::warn!(%error, "Postgres does not stop");
        }
    }

    fn spawn(cluster: &Cluster, program: &[PathBuf], log: &Path) -> anyhow::Result<Self> {
        let socket = SocketDirectory::open(cluster)?;
        let child = command(cluster, program, &socket, log)?.spawn();
        let child = child.context("Postgres does not run")?;
        Ok(Self {
            child,
            url: socket.url(),
            log: log.to_owned(),
            _socket: socket,
        })
    }

    async fn ready(&mut self, data: &Path) -> anyhow::Result<()> {
        let deadline = tokio::time::sleep(START_TIME_MAX);
        tokio::pin!(deadline);
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                status = self.child.wait() => {
                    bail!("Postgres does not start ({}): {}", status?, self.last_words())
                }
                () = &mut deadline => bail!("Postgres is not ready after {START_TIME_MAX:?}"),
                _ = look.tick() => {
                    if self.child.id().is_some_and(|pid| says_ready(data, pid)) {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended between the two lines, which is as good.
            let _ = kill_process(pid, signal);
        }
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.len().saturating_sub(LOG_LINES_MAX);
        format!("{} ({})", lines[last..].join("; "), self.log.display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal(Signal::INT);
    }
}

/// The words that run a server which the kernel stops when we are killed, where
/// that can be had; else the server alone, and the next run stops what is left.
///
/// The kernel means the thread that started it. Only the first lives as long as
/// the process does.
async fn outlived_by_nothing(cluster: &Cluster, server: &Path) -> Vec<PathBuf> {
    let mut words: Vec<PathBuf> = Vec::new();
    let first_thread = std::thread::current().name() == Some("main");
    let mut trial = cluster.command(Path::new(SETPRIV[0]));
    trial
        .args(&SETPRIV[1..])
        .arg("true")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if first_thread && trial.status().await.is_ok_and(|status| status.success()) {
        words.extend(SETPRIV.map(PathBuf::from));
    }
    words.push(server.to_owned());
    words
}

fn command(
    cluster: &Cluster,
    program: &[PathBuf],
    socket: &SocketDirectory,
    log: &Path,
) -> anyhow::Result<Command> {
    let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let (first, rest) = program.split_first().context("no program to run")?;
    let mut command = cluster.command(first);
    command
        .args(rest)
        .arg("-D")
        .arg(cluster.data())
        .args(["-p", "5432"]);
    for setting in SETTINGS {
        command.arg("-c").arg(setting);
    }
    command
        .arg("-c")
        .arg(format!("unix_socket_directories={}", socket.quoted()));
    command
        .stdout(output.try_clone()?)
        .stderr(output)
        .process_group(0);
    Ok(command)
}

/// Whether the server with this number has written that it is ready: the eighth
/// line of its pid file, as `pg_ctl --wait` reads it.
fn says_ready(data: &Path, pid: u32) -> bool {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let mut lines = text.lines().map(str::trim);
    lines.next() == Some(pid.to_string().as_str()) && lines.nth(6) == Some("ready")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_server_that_we_started_is_ready() {
        let data = tempfile::tempdir().expect("a directory");
        let lines = "71\n/data\n1\n5432\n/socket\n\n  5432001  7\n";
        let file = data.path().join("postmaster.pid");
        std::fs::write(&file, format!("{lines}starting\n")).expect("a file");
        assert!(!says_ready(data.path(), 71));
        std::fs::write(&file, format!("{lines}ready   \n")).expect("a file");
        assert!(says_ready(data.path(), 71));
        assert!(!says_ready(data.path(), 72));
    }
}
