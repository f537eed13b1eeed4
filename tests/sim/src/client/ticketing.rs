//! Tickets as clients have them: made for one socket, mostly shown at once and where they were made
//! for; now and then later, elsewhere, again, or by another client of the session's.

use super::Client;
use crate::checker::line::{Bound, Line};
use crate::control::room_name;
use crate::world::World;

/// The page of every browser.
pub(super) const ORIGIN: &str = "https://sim.example";

/// A ticket, as its holder has it.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    session: u32,
    pub(super) text: String,
}

impl World {
    /// The ticket that a client shows, if it has one.
    pub(super) fn ticket_of(&mut self, client: &Client) -> Option<u32> {
        let session = client.session?;
        if self.is_troubled() && self.chance.one_in(3) {
            let own = |ticket: &Ticket| ticket.session == session;
            let last = self.tickets.iter().rposition(own);
            if let Some(last) = last {
                return Some(u32::try_from(last).expect("fewer than 2^32 tickets"));
            }
        }
        let mut bound = bound_of(client);
        if self.is_troubled() && self.chance.one_in(4) {
            if self.chance.one_in(2) {
                bound.page = !bound.page;
            } else {
                bound.room = Some(self.chance.index_u32(self.rooms()));
            }
        }
        let ticket = self.make_ticket(session, bound)?;
        // Some keep it for another time.
        let shows = !self.is_troubled() || !self.chance.one_in(4);
        shows.then_some(ticket)
    }

    fn make_ticket(&mut self, session: u32, bound: Bound) -> Option<u32> {
        let origin = bound.page.then_some(ORIGIN);
        let path = path(bound.room);
        let text = self.ticket_for(session, (origin, path))?;
        let ticket = u32::try_from(self.tickets.len()).expect("fewer than 2^32 tickets");
        self.tickets.push(Ticket { session, text });
        self.see(&Line::Ticket {
            ticket,
            session,
            bound,
        });
        Some(ticket)
    }

    /// A client shows a ticket at the upgrade of this socket.
    pub(super) fn shows_ticket(&mut self, socket: u32, client: &Client, ticket: u32) {
        self.see(&Line::Shows {
            socket,
            ticket,
            bound: bound_of(client),
        });
    }

    /// A socket that showed a ticket is told that it opens nothing.
    pub(super) fn ticket_is_refused(&mut self, socket: u32) {
        self.see(&Line::Unopened { socket });
    }
}

/// Where a client connects, and whether a page does for it.
fn bound_of(client: &Client) -> Bound {
    Bound {
        room: client.speech.room(),
        page: client.browser,
    }
}

/// The path of a room, or of all.
pub(super) fn path(room: Option<u32>) -> String {
    room.map_or_else(|| "/".to_owned(), |room| format!("/{}", room_name(room)))
}
