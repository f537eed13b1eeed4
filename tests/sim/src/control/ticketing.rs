//! Tickets: made for a session, a path and a page, and used by one upgrade, which is answered the
//! same again for a while. Opens no session.

use std::sync::Arc;

use porthouse_model::{Credential, CredentialKind};
use porthouse_puddle::{ShownTicket, SignInVerdict};

use super::Control;
use crate::plant::Plant;
use crate::queue::{MILLIS, Nanos, SECONDS};

/// A ticket is good for so long. A tenth of the real time, as a world lasts no longer.
pub(crate) const TICKET_NANOS: Nanos = 3 * SECONDS;
/// And the upgrade that used it is answered the same again for so long.
const AGAIN_NANOS: Nanos = 500 * MILLIS;
/// Where a ticket is written as used too late, so much later.
const LATE_NANOS: Nanos = SECONDS;

/// A ticket as it stands.
#[derive(Debug)]
pub(super) struct TicketRow {
    session: u32,
    origin: Option<Box<str>>,
    path: String,
    expires: Nanos,
    used: Option<Used>,
}

/// By which upgrade it was used, when, and from when on that is known.
#[derive(Debug)]
struct Used {
    upgrade: Box<[u8]>,
    at: Nanos,
    known: Nanos,
}

impl Control {
    /// A ticket of a live session's, for a page or none, at a path.
    pub(crate) fn make_ticket(
        &mut self,
        session: u32,
        (origin, path): (Option<&str>, String),
        at: Nanos,
    ) -> Option<String> {
        if self.is_over(self.session(session)) {
            return None;
        }
        let ticket = Credential::new(CredentialKind::Ticket, self.secret());
        let row = TicketRow {
            session,
            origin: origin.map(Box::from),
            path,
            expires: at + TICKET_NANOS,
            used: None,
        };
        self.tickets.insert(ticket.hash(), row);
        Some(ticket.reveal())
    }

    /// Uses a ticket for an upgrade: one step, whoever else is asked at once.
    pub(crate) fn redeem(&mut self, shown: &ShownTicket, at: Nanos) -> SignInVerdict {
        let session = self.take_ticket(shown, at);
        let live = session.filter(|session| !self.is_over(self.session(*session)));
        let Some(session) = live else {
            return SignInVerdict::Gone;
        };
        let row = self.session(session);
        SignInVerdict::Right {
            session: Arc::new(self.told_of(row)),
            token: row.hash,
            revision: self.head().revision,
            device_mark: None,
        }
    }

    fn take_ticket(&mut self, shown: &ShownTicket, at: Nanos) -> Option<u32> {
        let plant = self.plant;
        let row = self.tickets.get_mut(&shown.ticket)?;
        let is_bound = row.origin == shown.origin && row.path == shown.path;
        let lives = at < row.expires || plant == Some(Plant::TicketOutlives);
        let is_good = match row.used.as_ref().filter(|used| used.known <= at) {
            None => lives,
            Some(_) if plant == Some(Plant::TicketForgetsUpgrade) => false,
            Some(used) => used.upgrade == shown.upgrade && at < used.at + AGAIN_NANOS,
        };
        if !is_good || !(is_bound || plant == Some(Plant::TicketAnywhere)) {
            return None;
        }
        let late = if plant == Some(Plant::TicketTwice) {
            LATE_NANOS
        } else {
            0
        };
        row.used.get_or_insert_with(|| Used {
            upgrade: shown.upgrade.clone(),
            at,
            known: at + late,
        });
        Some(row.session)
    }
}
