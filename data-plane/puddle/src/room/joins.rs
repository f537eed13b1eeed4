//! How often each address does something in each room on the node: joins it, or
//! says something without a socket. Owns what is left of those rates; never the rates,
//! which are the rooms'.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use porthouse_model::{Rate, RoomName, Time};
use porthouse_rules::Bucket;

use crate::network::network_of;

/// What nobody waits for any more is looked for this often at the most.
const SWEEP_TIME_MIN: Duration = Duration::from_secs(1);

/// Who has joined, or spoken in, what lately.
#[derive(Debug)]
pub(crate) struct Joins {
    by_address: BTreeMap<(RoomName, IpAddr), Bucket>,
    addresses_max: usize,
    swept: Time,
}

impl Joins {
    pub(crate) const fn new(addresses_max: usize, now: Time) -> Self {
        Self {
            by_address: BTreeMap::new(),
            addresses_max,
            swept: now,
        }
    }

    /// One more; answers whether it may be. While there are as many
    /// addresses as can be remembered, another may not.
    pub(crate) fn take(&mut self, room: &RoomName, from: IpAddr, rate: Rate, now: Time) -> bool {
        let key = (room.clone(), network_of(from));
        if !self.by_address.contains_key(&key) && !self.has_space(now) {
            return false;
        }
        self.by_address.entry(key).or_default().take(rate, now)
    }

    fn has_space(&mut self, now: Time) -> bool {
        let full = self.by_address.len() >= self.addresses_max;
        if full && now.since(self.swept) >= SWEEP_TIME_MIN {
            self.by_address.retain(|_, bucket| !bucket.is_full(now));
            self.swept = now;
        }
        self.by_address.len() < self.addresses_max
    }
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU32;

    use super::*;

    const RATE: Rate = Rate {
        per_second: NonZeroU32::MIN,
        burst: NonZeroU32::MIN,
    };

    #[test]
    fn addresses_are_remembered_within_bounds_and_no_longer_than_they_matter() {
        let mut joins = Joins::new(2, Time::ZERO);
        let room: RoomName = "lobby".parse().expect("a name");
        let address = |last| IpAddr::from([192, 0, 2, last]);
        let later = |seconds| Time::ZERO + Duration::from_secs(seconds);
        assert!(joins.take(&room, address(1), RATE, later(5)));
        assert!(!joins.take(&room, address(1), RATE, later(5)));
        assert!(joins.take(&room, address(2), RATE, later(5)));
        assert!(!joins.take(&room, address(3), RATE, later(5)), "full");
        assert!(joins.take(&room, address(3), RATE, later(6)));
        let other = "other".parse().expect("a name");
        assert!(joins.take(&other, address(3), RATE, later(6)));
    }
}
