//! Porthouse as several processes: `porthouse dev`, and further nodes of its
//! control plane. Each may run on every core. All end with this value.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use porthouse_load::cores;
use porthouse_load::house::{Built, House};
use porthouse_load::process::Process;

use crate::node::Node;
use crate::owner::Owner;

/// Nobody is asked whether they are there: those who are idle do not read.
const SILENCE: [&str; 2] = ["--silence-ms-max", "3600000"];

/// Several nodes.
pub(super) struct Fleet {
    // Nodes go before their control plane.
    nodes: Vec<Node>,
    house: House,
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
                let name = format!("bench-{number}");
                let node = Node::start(program, &fleet.house, (&name, &key), built);
                let node = node.with_context(|| format!("node {number} of the fleet"))?;
                fleet.nodes.push(node);
            }
        }
        Ok(fleet)
    }

    /// Where each takes sockets.
    pub(super) fn places(&self) -> impl Iterator<Item = SocketAddr> {
        std::iter::once(self.house.ws()).chain(self.nodes.iter().map(Node::ws))
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
        let nodes = self.nodes.iter().map(Node::process);
        std::iter::once(self.house.process()).chain(nodes)
    }
}
