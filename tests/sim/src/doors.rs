//! What one seed draws of narrow doors: lists of users and roles, pages that stay outside, opening
//! hours, so many at once and so many of one client; and of what is said no faster than so, and in
//! a format. From a generator of its own, so that worlds without any of it are the same as without
//! this file.

use core::num::NonZeroU32;
use core::time::Duration;
use std::collections::BTreeSet;

use porthouse_model::{
    ClientSockets, Content, EntryStep, Format, OpeningHours, Rate, Role, RoomRules, Surplus,
    WeekSpan,
};

use crate::chance::Chance;
use crate::control::{ROLES, role_name, user_id};
use crate::plan::Plan;

/// Tells this generator's course from the world's.
const COURSE: u64 = 0x646f_6f72;

/// The minute of the week, in UTC, that ends while a world lasts: after 8 seconds.
pub(crate) const LAST_MINUTE: u16 = 24 * 60 + 22 * 60 + 13;
/// An hour ahead of UTC all winter, in which the worlds are.
const AHEAD: (&str, u16) = ("Europe/Berlin", 60);
const WEEK_MINUTES: u16 = 7 * 24 * 60;

/// How narrow doors are. By default not at all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Doors {
    /// Of a hundred rooms that are made, so many have a list of users or of roles.
    lists: u64,
    /// And so many let in pages of another origin only.
    origins: u64,
    /// And so many are open only before a moment, or only after it.
    hours: u64,
    /// And in so many somebody must let in who comes.
    approval: u64,
    /// Roles are given to members.
    pub(crate) roles: bool,
    /// By room; the same for all its lives.
    rooms: Vec<Narrow>,
}

/// What of a room's rules is the same for all its lives.
#[derive(Clone, Copy, Debug, Default)]
struct Narrow {
    sockets_max: Option<u32>,
    per_client: Option<ClientSockets>,
    per_socket: Option<Rate>,
    per_room: Option<Rate>,
    json: bool,
}

impl Plan {
    /// Draws how narrow doors are; in half of all worlds not at all.
    pub(crate) fn narrow(&mut self, seed: u64) {
        let mut chance = Chance::new(seed ^ COURSE);
        if chance.one_in(2) {
            return;
        }
        let rooms = (0..self.rooms).map(|_| Narrow::draw(&mut chance)).collect();
        let approval = sometimes(&mut chance, 60);
        self.doors = Doors {
            lists: sometimes(&mut chance, 60),
            origins: sometimes(&mut chance, 40),
            hours: sometimes(&mut chance, 40),
            approval,
            // Some role lets in who waits.
            roles: chance.one_in(2) || approval > 0,
            rooms,
        };
        self.wait_briefly(&mut chance);
    }

    /// Every door is narrow, in each way at once.
    pub(crate) fn narrow_all(&mut self, chance: &mut Chance) {
        let rooms = (0..self.rooms).map(|_| Narrow::draw_all(chance)).collect();
        self.doors = Doors {
            lists: 60,
            origins: 40,
            hours: 30,
            approval: 0,
            roles: true,
            rooms,
        };
    }

    /// Most are to be let in by somebody.
    pub(crate) fn approve_much(&mut self, chance: &mut Chance) {
        self.doors = Doors {
            approval: 80,
            roles: true,
            ..Doors::default()
        };
        self.rooms = self.rooms.min(4);
        self.habits.wander = 150;
        self.wait_briefly(chance);
    }

    /// Nobody waits long to be let in, and few do at once.
    fn wait_briefly(&mut self, chance: &mut Chance) {
        if self.doors.approval > 0 {
            self.settings.approval_time_max = Duration::from_secs(chance.between(1, 4));
            let most = usize::try_from(chance.skewed(1, 64)).expect("a small number");
            self.settings.waiting_max = most;
        }
    }
}

impl Doors {
    /// Whether anybody must let in who comes somewhere.
    pub(crate) const fn approves(&self) -> bool {
        self.approval > 0
    }

