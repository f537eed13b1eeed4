//! What the switchboard asks the control plane, from the question to the answer: when it is read,
//! and when it comes. Every question is answered within the time it has.

use std::collections::BTreeSet;

use porthouse_model::{PolicyKey, Resolved};
use porthouse_puddle::{
    Action, Call, CallId, CallResult, Event as Told, Publish, RequestId, SignInBy, Snapshot,
};

use super::node::at;
use super::socket::socket_of;
use super::{Event, World};
use crate::checker::line::Line;
use crate::plant::{Plant, forget_some};
use crate::queue::{MILLIS, SECONDS};

/// Calls under way.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    asked: Vec<Option<Action>>,
    answers: Vec<Option<Told>>,
    /// Those that were asked again.
    again: BTreeSet<u32>,
    /// A backend's calls that wait to be completed.
    backend: Vec<(u64, bool)>,
    backend_calls: u64,
}

impl Calls {
    pub(crate) fn backend_waits(&self) -> bool {
        !self.backend.is_empty()
    }
}

impl World {
    pub(super) fn call(&mut self, action: Action) {
        let number = u32::try_from(self.calls.asked.len()).expect("fewer than 2^32 calls");
        self.calls.asked.push(Some(action));
        self.calls.answers.push(None);
        self.after(self.plan.rpc_delay, Event::Read(number));
    }

    /// The control plane reads, and answers as of this moment.
    pub(super) fn read(&mut self, number: u32) {
        let action = self.calls.asked[at(number)].take().expect("read once");
        let can_read = !self.watch.down && !self.watch.unreadable;
        let answer = self.answer_call(&action, can_read);
        if self.is_asked_again(number, &action) {
            self.calls.asked[at(number)] = Some(action);
            let delay = self.chance.below(200 * MILLIS);
            return self.queue.after(delay, Event::Read(number));
        }
        self.calls.answers[at(number)] = Some(answer);
        // Now and then an answer is very late.
        let late = self.chance.one_in(10) && !self.phase.is_healed();
        let delay = if late {
            self.chance.below(3 * SECONDS)
        } else {
            0
        };
        let delay = delay + self.chance.below(2 * self.plan.rpc_delay);
        self.queue.after(delay, Event::Found(number));
    }

    /// Whether the answer is lost, and who has asked about a ticket asks a second time.
    fn is_asked_again(&mut self, number: u32, action: &Action) -> bool {
        let is_ticket = matches!(
            action,
            Action::SignIn {
                by: SignInBy::Ticket(_),
                ..
            }
        );
        is_ticket
            && !self.phase.is_healed()
            && self.chance.one_in(6)
            && self.calls.again.insert(number)
    }

    fn resolve(&self, keys: &[PolicyKey]) -> Snapshot {
        let mut snapshot = self.control.resolve(keys);
        if self.is_planted(Plant::PrefixIgnored) {
            self.control.ignore_prefixes(&mut snapshot.found);
        }
        for found in &mut snapshot.found {
            if let Resolved::Room(room) = found {
                forget_some(self.plant, room);
            }
        }
        snapshot
    }

    fn answer_call(&mut self, action: &Action, can_read: bool) -> Told {
        match action {
            Action::Resolve {
                request,
                keys,
                min_revision,
            } => {
                let is_there = can_read && self.control.head().revision >= *min_revision;
                Told::Resolved {
                    request: *request,
                    found: is_there.then(|| self.resolve(keys)),
                }
            }
            Action::Verify { request, what } => Told::Verified {
                request: *request,
                verdict: can_read.then(|| self.judge(what)),
            },
            Action::SignIn {
                request,
                by,
                address,
            } => {
                if !can_read {
                    return signed_in(*request, None);
                }
                if let SignInBy::Ticket(shown) = by {
                    let verdict = self.control.redeem(shown, self.queue.now());
                    return signed_in(*request, Some(verdict));
                }
                let (verdict, session) = self.control.sign_in(by);
                if let Some(session) = session {
                    self.signed_in(session);
                    let number = socket_of(*address).expect("a socket's own address");
                    if let Some(socket) = self.sockets[at(number)].as_mut() {
                        socket.session = Some(session);
                    }
                }
                signed_in(*request, Some(verdict))
            }
            Action::Tell { .. }
            | Action::OpenWatch { .. }
            | Action::Acknowledge { .. }
            | Action::Complete { .. } => unreachable!("not asked of the control plane"),
        }
    }

    pub(super) fn found(&mut self, number: u32) {
        let mut answer = self.calls.answers[at(number)].take().expect("found once");
        if self.plant == Some(Plant::NoTombstone)
            && let Told::Resolved {
                found: Some(snapshot),
                ..
            } = &mut answer
        {
            snapshot.revision = self.control.head().revision;
        }
        self.tell_board(answer);
    }

    /// A ticket for who has a session, if anybody can be asked for one.
    pub(crate) fn ticket_for(
        &mut self,
        session: u32,
        bound: (Option<&str>, String),
    ) -> Option<String> {
        if self.watch.down || self.watch.unreadable {
            return None;
        }
        let now = self.queue.now();
        self.control.make_ticket(session, bound, now)
    }

    /// A backend says something.
    pub(super) fn publish(&mut self, message: Publish) {
        self.backend_calls(Call::Publish(std::sync::Arc::new(message)));
    }

    /// The number of a backend's next call.
    pub(crate) const fn next_call(&self) -> u64 {
        self.calls.backend_calls + 1
    }

    pub(crate) fn backend_calls(&mut self, what: Call) {
        self.calls.backend_calls += 1;
        let call = self.calls.backend_calls;
        let kicks = matches!(what, Call::Kick { .. });
        self.calls.backend.push((call, kicks));
        let call = CallId(call);
        self.tell_board(Told::Called { call, what });
        debug_assert!(
            self.plan.rpc_delay < 400 * MILLIS,
            "within a request's time"
        );
    }

    pub(super) fn completed(&mut self, call: CallId, result: &CallResult) {
        let waiting = self
            .calls
            .backend
            .iter()
            .position(|(waits, _)| *waits == call.0);
        let Some(place) = waiting else {
            let seen = format!("call {} was completed unasked, or twice", call.0);
            return self.fail(&crate::checker::violation::Violation {
                promise: "P15",
                seen,
            });
        };
        let (call, kicks) = self.calls.backend.swap_remove(place);
        if kicks && matches!(result, CallResult::Kicked { .. }) {
            self.see(&Line::Kicked { call });
        }
        if matches!(result, CallResult::Purged { .. }) {
            self.see(&Line::Purged { call });
        }
        if matches!(result, CallResult::Decided { .. }) {
            self.see(&Line::WasLetIn { call });
        }
    }
}

const fn signed_in(request: RequestId, verdict: Option<porthouse_puddle::SignInVerdict>) -> Told {
    Told::SignedIn { request, verdict }
}
