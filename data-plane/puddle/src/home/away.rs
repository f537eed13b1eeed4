//! Members who are away, and since when: what is said meanwhile waits for them.
//! Owns who they are; what waits stands on the room's shelf.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use porthouse_model::{ClientId, Time};

/// Since when somebody is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Absence {
    /// What was said after this offset they have not heard.
    pub after: u64,
    /// When they left.
    pub since: Time,
}

/// Who is away.
#[derive(Debug, Default)]
pub(crate) struct Away {
    absent: BTreeMap<ClientId, Absence>,
    order: BTreeSet<(Time, ClientId)>,
}

impl Away {
    /// Somebody has left. Those who left first are forgotten when there are too
    /// many.
    pub(crate) fn left(&mut self, client: ClientId, absence: Absence, members_max: usize) {
        self.back(client);
        self.absent.insert(client, absence);
        self.order.insert((absence.since, client));
        while self.absent.len() > members_max {
            self.forget_first();
        }
    }

    /// Somebody is back, whoever had left.
    pub(crate) fn back(&mut self, client: ClientId) -> Option<Absence> {
        let absence = self.absent.remove(&client)?;
        self.order.remove(&(absence.since, client));
        Some(absence)
    }

    /// Forgets who left longer ago than this.
    pub(crate) fn forget(&mut self, now: Time, age_max: Duration) {
        while let Some((since, _)) = self.order.first()
            && now.since(*since) > age_max
        {
            self.forget_first();
        }
    }

    /// When the first is forgotten.
    pub(crate) fn due(&self, age_max: Duration) -> Option<Time> {
        self.order.first().map(|(since, _)| *since + age_max)
    }

    /// When the last is forgotten.
    pub(crate) fn until(&self, age_max: Duration) -> Option<Time> {
        self.order.last().map(|(since, _)| *since + age_max)
    }

    fn forget_first(&mut self) {
        if let Some((_, client)) = self.order.pop_first() {
            self.absent.remove(&client);
        }
    }

    pub(crate) fn check(&self) {
        assert_eq!(self.absent.len(), self.order.len(), "who is away is listed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_left_first_is_forgotten_first() {
        let client = |number| ClientId::from_bytes([number; 16]);
        let left_at = |seconds| Absence {
            after: 0,
            since: Time::ZERO + Duration::from_secs(seconds),
        };
        let mut away = Away::default();
        for number in 1..=3 {
            away.left(client(number), left_at(number.into()), 2);
        }
        assert_eq!(away.back(client(1)), None);
        assert_eq!(away.back(client(3)), Some(left_at(3)));
        away.forget(Time::ZERO + Duration::from_secs(10), Duration::from_secs(5));
        assert_eq!(away.back(client(2)), None);
        away.check();
    }
}
