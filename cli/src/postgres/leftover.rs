//! A server that an earlier run left behind, because it was killed.
//!
//! Owns how one is recognised, by what the kernel knows of the process that the
//! cluster's `postmaster.pid` names, and how it is stopped. Never signals a
//! process that is not this cluster's server. The caller has locked the data
//! directory, so no run of ours still uses it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a leftover may take to stop; it writes out what it holds first.
const STOP_TIME_MAX: Duration = Duration::from_mins(1);
/// How often we look whether it is gone: it is not our child, so nobody tells us.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Stops the server that runs on `data`, if one does.
pub(crate) async fn stop(data: &Path) -> anyhow::Result<()> {
    let Some(pid) = named_in(data) else {
        return Ok(());
    };
    if !runs_on(pid, data) {
        return forget(pid, data);
    }
    eprintln!("porthouse: stopping the database that an earlier run left behind");
    kill_process(pid, Signal::INT).context("cannot stop the database an earlier run left")?;
    let gone = async {
        let mut look = tokio::time::interval(LOOK_EVERY);
        while runs_on(pid, data) {
            look.tick().await;
        }
    };
    if tokio::time::timeout(STOP_TIME_MAX, gone).await.is_err() {
        bail!(
            "the database an earlier run left (process {}) does not stop",
            pid.as_raw_nonzero()
        );
    }
    Ok(())
}

/// The process that the cluster's pid file names.
fn named_in(data: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(pid_file(data)).ok()?;
    Pid::from_raw(text.lines().next()?.trim().parse().ok()?)
}

/// Whether a process is the server of this cluster: it is called `postgres` and
/// stands in its data directory. Links are compared as the kernel gives them.
fn runs_on(pid: Pid, data: &Path) -> bool {
    let process = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
    let program = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
    let stands_in = std::fs::read_link(process.join("cwd")).ok();
    program.trim() == "postgres" && stands_in == data.canonicalize().ok()
}

/// Removes a pid file whose process is not the cluster's server. Postgres does
/// so itself when there is no such process, and makes sure then that nothing of
/// the old server is left; it cannot when the number has gone to another.
fn forget(pid: Pid, data: &Path) -> anyhow::Result<()> {
    if Path::new("/proc")
        .join(pid.as_raw_nonzero().to_string())
        .exists()
    {
        std::fs::remove_file(pid_file(data)).context("cannot remove a stale postmaster.pid")?;
    }
    Ok(())
}

fn pid_file(data: &Path) -> PathBuf {
    data.join("postmaster.pid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stranger_with_the_servers_number_is_left_alone() {
        let data = tempfile::tempdir().expect("a directory");
        let ourselves = rustix::process::getpid().as_raw_nonzero();
        std::fs::write(pid_file(data.path()), format!("{ourselves}\n/elsewhere\n"))
            .expect("a file");
        stop(data.path()).await.expect("nothing to stop");
        assert!(
            !pid_file(data.path()).exists(),
            "it would keep Postgres from starting"
        );
    }

    #[tokio::test]
    async fn a_file_without_a_process_is_left_to_postgres() {
        let data = tempfile::tempdir().expect("a directory");
        // Above the highest number that Linux gives.
        std::fs::write(pid_file(data.path()), "4194305\n").expect("a file");
        stop(data.path()).await.expect("nothing to stop");
        assert!(pid_file(data.path()).exists());
    }
}
