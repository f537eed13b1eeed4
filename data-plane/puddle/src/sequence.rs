//! Entry to a room: events in, an action out. One socket's way through one
//! room's door, as plain data, a type for each state.
//!
//! Owns the order of the steps and what each event means in each state. Never
//! looks anything up: what is known of the door is told with each event.
//! `docs/sequence.md` is drawn from what this file does.

mod carried;
#[cfg(test)]
mod drawn;
#[cfg(test)]
mod explored;
#[cfg(test)]
mod truth;

use core::time::Duration;

use porthouse_model::{Denial, EntryStep, Refused};
use porthouse_rules::{Entry, Passed, Rules, Visitor, step_for};

use crate::question::{QuestionId, Verdict};
pub(crate) use carried::{Asked, Attempts, Carried, Manner, Proven};

/// What is known of a door, for one who stands before it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Door<'a> {
    /// Not everything: the rest is being asked for.
    Unknown,
    /// It does not open, whatever is answered.
    Shut(Refused),
    /// It opens to those who satisfy these rules.
    Open {
        /// The room's rules.
        rules: &'a Rules,
        /// Who this is.
        visitor: Visitor<'a>,
        /// How long ago the visitor's session showed its second factor.
        factor_age: Option<Duration>,
    },
}

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sequence {
    /// Waits until more is known of the door.
    Resolving(Resolving),
    /// Waits for the client's answer.
    Asking(Asking),
    /// The owner's backend is about to be asked.
    Calling(Calling),
    /// Waits for a verdict.
    Verifying(Verifying),
    /// Waits to be let in by somebody inside.
    Waiting(Waiting),
    /// Waits until the room's messages come to this puddle.
    Enlisting(Enlisting),
    /// Admitted, and waits until the client says that it starts.
    Ready(Ready),
    /// The client has started; waits until it hears, and the door is known.
    Starting(Starting),
}

/// See [`Sequence::Resolving`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Resolving(Carried);

/// See [`Sequence::Asking`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asking(Carried, Asked);

/// See [`Sequence::Calling`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Calling(Carried);

/// See [`Sequence::Verifying`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Verifying {
    carried: Carried,
    proven: Proven,
    question: QuestionId,
}

/// See [`Sequence::Waiting`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Waiting(Carried);

/// See [`Sequence::Enlisting`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Enlisting(Carried);

/// See [`Sequence::Ready`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ready(Carried);

/// See [`Sequence::Starting`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Starting(Carried);

/// What happens to an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// Something about the door became known, or changed.
    Look,
    /// The client answered; the answer is judged under this name.
    Answered(QuestionId),
    /// The owner's backend can be asked, under this name.
    Called(QuestionId),
    /// What was asked under this name was judged.
    Judged(QuestionId, Verdict),
    /// What was asked under this name could not be judged.
    Unjudged(QuestionId),
    /// Somebody inside let the client in.
    Approved,
    /// Somebody inside refused to.
    Declined,
    /// As many wait to be let in as may.
    Crowded,
    /// The room's messages come to this puddle now.
    Enlisted,
    /// The client starts.
    Started,
    /// The control plane could not be asked about the door.
    Unavailable,
    /// The time for the entry is over.
    Late,
}

/// What is done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing but to ask what is not known: something else must happen first.
    Wait,
    /// Nothing, not even asking: what nobody waits for goes nowhere.
    Nothing,
    /// Ask the client.
    Challenge {
        /// For what.
        asked: Asked,
        /// Answers that may still be given.
        attempts_left: u8,
    },
    /// Name a question for the owner's backend.
    Call,
    /// Have this judged, under the name that came with the event.
    Verify(Proven),
    /// Tell those inside that somebody waits to be let in.
    Apply,
    /// See to it that the room's messages come here.
    Enlist,
    /// Tell the client that it may start.
    Welcome,
    /// In, in this turn.
    Admit(Passed),
    /// Out.
    Refuse(Denial),
}

/// How an entry goes on; over when there is no next state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// The next state.
    pub next: Option<Sequence>,
    /// What is done.
    pub action: Action,
}

