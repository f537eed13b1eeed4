//! Sockets that are not read for a while, since a room that they speak in has a
//! rate: what comes too fast is held up before anything is refused.
//!
//! Owns who rests. The home of a room says, after each thing somebody says
//! there, how far ahead of its rate the room is: as long is nobody read who made
//! it so. Until a home on another puddle has said that, its speaker rests too, or
//! it could be refused what it sent meanwhile.

use core::time::Duration;
use std::collections::BTreeSet;

use porthouse_model::{RoomName, Time};

use super::Puddle;
use crate::home::{FromHome, Said};
use crate::input::{PuddleId, SocketId};
use crate::output::Output;
use crate::room::Governed;
use crate::socket::Reading;

/// Who rests.
#[derive(Debug, Default)]
pub(super) struct Resting {
    /// Until when.
    until: BTreeSet<(Time, SocketId)>,
    /// Until a home has judged what they said.
    judged: BTreeSet<SocketId>,
}

impl Resting {
    pub(super) fn first(&self) -> Option<Time> {
        self.until.first().map(|(until, _)| *until)
    }

    fn pop_due(&mut self, now: Time) -> Option<SocketId> {
        let due = self.first().is_some_and(|until| until <= now);
        due.then(|| self.until.pop_first())?
            .map(|(_, socket)| socket)
    }
}

/// Whether what is said in a room may be held up.
pub(super) fn is_rated(governed: &Governed) -> bool {
    governed.rules().source().messages.rates.per_room.is_some()
}

impl Puddle {
    /// A socket here has said something in a room with a rate, whose home is
    /// elsewhere.
    pub(super) fn await_judgement(&mut self, id: SocketId) {
        if let Some(socket) = self.sockets.get_mut(id)
            && socket.reading == Reading::On
        {
            socket.reading = Reading::Resting;
            self.outputs.push(Output::Pause { socket: id });
            self.resting.judged.insert(id);
        }
    }

    /// This puddle is a room's home, and has taken what somebody said there. Who
    /// knows the room to have a rate waits to hear that, whether it has one still.
    pub(super) fn slow_down(
        &mut self,
        (from, speaker): (PuddleId, SocketId),
        room: &RoomName,
        waits: bool,
    ) {
        let ahead = self.homes.get(room).and_then(|home| home.ahead(self.now));
        if let Some(ahead) = ahead.or_else(|| waits.then_some(Duration::ZERO)) {
            let said = FromHome {
                room: room.clone(),
                ask: 0,
                what: Said::Slow(speaker, ahead),
            };
            self.tell_puddle(from, said);
        }
    }

    /// What a socket here said was judged: it is not read for so long. One that is
    /// not read for something else goes on by that, and rests with its next
    /// message.
    pub(super) fn let_rest(&mut self, id: SocketId, time: Duration) {
        let waited = self.resting.judged.remove(&id);
        let Some(socket) = self.sockets.get_mut(id) else {
            return;
        };
        match socket.reading {
            Reading::On if time.is_zero() => {}
            Reading::On => {
                socket.reading = Reading::Resting;
                self.outputs.push(Output::Pause { socket: id });
                self.resting.until.insert((self.now + time, id));
            }
            Reading::Resting if waited && time.is_zero() => self.resume(id),
            Reading::Resting if waited => {
                self.resting.until.insert((self.now + time, id));
            }
            Reading::Resting
            | Reading::Full
            | Reading::Clogged
            | Reading::Behind
            | Reading::Claiming
            | Reading::Ordering => {}
        }
    }

    /// Who has rested is read again.
    pub(super) fn wake_rested(&mut self) {
        while let Some(id) = self.resting.pop_due(self.now) {
            self.end_rest(id);
        }
    }

    /// A puddle began anew: what it would have judged it does not know of.
    pub(super) fn wake_judged(&mut self) {
        for id in std::mem::take(&mut self.resting.judged) {
            self.end_rest(id);
        }
    }

    fn end_rest(&mut self, id: SocketId) {
        let socket = self.sockets.get(id);
        if socket.is_some_and(|socket| socket.reading == Reading::Resting) {
            self.resume(id);
        }
    }
}
