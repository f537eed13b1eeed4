//! What is asked at a room's door: steps, in order, all to be passed.

use core::time::Duration;

/// Which version of a room's password somebody must have given. Grows with each
/// change, so that whoever gave an older one is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PasswordVersion(pub u64);

/// Which version of a room's own code secret somebody must have shown a code
/// of; grows as [`PasswordVersion`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodeVersion(pub u64);

/// Which version of a room's hook must have let somebody in; grows as
/// [`PasswordVersion`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HookVersion(pub u64);

/// One thing asked at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryStep {
    /// The room's password, of this version.
    Password(PasswordVersion),
    /// The client's own second factor, shown no longer ago than this.
    SecondFactor {
        /// The greatest age at entry.
        age_max: Duration,
    },
    /// A code of the room's own secret, of this version (RFC 6238); each is
    /// taken once a user.
    RoomCode(CodeVersion),
    /// Somebody inside who may invite lets them in.
    Approval,
    /// The owner's backend decides.
    Hook(HookVersion),
}

/// What is asked at the door, in order. Each kind of step at most once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EntryRules {
    /// The steps.
    pub steps: Vec<EntryStep>,
}

impl EntryRules {
    /// Only the room's password, of this version.
    #[must_use]
    pub fn by_password(version: PasswordVersion) -> Self {
        Self {
            steps: vec![EntryStep::Password(version)],
        }
    }

    /// The version of the password that is asked for, if one is.
    #[must_use]
    pub fn password(&self) -> Option<PasswordVersion> {
        self.steps.iter().find_map(|step| match step {
            EntryStep::Password(version) => Some(*version),
            EntryStep::SecondFactor { .. }
            | EntryStep::RoomCode(_)
            | EntryStep::Approval
            | EntryStep::Hook(_) => None,
        })
    }
}
