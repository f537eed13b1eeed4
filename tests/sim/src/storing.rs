//! What one seed draws of rooms whose history survives the node, and of the store that keeps it:
//! how long it takes, what of it is lost on the way, when it is away and when it begins again. From
//! a generator of its own, so that worlds without any of it are the same as without this file.

use core::time::Duration;

use porthouse_model::{Keep, RoomRules};
use porthouse_puddle::{HistoryStore, StoreLimits};

use crate::chance::Chance;
use crate::keeping::resume_keys;
use crate::plan::{Broken, Fault, Plan};
use crate::queue::{MICROS, MILLIS, Nanos, SECONDS};

/// Tells this generator's course from the world's.
const COURSE: u64 = 0x7374_6f72;

/// Which rooms are durable, and how their store is. By default none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Storing {
    /// By room: what it keeps if its rules keep nothing; the same for all its lives.
    rooms: Vec<Option<Keep>>,
    /// Of a hundred receipts, for so many more is asked than that it was taken.
    pub(crate) levels: u64,
    /// The mean delay of what is asked of the store, and of what it answers.
    pub(crate) delay: Nanos,
    /// Of a hundred answers so many are lost.
    pub(crate) lost: u64,
    /// Of a hundred things that backends do, so many are purges.
    pub(crate) purges: u64,
    /// Of a hundred requests so many come when nobody waits for them any more.
    pub(crate) late: u64,
}

impl Plan {
    /// Draws which rooms are durable; in half of all worlds none.
    pub(crate) fn store(&mut self, seed: u64) {
        let mut chance = Chance::new(seed ^ COURSE);
        if chance.one_in(2) {
            return;
        }
        let durable = |chance: &mut Chance| (!chance.one_in(3)).then(|| keep(chance));
        self.storing = Storing {
            rooms: (0..self.rooms).map(|_| durable(&mut chance)).collect(),
            levels: chance.between(20, 100),
            delay: chance.skewed(10, 50_000) * MICROS,
            lost: sometimes(&mut chance, 20),
            late: sometimes(&mut chance, 20),
            purges: sometimes(&mut chance, 60),
        };
        self.reach_the_store(&mut chance);
        for _ in 0..sometimes(&mut chance, 4) {
            let from = chance.below(self.heal_at);
            let until = from + chance.skewed(1, 4_000) * MILLIS;
            self.breaks(Broken::Store, from, until);
        }
        for _ in 0..sometimes(&mut chance, 4) {
            let from = chance.below(self.heal_at);
            self.breaks(Broken::Restart, from, from + 1);
        }
        for _ in 0..sometimes(&mut chance, 2) {
            let puddle = chance.below(u64::from(self.puddles));
            let from = chance.below(self.heal_at);
            self.panics_at(u8::try_from(puddle).expect("few"), from);
        }
    }

    /// All rooms are durable, and whatever keeps them begins anew all the time.
    pub(crate) fn store_all(&mut self) {
        self.keep_all();
        let keep = Keep::Last {
            messages_max: 200,
            age_max: Duration::from_mins(1),
        };
        self.storing = Storing {
            rooms: vec![Some(keep); usize::try_from(self.rooms).expect("few")],
            levels: 80,
            delay: 2 * MILLIS,
            lost: 0,
            late: 0,
            purges: 0,
        };
        self.settings.history_store = HistoryStore::Bridged;
        self.admin_gap = 2 * SECONDS;
        let turns = (SECONDS..self.heal_at).step_by(700_000_000);
        for (puddle, from) in (0..self.puddles).cycle().zip(turns) {
            self.breaks(Broken::Restart, from, from + 1);
            self.panics_at(puddle, from + 100 * MILLIS);
        }
    }

    /// Rooms keep all, and backends have it forgotten all the time.
    pub(crate) fn purge_much(&mut self) {
        self.keep_all();
        self.storing.purges = 60;
        self.admin_gap = 50 * MILLIS;
        self.keeping.curious = 200;
    }

    /// The node has the store, and clients use what it keeps.
    fn reach_the_store(&mut self, chance: &mut Chance) {
        // Half of it is for one room, and the longest message is to be stored.
        let bytes_min = 8 * usize::try_from(self.message_bytes_max + 1_000).expect("a length");
        let settings = &mut self.settings;
        settings.history_store = HistoryStore::Bridged;
        settings.resume_keys = resume_keys();
        if chance.one_in(3) {
            settings.store = StoreLimits {
                waits_max: 1 + count(chance, 64),
                wait_bytes_max: bytes_min + count(chance, 200_000),
                requests_max: count(chance, 8),
                reads_max: count(chance, 4),
                ..StoreLimits::default()
            };
        }
        self.keeping.curious = self.keeping.curious.max(chance.between(20, 150));
    }

    fn breaks(&mut self, what: Broken, from: Nanos, until: Nanos) {
        let until = until.min(self.heal_at);
        self.faults.push(Fault { from, until, what });
    }
}

impl Storing {
    /// A room of this number is durable, if it is.
    pub(crate) fn rule(&self, room: u32, rules: &mut RoomRules) {
        let place = usize::try_from(room).expect("an index");
        let Some(&Some(keep)) = self.rooms.get(place) else {
            return;
        };
        rules.history.durable = true;
        if rules.history.keep == Keep::None {
            rules.history.keep = keep;
        }
    }
}

fn keep(chance: &mut Chance) -> Keep {
    if chance.one_in(5) {
        return Keep::Latest;
    }
    Keep::Last {
        messages_max: u32::try_from(chance.skewed(1, 300)).expect("a small number"),
        age_max: Duration::from_secs(chance.between(5, 60)),
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

fn count(chance: &mut Chance, most: u64) -> usize {
    usize::try_from(chance.skewed(1, most)).expect("a small number")
}
