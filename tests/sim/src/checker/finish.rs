//! How everything must be when it has been well for half a minute: everybody answered, everybody
//! heard, presence true. Owns nothing.

use super::line::Way;
use super::message::Receiver;
use super::present::Inside;
use super::violation::{Violation, broken};
use super::{Checker, index};

/// How late presence may be in a room that no administrator has written, in nanoseconds.
const SHOWN_LATE: u64 = 7_000_000_000;
const SHOWN_EVERY: u64 = 1_000_000_000;
/// And the ways from puddle to puddle, and of sockets that went without a word.
const SHOWN_SLACK: u64 = 3_000_000_000;

impl Checker {
    pub(super) fn finished(&mut self) -> Result<(), Violation> {
        if self.policy.applied() < self.policy.head {
            let (applied, head) = (self.policy.applied(), self.policy.head);
            return broken("P16", format!("revision {applied} is applied of {head}"));
        }
        for (socket, known) in self.sockets.iter().enumerate() {
            if !known.over {
                self.bounds
                    .upgrade(socket, known.upgraded, known.begun, self.at)?;
                known.requests.overdue(socket, self.bounds, self.at)?;
                let number = u32::try_from(socket).expect("a socket's number");
                for &(room, _) in &known.entries {
                    self.past.is_whole(number, room)?;
                }
            }
        }
        self.orders.finish(&self.messages)?;
        self.were_few()?;
        self.came_slowly()?;
        self.views.are_true(|room| self.inside(room))?;
        self.everybody_heard()
    }

    /// What was said since everybody was inside has reached everybody it was for.
    fn everybody_heard(&self) -> Result<(), Violation> {
        let Some((first, settled)) = self.settled else {
            return Ok(());
        };
        let until = self.at.saturating_sub(5_000_000_000);
        for (number, entry) in self.entries.iter().enumerate() {
            if !entry.open
                || entry.unsure.is_some()
                || entry.at > settled
                || self.sockets[index(entry.socket)].over
            {
                continue;
            }
            let receiver = self.receiver_of(u32::try_from(number).expect("an entry's number"));
            let is_inside = |socket| self.was_inside(socket, entry.room, settled);
            let door = self.policy.door(entry.room);
            // More may be said at once than may wait for the store.
            let paced = door.is_some_and(|door| door.narrow.is_paced() || door.kept.is_some());
            let overhears = self.overhears_since(entry.socket, entry.room);
            let lacking =
                self.messages
                    .lacking(receiver, first, until, (paced, overhears), is_inside);
            if let Some(message) = lacking {
                return broken("P16", format!("{receiver:?} never got {message}"));
            }
        }
        Ok(())
    }

    /// Who came in by this entry, whatever the rules.
    pub(super) fn receiver_of(&self, number: u32) -> Receiver {
        let entry = &self.entries[index(number)];
        let known = &self.sockets[index(entry.socket)];
        Receiver {
            entry: number,
            socket: entry.socket,
            client: known.client,
            room: entry.room,
            inside: entry.inside,
            rules: 0,
            known: 0,
            is_told: known.is_told(),
        }
    }

    /// Who is inside, if nobody has come or gone for long enough that all who look know it.
    fn inside(&self, room: u32) -> Option<Inside> {
        let inside = self.seated(room);
        let door = self.policy.door(room);
        let (late, every) = door.map_or((SHOWN_LATE, SHOWN_EVERY), |door| {
            (door.shown_late_max, door.shown_every)
        });
        // As many may have gone as are there.
        let news = 2 * (inside.clients.len() as u64 + inside.nameless);
        let batches = news / self.bounds.presence_entries_max.max(1) as u64;
        let stirred = self.stirred.get(&room).copied().unwrap_or(0);
        let known_at = stirred + late + batches * every + SHOWN_SLACK;
        (known_at <= self.at).then_some(inside)
    }

    fn seated(&self, room: u32) -> Inside {
        let mut inside = Inside::default();
        for entry in self.entries.iter().filter(|entry| entry.room == room) {
            let known = &self.sockets[index(entry.socket)];
            if !entry.open || known.over {
                continue;
            }
            let Some(client) = known.client else {
                inside.nameless += 1;
                continue;
            };
            let sockets = inside.clients.entry(client).or_default();
            match known.raw_room {
                Some(_) if known.way == Way::Events => {}
                Some(_) => sockets.0 += 1,
                None => sockets.1 += 1,
            }
        }
        inside
    }

    /// In this room since then, and until now.
    fn was_inside(&self, socket: u32, room: u32, since: u64) -> bool {
        let known = &self.sockets[index(socket)];
        let entry = known.entries.iter().find(|(of, _)| *of == room);
        !known.over && entry.is_some_and(|&(_, entry)| self.entries[index(entry)].at <= since)
    }
}
