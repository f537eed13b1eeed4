//! Client processes, one a node, led from here: each is this program once more.
//! All end with this value, and by themselves when this process is gone.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use anyhow::Context as _;
use porthouse_load::process::Started;
use serde::de::DeserializeOwned;

use super::client::{Arrived, Order, Talked};
use super::fleet::Fleet;

/// Sockets of a client that come in at one time, and of one in a hurry.
const AT_ONCE: usize = 64;
const HURRIED_AT_ONCE: usize = 512;

/// Who comes to a node.
#[derive(Clone, Debug)]
pub(super) struct Party {
    room: &'static str,
    rooms: usize,
    listeners: usize,
    flags: Vec<&'static str>,
    at_once: usize,
}

impl Party {
    /// So many rooms with so many who listen in each.
    pub(super) const fn of(room: &'static str, rooms: usize, listeners: usize) -> Self {
        Self {
            room,
            rooms,
            listeners,
            flags: Vec::new(),
            at_once: AT_ONCE,
        }
    }

    /// In each one speaks.
    pub(super) fn with_speakers(mut self) -> Self {
        self.flags.push("--spoken");
        self
    }

    /// All at once, and after everything else on this machine that wants to run.
    pub(super) fn hurrying(mut self) -> Self {
        self.flags.push("--gives-way");
        self.at_once = HURRIED_AT_ONCE;
        self
    }
}

/// Clients, in the order of their nodes.
pub(super) struct Crew(Vec<Member>);

struct Member {
    // Its end is what it ends by; so it goes first.
    orders: ChildStdin,
    told: Lines<BufReader<ChildStdout>>,
    _started: Started,
}

impl Crew {
    /// Starts one a node, each with its part of the sockets.
    pub(super) fn start(
        fleet: &Fleet,
        shares: &[usize],
        comes: impl Fn(usize) -> Party,
    ) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("this program")?;
        let mut members = Vec::new();
        for (number, (place, sockets)) in (1_u8..).zip(fleet.places().zip(shares)) {
            let party = comes(*sockets);
            let mut command = Command::new(&own);
            command
                .args(["client", "--at", &place.to_string(), "--room", party.room])
                .args(["--rooms", &party.rooms.to_string()])
                .args(["--listeners", &party.listeners.to_string()])
                .args(["--loopback", &number.to_string()])
                .args(["--at-once", &party.at_once.to_string()])
                .args(&party.flags)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped());
            let mut child = command.spawn().context("a client does not start")?;
            let orders = child.stdin.take().context("a client takes no orders")?;
            let told = child.stdout.take().context("a client tells nothing")?;
            members.push(Member {
                orders,
                told: BufReader::new(told).lines(),
                _started: Started::new(child),
            });
        }
        Ok(Self(members))
    }

    /// How all came in.
    pub(super) fn arrived(&mut self) -> anyhow::Result<Vec<Arrived>> {
        self.told()
    }

    /// What came of what was said, of each.
    pub(super) fn talked(&mut self) -> anyhow::Result<Vec<Talked>> {
        self.told()
    }

    /// How many sockets of each were closed while they stayed.
    pub(super) fn stayed(&mut self) -> anyhow::Result<Vec<u64>> {
        self.told()
    }

    /// Orders all the same.
    pub(super) fn order(&mut self, order: Order) -> anyhow::Result<()> {
        let line = serde_json::to_string(&order)? + "\n";
        for member in &mut self.0 {
            let said = member.orders.write_all(line.as_bytes());
            said.context("a client is gone")?;
        }
        Ok(())
    }

    /// The next line of each.
    fn told<T: DeserializeOwned>(&mut self) -> anyhow::Result<Vec<T>> {
        let tell = |member: &mut Member| {
            let line = member.told.next();
            let line = line.context("a client ended; it says above why")??;
            Ok(serde_json::from_str(&line)?)
        };
        self.0.iter_mut().map(tell).collect()
    }
}
