//! Rooms that backends follow: what is said in one is given to the shell once,
//! by the puddle on which it was said, or by the room's home where that puts it
//! in order.
//!
//! Owns nothing: rooms know whether they are followed, the shell knows by whom.

use std::sync::Arc;

use porthouse_model::RoomName;

use super::Puddle;
use crate::home::{Placed, Stand};
use crate::hop::RoomMessage;
use crate::output::Output;

impl Puddle {
    /// What is said in a room, whether anybody is in it or not, is given to the
    /// shell from here on.
    pub(super) fn follow(&mut self, room: RoomName) {
        self.rooms.follow(room);
    }

    pub(super) fn unfollow(&mut self, room: &RoomName) {
        self.rooms.unfollow(room);
    }

    /// Something was said here in a room that is followed.
    pub(super) fn tell_followers(&mut self, message: &Arc<RoomMessage>) {
        self.give(message, None);
    }

    /// Something was put in its place here, as the room's home.
    pub(super) fn tell_followers_of(&mut self, placed: &Placed) {
        if self.rooms.is_followed(&placed.message.room) {
            self.give(&placed.message, Some(placed.stand));
        }
    }

    /// What was said to some only is for nobody else.
    fn give(&mut self, message: &Arc<RoomMessage>, stand: Option<Stand>) {
        if message.to.is_empty() {
            self.outputs.push(Output::Followed {
                message: Arc::clone(message),
                place: stand.map(|stand| (stand.epoch, stand.offset)),
            });
        }
    }
}
