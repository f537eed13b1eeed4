//! What one seed draws of the end of a world: in some the node goes away while its clients talk,
//! and not they. From a generator of its own, so that other worlds are the same as without this
//! file.

use crate::chance::Chance;
use crate::plan::Plan;
use crate::queue::MILLIS;

/// Tells this generator's course from the world's.
const COURSE: u64 = 0x6472_6169;

impl Plan {
    /// In a third of all worlds the node goes away in the end, within some time.
    pub(crate) fn drain(&mut self, seed: u64) {
        let mut chance = Chance::new(seed ^ COURSE);
        if chance.one_in(3) {
            self.drains = Some(chance.between(100, 6_000) * MILLIS);
        }
    }
}
