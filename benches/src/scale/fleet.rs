//! Porthouse as several processes: `porthouse dev`, and further nodes of its
//! control plane. Each may run on every core. All end with this value.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use porthouse_load::cores;
use porthouse_load::house::{Built, House, keep_settings_out};
use porthouse_load::process::{Process, Started};

use crate::owner::Owner;

/// How long a node may take to be ready.
const READY_TIME_MAX: Duration = Duration::from_secs(20);
/// How long its answer is waited for.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);
/// Nobody is asked whether they are there: those who are idle do not read.
const SILENCE: [&str; 2] = ["--silence-ms-max", "3600000"];

/// Several nodes.
pub(super) struct Fleet {
    // Nodes go before their control plane.
    nodes: Vec<Node>,
    house: House,
}

struct Node {
    started: Started,
    ws: SocketAddr,
}

impl Fleet {
    /// Starts so many, one of them with the control plane.
    pub(super) fn start(program: &Path, count: usize) -> anyhow::Result<Self> {
        let everywhere: Vec<usize> = (0..cores::present()).collect();
        let built = Built {
            puddles: 1,
            cores: &everywhere,
            flags: &SILENCE,
        };
        let house = House::build(program, built)?;
        let mut fleet = Self {
            nodes: Vec::new(),
            house,
        };
        if count > 1 {
            let key = Owner::of(&fleet.house)?.node_key()?;
            for number in 1..count {
                let node = fleet.node(program, number, &key);
                let node = node.with_context(|| format!("node {number} of the fleet"))?;
                fleet.nodes.push(node);
            }
        }
        Ok(fleet)
    }

    fn node(&self, program: &Path, number: usize, key: &str) -> anyhow::Result<Node> {
        // A port that is free now.
        let ws = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = Command::new(program);
        keep_settings_out(&mut command);
        command
            .args([
                "node",
                "--control",
                &format!("http://{}", self.house.grpc()),
            ])
            .args(["--node-name", &format!("bench-{number}")])
            .args(["--ws", &ws.to_string(), "--grpc", "127.0.0.1:0"])
            .args(["--puddles", "1", "--transient-rooms", "anyone"])
            .args(SILENCE)
            .env("PORTHOUSE_API_KEY", key)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut started = Started::new(command.spawn().context("it does not start")?);
        started.until(READY_TIME_MAX, || Ok(is_ready(ws).then_some(())))?;
        Ok(Node { started, ws })
    }

    /// Where each takes sockets.
    pub(super) fn places(&self) -> impl Iterator<Item = SocketAddr> {
        std::iter::once(self.house.ws()).chain(self.nodes.iter().map(|node| node.ws))
    }

    /// User memory of all.
    pub(super) fn memory_bytes(&self) -> anyhow::Result<u64> {
        super::sum(self.processes(), Process::memory_bytes)
    }

    /// CPU time of all.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        super::sum(self.processes(), Process::cpu)
    }

    fn processes(&self) -> impl Iterator<Item = Process> {
        let nodes = self.nodes.iter().map(|node| node.started.process());
        std::iter::once(self.house.process()).chain(nodes)
    }
}

/// Whether a node lets clients in.
fn is_ready(ws: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(ws)?;
        stream.set_read_timeout(Some(ANSWER_TIME_MAX))?;
        stream.write_all(b"GET /-/ready HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status.ends_with(b"200"))
    };
    ask().unwrap_or(false)
}
