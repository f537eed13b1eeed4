//! Which rooms need a home, and where it is. Owns no home.

use core::hash::Hasher as _;

use porthouse_model::{Keep, Order, RoomName, RoomRules, Shown};
use siphasher::sip::SipHasher13;

use crate::input::PuddleId;
use crate::people::Limits;
use crate::room::Governed;

/// The puddle that keeps what is one per room. The same on every puddle of a
/// node, and whatever the seed: a hash of the name (SipHash-1-3, key 0).
pub(crate) fn home_of(room: &RoomName, puddles: u8) -> PuddleId {
    let mut hasher = SipHasher13::new_with_keys(0, 0);
    hasher.write(room.as_str().as_bytes());
    let puddle = hasher.finish() % u64::from(puddles);
    PuddleId(u8::try_from(puddle).expect("it is below the number of puddles"))
}

/// Whether what is said in a room goes by its home, which puts it in order and
/// keeps what is to be kept.
pub(crate) fn keeps(rules: &RoomRules) -> bool {
    rules.delivery.order == Order::Ordered
        || rules.history.keep != Keep::None
        || rules.history.waiting.is_some()
        || rules.messages.rates.per_client.is_some()
        || rules.messages.rates.per_room.is_some()
}

/// Whether a room's home must know who comes in and who leaves.
pub(crate) fn counts_guests(governed: &Governed) -> bool {
    let rules = governed.rules().source();
    let owned = match governed {
        Governed::Transient(transient) => transient.life.is_some(),
        Governed::Persistent(_) | Governed::Templated(_) => false,
    };
    owned
        || keeps(rules)
        || Limits::of(&rules.connection).are_set()
        || rules.presence.shown != Shown::Off
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_puddle_finds_the_same_home_and_homes_are_spread() {
        let rooms = (0..1_000).map(|number| format!("room-{number}"));
        let homes = rooms.map(|room| home_of(&room.parse().expect("a name"), 4));
        let mut counts = [0; 4];
        for home in homes {
            counts[usize::from(home.0)] += 1;
        }
        assert!(counts.iter().all(|count| *count > 200), "{counts:?}");
        // Known by heart: it may not change while nodes of two versions share rooms.
        let lobby = "lobby".parse().expect("a name");
        assert_eq!(home_of(&lobby, 2), home_of(&lobby, 2));
        assert_eq!(home_of(&lobby, 1), PuddleId(0));
    }
}