    /// A room of this number has such a door, too.
    pub(crate) fn rule(&self, chance: &mut Chance, (room, users): (u32, u32), to: &mut RoomRules) {
        let place = usize::try_from(room).expect("an index");
        if let Some(narrow) = self.rooms.get(place) {
            narrow.rule(to);
        }
        let connection = &mut to.connection;
        if self.lists > 0 && chance.percent(self.lists) {
            let most: Vec<u32> = (0..users).filter(|_| !chance.one_in(4)).collect();
            let few: Vec<u32> = (0..users).filter(|_| chance.one_in(4)).collect();
            let ids = |users: Vec<u32>| users.into_iter().map(user_id).collect();
            match chance.below(if self.roles { 4 } else { 2 }) {
                0 => connection.users_allowed = ids(most),
                1 => connection.users_denied = ids(few),
                2 => connection.roles_allowed = some_roles(chance),
                _ => connection.roles_denied = some_roles(chance),
            }
        }
        if self.approval > 0 && chance.percent(self.approval) {
            let place = chance.index(to.entry.steps.len() + 1);
            to.entry.steps.insert(place, EntryStep::Approval);
        }
        let connection = &mut to.connection;
        if self.origins > 0 && chance.percent(self.origins) {
            connection.origins = ["https://other.example".to_owned()].into();
        }
        if self.hours > 0 && chance.percent(self.hours) {
            connection.hours = Some(hours(chance));
        }
    }
}

fn some_roles(chance: &mut Chance) -> BTreeSet<Role> {
    let some = 1 + chance.index_u32(ROLES - 1);
    let from = chance.index_u32(ROLES);
    (0..some).map(|at| role_name((from + at) % ROLES)).collect()
}

/// Until the minute ends, or from then on.
fn hours(chance: &mut Chance) -> OpeningHours {
    let (zone, ahead) = *chance.pick(&[("UTC", 0), AHEAD]);
    let turn = LAST_MINUTE + 1 + ahead;
    let (from_minute, to_minute) = if chance.one_in(2) {
        (turn - 600, turn)
    } else {
        (turn, WEEK_MINUTES)
    };
    OpeningHours {
        zone: zone.to_owned(),
        spans: vec![WeekSpan {
            from_minute,
            to_minute,
        }],
    }
}

impl Narrow {
    fn draw(chance: &mut Chance) -> Self {
        let all = Self::draw_all(chance);
        let mut some = || chance.one_in(4);
        Self {
            sockets_max: all.sockets_max.filter(|_| some()),
            per_client: all.per_client.filter(|_| some()),
            per_socket: all.per_socket.filter(|_| some()),
            per_room: all.per_room.filter(|_| some()),
            json: all.json && some(),
        }
    }

    fn draw_all(chance: &mut Chance) -> Self {
        let count = |chance: &mut Chance, most| {
            u32::try_from(chance.skewed(1, most)).expect("a small number")
        };
        let rate = |chance: &mut Chance| {
            let some = |number| NonZeroU32::new(number).expect("at least 1");
            Rate {
                per_second: some(count(chance, 20)),
                burst: some(count(chance, 20)),
            }
        };
        let sockets_max = count(chance, 30);
        let surplus = [Surplus::Newest, Surplus::Oldest];
        let per_client = ClientSockets {
            sockets_max: count(chance, 3).min(sockets_max),
            surplus: *chance.pick(&surplus),
        };
        Self {
            sockets_max: Some(sockets_max),
            per_client: Some(per_client),
            per_socket: Some(rate(chance)),
            per_room: Some(rate(chance)),
            json: true,
        }
    }

    fn rule(self, rules: &mut RoomRules) {
        rules.connection.sockets_max = self.sockets_max;
        rules.connection.sockets_per_client = self.per_client;
        rules.messages.rates.per_socket = self.per_socket;
        rules.messages.rates.per_room = self.per_room;
        if self.json && rules.messages.content != Content::Binary {
            rules.messages.format = Format::Json;
        }
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
