//! How often a client, and everybody together, may speak in a room. Owns the
//! buckets of one room; a socket's own rate is judged where the socket is.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use porthouse_model::{ClientId, Rates, Refused, Time};
use porthouse_rules::Bucket;

/// As whose a message is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rated {
    /// The client's that says it.
    Client,
    /// Those of all who post without a session from this network: each of them is
    /// another client every time.
    Network(IpAddr),
}

/// Somebody who is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Counted {
    Client(ClientId),
    Network(IpAddr),
}

/// What is left of a room's rates.
#[derive(Debug, Default)]
pub(crate) struct Spent {
    room: Bucket,
    clients: BTreeMap<Counted, Bucket>,
}

/// How one who speaks is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Clients that are counted apart.
    pub clients_max: usize,
    /// How far ahead of its rate the room takes what they say.
    pub ahead: Duration,
}

impl Spent {
    /// One more message. Nothing is spent where it is refused by the client's
    /// rate; where the room's refuses it, the client's was. What comes faster than
    /// the room's rate is taken as far as it may be ahead of time.
    pub(crate) fn take(
        &mut self,
        rates: &Rates,
        (client, counted_as): (ClientId, Rated),
        now: Time,
        pace: Pace,
    ) -> Result<(), Refused> {
        let Pace { clients_max, ahead } = pace;
        let client = match counted_as {
            Rated::Client => Counted::Client(client),
            Rated::Network(network) => Counted::Network(network),
        };
        if let Some(rate) = rates.per_client {
            if self.clients.len() >= clients_max && !self.clients.contains_key(&client) {
                self.clients.retain(|_, bucket| !bucket.is_full(now));
                if self.clients.len() >= clients_max {
                    return Err(Refused::ClientTooFast);
                }
            }
            if !self.clients.entry(client).or_default().take(rate, now) {
                return Err(Refused::ClientTooFast);
            }
        }
        self.take_room(rates, now, ahead)
    }

    /// One more message of whoever it is.
    pub(crate) fn take_room(
        &mut self,
        rates: &Rates,
        now: Time,
        ahead: Duration,
    ) -> Result<(), Refused> {
        match rates.per_room {
            Some(rate) if !self.room.take_ahead(rate, now, ahead) => Err(Refused::RoomTooFast),
            Some(_) | None => Ok(()),
        }
    }

    /// Until when something is missing.
    pub(crate) fn until(&self, now: Time) -> Option<Time> {
        let clients = self.clients.values();
        let full_at = clients.chain([&self.room]).map(|bucket| bucket.full_at());
        full_at.max().filter(|until| *until > now)
    }

    /// How far the room is ahead of its rate, if it has one.
    pub(crate) fn ahead(&self, rates: &Rates, now: Time) -> Option<Duration> {
        rates.per_room.map(|rate| self.room.debt(rate, now))
    }
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU32;

    use porthouse_model::Rate;

    use super::*;

    fn rate(burst: u32) -> Rate {
        Rate {
            per_second: NonZeroU32::MIN,
            burst: NonZeroU32::new(burst).expect("not zero"),
        }
    }

    fn client(number: u8) -> ClientId {
        ClientId::from_bytes([number; 16])
    }

    fn whole(number: u8) -> (ClientId, Rated) {
        (client(number), Rated::Client)
    }

    const fn pace(clients_max: usize) -> Pace {
        Pace {
            clients_max,
            ahead: Duration::ZERO,
        }
    }

    #[test]
    fn a_client_has_its_own_rate_and_all_share_the_rooms() {
        let rates = Rates {
            per_client: Some(rate(2)),
            per_room: Some(rate(3)),
            ..Rates::default()
        };
        let mut spent = Spent::default();
        let mut take = |number| spent.take(&rates, whole(number), Time::ZERO, pace(10));
        assert_eq!([take(1), take(1)], [Ok(()), Ok(())]);
        assert_eq!(take(1), Err(Refused::ClientTooFast));
        assert_eq!(take(2), Ok(()));
        assert_eq!(take(2), Err(Refused::RoomTooFast));
    }

    #[test]
    fn who_posts_without_a_session_is_counted_by_where_it_comes_from() {
        let rates = Rates {
            per_client: Some(rate(1)),
            ..Rates::default()
        };
        let mut spent = Spent::default();
        let from = |last| Rated::Network(IpAddr::from([192, 0, 2, last]));
        let mut take =
            |number, rated| spent.take(&rates, (client(number), rated), Time::ZERO, pace(10));
        assert_eq!(take(1, from(1)), Ok(()));
        assert_eq!(take(2, from(1)), Err(Refused::ClientTooFast));
        assert_eq!(take(3, from(2)), Ok(()));
        assert_eq!(take(1, Rated::Client), Ok(()), "a client is no network");
    }

    #[test]
    fn clients_who_are_counted_are_bounded() {
        let rates = Rates {
            per_client: Some(rate(1)),
            ..Rates::default()
        };
        let mut spent = Spent::default();
        let later = Time::ZERO + Duration::from_secs(2);
        assert_eq!(spent.take(&rates, whole(1), Time::ZERO, pace(1)), Ok(()));
        let crowded = spent.take(&rates, whole(2), Time::ZERO, pace(1));
        assert_eq!(crowded, Err(Refused::ClientTooFast));
        assert_eq!(spent.take(&rates, whole(2), later, pace(1)), Ok(()));
    }
}
