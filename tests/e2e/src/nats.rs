//! A NATS server that keeps durable rooms, in a directory of its own. Owns that
//! it can be killed and started again where it was. Looks at no message of its stream.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::program::{Process, Stream};
use crate::wait::within;

/// Names the server's program; else it is looked for on the path and among the
/// tools that `scripts/setup` fetches.
const PROGRAM_VARIABLE: &str = "PORTHOUSE_NATS_SERVER";

/// A server.
#[derive(Debug)]
pub struct Nats {
    process: Option<Process>,
    port: u16,
    directory: TempDir,
}

impl Nats {
    /// Starts a server on a free port of this machine.
    ///
    /// # Panics
    /// When it does not start, as everything below.
    pub async fn start() -> Self {
        let mut nats = Self {
            process: None,
            port: 0,
            directory: TempDir::with_prefix("porthouse-nats-").expect("a temporary directory"),
        };
        nats.run().await;
        nats
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Kills it as an operating system short of memory would.
    pub async fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.signal(Signal::KILL);
        process.exit().await;
    }

    /// Starts it again, where it was and with what it had.
    pub async fn start_again(&mut self) {
        assert!(self.process.is_none(), "it was killed");
        self.run().await;
    }

    /// How many records its one stream has, as it says itself.
    ///
    /// # Panics
    /// When it does not say so.
    pub async fn records(&self) -> u64 {
        let stream = within("NATS", TcpStream::connect(("127.0.0.1", self.port))).await;
        let (reader, mut writer) = stream.expect("it listens").into_split();
        let ask = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB told 1\r\n\
                   PUB $JS.API.STREAM.INFO.PORTHOUSE_HISTORY told 0\r\n\r\n";
        let asked = writer.write_all(ask.as_bytes()).await;
        asked.expect("it reads");
        let mut lines = BufReader::new(reader).lines();
        let told = async {
            loop {
                let line = lines.next_line().await.expect("text").expect("an answer");
                if line.starts_with('{') {
                    return line;
                }
            }
        };
        let told = within("what the stream is", told).await;
        let told: Value = serde_json::from_str(&told).expect("JSON");
        told["state"]["messages"].as_u64().expect("a number")
    }

    async fn run(&mut self) {
        let port = match self.port {
            0 => "-1".to_owned(),
            port => port.to_string(),
        };
        let mut command = Command::new(program());
        command
            .args(["--addr", "127.0.0.1", "--port", &port, "--jetstream"])
            .arg("--store_dir")
            .arg(self.directory.path());
        let mut process = Process::start("nats-server", command, None);
        let listens = "Listening for client connections on 127.0.0.1:";
        self.port = process
            .line("where it listens", |_, line| {
                let (_, port) = line.split_once(listens)?;
                port.trim().parse().ok()
            })
            .await;
        let ready = |_: Stream, line: &str| line.contains("Server is ready").then_some(());
        process.line("that it is ready", ready).await;
        self.process = Some(process);
    }
}

/// The server's program.
fn program() -> OsString {
    if let Some(named) = std::env::var_os(PROGRAM_VARIABLE) {
        return named;
    }
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain([tools])
        .map(|directory: PathBuf| directory.join("nats-server"))
        .find(|program| program.is_file());
    found
        .expect("there is no nats-server: run `scripts/setup`, or name it by PORTHOUSE_NATS_SERVER")
        .into()
}
