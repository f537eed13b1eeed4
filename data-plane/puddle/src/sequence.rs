//! Entry to a room: events in, an action out. One socket's way through one
//! room's door, as plain data, a type for each state.
//!
//! Owns the order of the steps and what each event means in each state. Never
//! looks anything up: what is known of the door is told with each event.

#[cfg(test)]
mod explored;

use core::time::Duration;

use porthouse_model::{EntryStep, Refused};
use porthouse_rules::{Entry, Passed, Rules, Visitor};

use crate::question::{Pass, Verdict};

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
    },
}

/// Whether somebody can be asked anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Questions {
    /// Over `porthouse.v1`.
    Allowed,
    /// A raw socket has no place for a question.
    Impossible,
}

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sequence {
    /// Waits until more is known of the door.
    Resolving(Resolving),
    /// Waits for the client's answer.
    Asking(Asking),
    /// Waits for the verdict on the client's answer.
    Verifying(Verifying),
    /// Waits until the room's messages come to this puddle.
    Enlisting(Enlisting),
}

/// What every state of an entry carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Carried {
    /// The steps passed so far.
    pub passed: Passed,
    /// Wrong answers that are still forgiven.
    attempts_left: u8,
    questions: Questions,
}

impl Carried {
    const fn pass(&mut self, pass: Pass) {
        match pass {
            Pass::Password(version) => self.passed.password = Some(version),
            Pass::SecondFactor => self.passed.second_factor = Some(Duration::ZERO),
            Pass::RoomCode(version) => self.passed.room_code = Some(version),
            Pass::Hook(version) => self.passed.hook = Some(version),
        }
    }
}

/// See [`Sequence::Resolving`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Resolving(Carried);

/// See [`Sequence::Asking`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asking(Carried);

/// See [`Sequence::Verifying`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Verifying(Carried);

/// See [`Sequence::Enlisting`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Enlisting(Carried);

/// What happens to an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// Something about the door became known, or changed.
    Look,
    /// The client answered the question.
    Answered,
    /// The control plane judged the answer.
    Judged(Verdict),
    /// The room's messages come to this puddle now.
    Enlisted,
    /// The control plane could not be asked.
    Unavailable,
    /// The time for the entry is over.
    Late,
}

/// What is done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing: something else must happen first.
    Wait,
    /// Ask the client for the room's password.
    Challenge {
        /// Answers that may still be given.
        attempts_left: u8,
    },
    /// Have the answer judged.
    Verify,
    /// Nothing, not even asking: an answer that nobody asked for goes nowhere.
    Nothing,
    /// See to it that the room's messages come here.
    Enlist,
    /// In, in this turn.
    Admit(Passed),
    /// Out.
    Refuse(Refused),
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
    pub(crate) fn new(attempts_max: u8, questions: Questions) -> Self {
        Self::again(Passed::default(), attempts_max, questions)
    }

    /// Somebody who was inside, and had passed these steps, stands before the
    /// door again because it changed.
    pub(crate) const fn again(passed: Passed, attempts_max: u8, questions: Questions) -> Self {
        Self::Resolving(Resolving(Carried {
            passed,
            attempts_left: attempts_max,
            questions,
        }))
    }

    /// Whether the client owes an answer.
    pub(crate) const fn is_asking(&self) -> bool {
        matches!(self, Self::Asking(_))
    }

    /// One event, and the door as it is known in this turn.
    pub(crate) fn step(self, event: Event, door: Door<'_>) -> Step {
        match event {
            Event::Late => return refuse(Refused::EntryTooSlow),
            Event::Unavailable => return self.unavailable(door),
            Event::Look | Event::Answered | Event::Judged(_) | Event::Enlisted => {}
        }
        match (self, event) {
            (Self::Resolving(Resolving(carried)), Event::Look) => enter(carried, door),
            (Self::Asking(asking), Event::Look) => asking.look(door),
            (Self::Asking(Asking(carried)), Event::Answered) => {
                go(Self::Verifying(Verifying(carried)), Action::Verify)
            }
            (Self::Verifying(verifying), Event::Look) => verifying.look(door),
            (Self::Verifying(verifying), Event::Judged(verdict)) => verifying.judged(verdict, door),
            (Self::Enlisting(Enlisting(carried)), Event::Look) => match enter(carried, door) {
                Step {
                    next: Some(Self::Enlisting(_)),
                    ..
                } => go(self, Action::Wait),
                other => other,
            },
            (Self::Enlisting(Enlisting(carried)), Event::Enlisted) => admit(carried, door),
            (Self::Resolving(_) | Self::Verifying(_) | Self::Enlisting(_), Event::Answered) => {
                go(self, Action::Nothing)
            }
            // A verdict or a room that comes after the door has changed.
            (Self::Resolving(_) | Self::Asking(_) | Self::Enlisting(_), Event::Judged(_))
            | (Self::Resolving(_) | Self::Asking(_) | Self::Verifying(_), Event::Enlisted) => {
                go(self, Action::Wait)
            }
            (_, Event::Late | Event::Unavailable) => unreachable!("decided above"),
        }
    }

    /// What waits for the control plane is refused; what does not goes on.
    fn unavailable(self, door: Door<'_>) -> Step {
        match (self, door) {
            (Self::Verifying(_), _) | (Self::Resolving(_), Door::Unknown) => {
                refuse(Refused::ControlPlaneAway)
            }
            // The client's answer will look again.
            (Self::Asking(_), Door::Unknown) => go(self, Action::Nothing),
            (Self::Resolving(_), Door::Shut(_) | Door::Open { .. })
            | (Self::Asking(_) | Self::Enlisting(_), _) => self.step(Event::Look, door),
        }
    }
}

