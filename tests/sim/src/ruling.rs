//! What one seed draws of administrators who rule otherwise than by a room's rules: users who are
//! blocked, templates, rooms in which only some may speak. From a generator of its own, so that
//! worlds without any of it are the same as without this file.

use porthouse_model::{Acts, Capabilities};

use crate::chance::Chance;
use crate::plan::Plan;

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
}

impl Ruling {
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
