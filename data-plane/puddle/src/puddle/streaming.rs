//! A room heard as server-sent events: an ordinary seat, whose socket is never
//! listened to. Owns how such a stream is kept up and how it ends.

use porthouse_model::Refusal;

use super::Puddle;
use super::returning::GoesOn;
use crate::input::SocketId;
use crate::output::WireForm;
use crate::room::RoomIndex;
use crate::socket::Phase;
use crate::wire::event_stream;

impl Puddle {
    /// Whether a socket was told the head of an event stream.
    pub(super) fn is_stream(&self, id: SocketId) -> bool {
        self.sockets.get(id).is_some_and(|socket| {
            let begun = match &socket.phase {
                Phase::Knocking(knock) => knock.opening.request().is_none(),
                Phase::Raw(..) => true,
                Phase::Upgrading { .. } | Phase::Multiplexed(_) | Phase::Closing { .. } => false,
            };
            begun && socket.form == WireForm::EventStream
        })
    }

    /// Ends a stream for a rule, with an event that says which. What it has
    /// queued is dropped, but for the rest of an event already begun.
    pub(super) fn close_stream(&mut self, id: SocketId, refusal: &Refusal) {
        self.strip(id);
        self.drop_backlog(id);
        self.tell(id, |out| event_stream::closed(refusal, out));
        self.end(id);
    }

    /// A stream whose reader comes back is told whether anything may be missing.
    pub(super) fn tell_recovered(&mut self, id: SocketId, goes_on: Option<GoesOn>) {
        if let Some(goes_on) = goes_on.filter(|_| self.speaks_in_events(id)) {
            let recovered = matches!(goes_on, GoesOn::From(_));
            self.tell(id, |out| event_stream::recovered(recovered, out));
        }
    }

    /// A stream that is let in is told how far the room is, so that its reader
    /// can come back though it hears nothing.
    pub(super) fn tell_place(&mut self, id: SocketId, room: RoomIndex) {
        let stand = self.stand_of(room);
        if let Some(stand) = stand.filter(|_| self.speaks_in_events(id)) {
            self.tell(id, |out| event_stream::place(stand, out));
        }
    }

    fn speaks_in_events(&self, id: SocketId) -> bool {
        let socket = self.sockets.get(id);
        socket.is_some_and(|socket| socket.form == WireForm::EventStream)
    }

    /// Nothing comes from a stream: that its peer is gone shows when it is
    /// written to.
    pub(super) fn keep_stream(&mut self, id: SocketId) {
        let now = self.now;
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.heard = now;
        }
        self.tell(id, |out| out.extend_from_slice(event_stream::KEEP_ALIVE));
    }
}
