//! One side of a pair: a crowd in a room of a private Porthouse. Never decides
//! what is measured of it.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use porthouse_load::cores;
use porthouse_load::crowd::Crowd;
use porthouse_load::house::{Built, House};
use porthouse_load::opening;
use porthouse_load::process::Process;
use porthouse_load::speech::{Speech, Who};
use porthouse_load::talk::{Pace, Plan};

use super::Within;
use crate::node::Node;
use crate::subject::{self, Told};

/// A message's payload.
pub(super) const PAYLOAD_BYTES: usize = 128;
/// Sockets of a room, unless said otherwise.
pub(super) const SOCKETS: usize = 1_000;
/// Sockets that come in at one time.
const AT_ONCE: usize = 64;
/// Nobody is asked whether they are there: those who wait their turn do not read.
const FLAGS: [&str; 2] = ["--silence-ms-max", "3600000"];

/// A crowd and its server's process.
pub(super) struct Side<S: Speech> {
    pub(super) crowd: Crowd<S>,
    pub(super) process: Process,
}

impl<S: Speech> Side<S> {
    /// Everybody comes in.
    pub(super) fn open(house: &House, speech: S, everybody: &[Who]) -> anyhow::Result<Self> {
        Self::open_at((house.ws(), house.process()), speech, everybody)
    }

    /// The same at any server.
    pub(super) fn open_at(
        (ws, process): (SocketAddr, Process),
        speech: S,
        everybody: &[Who],
    ) -> anyhow::Result<Self> {
        let target = porthouse_load::target::Target::at(ws);
        let mut watch = |_| ControlFlow::Continue(());
        let (crowd, opened) = opening::open(&target, speech, everybody, AT_ONCE, &mut watch)?;
        opened.all()?;
        Ok(Self { crowd, process })
    }

    /// They talk.
    pub(super) fn talk(&mut self, plan: &Plan) -> anyhow::Result<Told> {
        subject::told(&mut self.crowd, self.process, plan)
    }
}

impl Within {
    /// A private Porthouse with one puddle on the server's core.
    pub(super) fn house(&self) -> anyhow::Result<House> {
        self.house_of(1, &[cores::SERVER])
    }

    /// A node of it with one puddle on that core, with further flags.
    pub(super) fn node(
        &self,
        house: &House,
        called: (&str, &str),
        flags: &[&str],
    ) -> anyhow::Result<Node> {
        let built = Built {
            puddles: 1,
            cores: &[cores::SERVER],
            flags: &[&FLAGS, flags].concat(),
        };
        Node::start(&self.porthouse, house, called, built)
    }

    /// One with so many puddles on these cores.
    pub(super) fn house_of(&self, puddles: usize, cores: &[usize]) -> anyhow::Result<House> {
        let built = Built {
            puddles,
            cores,
            flags: &FLAGS,
        };
        House::build(&self.porthouse, built)
    }

    /// A run at a pace.
    pub(super) const fn plan(&self, pace: Pace) -> Plan {
        Plan {
            pace,
            span: Duration::from_secs(self.seconds),
            payload_bytes: PAYLOAD_BYTES,
        }
    }

    /// Ours, theirs, ours, theirs …: a figure of each.
    pub(super) fn alternate(
        &self,
        mut ours: impl FnMut() -> anyhow::Result<f64>,
        mut theirs: impl FnMut() -> anyhow::Result<f64>,
    ) -> anyhow::Result<Vec<(f64, f64)>> {
        (0..self.pairs).map(|_| Ok((ours()?, theirs()?))).collect()
    }
}
