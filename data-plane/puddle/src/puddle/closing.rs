//! The end of a socket: refused, closed by us, closed by the peer, or lost. What
//! it held is given back at once; the connection itself ends when its last frame
//! is written and the peer has answered, or has taken too long to.

use porthouse_model::{CloseCode, Denial, PolicyKey, Refused};

use super::Puddle;
use super::handshake::TOO_MUCH;
use crate::home::Gone;
use crate::input::SocketId;
use crate::output::Output;
use crate::sibling::End;
use crate::socket::{Phase, SignIn, Who};
use crate::upgrade::{self, Endpoint, Upgrade};
use crate::wire::assembly::Assembly;
use crate::wire::frame::{self, Fault};

impl Puddle {
    /// Refuses a connection whose request was not read.
    pub(super) fn refuse_request(&mut self, id: SocketId, refused: Refused) {
        self.refuse_upgrade(id, None, refused);
    }

    /// Refuses a request, in the way its sender can read.
    pub(super) fn refuse_upgrade(
        &mut self,
        id: SocketId,
        request: Option<&Upgrade>,
        denial: impl Into<Denial>,
    ) {
        let room = match request.map(|request| &request.endpoint) {
            Some(Endpoint::Room(room)) => Some(room),
            Some(Endpoint::Primary | Endpoint::Address(_)) | None => None,
        };
        let refusal = self.refusal(id, room, denial);
        let page = request.and_then(|request| self.page_named(request));
        self.tell(id, |out| match request {
            Some(request) => upgrade::turned_away(request, &refusal, page.as_deref(), out),
            None => upgrade::refused(&refusal, None, out),
        });
        self.end(id);
    }

    /// Closes a socket for a rule. What it has queued is dropped, but for the
    /// rest of a frame already begun.
    pub(super) fn close_refused(&mut self, id: SocketId, denial: impl Into<Denial>) {
        let denial = denial.into();
        if let Some(Phase::Knocking(knock)) = self.sockets.get_mut(id).map(|known| &mut known.phase)
            && let Some(request) = knock.opening.answer()
        {
            self.refuse_upgrade(id, Some(&request), denial);
            return;
        }
        let refusal = self.refusal(id, None, denial);
        self.part_refused(id, &refusal);
        if self.is_stream(id) {
            self.close_stream(id, &refusal);
        } else {
            self.close(id, refusal.refused().code(), &refusal.reason());
        }
    }

    /// A frame that cannot be read. From a socket that is closing anyway nothing
    /// more is waited for.
    pub(super) fn fault(&mut self, id: SocketId, fault: Fault) {
        match self.sockets.get(id).map(|socket| &socket.phase) {
            Some(Phase::Closing { .. }) => self.end(id),
            Some(Phase::Knocking(_)) if fault == Fault::TooLong => {
                self.close(id, CloseCode::POLICY, TOO_MUCH);
            }
            Some(_) | None => self.close(id, fault.code(), fault.reason()),
        }
    }

    /// Closes a socket that was upgraded.
    pub(super) fn close(&mut self, id: SocketId, code: CloseCode, reason: &str) {
        let Some(socket) = self.sockets.get(id) else {
            return;
        };
        match &socket.phase {
            Phase::Closing { .. } => return,
            Phase::Upgrading { .. } => unreachable!("a request is refused, not closed"),
            Phase::Knocking(_) | Phase::Raw(..) | Phase::Multiplexed(_) => {}
        }
        self.strip(id);
        self.drop_backlog(id);
        self.tell(id, |out| frame::close(code, reason, out));
        self.set_closing(id, false);
        // For the peer's close frame, if it was not read.
        self.resume(id);
    }

    /// Drops what is queued, but for the rest of a frame already begun, and for
    /// the answer to the request: a close frame means nothing before that.
    pub(super) fn drop_backlog(&mut self, id: SocketId) {
        if self.sockets.get(id).is_some_and(|socket| socket.unanswered) {
            self.outbox.cut_behind_first(id.slot);
        } else {
            self.outbox.cut(id.slot);
        }
    }

