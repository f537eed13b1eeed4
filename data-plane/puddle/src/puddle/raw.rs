//! A message from a raw socket: a message in is a message out.

use porthouse_model::MessageKind;

use super::Puddle;
use super::keeping::Wish;
use crate::input::SocketId;
use crate::room::Message;
use crate::socket::{Habit, Stay};
use crate::wire::multiplexed::Place;

impl Puddle {
    /// A raw message that the room's rules refuse ends the socket: there is no
    /// other way to say so.
    pub(super) fn raw_message(
        &mut self,
        id: SocketId,
        stay: Stay,
        kind: MessageKind,
        payload: &[u8],
    ) {
        if payload.is_empty() && !self.behaves(id, Habit::Empty, None) {
            return;
        }
        if let Err(refused) = self.may_say(stay.room, stay.seat, kind, payload) {
            self.close_refused(id, refused);
            return;
        }
        let from = Some(self.rooms.get(stay.room).seats.sitter(stay.seat).client);
        let message = Message {
            from,
            kind,
            payload,
            to: &[],
            except: &[],
            place: Place::default(),
        };
        self.speak(stay.room, id, message, Wish::default());
    }
}
