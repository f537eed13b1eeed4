//! Where a benchmark runs: on a server that is there, or on a private one.

use std::time::Duration;

use anyhow::Context as _;
use porthouse_load::files;
use porthouse_load::house::House;
use porthouse_load::process::Process;
use porthouse_load::target::Target;

use super::backend::Backend;
use crate::secret::{Given, Named};

/// Threads of a private server that hold sockets.
const PUDDLES: usize = 1;

/// Why nothing can be measured.
const UNNAMED: &str = "no server is named: give its URL, or --here for a private one";

/// Where it runs, and how it is told.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// Where the server takes sockets, as `ws://host:port`
    #[arg(value_name = "URL")]
    url: Option<String>,
    /// Start a private server for it, and end it afterwards
    #[arg(long, conflicts_with = "url")]
    here: bool,
    /// The server's process on this machine, whose CPU and memory are read
    #[arg(long, value_name = "NUMBER", conflicts_with = "here")]
    pid: Option<u32>,
    /// The room, or how the rooms' names begin [default: a new name]
    #[arg(long, value_name = "NAME")]
    room: Option<String>,
    /// Sockets that are coming in at one time
    #[arg(long, value_name = "NUMBER", default_value_t = 64)]
    pub(super) at_once: usize,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    token: Given<SessionToken>,
}

/// As whom the sockets come.
struct SessionToken;

impl Named for SessionToken {
    const NAME: &'static str = "session_token";
    const FILE: &'static str = "session_token_file";
    const VARIABLES: [&'static str; 2] =
        ["PORTHOUSE_SESSION_TOKEN", "PORTHOUSE_SESSION_TOKEN_FILE"];
    const HELP: [&'static str; 2] = [
        "The token of a session that sockets come by; anonymous without",
        "Read that token from a file, not from PORTHOUSE_SESSION_TOKEN",
    ];
}

/// A server to measure. A private one ends with this value.
pub(super) struct Place {
    pub(super) target: Target,
    /// Its process, if it is known.
    pub(super) process: Option<Process>,
    /// How the names of its rooms begin.
    pub(super) room: String,
    house: Option<House>,
}

impl Arguments {
    /// Finds the server, or starts it, for so many sockets.
    pub(super) fn open(&self, sockets: usize) -> anyhow::Result<Place> {
        // Before a server is started: it inherits the limit.
        files::raise(sockets)?;
        // Nobody else is in it.
        let room = || format!("bench-{}", uuid::Uuid::new_v4().simple());
        let house = if self.here {
            let program = std::env::current_exe().context("this program is not found")?;
            Some(House::start(&program, PUDDLES)?)
        } else {
            None
        };
        let mut target = match (&house, &self.url) {
            (Some(house), _) => Target::at(house.ws()),
            (None, url) => Target::of_url(url.as_deref().context(UNNAMED)?)?,
        };
        target.token = self.token.secret()?.map(|token| token.reveal().to_owned());
        let process = match (&house, self.pid) {
            (Some(house), _) => Some(house.process()),
            (None, Some(pid)) => Some(Process::of(pid).with_context(|| format!("--pid {pid}"))?),
            (None, None) => None,
        };
        Ok(Place {
            target,
            process,
            room: self.room.clone().unwrap_or_else(room),
            house,
        })
    }

    /// Whether the rooms were named.
    pub(super) const fn names_room(&self) -> bool {
        self.room.is_some()
    }
}

impl Place {
    /// CPU time that the server's process has used; none: it is not known.
    pub(super) fn cpu(&self) -> anyhow::Result<Option<Duration>> {
        self.process.map(Process::cpu).transpose()
    }

    /// The server's user memory; none: its process is not known.
    pub(super) fn memory_bytes(&self) -> anyhow::Result<Option<u64>> {
        self.process.map(Process::memory_bytes).transpose()
    }

    /// The private server's database; none: it is not private.
    pub(super) fn database_url(&self) -> Option<anyhow::Result<String>> {
        let house = self.house.as_ref()?;
        Some(crate::postgres::url_beside(house.data()))
    }

    /// The private server's backend; none: it is not private.
    pub(super) fn backend(&self) -> Option<anyhow::Result<Backend>> {
        let house = self.house.as_ref()?;
        Some(Backend::new(
            &format!("http://{}", house.grpc()),
            house.admin_key(),
        ))
    }
}
