//! A message that is sent again under its key is one message for as long as the key stands for it,
//! and refused once it does not (P5). Knows who sent what under which request, and no doors.

use super::hash::Table;
use super::message::Moment;
use super::stored::Level;
use super::violation::{Violation, broken};

/// Requests that send something, and messages that have keys.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// How long a key stands for its message; for as long again it is refused.
    window: u64,
    /// By socket and id: which message, when, and what is to be promised of it.
    sends: Table<(u32, u64), (u32, u64, Level)>,
    keyed: Table<u32, Keyed>,
    /// Who got a message that has a key, and when.
    got: Table<(u32, u32), u64>,
}

#[derive(Debug)]
struct Keyed {
    /// When it was sent first.
    first: Moment,
    /// When a receipt came first.
    taken: Option<u64>,
}

impl Keys {
    pub(crate) fn new(window: u64) -> Self {
        Self {
            window,
            ..Self::default()
        }
    }

    /// A message is sent, for the first time or again.
    pub(crate) fn send(
        &mut self,
        (socket, id): (u32, Option<u64>),
        (message, level): (u32, Level),
        at: Moment,
    ) {
        if let Some(id) = id {
            self.sends.insert((socket, id), (message, at.at, level));
        }
    }

    /// It has a key.
    pub(crate) fn keyed(&mut self, message: u32, first: Moment) {
        let keyed = Keyed { first, taken: None };
        self.keyed.insert(message, keyed);
    }

    /// What a request sent.
    pub(crate) fn message(&self, socket: u32, id: u64) -> Option<u32> {
        self.sent(socket, id).map(|(message, _)| message)
    }

    /// The same, and what is to be promised of it.
    pub(crate) fn sent(&self, socket: u32, id: u64) -> Option<(u32, Level)> {
        let sent = self.sends.get(&(socket, id));
        sent.map(|&(message, _, level)| (message, level))
    }

    /// When a message that has a key was sent first.
    pub(crate) fn first_sent(&self, message: u32) -> Option<Moment> {
        self.keyed.get(&message).map(|keyed| keyed.first)
    }

    /// Whether its key may be forgotten by now, so that it is another message.
    pub(crate) fn may_be_forgotten(&self, message: u32, at: u64) -> bool {
        let keyed = self.keyed.get(&message);
        keyed.is_some_and(|keyed| at - keyed.first.at > 2 * self.window)
    }

    /// A request is answered by a receipt. `lasts`: nothing but time can have ended the key.
    pub(crate) fn taken(
        &mut self,
        (socket, id): (u32, u64),
        at: u64,
        lasts: bool,
    ) -> Result<(), Violation> {
        let Some(&(message, sent, _)) = self.sends.get(&(socket, id)) else {
            return Ok(());
        };
        let (window, forgotten) = (self.window, self.may_be_forgotten(message, at));
        let Some(keyed) = self.keyed.get_mut(&message) else {
            return Ok(());
        };
        let taken = *keyed.taken.get_or_insert(at);
        if lasts && sent > taken + window && !forgotten {
            return broken(
                "P5",
                format!("message {message}, taken by {taken}, is taken again at {at}: {keyed:?}"),
            );
        }
        Ok(())
    }

    /// A request is refused because its key stands for nothing any more.
    pub(crate) fn expired(&self, socket: u32, id: u64, at: u64) -> Result<(), Violation> {
        let message = self.message(socket, id);
        let first = message.and_then(|message| self.first_sent(message));
        match first {
            Some(first) if at - first.at > self.window => Ok(()),
            Some(_) | None => broken(
                "P5",
                format!("message {message:?} of {first:?} is refused at {at} for its key's age"),
            ),
        }
    }

    /// Somebody gets a message.
    pub(crate) fn get(
        &mut self,
        entry: u32,
        message: u32,
        at: u64,
        lasts: bool,
    ) -> Result<(), Violation> {
        if !self.keyed.contains_key(&message) || self.got.insert((entry, message), at).is_none() {
            return Ok(());
        }
        if lasts && !self.may_be_forgotten(message, at) {
            return broken(
                "P5",
                format!("entry {entry} got message {message} twice, by {at}"),
            );
        }
        Ok(())
    }
}