impl Asking {
    /// A door that asks the same again has already asked; one that is not known
    /// well enough does not take its question back.
    fn look(self, door: Door<'_>) -> Step {
        match enter(self.0, door) {
            Step {
                next: Some(Sequence::Asking(_) | Sequence::Resolving(_)),
                ..
            } => go(Sequence::Asking(self), Action::Wait),
            other => other,
        }
    }
}

impl Verifying {
    /// The verdict is waited for, unless it no longer matters.
    fn look(self, door: Door<'_>) -> Step {
        match enter(self.0, door) {
            Step {
                next: Some(Sequence::Asking(_) | Sequence::Resolving(_)),
                ..
            } => go(Sequence::Verifying(self), Action::Wait),
            other => other,
        }
    }

    fn judged(self, verdict: Verdict, door: Door<'_>) -> Step {
        let mut carried = self.0;
        match verdict {
            Verdict::Right(pass) => {
                carried.pass(pass);
                enter(carried, door)
            }
            Verdict::Wrong => {
                carried.attempts_left = carried.attempts_left.saturating_sub(1);
                if carried.attempts_left == 0 {
                    return refuse(Refused::PasswordWrong);
                }
                enter(carried, door)
            }
            // The change that took the password away is on its way here.
            Verdict::Gone => match door {
                Door::Shut(refused) => refuse(refused),
                Door::Unknown | Door::Open { .. } => {
                    go(Sequence::Resolving(Resolving(carried)), Action::Wait)
                }
            },
            Verdict::Later(_) => refuse(Refused::PasswordBusy),
            Verdict::NotEnrolled => refuse(Refused::SecondFactorMissing),
            Verdict::Refused => refuse(Refused::HookRefused),
            Verdict::Away => refuse(Refused::HookAway),
        }
    }
}

/// What the door says to somebody who comes with these steps passed.
fn enter(carried: Carried, door: Door<'_>) -> Step {
    let (rules, visitor) = match door {
        Door::Unknown => return go(Sequence::Resolving(Resolving(carried)), Action::Wait),
        Door::Shut(refused) => return refuse(refused),
        Door::Open { rules, visitor } => (rules, visitor),
    };
    match rules.enter(&visitor, &carried.passed) {
        Entry::Admit => go(Sequence::Enlisting(Enlisting(carried)), Action::Enlist),
        Entry::Refuse(refused) => refuse(refused),
        // A newer password was passed than is known here: its change is on its way.
        Entry::Ask(EntryStep::Password(version)) if carried.passed.password > Some(version) => {
            go(Sequence::Resolving(Resolving(carried)), Action::Wait)
        }
        Entry::Ask(
            EntryStep::SecondFactor { .. }
            | EntryStep::RoomCode(_)
            | EntryStep::Approval
            | EntryStep::Hook(_),
        ) => refuse(Refused::Shut),
        Entry::Ask(EntryStep::Password(_)) => match carried.questions {
            Questions::Impossible => refuse(Refused::PasswordNeeded),
            Questions::Allowed => go(
                Sequence::Asking(Asking(carried)),
                Action::Challenge {
                    attempts_left: carried.attempts_left,
                },
            ),
        },
    }
}

/// The check and the entrance are one step: nothing can come between.
fn admit(carried: Carried, door: Door<'_>) -> Step {
    match enter(carried, door) {
        Step {
            next: Some(Sequence::Enlisting(_)),
            ..
        } => Step {
            next: None,
            action: Action::Admit(carried.passed),
        },
        other => other,
    }
}

const fn go(next: Sequence, action: Action) -> Step {
    Step {
        next: Some(next),
        action,
    }
}

const fn refuse(refused: Refused) -> Step {
    Step {
        next: None,
        action: Action::Refuse(refused),
    }
}
