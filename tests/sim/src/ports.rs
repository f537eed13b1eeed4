//! What one seed draws of addresses that lead to rooms: so many, handed out, changed and withdrawn
//! by administrators, and who comes by them. From a generator of its own, so that worlds without
//! any of it are the same as without this file.

use crate::chance::Chance;
use crate::client::{Client, Credentials, Speech};
use crate::control::{Intent, Lets};
use crate::plan::Plan;
use crate::queue::MILLIS;

/// Tells this generator's course from the world's.
const COURSE: u64 = 0x706f_7274;

/// Which addresses there are. By default none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ports {
    /// So many addresses.
    count: u32,
    /// Of a hundred clients, so many come by one.
    clients: u64,
    /// Of a hundred things that administrators do, so many are about one.
    changes: u64,
}

impl Plan {
    /// Draws addresses; in two of three worlds none.
    pub(crate) fn lead(&mut self, seed: u64) {
        let mut chance = Chance::new(seed ^ COURSE);
        if chance.one_in(3) {
            self.ports = Ports {
                count: chance.index_u32(6) + 1,
                clients: chance.skewed(5, 80),
                changes: chance.skewed(5, 60),
            };
        }
    }

    /// Most come by addresses, which are withdrawn and lead elsewhere all the time.
    pub(crate) const fn lead_much(&mut self) {
        self.ports = Ports {
            count: 4,
            clients: 80,
            changes: 60,
        };
        self.admin_gap = 100 * MILLIS;
    }
}

impl Ports {
    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = u32> + use<> {
        0..self.count
    }

    /// Whether an administrator sees to one now.
    pub(crate) fn are_changed(&self, chance: &mut Chance) -> bool {
        self.changes > 0 && chance.percent(self.changes)
    }

    /// One is withdrawn, or leads here from now on.
    pub(crate) fn change(&self, chance: &mut Chance, plan: &Plan) -> Intent {
        let port = chance.index_u32(self.count);
        if chance.one_in(4) {
            return Intent::WithdrawPort { port };
        }
        Self::put(chance, (port, plan))
    }

    /// One leads here from now on.
    pub(crate) fn put(chance: &mut Chance, (port, plan): (u32, &Plan)) -> Intent {
        let all = (0..plan.rooms).fold(0, |bits, room| bits | 1 << room);
        let several = rooms(chance, all);
        let rooms = match home(port, plan.rooms) {
            // To one room, or to several, so that who is led to one is known to be in it.
            Some(home) if chance.one_in(2) || several.count_ones() < 2 => 1 << home,
            Some(_) | None => several,
        };
        let lets = match chance.below(4) {
            0 => Lets::Users,
            1 => Lets::Owner(chance.index_u32(plan.users)),
            _ => Lets::Anyone,
        };
        Intent::PutPort { port, rooms, lets }
    }

    /// A client may come by one instead of where it came to before.
    pub(crate) fn lead(&self, client: &mut Client, chance: &mut Chance, rooms: u32) {
        let may_be = !matches!(client.speech, Speech::Post { .. });
        if self.count == 0 || !may_be || !chance.percent(self.clients) {
            return;
        }
        let port = chance.index_u32(self.count);
        let Some(speech) = led(client.speech, home(port, rooms)) else {
            return;
        };
        client.speech = speech;
        client.port = Some(port);
        client.rooms = speech.room().into_iter().collect();
        // Who comes is known when it is asked who may.
        if !matches!(client.credentials, Credentials::Subprotocol) {
            client.credentials = Credentials::Bearer;
        }
    }
}

/// Some of these rooms, at least one.
fn rooms(chance: &mut Chance, all: u32) -> u32 {
    let bits = |number: u64| u32::try_from(number & u64::from(all)).expect("few rooms");
    let some = bits(chance.next());
    if some == 0 { all } else { some }
}

/// The room to which an address leads, where it leads to one; every other may lead to any.
const fn home(port: u32, rooms: u32) -> Option<u32> {
    if port.is_multiple_of(2) {
        Some(port / 2 % rooms)
    } else {
        None
    }
}

/// The same at an address, if that leads to one room.
const fn led(speech: Speech, home: Option<u32>) -> Option<Speech> {
    match (speech, home) {
        (Speech::Multiplexed, _) => Some(speech),
        (Speech::Raw { .. }, Some(room)) => Some(Speech::Raw { room }),
        (Speech::Handshake { .. }, Some(room)) => Some(Speech::Handshake { room }),
        (Speech::Stream { .. }, Some(room)) => Some(Speech::Stream { room }),
        (_, None) | (Speech::Post { .. }, _) => None,
    }
}
