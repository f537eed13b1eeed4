//! Steps of an entry as the control plane judges them: passwords, and codes of the time, which
//! count once. Asks no owner's backend; the world is that.

use std::collections::BTreeMap;

use porthouse_model::{CodeVersion, EntryRules, EntryStep, HookVersion, PasswordVersion, RoomId};
use porthouse_puddle::{Pass, Proof, Verdict, Verification};

use super::{Control, has_second_factor, room_number, room_password, user_number};
use crate::queue::{Nanos, SECONDS};

/// A code is another after so long, and the one before is taken too.
const CODE_NANOS: Nanos = SECONDS;

/// Whose code: a version of a room's secret and the room, or none for a user's own factor.
type Key = (Option<(CodeVersion, u32)>, u128);

/// The codes that were taken.
#[derive(Debug, Default)]
pub(super) struct Codes {
    /// The last one, and from when on that is known.
    last: BTreeMap<Key, (u64, Nanos)>,
    /// It is known so long after it was read: a planted bug.
    delay: Nanos,
}

impl Control {
    /// From here on a code is read, and written as taken so long after.
    pub(crate) const fn take_late(&mut self, delay: Nanos) {
        self.codes.delay = delay;
    }

    /// The room's code at this moment, with its version and its step.
    pub(crate) fn code_of_room(&self, room: u32, at: Nanos) -> Option<(u64, u64, String)> {
        let version = code_of(&self.rules(room)?.entry)?;
        let step = at / CODE_NANOS;
        Some((version.0, step, code(version.0, step)))
    }

    /// A user's code at this moment, with its step.
    pub(crate) fn code_of_user(&self, user: u32, at: Nanos) -> (u64, String) {
        debug_assert!(user < self.users, "a user");
        let step = at / CODE_NANOS;
        (step, code(factor(user), step))
    }

    /// The version of the hook by which a room, or what covers it, asks its owner's backend.
    pub(crate) fn hook(&self, id: RoomId) -> Option<HookVersion> {
        let steps = &self.entry(id)?.steps;
        steps.iter().find_map(|step| match step {
            EntryStep::Hook(version) => Some(*version),
            EntryStep::Password(_)
            | EntryStep::SecondFactor { .. }
            | EntryStep::RoomCode(_)
            | EntryStep::Approval => None,
        })
    }

    /// What a room of this identity, or what covers it, asks for.
    fn entry(&self, id: RoomId) -> Option<&EntryRules> {
        let row = self.rooms.values().find(|row| row.room.id == id);
        let own = row.map(|row| &row.room.rules.entry);
        own.or_else(|| self.template_entry(id))
    }

    /// Whether this passes a step of the room's entry now.
    pub(crate) fn verify(&mut self, what: &Verification, at: Nanos) -> Verdict {
        let entry = self.entry(what.room);
        match &what.proof {
            Proof::Password(given) => match entry.and_then(EntryRules::password) {
                None => Verdict::Gone,
                Some(version) if given.expose() == room_password(version) => {
                    Verdict::Right(Pass::Password(version))
                }
                Some(_) => Verdict::Wrong,
            },
            Proof::RoomCode(given) => {
                let version = entry.and_then(code_of);
                let (Some(version), Some(room)) = (version, room_number(&what.name)) else {
                    return Verdict::Gone;
                };
                let client = u128::from_be_bytes(*what.client.as_bytes());
                let key = (Some((version, room)), client);
                if self.codes.take(key, version.0, given.expose(), at) {
                    Verdict::Right(Pass::RoomCode(version))
                } else {
                    Verdict::Wrong
                }
            }
            Proof::SecondFactor(given) => {
                let user = what.user.and_then(user_number);
                let Some(user) = user.filter(|&user| has_second_factor(user)) else {
                    return Verdict::NotEnrolled;
                };
                let key = (None, u128::from(user));
                if self.codes.take(key, factor(user), given.expose(), at) {
                    Verdict::Right(Pass::SecondFactor)
                } else {
                    Verdict::Wrong
                }
            }
            Proof::Hook { .. } => unreachable!("the owner's backend is asked"),
        }
    }

    /// What is asked at a door, with versions that nothing had before.
    pub(super) fn versioned(&mut self, entry: &EntryRules) -> EntryRules {
        let mut next = || {
            self.versions += 1;
            self.versions
        };
        let steps = entry.steps.iter().map(|step| match *step {
            EntryStep::Password(_) => EntryStep::Password(PasswordVersion(next())),
            EntryStep::RoomCode(_) => EntryStep::RoomCode(CodeVersion(next())),
            EntryStep::Hook(_) => EntryStep::Hook(HookVersion(next())),
            step @ (EntryStep::SecondFactor { .. } | EntryStep::Approval) => step,
        });
        EntryRules {
            steps: steps.collect(),
        }
    }
}

impl Codes {
    /// Takes a code that is right and was not taken before.
    fn take(&mut self, key: Key, secret: u64, given: &str, at: Nanos) -> bool {
        let now = at / CODE_NANOS;
        let steps = [now, now.saturating_sub(1)];
        let right = steps.into_iter().find(|step| code(secret, *step) == given);
        let known = self.last.get(&key).filter(|(_, from)| *from <= at);
        let last = known.map(|(step, _)| *step);
        let Some(step) = right.filter(|step| last.is_none_or(|last| last < *step)) else {
            return false;
        };
        self.last.insert(key, (step, at + self.delay));
        true
    }
}

/// The version of the room's code that is asked for, if one is.
fn code_of(entry: &EntryRules) -> Option<CodeVersion> {
    entry.steps.iter().find_map(|step| match step {
        EntryStep::RoomCode(version) => Some(*version),
        EntryStep::Password(_)
        | EntryStep::SecondFactor { .. }
        | EntryStep::Approval
        | EntryStep::Hook(_) => None,
    })
}

/// The secret of a user's second factor, told from those of rooms.
fn factor(user: u32) -> u64 {
    u64::from(user) | 1 << 40
}

/// The code of a secret at a step.
fn code(secret: u64, step: u64) -> String {
    let mixed = (secret ^ step.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{:08}", (mixed ^ mixed >> 29) % 100_000_000)
}
