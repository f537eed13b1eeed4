//! Sessions that end by themselves, at a moment that is known when they are opened: nobody is
//! inside or heard after it (P6), everybody is closed by then (P8), and nobody before it (P17).

use super::line::Stamp;
use super::violation::{Violation, broken};
use super::{Checker, Socket};

/// The node's clock is told every second, and an end is seen in a turn.
const SLACK: u64 = 1_500_000_000;

/// The close code of a session whose time is over.
const EXPIRED: u16 = 4102;

impl Socket {
    /// Whether its session has ended by itself by then, for certain.
    pub(super) fn is_expired(&self, at: u64) -> bool {
        self.until.is_some_and(|until| at > until + SLACK)
    }

    /// Nothing but a close frame begins for who is out by now.
    pub(super) fn not_expired(&self, socket: u32, written: Stamp) -> Result<(), Violation> {
        if self.is_expired(written.at) {
            let until = self.until;
            return broken(
                "P6",
                format!("socket {socket} is written to at {written:?}, its session being over: {until:?}"),
            );
        }
        Ok(())
    }
}

impl Checker {
    /// Whether nothing has ended a session yet.
    pub(super) fn is_live(&self, session: u32) -> bool {
        let until = self.policy.until(session);
        self.policy.ended(session).is_none() && until.is_none_or(|until| self.at < until)
    }

    /// By its own end no socket is closed before that.
    pub(super) fn not_cut_short(
        &self,
        socket: u32,
        code: u16,
        written: Stamp,
    ) -> Result<(), Violation> {
        let known = &self.sockets[super::index(socket)];
        let is_early = known.until.is_none_or(|until| written.at + SLACK < until);
        if code == EXPIRED && is_early && known.session.is_some() {
            let until = known.until;
            return broken(
                "P17",
                format!("socket {socket} is closed as expired at {written:?}, before {until:?}"),
            );
        }
        Ok(())
    }
}
