//! Sessions that end by themselves, at a moment that is known when they are opened: nobody is
//! inside or heard after it (P6), everybody is closed by then (P8), and nobody before it (P17).

use super::line::{Edit, Stamp};
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
                format!(
                    "socket {socket} is written to at {written:?}, its session being over: {until:?}"
                ),
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

    /// No session ends as idle that was in use all the time: never unused for as long as it may be.
    /// What is told of it again within a quarter of that changes nothing.
    pub(super) fn were_idle(&self, edits: &[Edit]) -> Result<(), Violation> {
        let idle = self.bounds.idle_nanos_max / 4 * 3;
        for edit in edits {
            let Edit::SessionIdle { session } = *edit else {
                continue;
            };
            let own = self.sockets.iter();
            let own = own.filter(|known| known.session == Some(session));
            let mut used: Vec<_> = own.filter_map(|known| known.heard).collect();
            used.sort_unstable();
            used.push((self.at, self.at));
            let mut until = self.policy.opened(session);
            let is_idle = used.into_iter().any(|(from, to)| {
                let unused = from.saturating_sub(until);
                until = until.max(to);
                unused > idle
            });
            if !is_idle {
                return broken(
                    "P17",
                    format!("session {session} ends as idle, and was in use all the time"),
                );
            }
        }
        Ok(())
    }

    /// By its own end no socket is closed before that.
    pub(super) fn not_cut_short(
        &self,
        socket: u32,
        code: u16,
        written: Stamp,
    ) -> Result<(), Violation> {
        self.closing_holds(socket, code)?;
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
