//! How far rooms are in which what is said has offsets, as this puddle has heard,
//! and who inside is told so. Gives no offset: a room's home does.

use porthouse_model::RoomName;

use super::Puddle;
use crate::home::{Stand, keeps};
use crate::output::WireForm;
use crate::room::RoomIndex;
use crate::wire::event_stream;
use crate::wire::multiplexed::Event as Told;

impl Puddle {
    /// A room stands here. If it is another than before, or the first, who
    /// is inside is told.
    pub(super) fn stands(&mut self, name: &RoomName, stand: Stand) {
        let index = self.rooms.find(name);
        if let Some(index) = index.filter(|&index| self.is_kept(index)) {
            self.stands_at(index, stand);
        }
    }

    /// The rules of a room have changed. Who comes in while it has no offsets is told
    /// none, so that all must be told where it stands when it has them again.
    pub(super) fn note_order(&mut self, index: RoomIndex) {
        if !self.is_kept(index) {
            self.rooms.get_mut(index).stand = None;
        }
    }

    /// Whether what is said in a room has offsets, as far as this puddle has heard.
    pub(super) fn is_kept(&self, index: RoomIndex) -> bool {
        keeps(self.rooms.get(index).governed.rules().source())
    }

    /// What is said in a room from here on has offsets after this one.
    pub(super) fn stands_at(&mut self, index: RoomIndex, stand: Stand) {
        let room = self.rooms.get_mut(index);
        let name = room.name.clone();
        let before = room.stand.replace(stand);
        if before.is_none_or(|before| before.epoch != stand.epoch) {
            // Offsets of another epoch say nothing of what was said in this.
            for sitter in room.seats.sitters_mut() {
                sitter.since = stand.offset;
            }
        }
        // Of the same epoch, but further: its home began anew and has read what
        // it had stored, some of which may not have come here.
        let goes_on = |before: Stand| before.epoch == stand.epoch && before.offset >= stand.offset;
        if before.is_some_and(goes_on) {
            return;
        }
        let epoch = Told::Epoch {
            room: &name,
            epoch: stand.epoch,
            offset: stand.offset,
        };
        self.announce_inside(index, None, |out| epoch.frame(out));
        let streams = self.rooms.get(index).seats.slots(WireForm::EventStream);
        self.announce(WireForm::EventStream, index, &streams, |out| {
            event_stream::epoch(stand, out);
        });
    }

    /// How far a room is, where what is said there has offsets.
    pub(super) fn stand_of(&self, room: RoomIndex) -> Option<Stand> {
        let room = self.rooms.get(room);
        room.stand.filter(|_| keeps(room.governed.rules().source()))
    }
}
