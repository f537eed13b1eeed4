//! What an entry carries from state to state: the steps passed, the wrong
//! answers still forgiven, and how its client can be asked. Decides no course.

use core::time::Duration;

use porthouse_model::{EntryStep, Refused};
use porthouse_rules::Passed;

use crate::question::Pass;
use crate::settings::Settings;

/// How a client comes, as far as an entry cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Manner {
    /// It cannot be asked anything: raw frames, from the first one or by now.
    Silent,
    /// It can be asked.
    Asked,
    /// It can be asked, and says when it starts: `porthouse.raw.v1`.
    Handshake,
}

/// What a client can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Asked {
    /// The room's password.
    Password,
    /// A code of the client's own second factor.
    SecondFactor,
    /// A code of the room's.
    RoomCode,
}

impl Asked {
    /// Nobody there to be asked.
    pub(super) const fn unasked(self) -> Refused {
        match self {
            Self::Password => Refused::PasswordNeeded,
            Self::SecondFactor | Self::RoomCode => Refused::QuestionsRefused,
        }
    }
}

/// What is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Proven {
    /// What the client answered.
    Answer(Asked),
    /// Whether the owner's backend lets the client in.
    Hook,
}

impl Proven {
    /// Wrong once too often.
    pub(super) const fn wrong(self) -> Refused {
        match self {
            Self::Answer(Asked::Password) => Refused::PasswordWrong,
            Self::Answer(Asked::SecondFactor) => Refused::SecondFactorWrong,
            Self::Answer(Asked::RoomCode) => Refused::RoomCodeWrong,
            Self::Hook => Refused::HookRefused,
        }
    }

    /// Not now: wrong too often lately, by others too.
    pub(super) const fn busy(self) -> Refused {
        match self {
            Self::Answer(Asked::Password) => Refused::PasswordBusy,
            Self::Answer(Asked::SecondFactor) => Refused::SecondFactorBusy,
            Self::Answer(Asked::RoomCode) => Refused::RoomCodeBusy,
            Self::Hook => Refused::HookAway,
        }
    }

    /// Who judges did not answer.
    pub(super) const fn away(self) -> Refused {
        match self {
            Self::Answer(_) => Refused::ControlPlaneAway,
            Self::Hook => Refused::HookAway,
        }
    }
}

/// How many answers of each kind may still be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Attempts {
    password: u8,
    second_factor: u8,
    room_code: u8,
}

impl Attempts {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            password: settings.password_attempts_max,
            second_factor: settings.code_attempts_max,
            room_code: settings.code_attempts_max,
        }
    }

    pub(super) const fn left(self, asked: Asked) -> u8 {
        match asked {
            Asked::Password => self.password,
            Asked::SecondFactor => self.second_factor,
            Asked::RoomCode => self.room_code,
        }
    }

    /// One answer fewer of this kind; `None` when that was the last.
    fn less(mut self, asked: Asked) -> Option<Self> {
        let left = match asked {
            Asked::Password => &mut self.password,
            Asked::SecondFactor => &mut self.second_factor,
            Asked::RoomCode => &mut self.room_code,
        };
        *left = left.saturating_sub(1);
        (*left > 0).then_some(self)
    }
}

/// What every state of an entry carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Carried {
    /// The steps passed so far.
    pub passed: Passed,
    /// Wrong answers that are still forgiven.
    pub attempts: Attempts,
    /// How its client can be asked.
    pub manner: Manner,
}

impl Carried {
    /// One step more.
    pub(super) const fn with(mut self, pass: Pass) -> Self {
        match pass {
            Pass::Password(version) => self.passed.password = Some(version),
            Pass::SecondFactor => self.passed.second_factor = Some(Duration::ZERO),
            Pass::RoomCode(version) => self.passed.room_code = Some(version),
            Pass::Hook(version) => self.passed.hook = Some(version),
        }
        self
    }

    /// Let in by somebody inside.
    pub(super) const fn approved(mut self) -> Self {
        self.passed.approval = true;
        self
    }

    /// The second factor as the session showed it, unless it was shown here.
    pub(super) fn with_factor(mut self, age: Option<Duration>) -> Self {
        let shown = self.passed.second_factor.into_iter().chain(age);
        self.passed.second_factor = shown.min();
        self
    }

    /// A wrong answer; `None` when it was the last that is forgiven.
    pub(super) fn wrong(mut self, proven: Proven) -> Option<Self> {
        match proven {
            Proven::Answer(asked) => self.attempts = self.attempts.less(asked)?,
            Proven::Hook => return None,
        }
        Some(self)
    }

    /// Whether a newer version of this step was passed than is asked for.
    pub(super) fn is_ahead_of(&self, step: EntryStep) -> bool {
        match step {
            EntryStep::Password(version) => self.passed.password > Some(version),
            EntryStep::RoomCode(version) => self.passed.room_code > Some(version),
            EntryStep::Hook(version) => self.passed.hook > Some(version),
            EntryStep::SecondFactor { .. } | EntryStep::Approval => false,
        }
    }
}
