//! Presence of one room: who is there, and what those who look have been told.
//!
//! Owns the difference between the two, and tells it in batches: a change costs
//! one entry in one batch, however many look. The joins and leaves of one client
//! alternate, for only what differs from what was told is told. Never knows who
//! looks.

use std::collections::{BTreeMap, BTreeSet};

use porthouse_model::{ClientId, PresenceRules, Shown, Time, Username};

use super::devices::{Devices, Whereabouts};
use crate::input::PuddleId;
use crate::output::WireForm;

/// A client that is there, as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Present {
    /// The client.
    pub client: ClientId,
    /// Its user's name, where it is signed in.
    pub username: Option<Username>,
    /// Its sockets.
    pub devices: Devices,
}

/// What has changed since the batch before. No client is in it twice, and none
/// at all where only their number is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Which one: the first is 1, and none is left out.
    pub seq: u64,
    /// The clients that are there now.
    pub count: usize,
    /// Who came.
    pub joined: Vec<Present>,
    /// Who went.
    pub left: Vec<ClientId>,
    /// Who is there with other sockets than before.
    pub updated: Vec<Present>,
}

/// Some of those who are there, as of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// The last batch it contains.
    pub seq: u64,
    /// The clients that are there, this page's or not.
    pub count: usize,
    /// In the order of their ids; nothing where only their number is shown.
    pub present: Option<Vec<Present>>,
    /// Whether there are more after these.
    pub more: bool,
}

/// About what a client takes in an event, in bytes.
const ENTRY_BYTES: u64 = 128;

impl Batch {
    /// About what it takes as an event, in bytes.
    pub(crate) const fn bytes(&self) -> u64 {
        (self.joined.len() + self.left.len() + self.updated.len()) as u64 * ENTRY_BYTES
    }
}

impl Page {
    /// About what it takes as an event, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.present.as_ref().map_or(0, Vec::len) as u64 * ENTRY_BYTES
    }
}

/// Presence of one room.
#[derive(Debug)]
pub(crate) struct Presence {
    rules: PresenceRules,
    clients: BTreeMap<ClientId, Entry>,
    /// Clients of whom there is news, in the order in which it came.
    news: BTreeMap<u64, ClientId>,
    next_news: u64,
    /// Clients that may still come back, by when that is no longer believed.
    going: BTreeSet<(Time, ClientId)>,
    seq: u64,
    told_at: Option<Time>,
    told: usize,
}

/// What is known of a client, and what was told.
#[derive(Debug, Default)]
struct Entry {
    username: Option<Username>,
    here: Whereabouts,
    told: Option<Devices>,
    /// Its place in the news.
    news: Option<u64>,
    /// When it is gone for good, while it has no socket here.
    gone: Option<Time>,
}

impl Presence {
    /// Nobody is there.
    pub(crate) const fn new(rules: PresenceRules) -> Self {
        Self {
            rules,
            clients: BTreeMap::new(),
            news: BTreeMap::new(),
            next_news: 0,
            going: BTreeSet::new(),
            seq: 0,
            told_at: None,
            told: 0,
        }
    }

    /// The room's rules are these now. Who is going has the time that was given.
    pub(crate) const fn rule(&mut self, rules: PresenceRules) {
        self.rules = rules;
    }

    /// What is shown.
    pub(crate) const fn shown(&self) -> Shown {
        self.rules.shown
    }

    /// A client's socket came in.
    pub(crate) fn arrive(
        &mut self,
        puddle: PuddleId,
        client: ClientId,
        username: Option<Username>,
        form: WireForm,
    ) {
        let entry = self.clients.entry(client).or_default();
        entry.here.add(puddle, form);
        entry.username = username;
        if let Some(gone) = entry.gone.take() {
            self.going.remove(&(gone, client));
        }
        self.note(client);
    }

    /// A client's socket went.
    pub(crate) fn depart(&mut self, now: Time, puddle: PuddleId, client: ClientId, form: WireForm) {
        if let Some(entry) = self.clients.get_mut(&client) {
            entry.here.remove(puddle, form);
            self.departed(now, client);
        }
    }

    /// A puddle is gone with all its sockets.
    pub(crate) fn lose(&mut self, now: Time, puddle: PuddleId) {
        let losing = self.clients.iter_mut();
        let lost: Vec<_> = losing
            .filter_map(|(client, entry)| entry.here.lose(puddle).then_some(*client))
            .collect();
        for client in lost {
            self.departed(now, client);
        }
    }

    /// When [`Self::batch`] has something to do, at the earliest.
    pub(crate) fn due(&self) -> Option<Time> {
        let gone = self.going.first().map(|(at, _)| *at);
        match (self.told_at, gone) {
            _ if !self.news.is_empty() => Some(self.next_batch()),
            (Some(_), Some(gone)) => Some(gone.max(self.next_batch())),
            (None, gone) | (Some(_), gone @ None) => gone,
        }
    }

