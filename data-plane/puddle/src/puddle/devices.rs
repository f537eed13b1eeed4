//! Sockets of devices: in the rooms of their tokens without asking, and out of
//! those that are taken from them, at once.

use porthouse_model::Session;

use super::Puddle;
use super::door::SessionSeen;
use crate::input::SocketId;
use crate::sequence::Event;
use crate::socket::{Socket, Who};

impl Puddle {
    /// Stands before the doors of all rooms of a device's token: it need not ask.
    pub(super) fn subscribe(&mut self, id: SocketId, session: &Session) {
        let Some(device) = &session.device else {
            return;
        };
        let joins = self
            .lobby_mut(id)
            .is_some_and(|lobby| lobby.sibling.is_none());
        if !joins {
            return;
        }
        for room in &device.rooms {
            if self.seat_in(id, room).is_none() && !self.doors_of(id).contains(room) {
                self.knock_at(id, None, room, None, None);
            }
        }
    }

    /// The token by which a socket came opens something else now: it leaves what it
    /// may not be in any more, and comes to what it was given.
    pub(super) fn device_changed(&mut self, id: SocketId) {
        let Some(Who::Session(holder)) = self.sockets.get(id).map(Socket::who) else {
            return;
        };
        let is_device = |session: &Session| session.device.is_some();
        if !holder.session.as_deref().is_some_and(is_device) {
            return;
        }
        let token = holder.token;
        let (session, until) = match self.see_session(&token) {
            SessionSeen::Unknown => return,
            SessionSeen::Shut(refused) => return self.close_refused(id, refused),
            SessionSeen::Live(session, until) => (session, until),
        };
        self.signed_in_until(id, until);
        for room in self.rooms_of(id) {
            self.judge(id, room);
        }
        self.advance_all(id, Event::Look);
        self.subscribe(id, &session);
        self.arm(id);
    }
}
