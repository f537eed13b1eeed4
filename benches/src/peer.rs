//! The servers that Porthouse is held against: how each is started, in the
//! configuration that its documentation names for speed, and how its room is
//! spoken to. One that is not installed is absent; `scripts/setup benches`
//! installs them. Never looks for one outside the machine's own places and
//! `.tools`.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;
use porthouse_load::cores;
use porthouse_load::process::Started;
use porthouse_load::raw::Raw;
use porthouse_load::speech::Speech;
use porthouse_load::target::Target;
use tempfile::TempDir;

use crate::subject::{Held, Running, Subject};

mod mqtt;
mod nats;
mod nchan;
mod version;

/// How long a peer may take to listen.
const READY_TIME_MAX: Duration = Duration::from_secs(15);

/// A server beside Porthouse.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Peer {
    /// tokio-tungstenite, a task a socket, a broadcast channel
    Plain,
    /// uWebSockets by `PyPI`'s socketify, told to echo
    Uwebsockets,
    /// Node's `ws`
    Ws,
    /// nchan in nginx
    Nchan,
    /// NATS' WebSocket listener
    Nats,
    /// Mosquitto, MQTT over WebSocket
    Mosquitto,
}

/// Why a peer is left out.
pub(crate) struct Absent(pub(crate) String);

impl From<anyhow::Error> for Absent {
    fn from(error: anyhow::Error) -> Self {
        Self(format!("{error:#}"))
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Plain => "plain",
            Self::Uwebsockets => "uwebsockets",
            Self::Ws => "ws",
            Self::Nchan => "nchan",
            Self::Nats => "nats",
            Self::Mosquitto => "mosquitto",
        })
    }
}

impl Peer {
    /// Each.
    pub(crate) const ALL: [Self; 6] = [
        Self::Plain,
        Self::Uwebsockets,
        Self::Ws,
        Self::Nchan,
        Self::Nats,
        Self::Mosquitto,
    ];

    /// Which one is installed, as it says itself.
    pub(crate) fn version(self) -> String {
        version::of(self)
    }

    /// Starts it.
    pub(crate) fn start(self) -> Result<Box<dyn Subject>, Absent> {
        let place = Place::new()?;
        match self {
            Self::Plain => {
                let own = std::env::current_exe().context("this program")?;
                let mut command = Command::new(own);
                command.args(["plain", &place.port()]);
                started(self, place, command, Raw::in_room("bench"))
            }
            Self::Uwebsockets => {
                let script = in_house("benches/peers/uwebsockets.py")?;
                let library = in_house(".tools/benches/python")?;
                let mut command = Command::new(found("python3")?);
                command
                    .arg(script)
                    .arg(place.port())
                    .env("PYTHONPATH", library);
                started(self, place, command, Raw::in_room("bench"))
            }
            Self::Ws => {
                let script = in_house("benches/peers/ws.js")?;
                let library = in_house(".tools/benches/npm/node_modules")?;
                let mut command = Command::new(found("node")?);
                command
                    .arg(script)
                    .arg(place.port())
                    .env("NODE_PATH", library);
                started(self, place, command, Raw::in_room("bench"))
            }
            Self::Nchan => {
                let command = nchan::command(&place)?;
                started(self, place, command, nchan::Nchan)
            }
            Self::Nats => {
                let command = nats::command(&place)?;
                started(self, place, command, nats::Nats)
            }
            Self::Mosquitto => {
                let command = mqtt::command(&place)?;
                started(self, place, command, mqtt::Mqtt)
            }
        }
    }
}

/// Where a peer runs: a port that was free, and a directory for what it writes.
struct Place {
    address: SocketAddr,
    directory: TempDir,
}

impl Place {
    fn new() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        Ok(Self {
            address: listener.local_addr()?,
            directory: tempfile::tempdir()?,
        })
    }

    fn port(&self) -> String {
        self.address.port().to_string()
    }

    /// Writes its configuration; answers where.
    fn configure(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }
}

/// Starts a peer and waits until it listens.
fn started<S: Speech + Clone + 'static>(
    peer: Peer,
    place: Place,
    mut command: Command,
    speech: S,
) -> Result<Box<dyn Subject>, Absent> {
    let log = std::fs::File::create(place.directory.path().join("log"));
    let log = log.context("its log")?;
    let errors = log.try_clone().context("its log")?;
    command.stdin(Stdio::null()).stdout(log).stderr(errors);
    let child = cores::spawn(&[cores::SERVER], &mut command).context("it does not start")?;
    let mut started = Started::new(child);
    let listens = || match TcpStream::connect(place.address) {
        // Where nobody listens, a socket may be given that very port, and meet itself.
        Ok(stream) => Ok((stream.local_addr()? != place.address).then_some(())),
        Err(_) => Ok(None),
    };
    started
        .until(READY_TIME_MAX, listens)
        .map_err(|error| Absent(format!("{error}: {}", last_line(place.directory.path()))))?;
    let held = Held::Peer {
        started,
        _directory: place.directory,
    };
    let running = Running::new(held, Target::at(place.address), speech);
    Ok(match peer {
        // nginx: its one worker does.
        Peer::Nchan => Box::new(running.by_its_child()?),
        Peer::Plain | Peer::Uwebsockets | Peer::Ws | Peer::Nats | Peer::Mosquitto => {
            Box::new(running)
        }
    })
}

/// What a peer said last.
fn last_line(directory: &Path) -> String {
    let log = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
    log.lines().last().unwrap_or("it said nothing").to_owned()
}

/// A program that is installed.
fn found(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), ".tools/bin".into()]);
    let mut programs = places.map(|place| place.join(name));
    programs
        .find(|program| program.is_file())
        .with_context(|| format!("{name} is not installed: scripts/setup benches"))
}

/// A file of this checkout, or of its tools.
fn in_house(path: &str) -> anyhow::Result<PathBuf> {
    std::fs::canonicalize(path).with_context(|| {
        format!("{path} is not there: run scripts/setup benches, and this in the checkout's root")
    })
}
