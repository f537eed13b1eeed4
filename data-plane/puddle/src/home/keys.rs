//! Senders' own names for their messages, so that one that is sent again is one
//! message. Owns what was claimed, and for how long it is remembered.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use porthouse_model::{ClientId, Time};

/// What came of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It was not given before: the message is new.
    New,
    /// The message was taken before, at this offset where there are offsets.
    Known(Option<u64>),
    /// It was given too long ago to say.
    Expired,
    /// The client, or the puddle, has as many keys as are remembered.
    Full,
}

#[derive(Clone, Copy, Debug)]
struct Claimed {
    at: Time,
    offset: Option<u64>,
}

/// The keys of one room, by sender: another sender's same key is another key.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    claimed: BTreeMap<ClientId, BTreeMap<Arc<str>, Claimed>>,
    order: VecDeque<(Time, ClientId, Arc<str>)>,
}

impl Keys {
    /// Looks a key up. Within `window` it stands for its message, for as long
    /// again it is refused, and then it is forgotten.
    pub(crate) fn look(
        &mut self,
        client: ClientId,
        key: &str,
        now: Time,
        window: Duration,
    ) -> Claim {
        self.forget(now, window);
        let claimed = self.claimed.get(&client).and_then(|keys| keys.get(key));
        match claimed {
            None => Claim::New,
            Some(claimed) if now.since(claimed.at) <= window => Claim::Known(claimed.offset),
            Some(_) => Claim::Expired,
        }
    }

    /// Remembers a key that was new.
    pub(crate) fn claim(&mut self, client: ClientId, key: &str, offset: Option<u64>, now: Time) {
        let key: Arc<str> = key.into();
        let claimed = Claimed { at: now, offset };
        let keys = self.claimed.entry(client).or_default();
        let before = keys.insert(Arc::clone(&key), claimed);
        debug_assert!(before.is_none(), "a key is claimed once");
        self.order.push_back((now, client, key));
    }

    /// A key that was claimed for what was not said is new again.
    pub(crate) fn unclaim(&mut self, client: ClientId, key: &str) {
        let Some(keys) = self.claimed.get_mut(&client) else {
            return;
        };
        let unsaid = keys
            .get(key)
            .is_some_and(|claimed| claimed.offset.is_none());
        if !unsaid {
            return;
        }
        keys.remove(key);
        if keys.is_empty() {
            self.claimed.remove(&client);
        }
        // It was claimed a moment ago.
        let is_it = |(_, of, named): &(Time, ClientId, Arc<str>)| *of == client && **named == *key;
        let at = self.order.iter().rposition(is_it);
        at.and_then(|at| self.order.remove(at));
    }

    /// The first offset that a key is remembered for.
    pub(crate) fn first_offset(&self) -> Option<u64> {
        let (_, client, key) = self.order.front()?;
        self.claimed.get(client)?.get(key)?.offset
    }

    /// How many a client has.
    pub(crate) fn of(&self, client: ClientId) -> usize {
        self.claimed.get(&client).map_or(0, BTreeMap::len)
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// When the first is forgotten.
    pub(crate) fn due(&self, window: Duration) -> Option<Time> {
        self.order.front().map(|(at, ..)| *at + window * 2)
    }

    /// When the last is forgotten.
    pub(crate) fn until(&self, window: Duration) -> Option<Time> {
        self.order.back().map(|(at, ..)| *at + window * 2)
    }

    /// What was claimed too long ago to be told apart is forgotten.
    pub(crate) fn forget(&mut self, now: Time, window: Duration) {
        while let Some((at, ..)) = self.order.front()
            && now.since(*at) > window * 2
            && let Some((_, client, key)) = self.order.pop_front()
            && let Some(keys) = self.claimed.get_mut(&client)
        {
            keys.remove(&key);
            if keys.is_empty() {
                self.claimed.remove(&client);
            }
        }
    }

    pub(crate) fn check(&self) {
        let claimed: usize = self.claimed.values().map(BTreeMap::len).sum();
        assert_eq!(claimed, self.order.len(), "every key is forgotten in time");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_mins(10);

    fn client(number: u8) -> ClientId {
        ClientId::from_bytes([number; 16])
    }

    fn minute(minutes: u64) -> Time {
        Time::ZERO + Duration::from_mins(minutes)
    }

    #[test]
    fn a_key_stands_for_its_message_then_is_refused_then_forgotten() {
        let mut keys = Keys::default();
        let look = |keys: &mut Keys, at| keys.look(client(1), "a", minute(at), WINDOW);
        assert_eq!(look(&mut keys, 0), Claim::New);
        keys.claim(client(1), "a", Some(7), minute(0));
        assert_eq!(look(&mut keys, 10), Claim::Known(Some(7)));
        assert_eq!(look(&mut keys, 11), Claim::Expired);
        assert_eq!(look(&mut keys, 20), Claim::Expired);
        assert_eq!(look(&mut keys, 21), Claim::New);
        assert_eq!(keys.len(), 0);
        keys.check();
    }

    #[test]
    fn another_senders_same_key_is_another() {
        let mut keys = Keys::default();
        keys.claim(client(1), "a", Some(7), minute(0));
        assert_eq!(keys.look(client(2), "a", minute(0), WINDOW), Claim::New);
        keys.claim(client(2), "a", Some(8), minute(0));
        let of_first = keys.look(client(1), "a", minute(0), WINDOW);
        assert_eq!(of_first, Claim::Known(Some(7)));
        keys.check();
    }
}
