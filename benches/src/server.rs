//! A server under test: a process of its own on core 0, and what the kernel says
//! of it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

/// How long a server may take until it is ready.
const READY_MAX: Duration = Duration::from_mins(1);

/// A running server. Killed when dropped.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
    pub(crate) name: &'static str,
    /// Removed after it has ended.
    data: Option<tempfile::TempDir>,
}

impl Server {
    /// The plain server.
    pub(crate) fn plain() -> anyhow::Result<Self> {
        let own = std::env::current_exe()?;
        let mut process = on_core(0, &own)
            .arg("plain")
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = process.stdout.take().context("its output is piped")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line
            .trim()
            .parse()
            .context("the plain server prints its address")?;
        Ok(Self {
            process,
            address,
            name: "plain tokio-tungstenite",
            data: None,
        })
    }

    /// Porthouse as `porthouse dev` runs it, with one puddle.
    pub(crate) fn porthouse(binary: &Path) -> anyhow::Result<Self> {
        ensure!(
            binary.exists(),
            "{} is not there: cargo build --release",
            binary.display()
        );
        let data = tempfile::tempdir()?;
        let process = on_core(0, binary)
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
            .arg(data.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut server = Self {
            process,
            address: ([127, 0, 0, 1], 0).into(),
            name: "porthouse",
            data: None,
        };
        server.address = server.ready(&data.path().join("dev.json"))?;
        server.data = Some(data);
        Ok(server)
    }

    /// Waits for the file that says where it listens.
    fn ready(&mut self, file: &Path) -> anyhow::Result<SocketAddr> {
        let began = Instant::now();
        while began.elapsed() < READY_MAX {
            if let Some(status) = self.process.try_wait()? {
                bail!("{} ended before it was ready: {status}", self.name);
            }
            if let Ok(text) = fs::read_to_string(file) {
                let told: serde_json::Value = serde_json::from_str(&text)?;
                let address = told["ws"].as_str().context("`ws` is told")?;
                return Ok(address
                    .trim_start_matches("ws://")
                    .trim_end_matches('/')
                    .parse()?);
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "nothing tells that a file appears"
            )]
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("{} was not ready in time", self.name)
    }

    /// CPU time it has used, its children's not counted.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let after = stat.rsplit_once(')').context("a process has a name")?.1;
        let field = |number: usize| -> anyhow::Result<u64> {
            Ok(after
                .split_whitespace()
                .nth(number)
                .context("a field of stat")?
                .parse()?)
        };
        let ticks = field(11)? + field(12)?;
        Ok(Duration::from_millis(
            ticks * 1_000 / rustix::param::clock_ticks_per_second(),
        ))
    }

    /// Its proportional set size: user memory, in bytes.
    pub(crate) fn memory_bytes(&self) -> anyhow::Result<u64> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.process.id()))?;
        let line = rollup
            .lines()
            .find(|line| line.starts_with("Pss:"))
            .context("a Pss line")?;
        let kilobytes: u64 = line
            .split_whitespace()
            .nth(1)
            .context("a number")?
            .parse()?;
        Ok(kilobytes * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It stops its own Postgres when it is asked to end; killed, it could not.
        let pid = i32::try_from(self.process.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.process.wait();
        drop(self.data.take());
    }
}

fn on_core(core: usize, binary: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(binary);
    command
}
