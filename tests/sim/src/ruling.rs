//! What one seed draws of administrators who rule otherwise than by a room's rules: users who are
//! blocked, templates, rooms in which only some may speak, or
//! at whose doors codes and backends are asked. From a generator of its own, so that
//! worlds without any of it are the same as without this file.

use core::time::Duration;

use porthouse_model::{
    Acts, Capabilities, CodeVersion, EntryRules, EntryStep, HookVersion, PasswordVersion,
};

use crate::chance::Chance;
use crate::plan::Plan;
use crate::queue::MILLIS;

/// Tells this generator's course from the world's.
const COURSE: u64 = 0x7275_6c65;

/// How administrators rule. By default by rooms' rules alone.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ruling {
    /// Of a hundred things that administrators do, so many are blocks that are made or taken away.
    pub(crate) blocks: u64,
    /// And so many are templates that are made, changed or taken away.
    pub(crate) templates: u64,
    /// Of a hundred rooms that are made, only some may speak in so many.
    pub(crate) quiet: u64,
    /// In so many more is asked for at the door than a password.
    pub(crate) steps: u64,
    /// Of a hundred clients that may, so many come by an issuer's word, and issuers are
    /// withdrawn and trusted again.
    pub(crate) issuers: u64,
    /// Of a hundred things that administrators do, so many are about users' labels and rooms' groups.
    pub(crate) labels: u64,
}

impl Ruling {
    /// What is asked for at the door of a room that is made, if it is more than a password:
    /// some steps, in any order.
    pub(crate) fn steps(self, chance: &mut Chance) -> Option<EntryRules> {
        if self.steps == 0 || !chance.percent(self.steps) {
            return None;
        }
        let age_max = Duration::from_secs(chance.between(30, 3_600));
        let mut rest = vec![
            EntryStep::Password(PasswordVersion(0)),
            EntryStep::SecondFactor { age_max },
            EntryStep::RoomCode(CodeVersion(0)),
            EntryStep::Hook(HookVersion(0)),
        ];
        let some = chance.between(1, 3);
        let steps = (0..some).map(|_| rest.swap_remove(chance.index(rest.len())));
        Some(EntryRules {
            steps: steps.collect(),
        })
    }

    /// Who may do what in a room that is made.
    pub(crate) fn capabilities(self, chance: &mut Chance) -> Capabilities {
        let open = Capabilities::open();
        if self.quiet == 0 || !chance.percent(self.quiet) {
            return open;
        }
        let mut some = || {
            if chance.one_in(2) {
                Acts::LISTEN
            } else {
                Acts::TALK
            }
        };
        Capabilities {
            anonymous: Acts::LISTEN,
            user: some(),
            device: some(),
            ..open
        }
    }
}

impl Plan {
    /// Much is asked for at every door, and few users have many clients each.
    pub(crate) fn ask_much(&mut self) {
        self.ruling.steps = 80;
        self.users = self.users.min(8);
        self.rooms = self.rooms.min(3);
        self.habits.wander = 150;
        self.habits.wrong_password = 0;
    }

    /// Whoever can comes by an issuer's word, and issuers come and go.
    pub(crate) fn trust_issuers(&mut self) {
        self.ruling.issuers = 90;
        self.clients = self.clients.min(60);
        self.admin_gap = 50 * MILLIS;
    }

    /// Members come and go by their labels.
    pub(crate) fn label_much(&mut self) {
        self.ruling.labels = 80;
        self.rooms = self.rooms.min(4);
        self.users = self.users.min(12);
        self.admin_gap = 100 * MILLIS;
    }

    /// Draws how administrators rule; in half of all worlds by rooms' rules alone.
    pub(crate) fn rule(&mut self, seed: u64) {
        let mut chance = Chance::new(seed ^ COURSE);
        if chance.one_in(2) {
            return;
        }
        self.ruling = Ruling {
            blocks: sometimes(&mut chance, 60),
            templates: sometimes(&mut chance, 40),
            quiet: sometimes(&mut chance, 60),
            steps: sometimes(&mut chance, 60),
            issuers: sometimes(&mut chance, 80),
            labels: sometimes(&mut chance, 60),
        };
    }
}

/// In half of all worlds never.
fn sometimes(chance: &mut Chance, most: u64) -> u64 {
    if chance.one_in(2) {
        0
    } else {
        chance.skewed(1, most)
    }
}
