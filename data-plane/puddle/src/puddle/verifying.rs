//! What is shown at a room's door goes to the control plane, and its verdict
//! comes back to the entry that waits for it. Keeps no secret and no verdict.

use porthouse_model::{PolicyKey, Refused, RoomName};

use super::door::Seen;
use super::{Puddle, Verifying};
use crate::input::SocketId;
use crate::question::{Proof, Question, QuestionId, Verification};
use crate::sequence::{Action, Event};
use crate::socket::LeadsTo;
use crate::wire::multiplexed::{self, AskedStep};

impl Puddle {
    /// Names a question, if this socket may ask one more.
    pub(super) fn reserve(&mut self, id: SocketId) -> Option<QuestionId> {
        self.may_ask(id).then(|| self.policy.reserve())?
    }

    /// Whether a socket has fewer questions under way than one may: it cannot use
    /// up those of all.
    pub(super) fn may_ask(&self, id: SocketId) -> bool {
        let asked = self.sockets.get(id).map(|socket| socket.questions);
        asked.is_some_and(|asked| asked < self.settings.questions_per_socket_max)
    }

    /// A socket has one more question under way.
    pub(super) fn asks_more(&mut self, id: SocketId) {
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.questions += 1;
        }
    }

    /// One of a socket's questions has its answer.
    pub(super) fn asks_less(&mut self, id: SocketId) {
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.questions = socket.questions.saturating_sub(1);
        }
    }

    /// What was asked about is known, or cannot be.
    pub(super) fn asked_about(&mut self, key: &PolicyKey) {
        if let Some(asker) = self.askers.remove(key) {
            self.asks_less(asker);
        }
    }

    /// The client is told what the door asks for.
    pub(super) fn challenge(
        &mut self,
        id: SocketId,
        room: &RoomName,
        step: AskedStep,
        attempts_left: Option<u8>,
    ) {
        let entry = self.entry_mut(id, room);
        let reply_to = entry.and_then(|entry| entry.reply_to.take());
        let event = multiplexed::Event::Challenge {
            id: reply_to.as_ref(),
            room,
            step,
            attempts_left,
        };
        self.inform(id, |out| event.frame(out));
    }

    /// The client has shown what it was asked for.
    pub(super) fn shown(&mut self, id: SocketId, room: &RoomName, proof: Proof) {
        let Some(question) = self.reserve(id) else {
            return self.refuse_entry(id, room, Refused::ControlPlaneAway);
        };
        match self.step(id, room, Event::Answered(question)) {
            Some((Action::Verify(_), seen)) => {
                if let Some(event) = self.verify(id, room, &seen, question, proof) {
                    self.advance(id, room, event);
                }
            }
            Some(_) | None => self.policy.give_back(question),
        }
    }

    /// The owner's backend is asked by the name that was just given.
    pub(super) fn call_hook(
        &mut self,
        id: SocketId,
        room: &RoomName,
        seen: &Seen,
    ) -> Option<Event> {
        let question = self.entry(id, room)?.sequence.question()?;
        let origin = self.page_of(id).map(Into::into);
        let proof = Proof::Hook { origin };
        self.verify(id, room, seen, question, proof)
    }

    fn verify(
        &mut self,
        id: SocketId,
        room: &RoomName,
        seen: &Seen,
        question: QuestionId,
        proof: Proof,
    ) -> Option<Event> {
        let Some(what) = self.verification(id, room, seen, proof) else {
            self.policy.give_back(question);
            return Some(Event::Unjudged(question));
        };
        self.entry_mut(id, room)?.leads_to = LeadsTo::Only(what.room);
        self.verifying
            .insert(question, Verifying::Door(id, room.clone()));
        self.asks_more(id);
        self.ask(question, Question::Verify(Box::new(what)), Some(id));
        None
    }

    /// What is to be judged, where there is a room that has something to judge.
    fn verification(
        &self,
        id: SocketId,
        name: &RoomName,
        seen: &Seen,
        proof: Proof,
    ) -> Option<Verification> {
        let Seen::Open {
            governed, session, ..
        } = seen
        else {
            return None;
        };
        let session = session.as_deref();
        Some(Verification {
            room: governed.verified_as()?,
            name: name.clone(),
            client: self.client_of(id, session),
            // A device shows nothing of its owner's.
            user: session
                .filter(|session| session.device.is_none())
                .map(|session| session.user),
            session: session.map(|session| session.id),
            address: self.sockets.get(id)?.address,
            proof,
        })
    }
}
