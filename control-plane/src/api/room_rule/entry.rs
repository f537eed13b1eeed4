//! What is asked at the door, between control.v1 and the model. Which version of
//! a secret is asked for stands elsewhere. Verifies nothing.

use std::time::Duration;

use porthouse_api::control::v1 as wire;
use porthouse_model::{CodeVersion, EntryRules, EntryStep, HookVersion, PasswordVersion};
use wire::entry_step::Kind;

use crate::api::error::ApiError;
use crate::api::time;

/// How old a second factor may be unless it is said.
const AGE_DEFAULT: Duration = Duration::from_hours(12);
/// The greatest age that can be said.
const AGE_MAX: Duration = Duration::from_hours(90 * 24);
/// The least.
const AGE_MIN: Duration = Duration::from_secs(30);
/// As many steps as there are kinds.
const STEPS_MAX: usize = 5;

/// The group as it was sent; versions are 0.
pub(super) fn from_wire(rules: wire::EntryRules) -> Result<EntryRules, ApiError> {
    const FIELD: &str = "entry.steps";
    if rules.steps.len() > STEPS_MAX {
        return Err(ApiError::field(FIELD, "each kind of step at most once"));
    }
    let step = |(at, step): (usize, wire::EntryStep)| {
        let field = format!("{FIELD}[{at}]");
        match step.kind {
            None => Err(ApiError::field(field, "one kind of step")),
            Some(Kind::Password(wire::PasswordStep {})) => {
                Ok(EntryStep::Password(PasswordVersion(0)))
            }
            Some(Kind::SecondFactor(step)) => second_factor(&field, step),
            Some(Kind::RoomCode(wire::RoomCodeStep {})) => Ok(EntryStep::RoomCode(CodeVersion(0))),
            Some(Kind::Approval(wire::ApprovalStep {})) => Ok(EntryStep::Approval),
            Some(Kind::Hook(wire::HookStep {})) => Ok(EntryStep::Hook(HookVersion(0))),
        }
    };
    let steps = rules.steps.into_iter().enumerate().map(step);
    Ok(EntryRules {
        steps: steps.collect::<Result<_, _>>()?,
    })
}

fn second_factor(field: &str, step: wire::SecondFactorStep) -> Result<EntryStep, ApiError> {
    let field = format!("{field}.second_factor.age_max");
    let age = step
        .age_max
        .map(|age| time::span(&field, age, AGE_MIN, AGE_MAX));
    Ok(EntryStep::SecondFactor {
        age_max: age.unwrap_or(Ok(AGE_DEFAULT))?,
    })
}

/// The group as it is sent.
pub(super) fn to_wire(rules: &EntryRules) -> wire::EntryRules {
    wire::EntryRules {
        password_required: rules.password().is_some(),
        steps: rules.steps.iter().map(step_to_wire).collect(),
    }
}

/// A step as it is sent.
pub(in crate::api) fn step_to_wire(step: &EntryStep) -> wire::EntryStep {
    let kind = match step {
        EntryStep::Password(_) => Kind::Password(wire::PasswordStep {}),
        EntryStep::SecondFactor { age_max } => Kind::SecondFactor(wire::SecondFactorStep {
            age_max: Some(time::span_to_wire(*age_max)),
        }),
        EntryStep::RoomCode(_) => Kind::RoomCode(wire::RoomCodeStep {}),
        EntryStep::Approval => Kind::Approval(wire::ApprovalStep {}),
        EntryStep::Hook(_) => Kind::Hook(wire::HookStep {}),
    };
    wire::EntryStep { kind: Some(kind) }
}
