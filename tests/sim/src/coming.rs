//! What one seed draws of worlds in which everybody keeps losing their connection and comes back
//! to go on: in rooms that keep, and where administrators mostly let them. From a generator of its
//! own, like what rooms keep.

use crate::chance::Chance;
use crate::plan::Plan;
use crate::queue::{MILLIS, SECONDS};

/// Tells this generator's course from the world's.
const COURSE: u64 = 0x636f_6d69;

impl Plan {
    /// Everybody keeps losing their connection, in rooms that keep.
    pub(crate) fn come_and_go(&mut self, seed: u64) {
        let mut chance = Chance::new(seed ^ COURSE);
        self.keep_last(*chance.pick(&[20, 200, 2_000, 2_000]));
        self.keeping.open = !chance.one_in(4);
        self.coming_and_going = true;
        self.heal_at = self.heal_at.max(chance.between(6, 15) * SECONDS);
        self.habits.vanish = chance.between(30, 200);
        // Who left has nothing to go on from; and whoever was away while a rule changed.
        self.habits.wander = self.habits.wander.min(10);
        if !chance.one_in(4) {
            self.admin_gap *= chance.between(10, 100);
        }
        if chance.one_in(2) {
            self.faults.clear();
        }
    }

    /// The same, while passwords are set anew all the time.
    pub(crate) fn return_much(&mut self, seed: u64) {
        self.come_and_go(seed);
        self.keeping.open = true;
        self.admin_gap = 30 * MILLIS;
        self.rooms = self.rooms.min(3);
    }
}
