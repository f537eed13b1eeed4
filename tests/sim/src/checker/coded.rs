//! Codes that are shown at doors: each lets one in (P13). Whoever showed several before they were
//! let in may have been let in by any of them, and is no proof against another.

use super::hash::Table;
use super::line::Shown;
use super::violation::{Violation, broken};

/// A code: of which secret, whose, and of which moment.
type Code = (u64, u128, u64);

/// What was shown, and what was used up by whom.
#[derive(Debug, Default)]
pub(crate) struct Codes {
    /// By socket and room, since it was let in or turned away last; with the rules that were
    /// asked by, for certain.
    shown: Table<(u32, u32), Vec<(u64, Code)>>,
    /// Which socket it let in.
    used: Table<(Code, u32), u32>,
}

impl Codes {
    /// A socket shows something at a room's door. Who is nobody has no code to share.
    pub(crate) fn show(
        &mut self,
        at: (u32, u32),
        (client, rules): (Option<u128>, u64),
        shown: Shown,
    ) {
        let Some(client) = client else {
            return;
        };
        let code = match shown {
            Shown::Password { .. } => return,
            Shown::RoomCode { version, step } => (version, client, step),
            Shown::SecondFactor { step } => (Shown::SECOND_FACTOR, client, step),
        };
        self.shown.entry(at).or_default().push((rules, code));
    }

    /// It is not inside after all, or not any more.
    pub(crate) fn forget(&mut self, socket: u32, room: u32) {
        self.shown.remove(&(socket, room));
    }

    /// It is let in, by these rules, which ask for codes of these secrets.
    pub(crate) fn admit(
        &mut self,
        (socket, room): (u32, u32),
        asked: impl Iterator<Item = u64>,
        rules: u64,
    ) -> Result<(), Violation> {
        let shown = self.shown.remove(&(socket, room)).unwrap_or_default();
        for secret in asked {
            let is_meant = |(by, code): &&(u64, Code)| *by == rules && code.0 == secret;
            let own: Vec<Code> = shown
                .iter()
                .filter(is_meant)
                .map(|(_, code)| *code)
                .collect();
            // A factor is one's own wherever it is shown, a room's code the room's.
            let place = if secret == Shown::SECOND_FACTOR {
                u32::MAX
            } else {
                room
            };
            let used = own.iter().map(|code| self.used.get(&(*code, place)));
            let others = used.filter(|used| used.is_some_and(|by| *by != socket));
            if !own.is_empty() && others.count() == own.len() {
                return broken(
                    "P13",
                    format!("socket {socket} is in {room} by {own:?}, which let another in"),
                );
            }
            if let [code] = own.as_slice() {
                self.used.insert((*code, place), socket);
            }
        }
        Ok(())
    }
}