    /// The peer closes: it is answered with the same, and that is all. What it has
    /// queued is dropped: nobody would take it back when the right to it ends.
    pub(super) fn closed_by_peer(&mut self, id: SocketId, code: Option<CloseCode>) {
        let Some(socket) = self.sockets.get(id) else {
            return;
        };
        if !matches!(socket.phase, Phase::Closing { .. }) {
            self.strip(id);
            self.drop_backlog(id);
            self.tell(id, |out| match code {
                Some(code) => frame::close(code, "", out),
                None => frame::close_empty(out),
            });
        }
        self.end(id);
    }

    /// Nothing more is waited for: the connection ends when its queue is written.
    pub(super) fn end(&mut self, id: SocketId) {
        self.strip(id);
        self.set_closing(id, true);
        if self.outbox.is_empty(id.slot) {
            self.hang_up(id);
        }
    }

    pub(super) fn set_closing(&mut self, id: SocketId, answered: bool) {
        let mut until = self.now + self.settings.close_time_max;
        if let Some(drain) = &self.drain {
            until = until.min(drain.until);
        }
        let closing = Phase::Closing {
            until,
            answered,
            ignored_bytes: 0,
        };
        self.set_phase(id, closing);
    }

    pub(super) fn pong(&mut self, id: SocketId, payload: &[u8]) {
        self.tell(id, |out| frame::pong(payload, out));
    }

    /// The connection ends now.
    pub(super) fn hang_up(&mut self, id: SocketId) {
        if self.sockets.get(id).is_some() {
            self.outputs.push(Output::Close { socket: id });
            self.forget(id);
        }
    }

    /// The connection is gone already.
    pub(super) fn lost(&mut self, id: SocketId) {
        self.forget(id);
    }

    pub(super) fn forget(&mut self, id: SocketId) {
        self.strip(id);
        if let Some(gone) = self.sockets.remove(id) {
            self.uncount_inbound(gone.inbound_bytes);
            self.outbox.clear(id.slot);
        }
    }

    /// Takes from a socket all that it has: seats, entries, session.
    pub(super) fn strip(&mut self, id: SocketId) {
        self.ended_handshake(id);
        self.part(id, End::Left(None));
        self.forget_arrival(id);
        let until = self.now;
        let Some(socket) = self.sockets.get_mut(id) else {
            return;
        };
        if matches!(socket.phase, Phase::Closing { .. }) {
            return;
        }
        let phase = std::mem::replace(
            &mut socket.phase,
            Phase::Closing {
                until,
                answered: true,
                ignored_bytes: 0,
            },
        );
        socket.assembly = Assembly::default();
        let who = match phase {
            Phase::Upgrading { redeems, .. } => {
                if let Some(redeems) = redeems {
                    self.verifying.remove(&redeems.question);
                }
                Who::Anonymous
            }
            Phase::Closing { .. } => Who::Anonymous,
            Phase::Knocking(knock) => {
                self.leave_door(id, &knock.entry);
                knock.who
            }
            Phase::Raw(stay, who) => {
                self.leave_room(id, stay.room, stay.seat, Gone::Cut);
                who
            }
            Phase::Multiplexed(mut lobby) => {
                // A seat's number may change while others are given up.
                while let Some(stay) = lobby.stays.pop() {
                    self.leave_room(id, stay.room, stay.seat, Gone::Cut);
                }
                for entry in &lobby.entries {
                    self.leave_door(id, entry);
                }
                if let SignIn::Verifying(_, question, _) = lobby.sign_in {
                    self.verifying.remove(&question);
                }
                self.desert(id, lobby.sibling.as_deref());
                lobby.who
            }
        };
        self.unrecognise(id, &who);
    }

    /// A socket is no longer found by its session.
    pub(super) fn unrecognise(&mut self, id: SocketId, who: &Who) {
        if let Who::Session(holder) = who
            && let Some(session) = &holder.session
        {
            self.signed_in.remove(holder.token, session, id);
            self.policy.unpin(&PolicyKey::Session(holder.token));
        }
    }
}
