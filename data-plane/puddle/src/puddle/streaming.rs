//! A room heard as server-sent events: an ordinary seat, whose socket is never
//! listened to. Owns how such a stream is kept up and how it ends.

use porthouse_model::Refusal;

use super::Puddle;
use crate::input::SocketId;
use crate::output::WireForm;
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
