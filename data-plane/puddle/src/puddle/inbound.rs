//! What sockets have sent and cannot be used yet, over all of a puddle: bounded,
//! so that many halves of messages are no more than a few whole ones.
//!
//! Owns the count and who goes when it is too large. What one socket may hold is
//! its room's limit.

use porthouse_model::Refused;

use super::Puddle;
use crate::input::SocketId;
use crate::socket::Phase;

impl Puddle {
    /// Counts what a socket holds now. When all hold too much, those go that hold
    /// the most: whoever only finishes what is short is not among them.
    pub(super) fn count_inbound(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.get_mut(id) else {
            return;
        };
        let now = socket.inbound();
        let before = socket.inbound_bytes;
        if now == before as usize {
            return;
        }
        socket.inbound_bytes = u32::try_from(now).expect("a message is below 4 GiB");
        self.inbound_bytes = self.inbound_bytes - before as usize + now;
        if self.inbound_bytes > self.settings.inbound_bytes_max {
            self.free_inbound();
        }
    }

    /// A socket is gone, and what it held.
    pub(super) fn uncount_inbound(&mut self, bytes: u32) {
        self.inbound_bytes -= bytes as usize;
    }

    /// Frees an eighth, so that all sockets are looked at no oftener than so many
    /// bytes come.
    fn free_inbound(&mut self) {
        let bytes_max = self.settings.inbound_bytes_max;
        let goal = bytes_max - bytes_max / 8;
        let holding = self.sockets.iter().filter(|one| one.inbound_bytes > 0);
        let mut holding: Vec<(u32, SocketId)> =
            holding.map(|one| (one.inbound_bytes, one.id)).collect();
        holding.sort_by_key(|(bytes, id)| (core::cmp::Reverse(*bytes), *id));
        for (_, id) in holding {
            if self.inbound_bytes <= goal {
                return;
            }
            self.refuse_inbound(id);
        }
    }

    fn refuse_inbound(&mut self, id: SocketId) {
        match self.sockets.get(id).map(|socket| &socket.phase) {
            Some(Phase::Upgrading { .. }) => self.refuse_request(id, Refused::InboundFull),
            Some(Phase::Closing { .. }) => self.hang_up(id),
            Some(Phase::Knocking(_) | Phase::Raw(..) | Phase::Multiplexed(_)) => {
                self.close_refused(id, Refused::InboundFull);
            }
            None => {}
        }
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.held = None;
        }
        self.count_inbound(id);
    }

    /// Every byte that is held is counted, or will be with the next that comes.
    pub(super) fn check_inbound(&self) {
        let counted = self.sockets.iter().map(|one| one.inbound_bytes as usize);
        assert_eq!(
            counted.sum::<usize>(),
            self.inbound_bytes,
            "what came is counted"
        );
        assert!(
            self.inbound_bytes <= self.settings.inbound_bytes_max,
            "what came is bounded"
        );
    }
}
