//! What one seed draws of what reaches beyond rooms and talk: kicks that last, sockets that are
//! moved, rooms that admit nobody without word, administrators who wait until it is applied. From
//! a generator of its own, so that worlds without any of it are the same as without this file.

use core::time::Duration;

use crate::chance::Chance;
use crate::plan::{Broken, Fault, Plan};
use crate::queue::{MILLIS, Nanos, SECONDS};

/// Tells this generator's course from the world's.
const COURSE: u64 = 0x7265_61a2;

/// How far a world reaches. By default no further than rooms and talk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reach {
    /// How long somebody who was kicked may not come back, at most; 0: not at all.
    pub(crate) block_max: Nanos,
    /// Of a hundred things that backends do, so many are moves.
    pub(crate) moves: u64,
    /// Some rooms admit nobody when they had no word for long.
    pub(crate) stale: bool,
    /// Of a hundred clients, so many hear a room's events.
    pub(crate) streams: u64,
    /// Of a hundred clients, so many are at a room's address and can be asked first.
    pub(crate) handshakes: u64,
    /// Of a hundred clients, so many post.
    pub(crate) posts: u64,
    /// Of a hundred clients that may be, so many are devices.
    pub(crate) devices: u64,
    /// Of a hundred changes, administrators wait so often until they are applied.
    pub(crate) waits: u64,
    /// Of a hundred clients that may, so many come by tickets.
    pub(crate) tickets: u64,
    /// Sessions end by themselves, this long after they were opened at the most; 0: never.
    pub(crate) lives: Nanos,
    /// And when nobody has seen them for so long; 0: never.
    pub(crate) idle: Nanos,
}

impl Reach {
    /// How long a room of this number may admit without word; the same for all its lives.
    pub(crate) fn admit_max(&self, room: u32) -> Option<Duration> {
        (self.stale && room.is_multiple_of(4)).then_some(Duration::from_secs(5))
    }
}

impl Plan {
    /// Backends kick all the time, and it lasts.
    pub(crate) const fn kick_much(&mut self) {
        self.reach.block_max = 8 * SECONDS;
        self.admin_gap = 50 * MILLIS;
    }

    /// Backends move clients all the time.
    pub(crate) fn move_much(&mut self) {
        self.reach.moves = 80;
        self.rooms = self.rooms.max(4);
        self.admin_gap = 50 * MILLIS;
    }

    /// Administrators wait for each change, and it is applied some time after it was heard of.
    pub(crate) const fn wait_much(&mut self) {
        self.reach.waits = 100;
        self.part_delay = 20 * MILLIS;
    }

    /// The database cannot be read for long.
    pub(crate) fn be_unreadable(&mut self, chance: &mut Chance) {
        self.heal_at = 14 * SECONDS;
        self.rooms = self.rooms.max(4);
        self.faults = vec![Fault {
            from: chance.between(1, 3) * SECONDS,
            until: self.heal_at,
            what: Broken::Database,
        }];
    }

    /// The watch is silent for long, and people come and go.
    pub(crate) fn be_silent(&mut self, chance: &mut Chance) {
        self.heal_at = 14 * SECONDS;
        self.rooms = 9;
        self.habits.wander = 150;
        self.reach.stale = true;
        self.faults = vec![Fault {
            from: chance.between(1, 3) * SECONDS,
            until: self.heal_at,
            what: Broken::Silence,
        }];
    }

    /// Half of all hear events, and keep losing their connection.
    pub(crate) fn read_much(&mut self, seed: u64) {
        self.come_and_go(seed);
        self.reach.streams = 50;
    }

    /// Many post.
    pub(crate) const fn post_much(&mut self) {
        self.reach.posts = 40;
    }

    /// Half of all can be asked before they start, and say too much until then.
    pub(crate) fn shake_hands_much(&mut self) {
        self.reach.handshakes = 50;
        self.habits.close = 30;
    }

    /// Many are devices, and are given and denied rooms all the time.
    pub(crate) fn own_devices(&mut self) {
        self.reach.devices = 60;
        self.rooms = self.rooms.max(4);
        self.admin_gap = 50 * MILLIS;
    }

    /// Nearly all come by tickets, few users have many clients each, and all come often.
    pub(crate) fn show_tickets(&mut self) {
        self.reach.tickets = 90;
        self.clients = self.clients.min(60);
        self.users = self.users.min(8);
        self.rooms = self.rooms.min(3);
        self.habits.vanish = 60;
        self.heal_at = self.heal_at.max(9 * SECONDS);
    }

    /// Sessions last for seconds.
    pub(crate) const fn live_briefly(&mut self) {
        self.reach.lives = 4 * SECONDS;
    }

    /// The control plane is away for longer than sessions may be idle, while they are used.
    pub(crate) fn be_away(&mut self, chance: &mut Chance) {
        self.heal_at = 14 * SECONDS;
        self.reach.idle = 3 * SECONDS;
        let from = chance.between(2, 4) * SECONDS;
        self.faults = vec![Fault {
            from,
            until: from + 5 * SECONDS,
            what: Broken::Control,
        }];
    }

    /// Draws how far the world reaches; in half of all worlds no further.
    pub(crate) fn reach_out(&mut self, seed: u64) {
        let mut chance = Chance::new(seed ^ COURSE);
        if chance.one_in(2) {
            return;
        }
        self.reach = Reach {
            block_max: sometimes(&mut chance, 8_000) * MILLIS,
            moves: sometimes(&mut chance, 60),
            stale: chance.one_in(2),
            waits: sometimes(&mut chance, 100),
            streams: sometimes(&mut chance, 50),
            devices: sometimes(&mut chance, 60),
            handshakes: sometimes(&mut chance, 50),
            posts: sometimes(&mut chance, 40),
            tickets: sometimes(&mut chance, 60),
            lives: sometimes(&mut chance, 8_000) * MILLIS,
            idle: if chance.one_in(2) {
                0
            } else {
                chance.between(3, 8) * SECONDS
            },
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
