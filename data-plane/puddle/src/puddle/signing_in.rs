//! Signing in by what only the control plane can judge: a name and a password, and
//! a code where the user has a second factor. Keeps no password, and of a sign-in
//! that waits only what goes on with it.

use porthouse_model::{Refused, UnixTime};

use super::{Puddle, Verifying};
use crate::input::SocketId;
use crate::output::Output;
use crate::question::{DeviceMark, Question, Secret, SignInBy};
use crate::socket::SignIn;
use crate::wire::multiplexed::{AskedStep, Event as Told, Id, LineError};

impl Puddle {
    /// Asks whether somebody is who they say.
    pub(super) fn sign_in(&mut self, id: SocketId, request: Option<Id>, by: SignInBy) {
        if self.signs_in_first(id, request.as_ref()).is_none() {
            return;
        }
        let Some(address) = self.sockets.get(id).map(|socket| socket.address) else {
            return;
        };
        let Some(question) = self.reserve(id) else {
            return self.refuse_line(id, request.as_ref(), None, Refused::ControlPlaneAway);
        };
        self.verifying.insert(question, Verifying::SignIn(id));
        self.asks_more(id);
        let waits = match &by {
            SignInBy::Password { .. } | SignInBy::Jwt(_) | SignInBy::Ticket(_) => None,
            SignInBy::Code { challenge, .. } => Some(challenge.clone()),
        };
        if let Some(lobby) = self.lobby_mut(id) {
            lobby.sign_in = SignIn::Verifying(request, question, waits);
        }
        self.ask(question, Question::SignIn { by, address }, Some(id));
    }

    /// The code that a sign-in waits for.
    pub(super) fn sign_in_by_code(
        &mut self,
        id: SocketId,
        request: Option<Id>,
        code: Secret,
        device: DeviceMark,
    ) {
        let waits = match self.lobby_mut(id).map(|lobby| &lobby.sign_in) {
            Some(SignIn::Waiting(challenge)) => Some(challenge.clone()),
            Some(
                SignIn::None | SignIn::Resolving(..) | SignIn::Verifying(..) | SignIn::Done(..),
            )
            | None => None,
        };
        let Some(challenge) = waits else {
            let needed = "`username` and `password` first; `code` once they were right";
            let unasked = LineError::new("auth", needed);
            return self.tell_error(id, request.as_ref(), &unasked);
        };
        self.sign_in(
            id,
            request,
            SignInBy::Code {
                challenge,
                code,
                device,
            },
        );
    }

    /// The password was right, and is not enough. The socket has a while for the
    /// code, as for anything else.
    pub(super) fn code_needed(
        &mut self,
        id: SocketId,
        request: Option<&Id>,
        challenge: Secret,
        expires: UnixTime,
    ) {
        if let Some(lobby) = self.lobby_mut(id) {
            lobby.sign_in = SignIn::Waiting(challenge);
        }
        let needed = Told::CodeNeeded {
            id: request,
            step: AskedStep::SecondFactor,
            expires,
        };
        self.tell(id, |out| needed.frame(out));
        self.rest(id);
        self.advance_all(id, crate::sequence::Event::Look);
    }

    /// Tells whose sessions have sockets, at its time.
    pub(super) fn tell_seen(&mut self) {
        if self.now >= self.seen_next {
            self.seen_next = self.now + self.settings.seen_every;
            let sessions = self.signed_in.take_seen();
            self.outputs.push(Output::Seen { sessions });
        }
    }
}
