//! What is true of an entry, whatever the machine keeps of it: what was judged
//! right and who was let in, written down from the events alone, and whether that
//! satisfies a door. Shares no decision with the machine or the rules' `enter`.

use porthouse_model::{Audience, CodeVersion, HookVersion, PasswordVersion};
use porthouse_rules::Standing;

use super::*;
use crate::question::Pass;

/// What the world did, as somebody beside the machine would write it down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Truth {
    /// The version that was judged right last.
    password: Option<PasswordVersion>,
    room_code: Option<CodeVersion>,
    hook: Option<HookVersion>,
    /// How old the second factor was when it was shown, at its freshest.
    factor: Option<Duration>,
    is_approved: bool,
    /// What is being judged, since the machine said to judge it.
    judged: Option<QuestionId>,
    /// Those inside were told that somebody waits, and have not said.
    waits: bool,
    /// The name that came with the last event that had one.
    named: Option<QuestionId>,
}

impl Truth {
    /// After this event, at this door.
    pub(super) fn after(mut self, event: Event, door: Door<'_>) -> Self {
        if let Door::Open { factor_age, .. } = door {
            self.factor = self.factor.into_iter().chain(factor_age).min();
        }
        self.named = None;
        match event {
            Event::Answered(question) | Event::Called(question) => self.named = Some(question),
            Event::Judged(question, verdict) if self.judged == Some(question) => {
                self.judged = None;
                if let Verdict::Right(pass) = verdict {
                    self.showed(pass);
                }
            }
            Event::Unjudged(question) if self.judged == Some(question) => self.judged = None,
            Event::Approved if self.waits => (self.is_approved, self.waits) = (true, false),
            Event::Declined | Event::Crowded => self.waits = false,
            Event::Judged(..)
            | Event::Unjudged(_)
            | Event::Approved
            | Event::Look
            | Event::Enlisted
            | Event::Started
            | Event::Unavailable
            | Event::Late => {}
        }
        self
    }

    fn showed(&mut self, pass: Pass) {
        match pass {
            Pass::Password(version) => self.password = Some(version),
            Pass::SecondFactor => self.factor = Some(Duration::ZERO),
            Pass::RoomCode(version) => self.room_code = Some(version),
            Pass::Hook(version) => self.hook = Some(version),
        }
    }

    /// After the machine had this done. What it begins ends what it had begun.
    pub(super) fn then(mut self, action: Action) -> Self {
        let named = self.named.take();
        match action {
            Action::Wait | Action::Nothing => {}
            Action::Verify(_) => (self.judged, self.waits) = (named, false),
            Action::Apply => (self.judged, self.waits) = (None, true),
            Action::Challenge { .. }
            | Action::Call
            | Action::Enlist
            | Action::Welcome
            | Action::Admit(_)
            | Action::Refuse(_) => (self.judged, self.waits) = (None, false),
        }
        self
    }

    /// Somebody inside let them in.
    pub(super) const fn is_approved(&self) -> bool {
        self.is_approved
    }

    /// Whether this door opens to whoever did that: of its audience, and every
    /// step of its rules, as they are now.
    pub(super) fn satisfies(&self, door: Door<'_>) -> bool {
        let Door::Open { rules, visitor, .. } = door else {
            return false;
        };
        let standing = visitor.standing;
        let is_meant = match rules.source().connection.audience {
            Audience::Nobody => false,
            Audience::Anyone => true,
            Audience::Users => standing != Standing::Anonymous,
            Audience::Members => matches!(standing, Standing::Member(_) | Standing::Owner),
        };
        let mut steps = rules.source().entry.steps.iter();
        is_meant && steps.all(|step| self.passed(*step, standing))
    }

    /// Whether there is something to ask for: a step of this door that was not
    /// passed. Of a second factor the door itself says how old it is.
    pub(super) fn owes(&self, asked: Asked, door: Door<'_>) -> bool {
        let Door::Open { rules, visitor, .. } = door else {
            return false;
        };
        rules.source().entry.steps.iter().any(|step| {
            let is_asked = match step {
                EntryStep::Password(_) => asked == Asked::Password,
                EntryStep::SecondFactor { .. } => return asked == Asked::SecondFactor,
                EntryStep::RoomCode(_) => asked == Asked::RoomCode,
                EntryStep::Approval | EntryStep::Hook(_) => false,
            };
            is_asked && !self.passed(*step, visitor.standing)
        })
    }

    fn passed(&self, step: EntryStep, standing: Standing) -> bool {
        match step {
            EntryStep::Password(version) => self.password == Some(version),
            EntryStep::SecondFactor { age_max } => self.factor.is_some_and(|age| age <= age_max),
            EntryStep::RoomCode(version) => self.room_code == Some(version),
            EntryStep::Hook(version) => self.hook == Some(version),
            // In these rooms nobody but the owner may let others in.
            EntryStep::Approval => self.is_approved || standing == Standing::Owner,
        }
    }
}
