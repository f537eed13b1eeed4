//! A whole `porthouse dev` in a directory of its own.
//!
//! Owns its start, its orderly end, and the search for secrets in all it said.
//! A test that ends without [`House::close`] fails: it would have searched
//! nothing.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::backend::Backend;
use crate::multiplexed::Multiplexed;
use crate::program::{Account, Process, Stream, binary, command_of};
use crate::raw::Raw;
use crate::secrets::Secrets;
use crate::wait::within;

/// Puddles of a house, so that rooms span two.
pub const PUDDLES: u32 = 2;
/// Sockets after which the kernel has surely given one to each puddle.
const SOCKETS_TRIED_MAX: usize = 100;

/// Where a house keeps its things between runs.
#[derive(Debug)]
pub struct Ground {
    directory: TempDir,
    binary: PathBuf,
    account: Option<Account>,
    secrets: Arc<Secrets>,
}

/// A running `porthouse dev`.
#[derive(Debug)]
pub struct House {
    process: Process,
    data: PathBuf,
    grpc: String,
    ws: SocketAddr,
    operators: Option<SocketAddr>,
    backend: Backend,
    secrets: Arc<Secrets>,
    closed: bool,
    // Last: removed when all else is gone.
    ground: Option<Ground>,
}

/// A temporary directory that Postgres, which refuses root, may pass.
///
/// # Panics
/// When the machine has no room.
#[must_use]
pub fn place() -> TempDir {
    tempfile::Builder::new()
        .prefix("porthouse-e2e-")
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir()
        .expect("a temporary directory")
}

impl Ground {
    /// Ground for a house that runs as `account`, if that is not we.
    ///
    /// # Panics
    /// When the machine has no room.
    #[must_use]
    pub fn new(account: Option<Account>) -> Self {
        let directory = place();
        let mut ground = Self {
            binary: binary(),
            directory,
            account,
            secrets: Arc::default(),
        };
        if let Some(account) = account {
            // Where the binary is, the account may not reach.
            let copy = ground.directory.path().join("porthouse");
            std::fs::copy(&ground.binary, &copy).expect("there is room for a copy");
            std::os::unix::fs::chown(ground.directory.path(), Some(account.uid), None)
                .expect("only root gives an account");
            ground.binary = copy;
        }
        ground
    }

    /// The data directory of its house.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Starts `porthouse dev` here and does not wait for it.
    #[must_use]
    pub fn start_dev(&self) -> Process {
        self.start_dev_with(&[])
    }

    fn start_dev_with(&self, flags: &[&str]) -> Process {
        let data = self.data();
        let mut command = command_of(&self.binary, ["dev", "--data-dir"]);
        command
            .arg(&data)
            .args(["--grpc", "127.0.0.1:0", "--ws", "127.0.0.1:0"])
            .arg("--puddles")
            .arg(PUDDLES.to_string())
            .args(flags);
        Process::start("porthouse dev", command, self.account)
    }

    /// Starts a house and waits until it is ready.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn house(&self) -> House {
        self.house_with(&[]).await
    }

    /// The same with further flags.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn house_with(&self, flags: &[&str]) -> House {
        let mut process = self.start_dev_with(flags);
        process
            .line("the welcome", |stream, line| {
                (stream == Stream::Out && line == "Porthouse is ready.").then_some(())
            })
            .await;
        let data = self.data();
        let told = std::fs::read_to_string(data.join("dev.json")).expect("it is ready");
        let told: Value = serde_json::from_str(&told).expect("dev.json is JSON");
        let text = |field: &str| told[field].as_str().expect("it is in dev.json").to_owned();
        let secrets = Arc::clone(&self.secrets);
        let admin = secrets.keep("the admin's key", &text("admin_key"));
        let node = std::fs::read_to_string(data.join("node.key")).expect("it is there");
        secrets.keep("the node's key", node.trim());
        let ws = text("ws");
        let ws = ws.strip_prefix("ws://").expect("a WebSocket address");
        let operators = told["operators"].as_str();
        let operators = operators.and_then(|address| address.strip_prefix("http://"));
        House {
            process,
            data,
            backend: Backend::new(&text("grpc"), Some(&admin), Arc::clone(&secrets)),
            grpc: text("grpc"),
            ws: ws.parse().expect("an address and port"),
            operators: operators.map(|address| address.parse().expect("an address and port")),
            secrets,
            closed: false,
            ground: None,
        }
    }
}

