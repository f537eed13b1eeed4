//! `porthouse dev` as its users meet it: a real process over a real Postgres.
//! Owns what is promised of its start and its end; what it serves meanwhile is
//! promised elsewhere.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// How long a start or an end may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often a file is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

struct Dev {
    child: Child,
    data: PathBuf,
}

impl Dev {
    fn command(data: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_porthouse"));
        command
            .args([
                "dev",
                "--grpc",
                "127.0.0.1:0",
                "--ws",
                "127.0.0.1:0",
                "--puddles",
                "1",
            ])
            .arg("--data-dir")
            .arg(data)
            .env_remove("DATABASE_URL")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn start(data: &Path) -> Self {
        let child = Self::command(data).spawn().expect("the program runs");
        let mut dev = Self {
            child,
            data: data.to_owned(),
        };
        let ready = async {
            while !dev.file("dev.json").exists() {
                assert_eq!(dev.child.try_wait().expect("our child"), None, "it ended");
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(PATIENCE, ready)
            .await
            .expect("ready in time");
        dev
    }

    fn file(&self, name: &str) -> PathBuf {
        self.data.join(name)
    }

    fn places(&self) -> serde_json::Value {
        let text = fs::read(self.file("dev.json")).expect("it is ready");
        serde_json::from_slice(&text).expect("whole JSON")
    }

    async fn end(mut self, signal: Signal) -> ExitStatus {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        let pid = id.and_then(Pid::from_raw).expect("it runs");
        kill_process(pid, signal).expect("it takes signals");
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.expect("ended in time").expect("our child")
    }
}

fn data_directory() -> (TempDir, PathBuf) {
    let parent = tempfile::tempdir().expect("a directory");
    let data = parent.path().join("data");
    (parent, data)
}

#[tokio::test]
async fn dev_says_where_it_is_exactly_while_it_serves() {
    let (_parent, data) = data_directory();
    let dev = Dev::start(&data).await;
    let mode = fs::metadata(dev.file("dev.json"))
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600, "it holds the admin key");
    let http = dev.places()["http"].as_str().expect("text").to_owned();
    let address = http.strip_prefix("http://").expect("an http address");
    tokio::net::TcpStream::connect(address)
        .await
        .expect("somebody listens");
    let postmaster = data.join("postgres/data/postmaster.pid");
    assert!(postmaster.exists(), "its Postgres runs");
    assert!(dev.end(Signal::TERM).await.success());
    assert!(!data.join("dev.json").exists());
    assert!(!postmaster.exists(), "its Postgres has ended in order");
}

#[tokio::test]
async fn a_data_directory_serves_one_dev_at_a_time() {
    let (_parent, data) = data_directory();
    let first = Dev::start(&data).await;
    let second = Dev::command(&data)
        .stderr(Stdio::piped())
        .output()
        .await
        .expect("it runs");
    assert_eq!(second.status.code(), Some(1));
    let words = String::from_utf8_lossy(&second.stderr);
    assert!(
        words.contains("is in use by another `porthouse dev`"),
        "{words}"
    );
    assert!(
        first.file("dev.json").exists(),
        "the first is not disturbed"
    );
    assert!(first.end(Signal::INT).await.success());
}

#[tokio::test]
async fn a_killed_dev_leaves_nothing_that_stops_the_next() {
    let (_parent, data) = data_directory();
    let killed = Dev::start(&data).await;
    let key = killed.places()["admin_key"].clone();
    killed.end(Signal::KILL).await;
    // What was left would be taken for the next one's.
    fs::rename(data.join("dev.json"), data.join("left.json")).expect("it was left");
    let next = Dev::start(&data).await;
    assert_eq!(next.places()["admin_key"], key, "data and keys are kept");
    assert!(next.end(Signal::TERM).await.success());
}
