//! What is said in a room goes to everybody in it: to the sockets here at once,
//! and once to each other puddle that has the room.

use std::sync::Arc;

use super::Puddle;
use crate::hop::{Hop, RoomMessage};
use crate::room::{Message, RoomIndex, deliver};

impl Puddle {
    /// A message that the room's rules allow. Answers for how many sockets here
    /// it was queued.
    pub(super) fn say(
        &mut self,
        index: RoomIndex,
        speaker: Option<u32>,
        message: Message<'_>,
    ) -> u64 {
        self.counters.messages += 1;
        let room = self.rooms.get(index);
        for puddle in room.elsewhere.iter() {
            debug_assert!(
                puddle != self.settings.puddle,
                "a room is not elsewhere at home"
            );
        }
        if !room.elsewhere.is_empty() || room.followed {
            let copy = Arc::new(RoomMessage {
                room: room.name.clone(),
                room_id: room.governed.id(),
                from: message.from,
                kind: message.kind,
                payload: message.payload.into(),
                to: message.to.into(),
                except: message.except.into(),
            });
            for puddle in room.elsewhere.iter() {
                self.peers.send(puddle, Hop::Message(Arc::clone(&copy)));
            }
            if room.followed {
                self.tell_followers(&copy);
            }
        }
        let room = self.rooms.get(index);
        let silent = if room.governed.rules().source().broadcast.echo {
            None
        } else {
            speaker
        };
        let receivers = deliver(room, index, message, silent, &mut self.outbox);
        self.counters.deliveries += receivers;
        receivers
    }

    /// A message that was said on another puddle, and allowed there.
    pub(super) fn overheard(&mut self, said: &RoomMessage) {
        let Some(index) = self.rooms.find(&said.room) else {
            return;
        };
        let room = self.rooms.get(index);
        if room.governed.id() != said.room_id {
            return;
        }
        let message = Message::of(said);
        let receivers = deliver(room, index, message, None, &mut self.outbox);
        self.counters.deliveries += receivers;
    }
}