impl Sequence {
    /// Somebody knocks. Look at the door next.
    pub(crate) fn new(attempts: Attempts, manner: Manner) -> Self {
        Self::again(Passed::default(), attempts, manner)
    }

    /// Somebody who was inside, and had passed these steps, stands before the
    /// door again because it changed.
    pub(crate) const fn again(passed: Passed, attempts: Attempts, manner: Manner) -> Self {
        Self::Resolving(Resolving(Carried {
            passed,
            attempts,
            manner,
        }))
    }

    /// What the client owes an answer to.
    pub(crate) const fn asked(&self) -> Option<Asked> {
        match self {
            Self::Asking(Asking(_, asked)) => Some(*asked),
            Self::Resolving(_)
            | Self::Calling(_)
            | Self::Verifying(_)
            | Self::Waiting(_)
            | Self::Enlisting(_)
            | Self::Ready(_)
            | Self::Starting(_) => None,
        }
    }

    /// The steps passed so far.
    pub(crate) const fn passed(self) -> Passed {
        self.carried().passed
    }

    /// The verification under way.
    pub(crate) const fn question(&self) -> Option<QuestionId> {
        match self {
            Self::Verifying(verifying) => Some(verifying.question),
            Self::Resolving(_)
            | Self::Asking(_)
            | Self::Calling(_)
            | Self::Waiting(_)
            | Self::Enlisting(_)
            | Self::Ready(_)
            | Self::Starting(_) => None,
        }
    }

    /// Whether somebody inside is to let it in.
    pub(crate) const fn is_waiting(&self) -> bool {
        matches!(self, Self::Waiting(_))
    }

