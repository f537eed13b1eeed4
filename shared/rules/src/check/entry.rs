//! Which steps can be asked at a door. Never asks one.

use core::time::Duration;

use porthouse_model::{Act, EntryStep, RoomRules};

use crate::compile::RuleFault;

/// How old a second factor may be made to be: not too old to type its code, nor
/// so old that it is none.
const AGE_MIN: Duration = Duration::from_secs(30);
const AGE_MAX: Duration = Duration::from_hours(24 * 90);

pub(super) fn check(rules: &RoomRules) -> Result<(), RuleFault> {
    let steps = &rules.entry.steps;
    for (at, step) in steps.iter().enumerate() {
        let fault = |needed: &'static str| {
            let field = format!("entry.steps[{at}]");
            Err(RuleFault::new(field, needed))
        };
        let same =
            |other: &EntryStep| core::mem::discriminant(other) == core::mem::discriminant(step);
        if steps[..at].iter().any(same) {
            return fault("each kind of step at most once");
        }
        match step {
            EntryStep::SecondFactor { age_max } if !(AGE_MIN..=AGE_MAX).contains(age_max) => {
                return fault("a second factor of an age from 30 s to 90 days");
            }
            EntryStep::Approval if !somebody_invites(rules) => {
                return fault("somebody who may invite, to let in who waits for approval");
            }
            EntryStep::SecondFactor { .. }
            | EntryStep::Approval
            | EntryStep::Password(_)
            | EntryStep::RoomCode(_)
            | EntryStep::Hook(_) => {}
        }
    }
    Ok(())
}

fn somebody_invites(rules: &RoomRules) -> bool {
    super::capability::lines(&rules.capabilities)
        .into_iter()
        .any(|(_, acts)| acts.has(Act::Invite))
}

#[cfg(test)]
mod tests {
    use porthouse_model::{Acts, Capabilities, EntryRules, PasswordVersion};

    use super::*;

    fn fault(steps: Vec<EntryStep>) -> String {
        let rules = RoomRules {
            entry: EntryRules { steps },
            capabilities: Capabilities {
                owner: Acts::TALK,
                roles: [].into(),
                ..Capabilities::open()
            },
            ..RoomRules::default()
        };
        check(&rules).expect_err("refused").field.into_owned()
    }

    #[test]
    fn steps_that_cannot_be_asked_are_named() {
        let password = |version| EntryStep::Password(PasswordVersion(version));
        let factor = |age_max| EntryStep::SecondFactor { age_max };
        assert_eq!(fault(vec![password(1), password(2)]), "entry.steps[1]");
        assert_eq!(
            fault(vec![factor(Duration::from_secs(29))]),
            "entry.steps[0]"
        );
        assert_eq!(fault(vec![factor(Duration::MAX)]), "entry.steps[0]");
        assert_eq!(
            fault(vec![password(1), EntryStep::Approval]),
            "entry.steps[1]"
        );
    }
}
