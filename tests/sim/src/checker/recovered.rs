//! Whoever comes back to go on and is told that nothing is missing has everything since what it
//! saw last, in order and once (P11): from there it is held to the room's order as if it had never
//! been away. Owns who goes on; the order is in `ordered`.

use std::collections::BTreeSet;

use serde::Serialize;

use super::hash::Table;
use super::line::Stand;
use super::violation::{Violation, broken};

/// From where somebody goes on: the socket that was inside there, and what it saw last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Resumes {
    pub(crate) socket: u32,
    pub(crate) stand: Stand,
}

/// Who goes on.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// From where, by socket and room: not answered yet.
    asked: Table<(u32, u32), Resumes>,
    /// Those inside to whom what they missed comes.
    hearing: BTreeSet<u32>,
}

impl Recovered {
    /// A socket asks to go on in a room.
    pub(crate) fn ask(&mut self, socket: u32, room: u32, resumes: Resumes) {
        self.asked.insert((socket, room), resumes);
    }

    /// It is not inside after all.
    pub(crate) fn refuse(&mut self, socket: u32, room: u32) {
        self.asked.remove(&(socket, room));
    }

    /// It is inside, by this entry.
    pub(crate) fn admit(
        &mut self,
        (socket, room): (u32, u32),
        entry: Option<u32>,
        recovered: Option<bool>,
        stand: Option<Stand>,
    ) -> Result<(), Violation> {
        let asked = self.asked.remove(&(socket, room));
        match (asked, recovered) {
            (None, None) | (Some(_), Some(false)) => Ok(()),
            (Some(resumes), Some(true)) if stand == Some(resumes.stand) => {
                self.hearing.extend(entry);
                Ok(())
            }
            (asked, recovered) => broken(
                "P11",
                format!("socket {socket} asked for {asked:?} and got {recovered:?} at {stand:?}"),
            ),
        }
    }

    /// What somebody inside missed comes to it.
    pub(crate) fn hear(&mut self, entry: u32) {
        self.hearing.insert(entry);
    }

    /// Whether what was said before and comes to it now is what it missed.
    pub(crate) fn hears(&self, entry: u32) -> bool {
        self.hearing.contains(&entry)
    }

    /// Live messages come: it has heard what it missed, if it came to.
    pub(crate) fn is_up_to_date(&mut self, entry: u32) -> bool {
        self.hearing.remove(&entry)
    }
}

/// What breaks the order of somebody who was told that nothing is missing.
pub(crate) fn not_recovered(violation: Violation) -> Violation {
    Violation {
        promise: "P11",
        ..violation
    }
}
