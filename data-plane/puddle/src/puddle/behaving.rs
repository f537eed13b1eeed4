//! What a socket does too often, though a rule lets it: it is told so as far as
//! it can be told anything, and closed with 1008 if that changes nothing.

use porthouse_model::{CloseCode, MessageKind, Refused, RoomName};

use super::Puddle;
use crate::input::SocketId;
use crate::room::RoomIndex;
use crate::socket::{Conduct, Habit, Phase};
use crate::wire::multiplexed::{Event as Told, Id, LineError};

impl Puddle {
    /// Whether a socket may do this once more. If not, it has been told.
    pub(super) fn behaves(&mut self, id: SocketId, habit: Habit, request: Option<&Id>) -> bool {
        if self.does(id, habit) {
            return true;
        }
        let phase = self.sockets.get(id).map(|socket| &socket.phase);
        let can_be_told = matches!(phase, Some(Phase::Multiplexed(_)));
        if can_be_told && self.does(id, Habit::Haste) {
            let error = LineError::new(habit.rule(), habit.needed());
            self.tell(id, |out| Told::error(request, &error).frame(out));
        } else {
            let reason = format!("{}: {}", habit.rule(), habit.needed());
            self.close(id, CloseCode::POLICY, &reason);
        }
        false
    }

    /// May a socket say this where it sits?
    pub(super) fn may_say(
        &mut self,
        index: RoomIndex,
        seat: u32,
        kind: MessageKind,
        payload: &[u8],
    ) -> Result<(), Refused> {
        let now = self.now;
        let room = self.rooms.get_mut(index);
        let sitter = room.seats.sitter_mut(seat);
        sitter.may_say(room.governed.rules(), kind, payload, now)
    }

    /// Refuses what a `porthouse.v1` socket said. One that goes on too fast,
    /// whatever it is told, is closed.
    pub(super) fn refuse_said(
        &mut self,
        id: SocketId,
        request: Option<&Id>,
        room: &RoomName,
        refused: Refused,
    ) {
        let too_fast = matches!(refused, Refused::SocketTooFast | Refused::ClientTooFast);
        if too_fast && !self.does(id, Habit::Haste) {
            self.close_refused(id, refused);
        } else {
            self.refuse_line(id, request, Some(room), refused);
        }
    }

    fn does(&mut self, id: SocketId, habit: Habit) -> bool {
        let Some(socket) = self.sockets.get_mut(id) else {
            return false;
        };
        let conduct = socket.conduct.get_or_insert_with(Box::<Conduct>::default);
        conduct.does(habit, &self.settings, self.now)
    }
}
