//! The handshake of `porthouse.raw.v1`, before a raw socket starts: JSON lines
//! in text frames. What comes before `start` is never a message of the room.

use porthouse_model::{CloseCode, MessageKind, RoomName};

use super::Puddle;
use super::door::Seen;
use crate::input::SocketId;
use crate::sequence::Event;
use crate::socket::{Opening, Phase};
use crate::wire::handshake::{self, Line};
use crate::wire::multiplexed::Event as Told;

/// The reason a socket is closed with that says too much before it starts.
pub(super) const TOO_MUCH: &str =
    "before_start_bytes_max: `start` first; until then nothing is a message";

impl Puddle {
    /// As good as in: the client may start.
    pub(super) fn welcome(&mut self, id: SocketId, room: &RoomName, seen: &Seen) {
        let Seen::Open {
            governed, session, ..
        } = seen
        else {
            unreachable!("only an open door welcomes");
        };
        let client = self.client_of(id, session.as_deref());
        let revision = self.decided_by(governed).0;
        let admitted = |id| Told::Admitted {
            id,
            room,
            client,
            revision,
            owner: governed.owned().map(|owned| owned.owner),
            epoch: None,
            offset: None,
            recovered: None,
            resume: None,
        };
        self.tell(id, |out| admitted(None).frame(out));
        if self.beside(id).is_some() {
            let entry = self.entry_mut(id, room);
            let reply_to = entry.and_then(|entry| entry.reply_to.take());
            self.inform(id, |out| admitted(reply_to.as_ref()).frame(out));
        }
    }

    /// A frame of a socket that has not started.
    pub(super) fn handshake_message(&mut self, id: SocketId, kind: MessageKind, payload: &[u8]) {
        let Some(Phase::Knocking(knock)) = self.sockets.get(id).map(|socket| &socket.phase) else {
            return;
        };
        let (room, sequence) = (knock.entry.room.clone(), knock.entry.sequence);
        match handshake::read(kind, payload) {
            Some(Line::Start) if sequence.is_ready() => self.advance(id, &room, Event::Started),
            // Its sibling answers.
            Some(Line::Answer(_)) if self.beside(id).is_some() => self.discard(id, payload.len()),
            Some(Line::Answer(answer)) => {
                match sequence.asked().and_then(|asked| answer.to(asked)) {
                    Some(proof) => self.shown(id, &room, proof),
                    None => self.discard(id, payload.len()),
                }
            }
            Some(Line::Start) | None => self.discard(id, payload.len()),
        }
    }

    /// Who had started but must answer once more is read again.
    pub(super) fn resume_handshake(&mut self, id: SocketId) {
        let held = self
            .sockets
            .get(id)
            .is_some_and(|socket| socket.held.is_some() && is_shaking_hands(&socket.phase));
        if held {
            self.resume(id);
        }
    }

    /// Not a message, and not without bound. An empty frame counts too.
    fn discard(&mut self, id: SocketId, bytes: usize) {
        let bytes_max = self.settings.before_start_bytes_max;
        let Some(Phase::Knocking(knock)) = self.sockets.get_mut(id).map(|socket| &mut socket.phase)
        else {
            return;
        };
        if let Opening::Handshake { discarded_bytes } = &mut knock.opening {
            *discarded_bytes = discarded_bytes.saturating_add(bytes).saturating_add(1);
            if *discarded_bytes > bytes_max {
                self.close(id, CloseCode::POLICY, TOO_MUCH);
            }
        }
    }
}

/// Whether what comes is a line of the handshake.
pub(super) const fn is_shaking_hands(phase: &Phase) -> bool {
    match phase {
        Phase::Knocking(knock) => match knock.opening {
            Opening::Handshake { .. } => !knock.entry.sequence.is_starting(),
            Opening::Unanswered(_) | Opening::Answered => false,
        },
        Phase::Upgrading { .. }
        | Phase::Raw(..)
        | Phase::Multiplexed(_)
        | Phase::Closing { .. } => false,
    }
}