impl House {
    /// Starts a house on ground of its own.
    pub async fn start() -> Self {
        let ground = Ground::new(None);
        let mut house = ground.house().await;
        house.ground = Some(ground);
        house
    }

    /// Where sockets connect.
    #[must_use]
    pub const fn ws(&self) -> SocketAddr {
        self.ws
    }

    /// Where operators ask, if it was told to listen for them.
    #[must_use]
    pub const fn operators(&self) -> Option<SocketAddr> {
        self.operators
    }

    /// Where gRPC is served.
    #[must_use]
    pub fn grpc(&self) -> &str {
        &self.grpc
    }

    /// Where it keeps its data.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A backend with the admin's key.
    #[must_use]
    pub const fn backend(&self) -> &Backend {
        &self.backend
    }

    /// What may not be said.
    #[must_use]
    pub const fn secrets(&self) -> &Arc<Secrets> {
        &self.secrets
    }

    /// Its process.
    pub const fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Opens raw sockets in a room, at least `least`, until both puddles hold
    /// some of them.
    pub async fn sockets_on_both_puddles(
        &self,
        room_id: &str,
        token: Option<&str>,
        least: usize,
    ) -> Vec<Raw> {
        on_both_puddles(self.ws, &self.backend, room_id, token, least).await
    }

    /// Opens a multiplexed socket.
    pub async fn multiplexed(&self) -> Multiplexed {
        Multiplexed::open(self.ws, None).await
    }

    /// Stops the house in order and searches all it said.
    ///
    /// # Panics
    /// When it does not end well, or said a secret.
    pub async fn close(mut self) {
        self.process.signal(Signal::TERM);
        let status = self.process.exit().await;
        assert!(status.success(), "porthouse dev ended with {status}");
        self.search();
    }

    /// Searches all it said and logged for secrets; it must have ended.
    ///
    /// # Panics
    /// When there is one.
    pub fn search(&mut self) {
        self.closed = true;
        assert!(self.process.has_ended(), "it still has things to say");
        let log = self.process.output(Stream::Err);
        assert_eq!(self.secrets.found_in(&log), [""; 0], "in the log");
        let postgres = std::fs::read_to_string(self.data.join("postgres.log"));
        let postgres = postgres.expect("a private Postgres has a log");
        assert_eq!(
            self.secrets.found_in(&postgres),
            [""; 0],
            "in Postgres' log"
        );
        // Who starts it is shown the admin's key, and no other secret.
        let shown = self.process.output(Stream::Out);
        let mut found = self.secrets.found_in(&shown);
        found.retain(|what| !what.starts_with("the admin's key"));
        assert_eq!(found, [""; 0], "on the screen");
    }
}

/// Opens raw sockets in a room of the node that listens at `ws` and tells `live`,
/// at least `least`, until both puddles hold some of them.
///
/// # Panics
/// When the kernel does not spread them.
pub async fn on_both_puddles(
    ws: SocketAddr,
    live: &Backend,
    room_id: &str,
    token: Option<&str>,
    least: usize,
) -> Vec<Raw> {
    let before = live.sockets_by_puddle(room_id).await;
    let mut sockets = Vec::new();
    for _ in 0..SOCKETS_TRIED_MAX {
        sockets.push(Raw::enter(ws, room_id, token).await);
        let now = live.sockets_by_puddle(room_id).await;
        let more = |puddle| now.get(&puddle) > before.get(&puddle);
        if sockets.len() >= least && (0..PUDDLES).all(more) {
            return sockets;
        }
    }
    panic!("{SOCKETS_TRIED_MAX} sockets, and one puddle has none");
}

impl Drop for House {
    fn drop(&mut self) {
        assert!(
            self.closed || std::thread::panicking(),
            "a test ends with House::close, which searches for secrets"
        );
    }
}

/// Waits until a file is gone.
pub async fn gone(path: &Path) {
    let looking = async {
        let mut look = tokio::time::interval(std::time::Duration::from_millis(20));
        while path.exists() {
            look.tick().await;
        }
    };
    within(&format!("{} goes", path.display()), looking).await;
}