    /// Whether the client may start.
    pub(crate) const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready(_))
    }

    /// Whether the client has started, and is not in yet.
    pub(crate) const fn is_starting(&self) -> bool {
        matches!(self, Self::Starting(_))
    }

    /// Whether the room is kept open for it.
    pub(crate) const fn is_enlisted(&self) -> bool {
        match self {
            Self::Enlisting(_) | Self::Ready(_) | Self::Starting(_) => true,
            Self::Resolving(_)
            | Self::Asking(_)
            | Self::Calling(_)
            | Self::Verifying(_)
            | Self::Waiting(_) => false,
        }
    }

    /// Whether it waits to hear what is said in the room.
    pub(crate) const fn is_listening(&self) -> bool {
        matches!(self, Self::Enlisting(_) | Self::Starting(_))
    }

    /// Whether it is in once it hears that.
    pub(crate) fn is_joining(&self) -> bool {
        match self {
            Self::Enlisting(Enlisting(carried)) => carried.manner != Manner::Handshake,
            Self::Starting(_) => true,
            Self::Resolving(_)
            | Self::Asking(_)
            | Self::Calling(_)
            | Self::Verifying(_)
            | Self::Waiting(_)
            | Self::Ready(_) => false,
        }
    }

    const fn carried(self) -> Carried {
        match self {
            Self::Resolving(Resolving(carried))
            | Self::Asking(Asking(carried, _))
            | Self::Calling(Calling(carried))
            | Self::Verifying(Verifying { carried, .. })
            | Self::Waiting(Waiting(carried))
            | Self::Enlisting(Enlisting(carried))
            | Self::Ready(Ready(carried))
            | Self::Starting(Starting(carried)) => carried,
        }
    }

    /// One event, and the door as it is known in this turn.
    pub(crate) fn step(self, event: Event, door: Door<'_>) -> Step {
        match (self, event) {
            (_, Event::Late) => refuse(Refused::EntryTooSlow),
            (_, Event::Unavailable) => self.unavailable(door),
            (_, Event::Look) => self.look(door),
            (Self::Asking(Asking(carried, asked)), Event::Answered(question)) => {
                verify(carried, Proven::Answer(asked), question)
            }
            (Self::Calling(Calling(carried)), Event::Called(question)) => {
                verify(carried, Proven::Hook, question)
            }
            (Self::Verifying(verifying), Event::Judged(question, verdict))
                if verifying.question == question =>
            {
                verifying.judged(verdict, door)
            }
            (Self::Verifying(verifying), Event::Unjudged(question))
                if verifying.question == question =>
            {
                refuse(Refused::ControlPlaneAway)
            }
            (Self::Waiting(Waiting(carried)), Event::Approved) => enter(carried.approved(), door),
            (Self::Waiting(_), Event::Declined) => refuse(Refused::ApprovalRefused),
            (Self::Waiting(_), Event::Crowded) => refuse(Refused::WaitingRoomFull),
            (Self::Enlisting(Enlisting(carried)), Event::Enlisted) => enlisted(carried, door),
            (Self::Ready(Ready(carried)), Event::Started) => start(carried, door),
            (Self::Starting(Starting(carried)), Event::Enlisted) => started(carried, door),
            // What comes when nobody waits for it, or no longer.
            (
                _,
                Event::Answered(_)
                | Event::Called(_)
                | Event::Judged(..)
                | Event::Unjudged(_)
                | Event::Approved
                | Event::Declined
                | Event::Crowded
                | Event::Enlisted
                | Event::Started,
            ) => go(self, Action::Nothing),
        }
    }

    /// Looks at the door again. Who waits for something goes on waiting while the
    /// door would ask for the same, or is not known well enough to say.
    fn look(self, door: Door<'_>) -> Step {
        let step = match self {
            Self::Starting(Starting(carried)) => return start(carried, door),
            Self::Resolving(_)
            | Self::Asking(_)
            | Self::Calling(_)
            | Self::Verifying(_)
            | Self::Waiting(_)
            | Self::Enlisting(_)
            | Self::Ready(_) => enter(self.carried(), door),
        };
        match step.next {
            Some(next) if self.waits_for_what(next) => go(self, Action::Wait),
            Some(_) | None => step,
        }
    }

    /// Whether this state waits for what that one, which the door leads to now,
    /// would begin to wait for.
    fn waits_for_what(self, next: Self) -> bool {
        match (self, next) {
            (Self::Resolving(_) | Self::Calling(_), _) => false,
            (_, Self::Resolving(_))
            | (Self::Waiting(_), Self::Waiting(_))
            | (Self::Enlisting(_) | Self::Ready(_), Self::Enlisting(_)) => true,
            (Self::Asking(asking), Self::Asking(again)) => asking.1 == again.1,
            (Self::Verifying(verifying), Self::Asking(again)) => {
                verifying.proven == Proven::Answer(again.1)
            }
            (Self::Verifying(verifying), Self::Calling(_)) => verifying.proven == Proven::Hook,
            (
                Self::Asking(_)
                | Self::Verifying(_)
                | Self::Waiting(_)
                | Self::Enlisting(_)
                | Self::Ready(_)
                | Self::Starting(_),
                _,
            ) => false,
        }
    }

    /// What waits for the control plane is refused; what does not goes on.
    fn unavailable(self, door: Door<'_>) -> Step {
        match (self, door) {
            (Self::Calling(_), _) | (Self::Resolving(_) | Self::Starting(_), Door::Unknown) => {
                refuse(Refused::ControlPlaneAway)
            }
            // What is waited for will look again.
            (
                Self::Asking(_)
                | Self::Verifying(_)
                | Self::Waiting(_)
                | Self::Enlisting(_)
                | Self::Ready(_),
                Door::Unknown,
            ) => go(self, Action::Nothing),
            (_, Door::Shut(_) | Door::Open { .. }) => self.look(door),
        }
    }
}

impl Verifying {
    fn judged(self, verdict: Verdict, door: Door<'_>) -> Step {
        let Self {
            carried, proven, ..
        } = self;
        match verdict {
            Verdict::Right(pass) => enter(carried.with(pass), door),
            Verdict::Wrong => match carried.wrong(proven) {
                Some(carried) => enter(carried, door),
                None => refuse(proven.wrong()),
            },
            // The change that took the step away is on its way here.
            Verdict::Gone => match door {
                Door::Shut(refused) => refuse(refused),
                Door::Unknown | Door::Open { .. } => {
                    go(Sequence::Resolving(Resolving(carried)), Action::Wait)
                }
            },
            Verdict::NotEnrolled => refuse(Refused::SecondFactorMissing),
            Verdict::Later(delay) => out(Denial::until(proven.busy(), delay)),
            Verdict::Refused => refuse(Refused::HookRefused),
            Verdict::Away => refuse(proven.away()),
        }
    }
}

