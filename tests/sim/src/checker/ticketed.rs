//! Tickets that are shown at upgrades: each opens one socket, where it was made for and while it is
//! good, and what nobody has used opens one (P13).

use super::line::Bound;
use super::violation::{Violation, broken};
use super::{Checker, index};

/// A ticket, and what became of it.
#[derive(Clone, Copy, Debug)]
struct Ticket {
    session: u32,
    bound: Bound,
    made: u64,
    /// So many sockets have shown it.
    shown: u32,
    /// Which it has opened.
    opened: Option<u32>,
}

/// What a socket showed, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Show {
    ticket: u32,
    bound: Bound,
    at: u64,
}

/// All tickets, in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    made: Vec<Ticket>,
}

impl Checker {
    /// Somebody has a ticket made.
    pub(super) fn ticket(&mut self, ticket: u32, session: u32, bound: Bound) {
        assert_eq!(
            self.tickets.made.len(),
            index(ticket),
            "tickets are numbered in order"
        );
        self.tickets.made.push(Ticket {
            session,
            bound,
            made: self.at,
            shown: 0,
            opened: None,
        });
    }

    /// A socket shows it.
    pub(super) fn shows_ticket(&mut self, socket: u32, ticket: u32, bound: Bound) {
        self.tickets.made[index(ticket)].shown += 1;
        let at = self.at;
        self.socket(socket).ticket = Some(Show { ticket, bound, at });
    }

    /// The socket is inside by what it showed.
    pub(super) fn opened(&mut self, socket: u32, show: Show) -> Result<(), Violation> {
        let life = self.bounds.ticket_nanos_max;
        let ticket = &mut self.tickets.made[index(show.ticket)];
        let why = match ticket.opened {
            Some(other) if other != socket => "which has opened another",
            Some(_) | None if ticket.bound != show.bound => "which was made for elsewhere",
            Some(_) | None if show.at > ticket.made + life => "which was too old",
            Some(_) | None => {
                ticket.opened = Some(socket);
                return Ok(());
            }
        };
        broken(
            "P13",
            format!("socket {socket} is inside by {show:?}, {why}: {ticket:?}"),
        )
    }

    /// The socket is told that what it showed opens nothing.
    pub(super) fn unopened(&mut self, socket: u32) -> Result<(), Violation> {
        let Some(show) = self.socket(socket).ticket.take() else {
            return broken("P13", format!("socket {socket} has shown no ticket"));
        };
        let ticket = self.tickets.made[index(show.ticket)];
        let is_first = ticket.shown == 1 && ticket.bound == show.bound;
        let is_good = self.at < ticket.made + self.bounds.ticket_nanos_max;
        if is_first && is_good && self.is_live(ticket.session) {
            return broken(
                "P13",
                format!("socket {socket} is refused by {ticket:?}, which nobody has used"),
            );
        }
        Ok(())
    }
}
