//! What is asked at the door, between the wire and the model. Verifies nothing.

use porthouse_model as model;
use porthouse_model::{CodeVersion, EntryRules, EntryStep, HookVersion, PasswordVersion};

use super::super::time::{duration, span};
use super::super::{BadMessage, InField, v1};
use v1::entry_step::Kind;

/// The steps of a message. One that names none but has a password's version is
/// of the time when there was no other step.
pub(super) fn read(
    password_version: u64,
    steps: Vec<v1::EntryStep>,
) -> Result<EntryRules, BadMessage> {
    if steps.is_empty() && password_version > 0 {
        return Ok(EntryRules::by_password(PasswordVersion(password_version)));
    }
    let steps = steps.into_iter().map(TryInto::try_into);
    let entry = EntryRules {
        steps: steps.collect::<Result<_, _>>()?,
    };
    let said = entry.password().map_or(0, |version| version.0);
    if said == password_version {
        Ok(entry)
    } else {
        Err(BadMessage {
            field: "rules.password_version",
        })
    }
}

impl From<&EntryStep> for v1::EntryStep {
    fn from(step: &EntryStep) -> Self {
        let kind = match step {
            EntryStep::Password(version) => Kind::PasswordVersion(version.0),
            EntryStep::SecondFactor { age_max } => Kind::SecondFactorAgeMax(span(*age_max)),
            EntryStep::RoomCode(version) => Kind::CodeVersion(version.0),
            EntryStep::Approval => Kind::Approval(v1::Approval {}),
            EntryStep::Hook(version) => Kind::HookVersion(version.0),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<v1::EntryStep> for model::EntryStep {
    type Error = BadMessage;

    fn try_from(step: v1::EntryStep) -> Result<Self, BadMessage> {
        Ok(match step.kind.in_field("rules.steps")? {
            Kind::PasswordVersion(version) => Self::Password(PasswordVersion(version)),
            Kind::SecondFactorAgeMax(age_max) => Self::SecondFactor {
                age_max: duration(age_max).in_field("rules.steps")?,
            },
            Kind::CodeVersion(version) => Self::RoomCode(CodeVersion(version)),
            Kind::Approval(v1::Approval {}) => Self::Approval,
            Kind::HookVersion(version) => Self::Hook(HookVersion(version)),
        })
    }
}
