//! A request with a ticket waits until the control plane has said whose it is; from
//! there on it is as if the session's token had come with it.

use porthouse_model::{Denial, Refused, TokenHash};

use super::{Puddle, Verifying};
use crate::input::SocketId;
use crate::question::{Question, ShownTicket, SignInBy, SignInVerdict};
use crate::socket::{Holder, Phase, Redeems, Who};
use crate::upgrade::{Asks, Upgrade};

impl Puddle {
    /// Asks whose a ticket is, here and now.
    pub(super) fn redeem(&mut self, id: SocketId, request: Upgrade, ticket: TokenHash) {
        let Asks::Socket(accept) = request.asks else {
            unreachable!("a ticket opens a WebSocket and nothing else");
        };
        let Some(question) = self.policy.reserve() else {
            return self.refuse_upgrade(id, Some(&request), Refused::ControlPlaneAway);
        };
        let shown = ShownTicket {
            ticket,
            origin: request.origin.clone(),
            path: request.endpoint.path(),
            upgrade: accept.into(),
        };
        let Some(socket) = self.sockets.get_mut(id) else {
            return self.policy.give_back(question);
        };
        let address = socket.address;
        let Phase::Upgrading { redeems, .. } = &mut socket.phase else {
            unreachable!("a request is read of who is upgrading");
        };
        *redeems = Some(Box::new(Redeems { request, question }));
        self.verifying.insert(question, Verifying::Ticket(id));
        let by = SignInBy::Ticket(Box::new(shown));
        self.ask(question, Question::SignIn { by, address }, Some(id));
    }

    /// The verdict on a request's ticket.
    pub(super) fn redeemed(&mut self, id: SocketId, verdict: Option<&SignInVerdict>) {
        let Some(Phase::Upgrading { redeems, .. }) =
            self.sockets.get_mut(id).map(|socket| &mut socket.phase)
        else {
            return;
        };
        let Some(redeems) = redeems.take() else {
            return;
        };
        let request = redeems.request;
        let denial = match verdict {
            Some(SignInVerdict::Right { token, .. }) => {
                let who = Who::Session(Box::new(Holder {
                    token: *token,
                    session: None,
                }));
                self.come(id, request, who);
                return self.resume(id);
            }
            Some(SignInVerdict::CodeNeeded { .. } | SignInVerdict::Wrong | SignInVerdict::Gone) => {
                Refused::TicketWrong.into()
            }
            Some(SignInVerdict::Later(delay)) => Denial::until(Refused::SignInBusy, *delay),
            None => Refused::ControlPlaneAway.into(),
        };
        self.refuse_upgrade(id, Some(&request), denial);
    }
}