    fn next_batch(&self) -> Time {
        self.told_at
            .map_or(Time::ZERO, |told_at| told_at + self.rules.interval)
    }

    /// What is to be told now: at most so many entries, the rest next time.
    pub(crate) fn batch(&mut self, now: Time, entries_max: usize) -> Option<Batch> {
        if self.due().is_none_or(|due| due > now) {
            return None;
        }
        while let Some(&(gone, client)) = self.going.first()
            && gone <= now
        {
            self.going.pop_first();
            self.gone(client);
        }
        let count_before = self.told;
        let mut batch = Batch {
            seq: self.seq + 1,
            ..Batch::default()
        };
        for _ in 0..self.entries_max(entries_max) {
            let Some((_, client)) = self.news.pop_first() else {
                break;
            };
            self.tell(client, &mut batch);
        }
        batch.count = self.told;
        match self.rules.shown {
            Shown::Off => return None,
            Shown::Counts if self.told == count_before => return None,
            Shown::Counts => {
                batch = Batch {
                    seq: batch.seq,
                    count: batch.count,
                    ..Batch::default()
                }
            }
            Shown::Identities => {}
        }
        self.seq += 1;
        self.told_at = Some(now);
        Some(batch)
    }

    /// A count is one number, whoever is behind it.
    const fn entries_max(&self, entries_max: usize) -> usize {
        match self.rules.shown {
            Shown::Identities => entries_max,
            Shown::Off | Shown::Counts => usize::MAX,
        }
    }

    /// Those who were told to be there, after this client.
    pub(crate) fn page(&self, after: Option<ClientId>, entries_max: usize) -> Page {
        use core::ops::Bound::{Excluded, Unbounded};
        let first = after.map_or(Unbounded, Excluded);
        let mut told = self
            .clients
            .range((first, Unbounded))
            .filter_map(|(client, entry)| entry.as_told(*client));
        let identities = self.rules.shown == Shown::Identities;
        let present = identities.then(|| told.by_ref().take(entries_max).collect());
        let more = identities && told.next().is_some();
        Page {
            seq: self.seq,
            count: self.told,
            present,
            more,
        }
    }

    /// Whether there is news of a client, after something happened to it.
    fn note(&mut self, client: ClientId) {
        let entry = self.clients.get_mut(&client).expect("it is known");
        let now = entry.state();
        if entry.gone.is_none() && now != entry.told {
            if entry.news.is_none() {
                entry.news = Some(self.next_news);
                self.news.insert(self.next_news, client);
                self.next_news += 1;
            }
        } else if let Some(news) = entry.news.take() {
            self.news.remove(&news);
        }
        if now.is_none() && entry.told.is_none() {
            // Came and went between two batches: nobody heard of it.
            self.clients.remove(&client);
        }
    }

    /// A client has fewer sockets. With none, it has its time to come back.
    fn departed(&mut self, now: Time, client: ClientId) {
        let grace = self.rules.grace;
        let entry = self.clients.get_mut(&client).expect("it is known");
        if entry.here.is_empty() && entry.told.is_some() && entry.gone.is_none() {
            entry.gone = Some(now + grace);
            self.going.insert((now + grace, client));
        }
        self.note(client);
    }

    /// A client did not come back in time.
    fn gone(&mut self, client: ClientId) {
        let entry = self
            .clients
            .get_mut(&client)
            .expect("who is going is known");
        entry.gone = None;
        self.note(client);
    }

    fn tell(&mut self, client: ClientId, batch: &mut Batch) {
        let entry = self.clients.get_mut(&client).expect("news is of somebody");
        entry.news = None;
        let state = entry.state();
        let before = std::mem::replace(&mut entry.told, state);
        match (before, entry.as_told(client)) {
            (None, Some(present)) => {
                self.told += 1;
                batch.joined.push(present);
            }
            (Some(_), Some(present)) => batch.updated.push(present),
            (Some(_), None) => {
                self.told -= 1;
                self.clients.remove(&client);
                batch.left.push(client);
            }
            (None, None) => unreachable!("that is no news"),
        }
    }
}

impl Entry {
    /// How the client is to be told.
    fn state(&self) -> Option<Devices> {
        (!self.here.is_empty()).then(|| self.here.total())
    }

    fn as_told(&self, client: ClientId) -> Option<Present> {
        let devices = self.told?;
        let username = self.username.clone();
        Some(Present {
            client,
            username,
            devices,
        })
    }
}

#[cfg(test)]
#[path = "presence/tests.rs"]
mod tests;
