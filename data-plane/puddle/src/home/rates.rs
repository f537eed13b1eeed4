//! How often a client, and everybody together, may speak in a room. Owns the
//! buckets of one room; a socket's own rate is judged where the socket is.

use core::time::Duration;
use std::collections::BTreeMap;

use porthouse_model::{ClientId, Rates, Refused, Time};
use porthouse_rules::Bucket;

/// What is left of a room's rates.
#[derive(Debug, Default)]
pub(crate) struct Spent {
    room: Bucket,
    clients: BTreeMap<ClientId, Bucket>,
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
        client: ClientId,
        now: Time,
        pace: Pace,
    ) -> Result<(), Refused> {
        let Pace { clients_max, ahead } = pace;
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
        let mut take = |number| spent.take(&rates, client(number), Time::ZERO, pace(10));
        assert_eq!([take(1), take(1)], [Ok(()), Ok(())]);
        assert_eq!(take(1), Err(Refused::ClientTooFast));
        assert_eq!(take(2), Ok(()));
        assert_eq!(take(2), Err(Refused::RoomTooFast));
    }

    #[test]
    fn clients_who_are_counted_are_bounded() {
        let rates = Rates {
            per_client: Some(rate(1)),
            ..Rates::default()
        };
        let mut spent = Spent::default();
        let later = Time::ZERO + Duration::from_secs(2);
        assert_eq!(spent.take(&rates, client(1), Time::ZERO, pace(1)), Ok(()));
        let crowded = spent.take(&rates, client(2), Time::ZERO, pace(1));
        assert_eq!(crowded, Err(Refused::ClientTooFast));
        assert_eq!(spent.take(&rates, client(2), later, pace(1)), Ok(()));
    }
}
