//! Who was put out of a room by a backend hears nothing more of it once the backend was told so,
//! and does not come back while that was said to last (P6, P7). Knows no doors.

use super::hash::Table;
use super::line::Stamp;
use super::message::Moment;
use super::violation::{Violation, broken};
use super::{Checker, index};

/// Kicks under way, and those that last.
#[derive(Debug, Default)]
pub(crate) struct Kicks {
    called: Table<u64, Called>,
    /// By client and room.
    kept_out: Table<(u128, u32), KeptOut>,
}

#[derive(Debug)]
struct Called {
    client: u128,
    room: Option<u32>,
    /// Until when the client may not come back.
    until: u64,
    /// As what it was inside.
    entries: Vec<u32>,
}

/// From when, as the backend knows, and until when.
#[derive(Clone, Copy, Debug)]
struct KeptOut {
    since: Moment,
    until: u64,
}

impl Kicks {
    /// All of the node began anew: nobody is kept out any more.
    pub(super) fn forget(&mut self) {
        self.kept_out = Table::default();
    }
}

impl Checker {
    /// A part of the node panicked, or all of them: what it knew by itself is forgotten.
    pub(super) fn panicked(&mut self, all: bool) {
        self.messages.may_be_lost(self.at);
        self.crowds.may_be_lost(self.step);
        if all {
            self.kicks.forget();
        }
    }

    /// A backend puts a client out.
    pub(super) fn kick(&mut self, call: u64, client: u128, (room, block): (Option<u32>, u64)) {
        let own = self
            .sockets
            .iter()
            .filter(|known| !known.over && known.client == Some(client));
        let entries = own.flat_map(|known| &known.entries);
        let entries = entries.filter(|(of, _)| room.is_none_or(|room| *of == room));
        let called = Called {
            client,
            room,
            until: self.at + block,
            entries: entries.map(|(_, entry)| *entry).collect(),
        };
        self.kicks.called.insert(call, called);
    }

    /// The backend is told that the client is out.
    pub(super) fn kicked(&mut self, call: u64) {
        let Some(called) = self.kicks.called.remove(&call) else {
            return;
        };
        for entry in called.entries {
            let entry = &mut self.entries[index(entry)];
            entry.put_out = entry.put_out.or(Some(self.step));
        }
        let Some(room) = called.room else {
            return;
        };
        let kept_out = KeptOut {
            since: self.moment(),
            until: called.until,
        };
        let key = (called.client, room);
        let longer = |before: &KeptOut| before.until >= kept_out.until;
        if !self.kicks.kept_out.get(&key).is_some_and(longer) {
            self.kicks.kept_out.insert(key, kept_out);
        }
    }

    /// A frame of a room may begin at that moment for who came in by this entry.
    pub(super) fn not_put_out(&self, entry: u32, written: Stamp) -> Result<(), Violation> {
        match self.entries[index(entry)].put_out {
            Some(step) if written.step > step => broken(
                "P7",
                format!("entry {entry} was put out by step {step}, and hears at {written:?}"),
            ),
            Some(_) | None => Ok(()),
        }
    }

    /// Who was put out does not come in again by what it asked afterwards.
    pub(super) fn not_kept_out(
        &self,
        socket: u32,
        room: u32,
        written: Stamp,
    ) -> Result<(), Violation> {
        let known = &self.sockets[index(socket)];
        let asked = match known.raw_room {
            Some(_) => Some(known.begun),
            None => known.requests.entering_since(room),
        };
        let kept_out = known
            .client
            .and_then(|client| self.kicks.kept_out.get(&(client, room)));
        let (Some(asked), Some(kept_out)) = (asked, kept_out) else {
            return Ok(());
        };
        // A part of the node that began anew hears of it a little later.
        let is_heard = !self.messages.is_lost(written.at);
        if is_heard && asked > kept_out.since.at && written.at < kept_out.until {
            return broken(
                "P6",
                format!("socket {socket} is in {room} at {written:?}, and {kept_out:?}"),
            );
        }
        Ok(())
    }
}
