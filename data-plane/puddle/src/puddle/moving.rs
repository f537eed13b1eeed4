//! A backend moves a client's sockets from one room to another: each leaves the
//! one and stands before the door of the other in one step of one turn, so that
//! it has nothing more of the one, and nothing of the other before it is in.
//!
//! Owns what is moved and what is not. The other room's rules decide, as for
//! anybody who comes.

use porthouse_model::{ClientId, RoomName};

use super::Puddle;
use crate::input::SocketId;
use crate::output::{Moved, MovedSocket, Reply};
use crate::room::RoomIndex;
use crate::sequence::{Action, Attempts, Event, Sequence};
use crate::sibling::{Pair, SiblingSaid};
use crate::socket::{Entry, Origin};
use crate::wire::multiplexed::Event as Told;

impl Puddle {
    /// Moves all of a client's sockets here.
    pub(super) fn move_client(
        &mut self,
        client: ClientId,
        from: &RoomName,
        to: &RoomName,
    ) -> Reply {
        let mut moved = Vec::new();
        for id in self.sockets_of(client) {
            let Some((index, _)) = self.seat_in(id, from) else {
                continue;
            };
            let Some(wire_form) = self.sockets.get(id).map(|socket| socket.form) else {
                continue;
            };
            let became = self.move_socket(id, index, from, to);
            moved.push(MovedSocket { wire_form, became });
        }
        Reply::Moved(moved)
    }

    fn move_socket(
        &mut self,
        id: SocketId,
        index: RoomIndex,
        from: &RoomName,
        to: &RoomName,
    ) -> Moved {
        if self.seat_in(id, to).is_some() || self.entry(id, to).is_some() {
            return Moved::ThereBefore;
        }
        let manner = self.manner_inside(id);
        let sequence = Sequence::new(Attempts::new(&self.settings), manner);
        let seen = self.see(id, to, false);
        let first = sequence.step(Event::Look, seen.door(self.page_of(id)));
        if let Action::Refuse(denial) = first.action {
            return Moved::Refused(self.refusal(id, Some(to), denial));
        }
        let until = self.now + self.settings.entry_time_max;
        let entry = Entry {
            origin: Origin::Moved,
            ..Entry::new(to.clone(), sequence, until)
        };
        // It is not where its address led any more, but where it was moved.
        self.forget_arrival(id);
        self.put_before(id, index, entry);
        if let Some((puddle, sibling)) = self.beside(id) {
            let said = SiblingSaid::Moved(to.clone());
            self.tell_pair(puddle, Pair { raw: id, sibling }, said);
        }
        let told = Told::Moved { room: from, to };
        self.tell_moved(id, &told);
        self.advance(id, to, Event::Look);
        if self.seat_in(id, to).is_some() {
            Moved::Inside
        } else if self.entry(id, to).is_some() {
            Moved::Entering
        } else {
            Moved::PutOut
        }
    }

    fn tell_moved(&mut self, id: SocketId, told: &Told<'_>) {
        self.inform(id, |out| told.frame(out));
    }
}
