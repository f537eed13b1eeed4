//! A node of a private Porthouse, as a process of its own. Ends with this value.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use porthouse_load::cores;
use porthouse_load::house::{Built, House, keep_settings_out};
use porthouse_load::process::{Process, Started};

/// How long a node may take to be ready.
const READY_TIME_MAX: Duration = Duration::from_secs(20);
/// How long its answer is waited for.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);

/// A node.
pub(crate) struct Node {
    started: Started,
    ws: SocketAddr,
}

impl Node {
    /// Starts one by this name and key, and waits until it lets clients in.
    pub(crate) fn start(
        program: &Path,
        house: &House,
        (name, key): (&str, &str),
        built: Built<'_>,
    ) -> anyhow::Result<Self> {
        let ws = free_address()?;
        let mut command = Command::new(program);
        keep_settings_out(&mut command);
        command
            .args(["node", "--control", &format!("http://{}", house.grpc())])
            .args(["--node-name", name])
            .args(["--ws", &ws.to_string(), "--grpc", "127.0.0.1:0"])
            .args(["--puddles", &built.puddles.to_string()])
            .args(["--transient-rooms", "anyone"])
            .args(built.flags)
            .env("PORTHOUSE_API_KEY", key)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = cores::spawn(built.cores, &mut command);
        let mut started = Started::new(child.context("it does not start")?);
        started.until(READY_TIME_MAX, || Ok(is_ready(ws).then_some(())))?;
        Ok(Self { started, ws })
    }

    /// Where it takes sockets.
    pub(crate) const fn ws(&self) -> SocketAddr {
        self.ws
    }

    /// Its process.
    pub(crate) fn process(&self) -> Process {
        self.started.process()
    }
}

/// An address of this machine that nobody listens at now.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
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
