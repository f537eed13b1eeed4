//! What one seed draws of rooms that keep: their order, history, what waits for members who are
//! away, presence; and how eager clients are to use it. From a generator of its own, so that
//! worlds in which nothing is kept are the same as without this file.

use core::time::Duration;

use porthouse_model::{
    Audience, HistoryRules, Keep, Order, PresenceRules, RoomRules, Shown, Waiting,
};
use porthouse_puddle::{RESUME_KEY_BYTES, ResumeKeys, Settings};

use crate::chance::Chance;
use crate::plan::Plan;

/// Tells this generator's course from the world's.
const COURSE: u64 = 0x6b65_65d3;

/// What rooms keep. By default nothing, and nobody asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keeping {
    /// By room; the same for all its lives.
    rooms: Vec<Kept>,
    /// Whoever is signed in may come into every room.
    pub(crate) open: bool,
    /// So many messages of a thousand have keys, and as often one is sent again.
    pub(crate) keyed: u64,
    /// So many times in a thousand things done, clients read what was said before or look who is
    /// there.
    pub(crate) curious: u64,
}

/// What one room keeps.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    order: Order,
    history: HistoryRules,
    presence: PresenceRules,
}

impl Plan {
    /// Draws what rooms keep; in half of all worlds nothing.
    pub(crate) fn keep(&mut self, seed: u64) {
        let mut chance = Chance::new(seed ^ COURSE);
        if chance.one_in(2) {
            return;
        }
        self.keeping.rooms = (0..self.rooms).map(|_| Kept::draw(&mut chance)).collect();
        if chance.one_in(2) {
            let mut transient = Kept::draw(&mut chance);
            transient.history.waiting = None;
            transient.rule(&mut self.settings.transient_rules);
        }
        limits(&mut self.settings, &mut chance);
        self.keeping.keyed = sometimes(&mut chance, 300);
        self.keeping.curious = sometimes(&mut chance, 200);
        self.settings.resume_keys = resume_keys();
        if chance.one_in(3) {
            self.settings.resumes_max = count(&mut chance, 100);
        }
        if chance.one_in(3) {
            self.settings.recovered_bytes_max = count(&mut chance, 100_000);
        }
    }
}

impl Plan {
    /// Every room has an order and a history.
    pub(crate) fn keep_all(&mut self) {
        self.keep_last(200);
    }

    /// The same, with so many messages.
    pub(crate) fn keep_last(&mut self, messages_max: u32) {
        let kept = Kept {
            order: Order::Ordered,
            history: HistoryRules {
                keep: Keep::Last {
                    messages_max,
                    age_max: Duration::from_mins(1),
                },
                directed: true,
                waiting: Some(Waiting {
                    messages_max: 50,
                    age_max: Duration::from_mins(1),
                }),
                ..HistoryRules::default()
            },
            presence: PresenceRules {
                shown: Shown::Identities,
                ..PresenceRules::default()
            },
        };
        self.keeping = Keeping {
            rooms: (0..self.rooms).map(|_| kept).collect(),
            open: false,
            keyed: 100,
            curious: 100,
        };
        self.settings.resume_keys = resume_keys();
        let rules = &mut self.settings.transient_rules;
        kept.rule(rules);
        rules.history.waiting = None;
        // A few credits more or less do not matter, nor how much is told at once.
        self.settings.presence_entries_max = 1_000;
        self.settings.hop_slots_max = 4_096;
        self.settings.hop_bytes_max = 8 * 1024 * 1024;
        self.settings.ask_slots_max = 4_096;
    }
}

/// The same in all worlds.
pub(crate) fn resume_keys() -> ResumeKeys {
    ResumeKeys::drawn([7; RESUME_KEY_BYTES])
}

impl Keeping {
    /// A room of this number keeps so.
    pub(crate) fn rule(&self, room: u32, rules: &mut RoomRules) {
        let place = usize::try_from(room).expect("an index");
        if let Some(kept) = self.rooms.get(place) {
            kept.rule(rules);
        }
        if self.open && rules.connection.audience == Audience::Members {
            rules.connection.audience = Audience::Users;
        }
    }
}

/// A room keeps something, or nothing.
pub(crate) fn keep_some(chance: &mut Chance, rules: &mut RoomRules) {
    Kept::draw(chance).rule(rules);
}

impl Kept {
    fn draw(chance: &mut Chance) -> Self {
        let keep = match chance.below(6) {
            0 | 1 => Keep::None,
            2 => Keep::Latest,
            _ => Keep::Last {
                messages_max: small(chance, 200),
                age_max: seconds(chance, 60),
            },
        };
        let waiting = chance.one_in(3).then(|| Waiting {
            messages_max: small(chance, 50),
            age_max: seconds(chance, 60),
        });
        let order = if chance.one_in(3) {
            Order::Live
        } else {
            Order::Ordered
        };
        let shown = [Shown::Off, Shown::Counts, Shown::Identities];
        Self {
            order,
            history: HistoryRules {
                keep,
                directed: chance.one_in(2),
                waiting,
                ..HistoryRules::default()
            },
            presence: PresenceRules {
                shown: *chance.pick(&shown),
                grace: Duration::from_millis(chance.skewed(1, 5_000)),
                interval: Duration::from_millis(chance.skewed(50, 1_000)),
            },
        }
    }

    const fn rule(&self, rules: &mut RoomRules) {
        rules.delivery.order = self.order;
        rules.history = self.history;
        rules.presence = self.presence;
    }
}

/// Limits small enough to be met.
fn limits(settings: &mut Settings, chance: &mut Chance) {
    settings.ask_slots_max = small(chance, 1_024) + 3;
    settings.ask_bytes_max = chance.skewed(1_024, 1024 * 1024);
    settings.history_page_messages_max = count(chance, 256);
    settings.presence_entries_max = count(chance, 100);
    if chance.one_in(3) {
        settings.room_history_bytes_max = 100 + count(chance, 100_000);
    }
    if chance.one_in(2) {
        settings.key_time_max = seconds(chance, 20);
    }
    if chance.one_in(3) {
        settings.waiting_members_max = count(chance, 10);
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

fn small(chance: &mut Chance, most: u64) -> u32 {
    u32::try_from(chance.skewed(1, most)).expect("a small number")
}

fn count(chance: &mut Chance, most: u64) -> usize {
    usize::try_from(chance.skewed(1, most)).expect("a small number")
}

fn seconds(chance: &mut Chance, most: u64) -> Duration {
    Duration::from_secs(chance.between(1, most))
}
