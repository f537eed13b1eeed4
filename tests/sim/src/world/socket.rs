//! One connection: both streams, what the node knows it as, and how far its client is with it.
//! Decides nothing.

use core::num::NonZeroU32;
use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use porthouse_puddle::{SocketId, Wrote};

use crate::checker::line::Ask;
use crate::client::Question;
use crate::link::{Down, Stream, Written};

/// How far a client is with its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Waits for the answer to its upgrade.
    Upgrading,
    Open,
    /// A close frame came or went.
    Closing,
}

/// A connection.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "what holds of either end by itself"
)]
pub(crate) struct Socket {
    pub(crate) client: u32,
    pub(crate) puddle: u8,
    /// As the node names it; `None` once it has forgotten it.
    pub(crate) id: Option<SocketId>,
    /// The node was told that it is there.
    pub(crate) accepted: bool,
    pub(crate) up: Stream,
    pub(crate) up_due: bool,
    pub(crate) up_paused: bool,
    /// The client's end came: nothing follows what is under way.
    pub(crate) up_ended: bool,
    pub(crate) down: Down,
    pub(crate) down_due: bool,
    /// The client does not read before this.
    pub(crate) stalled_until: u64,
    /// The connection is broken: writes find it gone.
    pub(crate) broken: bool,
    /// The client does not read any more.
    pub(crate) deaf: bool,
    /// What a shell with a planted bug keeps.
    pub(crate) kept: Vec<u8>,
    // The client's side.
    pub(crate) stage: Stage,
    pub(crate) inbox: Vec<u8>,
    /// How much was read before the inbox.
    pub(crate) read: u64,
    pub(crate) requests: u64,
    /// Requests that wait for their reply.
    pub(crate) asked: Vec<(u64, Ask)>,
    pub(crate) authenticated: bool,
    pub(crate) authenticating: bool,
    /// It showed a ticket.
    pub(crate) by_ticket: bool,
    /// A close frame came.
    pub(crate) closed: bool,
    /// The session it says, or is told, it is of.
    pub(crate) session: Option<u32>,
    pub(crate) inside: Vec<u32>,
    pub(crate) joining: Vec<u32>,
    /// Rooms to which its address leads, and that it was told it is not in.
    pub(crate) told_out: Vec<u32>,
    /// Rooms that have asked something and were not answered.
    pub(crate) challenged: Vec<(u32, Question)>,
}

impl Socket {
    pub(crate) fn new(client: u32, puddle: u8, down_bytes_max: usize) -> Self {
        Self {
            client,
            puddle,
            id: None,
            accepted: false,
            up: Stream::default(),
            up_due: false,
            up_paused: false,
            up_ended: false,
            down: Down::new(down_bytes_max),
            down_due: false,
            stalled_until: 0,
            broken: false,
            deaf: false,
            kept: Vec::new(),
            stage: Stage::Upgrading,
            inbox: Vec::new(),
            read: 0,
            requests: 0,
            asked: Vec::new(),
            authenticated: false,
            authenticating: false,
            by_ticket: false,
            closed: false,
            session: None,
            inside: Vec::new(),
            joining: Vec::new(),
            told_out: Vec::new(),
            challenged: Vec::new(),
        }
    }

    /// The next request's id.
    pub(crate) const fn request(&mut self) -> u64 {
        self.requests += 1;
        self.requests
    }

    /// Takes everything, as a shell with an own queue behind the kernel's would.
    pub(crate) fn keep(&mut self, bytes: &[IoSlice<'_>], stamp: Written) {
        for slice in bytes {
            self.kept.extend_from_slice(slice);
        }
        self.write_kept(stamp);
    }

    /// Writes what was kept, as far as it is taken.
    pub(crate) fn write_kept(&mut self, stamp: Written) {
        if self.kept.is_empty() || !self.down.has_room() {
            return;
        }
        let taken = match self
            .down
            .write(&[IoSlice::new(&self.kept)], usize::MAX, stamp)
        {
            Wrote::All => self.kept.len(),
            Wrote::Part(taken) => taken,
            Wrote::Gone => unreachable!("a stream is never gone by itself"),
        };
        self.down.blocked = false;
        self.kept.drain(..taken);
    }
}

/// Behind this all networks are: `2001:db8::/32` (RFC 3849).
const NETWORKS: u128 = 0x2001_0db8 << 96;

/// The address of a socket: each has its own, in one of so many networks, if they are counted.
pub(crate) fn address(socket: u32, networks: Option<NonZeroU32>) -> IpAddr {
    let [_, a, b, c] = socket.to_be_bytes();
    match networks {
        None => IpAddr::V4(Ipv4Addr::new(10, a, b, c)),
        Some(networks) => {
            let network = u128::from(socket % networks) << 72;
            IpAddr::V6(Ipv6Addr::from_bits(NETWORKS | network | u128::from(socket)))
        }
    }
}

/// The socket of an address.
pub(crate) fn socket_of(address: IpAddr) -> Option<u32> {
    match address {
        IpAddr::V4(address) => {
            let [_, a, b, c] = address.octets();
            Some(u32::from_be_bytes([0, a, b, c]))
        }
        IpAddr::V6(address) => u32::try_from(address.to_bits() & u128::from(u32::MAX)).ok(),
    }
}