/// What the door says to somebody who comes with these steps passed.
fn enter(carried: Carried, door: Door<'_>) -> Step {
    let (rules, visitor, carried) = match door {
        Door::Unknown => return go(Sequence::Resolving(Resolving(carried)), Action::Wait),
        Door::Shut(refused) => return refuse(refused),
        Door::Open {
            rules,
            visitor,
            factor_age,
        } => (rules, visitor, carried.with_factor(factor_age)),
    };
    match rules.enter(&visitor, &carried.passed) {
        Entry::Admit => go(Sequence::Enlisting(Enlisting(carried)), Action::Enlist),
        Entry::Refuse(refused) => refuse(refused),
        // A newer version was passed than is known here: its change is on its way.
        Entry::Ask(step) if carried.is_ahead_of(step) => {
            go(Sequence::Resolving(Resolving(carried)), Action::Wait)
        }
        Entry::Ask(EntryStep::Password(_)) => challenge(carried, Asked::Password),
        Entry::Ask(step @ EntryStep::SecondFactor { .. }) => match step_for(step, &visitor) {
            Ok(()) => challenge(carried, Asked::SecondFactor),
            Err(refused) => refuse(refused),
        },
        Entry::Ask(EntryStep::RoomCode(_)) => challenge(carried, Asked::RoomCode),
        Entry::Ask(EntryStep::Approval) => match carried.manner {
            Manner::Silent => refuse(Refused::QuestionsRefused),
            Manner::Asked | Manner::Handshake => {
                go(Sequence::Waiting(Waiting(carried)), Action::Apply)
            }
        },
        Entry::Ask(EntryStep::Hook(_)) => go(Sequence::Calling(Calling(carried)), Action::Call),
    }
}

fn challenge(carried: Carried, asked: Asked) -> Step {
    match carried.manner {
        Manner::Silent => refuse(asked.unasked()),
        Manner::Asked | Manner::Handshake => go(
            Sequence::Asking(Asking(carried, asked)),
            Action::Challenge {
                asked,
                attempts_left: carried.attempts.left(asked),
            },
        ),
    }
}

const fn verify(carried: Carried, proven: Proven, question: QuestionId) -> Step {
    go(
        Sequence::Verifying(Verifying {
            carried,
            proven,
            question,
        }),
        Action::Verify(proven),
    )
}

/// The room's messages come here: in, or, where a handshake runs, as good as.
fn enlisted(carried: Carried, door: Door<'_>) -> Step {
    let step = enter(carried, door);
    match (step.next, carried.manner) {
        (Some(Sequence::Enlisting(Enlisting(carried))), Manner::Handshake) => {
            go(Sequence::Ready(Ready(carried)), Action::Welcome)
        }
        (Some(Sequence::Enlisting(Enlisting(carried))), Manner::Silent | Manner::Asked) => {
            admit(carried)
        }
        (Some(_) | None, _) => step,
    }
}

/// The client starts: what its door asks now, it must have passed.
fn start(carried: Carried, door: Door<'_>) -> Step {
    let step = enter(carried, door);
    match step.next {
        Some(Sequence::Enlisting(Enlisting(carried)) | Sequence::Resolving(Resolving(carried))) => {
            go(Sequence::Starting(Starting(carried)), step.action)
        }
        Some(_) | None => step,
    }
}

/// The client has started and hears: the check and the entrance are one step,
/// and nothing can come between.
fn started(carried: Carried, door: Door<'_>) -> Step {
    let step = start(carried, door);
    match (step.next, step.action) {
        (Some(Sequence::Starting(Starting(carried))), Action::Enlist) => admit(carried),
        (Some(_) | None, _) => step,
    }
}

const fn admit(carried: Carried) -> Step {
    Step {
        next: None,
        action: Action::Admit(carried.passed),
    }
}

const fn go(next: Sequence, action: Action) -> Step {
    Step {
        next: Some(next),
        action,
    }
}

const fn refuse(refused: Refused) -> Step {
    out(Denial::of(refused))
}

const fn out(denial: Denial) -> Step {
    Step {
        next: None,
        action: Action::Refuse(denial),
    }
}
