//! A room's door as an administrator wrote it, and what is shown there. Judges nobody.

use serde::Serialize;

use super::narrow::Narrow;
use super::stored::Kept;

/// Who may enter a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Who {
    Anyone,
    Users,
    Members,
}

/// A room as an administrator wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "rules as they are written")]
pub(crate) struct Door {
    /// Which of the rooms of this name.
    pub(crate) identity: u64,
    pub(crate) who: Who,
    /// Who may say something.
    pub(crate) speaks: Who,
    /// Whether devices may, whoever they are of.
    pub(crate) devices_speak: bool,
    /// The version of the password, if one is asked for.
    pub(crate) password: Option<u64>,
    /// The version of the secret of the room's codes.
    pub(crate) code: Option<u64>,
    /// Whether a code of one's own is asked for.
    pub(crate) second_factor: bool,
    /// Whether somebody must let in who comes.
    pub(crate) approval: bool,
    /// The users who, as members, may; and who need nobody themselves.
    pub(crate) invites: u64,
    /// The version of the hook by which the owner's backend is asked.
    pub(crate) hook: Option<u64>,
    pub(crate) text: bool,
    pub(crate) binary: bool,
    pub(crate) bytes_max: usize,
    pub(crate) echo: bool,
    pub(crate) named: bool,
    /// How long the room may deliver without word, in nanoseconds.
    pub(crate) deliver_max: Option<u64>,
    /// Whoever comes in hears what waited for them of before, and nothing else.
    pub(crate) waits: bool,
    /// Something may wait for whoever comes in, and be too much.
    pub(crate) hands_over: bool,
    /// How long the room may admit without word.
    pub(crate) admit_max: u64,
    /// How long presence may lag behind, in nanoseconds.
    pub(crate) shown_late_max: u64,
    /// And what is told next comes so long after, where more is to be told than is at once.
    pub(crate) shown_every: u64,
    /// Whether who reads too slowly misses something, and stays.
    pub(crate) skips: bool,
    /// How much of what is said there survives whatever happens to the node, if anything does.
    pub(crate) kept: Option<Kept>,
    /// What of it is narrow.
    pub(crate) narrow: Narrow,
}

/// What somebody shows at a door, if it is right at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shown {
    /// The room's password.
    Password { version: u64 },
    /// A code of the room's.
    RoomCode { version: u64, step: u64 },
    /// A code of one's own.
    SecondFactor { step: u64 },
}

impl Shown {
    /// Stands for a version where one's own second factor is asked for. No version is it.
    pub(crate) const SECOND_FACTOR: u64 = 0;

    /// The version that is passed by it.
    pub(crate) const fn version(self) -> u64 {
        match self {
            Self::Password { version } | Self::RoomCode { version, .. } => version,
            Self::SecondFactor { .. } => Self::SECOND_FACTOR,
        }
    }
}

impl Door {
    /// The versions of all that is to be passed. No two of them are the same.
    pub(crate) fn needs(&self) -> impl Iterator<Item = u64> + use<> {
        let known = [self.password, self.hook].into_iter().flatten();
        known.chain(self.codes())
    }

    /// Those of them that are passed by a code.
    pub(crate) fn codes(&self) -> impl Iterator<Item = u64> + use<> {
        let factor = self.second_factor.then_some(Shown::SECOND_FACTOR);
        [self.code, factor].into_iter().flatten()
    }
}
