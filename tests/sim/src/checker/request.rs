//! Every request has one reply, every entry one end (P15). Knows no rules.

use super::line::Ask;
use super::message::Moment;
use super::violation::{Violation, broken};

/// How long things may take, in nanoseconds, and how much is told at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) entry_nanos_max: u64,
    pub(crate) handshake_nanos_max: u64,
    /// A key stands for its message so long.
    pub(crate) key_nanos_max: u64,
    /// Clients in one word about who is there.
    pub(crate) presence_entries_max: usize,
    /// A session ends when nobody has seen it for so long.
    pub(crate) idle_nanos_max: u64,
    /// Of what one room keeps no more bytes are kept than these.
    pub(crate) history_bytes_max: usize,
    /// A ticket is good for so long.
    pub(crate) ticket_nanos_max: u64,
}

/// Deadlines are seen in a turn, and answers take their way.
const SLACK: u64 = 5_000_000_000;

#[derive(Clone, Copy, Debug)]
struct Request {
    id: u64,
    ask: Ask,
    room: Option<u32>,
    asked: Moment,
    /// It may never be answered: who asks what is dropped when the room is left.
    excused: bool,
}

/// For so long a message at the most holds up what its socket sends behind it, in a room that takes
/// no more at once than its rate.
const HELD_NANOS: u64 = 1_000_000_000;

/// What one socket waits for.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    /// What it said that may hold up what it sends behind it: nothing that it was answered since
    /// shows to have been read.
    held: Vec<Moment>,
    waiting: Vec<Request>,
    /// Rooms that asked something, since when.
    challenged: Vec<(u32, u64)>,
}

impl Requests {
    pub(crate) fn ask(&mut self, id: u64, ask: Ask, room: Option<u32>, asked: Moment) {
        self.waiting.push(Request {
            id,
            ask,
            room,
            asked,
            excused: false,
        });
    }

    pub(crate) fn asked_at(&self, id: u64) -> Option<u64> {
        let found = self.waiting.iter().find(|request| request.id == id)?;
        Some(found.asked.step)
    }

    /// Answers the room that was asked about.
    pub(crate) fn reply(&mut self, socket: u32, id: u64) -> Result<Option<u32>, Violation> {
        let Some(at) = self.waiting.iter().position(|request| request.id == id) else {
            return broken(
                "P15",
                format!("socket {socket} got a reply to {id}, unasked or again"),
            );
        };
        let answered = self.waiting.remove(at);
        self.held.retain(|held| held.step > answered.asked.step);
        Ok(answered.room)
    }

    /// It says something that may hold up what it sends behind it.
    pub(crate) fn hold_up(&mut self, said: Moment) {
        self.held.push(said);
    }

    /// Whether what it asks now may not have been read yet.
    pub(crate) fn are_held_up(&self, now: u64) -> bool {
        let last = self.held.last();
        last.is_some_and(|last| now < last.at + self.held_before(u64::MAX) + SLACK)
    }

    /// How long what was asked at a step may have been held up.
    fn held_before(&self, step: u64) -> u64 {
        self.held.partition_point(|held| held.step < step) as u64 * HELD_NANOS
    }

    /// The room was left: what was to be told of its people may be dropped.
    pub(crate) fn excuse(&mut self, room: u32) {
        let people =
            |request: &&mut Request| request.room == Some(room) && request.ask == Ask::Presence;
        for request in self.waiting.iter_mut().filter(people) {
            request.excused = true;
        }
    }

    pub(crate) fn challenge(&mut self, room: u32, at: u64) {
        self.admit(room);
        self.challenged.push((room, at));
    }

    pub(crate) fn admit(&mut self, room: u32) {
        self.challenged.retain(|(of, _)| *of != room);
    }

    pub(crate) fn refuse(&mut self, room: u32) {
        self.admit(room);
    }

    /// When the first request was made by which an entry to this room is under way.
    pub(crate) fn entering_since(&self, room: u32) -> Option<u64> {
        self.entering(room).map(|asked| asked.at)
    }

    /// At which step that was.
    pub(crate) fn entering_step(&self, room: u32) -> u64 {
        self.entering(room).map_or(0, |asked| asked.step)
    }

    fn entering(&self, room: u32) -> Option<Moment> {
        let enters = |request: &&Request| {
            request.room == Some(room) && matches!(request.ask, Ask::Join | Ask::Answer)
        };
        let first = self.waiting.iter().find(enters)?;
        Some(first.asked)
    }

    /// The room has asked something, or is asked to let in.
    pub(crate) fn is_waiting(&self, room: u32) -> bool {
        let is_asked = self.challenged.iter().any(|(of, _)| *of == room);
        is_asked || self.is_entering(room)
    }

    /// An entry to this room is under way.
    pub(crate) fn is_entering(&self, room: u32) -> bool {
        let enters = |request: &Request| {
            request.room == Some(room) && matches!(request.ask, Ask::Join | Ask::Answer)
        };
        self.waiting.iter().any(enters)
    }

    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
        self.challenged.clear();
    }

    /// Nothing waits longer than it may.
    pub(crate) fn overdue(&self, socket: usize, bounds: Bounds, now: u64) -> Result<(), Violation> {
        let until = bounds.entry_nanos_max + SLACK;
        let late = |asked: u64| now.saturating_sub(asked) > until;
        let is_late = |request: &&Request| {
            let held = self.held_before(request.asked.step);
            late(request.asked.at + held) && !request.excused
        };
        if let Some(request) = self.waiting.iter().find(is_late) {
            return broken(
                "P15",
                format!("socket {socket} was never answered: {request:?}"),
            );
        }
        if let Some((room, _)) = self.challenged.iter().find(|(_, since)| late(*since)) {
            return broken(
                "P15",
                format!("socket {socket}: its entry to {room} never ends"),
            );
        }
        Ok(())
    }
}

impl Bounds {
    /// An upgrade ends.
    pub(crate) fn upgrade(
        self,
        socket: usize,
        upgraded: bool,
        begun: u64,
        now: u64,
    ) -> Result<(), Violation> {
        let until = self.handshake_nanos_max + self.entry_nanos_max + SLACK;
        if !upgraded && now.saturating_sub(begun) > until {
            return broken("P15", format!("socket {socket}: its upgrade never ends"));
        }
        Ok(())
    }
}
