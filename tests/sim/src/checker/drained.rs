//! A node that goes away lets nobody in any more, has closed everybody by the time it said, and
//! says why; and who is closed while there is time has heard what was said to be taken before.
//! Knows no doors.

use super::line::Stamp;
use super::violation::{Violation, broken};
use super::{Checker, index};

/// Bytes on their way, and what the parts of the node tell each other.
const SLACK: u64 = 500_000_000;
/// That it goes away.
const GOES_AWAY: u16 = 1012;
/// Codes that say no reason: that all is well, or that something of the node's broke.
const UNEXPLAINED: [u16; 5] = [1000, 1001, 1005, 1006, 1011];

/// What was seen since the node goes away.
#[derive(Debug)]
pub(super) struct Drain {
    since: u64,
    /// By then who is slow is not waited for any more.
    patient_until: u64,
    /// Those who were inside, and when they were closed.
    inside: Vec<(u32, Option<Stamp>)>,
    /// Messages that were said to be taken.
    taken: Vec<(u32, u64)>,
}

impl Checker {
    /// The node is told to go away by then.
    pub(super) fn drains(&mut self, until: u64) {
        let entries = (0_u32..).zip(&self.entries);
        let inside = entries.filter(|(_, entry)| entry.open && entry.unsure.is_none());
        self.drain = Some(Drain {
            since: self.at,
            patient_until: self.at + (until - self.at) / 4 * 3,
            inside: inside.map(|(number, _)| (number, None)).collect(),
            taken: Vec::new(),
        });
    }

    /// Whoever begins while it goes away is not let in.
    pub(super) fn goes_not_away(&self, socket: u32) -> Result<(), Violation> {
        let begun = self.sockets[index(socket)].begun;
        match &self.drain {
            Some(drain) if begun > drain.since + SLACK => broken(
                "P6",
                format!("socket {socket} is let in, begun at {begun}, by a node that goes away"),
            ),
            Some(_) | None => Ok(()),
        }
    }

    /// A message is said to be taken.
    pub(super) fn is_taken_while_it_drains(&mut self, message: u32) {
        let at = self.at;
        if let Some(drain) = &mut self.drain {
            drain.taken.push((message, at));
        }
    }

    /// A socket is closed.
    pub(super) fn is_sent_away(
        &mut self,
        socket: u32,
        code: u16,
        written: Stamp,
    ) -> Result<(), Violation> {
        let Some(drain) = self.drain.as_mut().filter(|drain| written.at > drain.since) else {
            return Ok(());
        };
        if UNEXPLAINED.contains(&code) {
            return broken(
                "P16",
                format!("socket {socket} is closed by {code} as the node goes away"),
            );
        }
        // Whoever has left a room meanwhile hears no more of it.
        let own = &self.entries;
        let is_here = |entry: u32| own[index(entry)].open && own[index(entry)].socket == socket;
        for (_, closed) in drain.inside.iter_mut().filter(|(entry, _)| is_here(*entry)) {
            *closed = Some(written).filter(|_| code == GOES_AWAY);
        }
        Ok(())
    }

    /// Nobody is left, and nobody has missed anything.
    pub(super) fn has_drained(&self) -> Result<(), Violation> {
        let Some(drain) = &self.drain else {
            return Ok(());
        };
        let mut known = self.sockets.iter().enumerate();
        let left =
            known.find(|(_, known)| known.upgraded && !known.over && known.begun < drain.since);
        if let Some((socket, _)) = left {
            return broken(
                "P16",
                format!("socket {socket} was never closed by a node that went away"),
            );
        }
        for &(entry, closed) in &drain.inside {
            let closed = closed.filter(|closed| closed.at < drain.patient_until);
            let Some(closed) = closed else {
                continue;
            };
            let to = self.receiver_of(entry);
            let taken = drain.taken.iter();
            let before = taken.filter(|(_, at)| at + SLACK < closed.at);
            for &(message, at) in before {
                if self.messages.never_came(to, message) {
                    return broken(
                        "P16",
                        format!("{to:?} never got {message}, taken by {at}, closed at {closed:?}"),
                    );
                }
            }
        }
        Ok(())
    }
}
