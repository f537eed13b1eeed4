//! Promises of presence, and a plain reference that it is held against.

use core::time::Duration;
use std::collections::BTreeMap;

use super::*;
use crate::seed::{Chance, Seed};

const GRACE: Duration = Duration::from_secs(5);
const INTERVAL: Duration = Duration::from_secs(1);
const ALL: usize = usize::MAX;
const HERE: PuddleId = PuddleId(0);

fn presence(shown: Shown) -> Presence {
    Presence::new(PresenceRules {
        shown,
        grace: GRACE,
        interval: INTERVAL,
    })
}

fn client(number: u64) -> ClientId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    ClientId::from_bytes(bytes)
}

fn at(millis: u64) -> Time {
    Time::ZERO + Duration::from_millis(millis)
}

fn arrive(presence: &mut Presence, number: u64) {
    presence.arrive(HERE, client(number), None, WireForm::Raw);
}

fn depart(presence: &mut Presence, millis: u64, number: u64) {
    presence.depart(at(millis), HERE, client(number), WireForm::Raw);
}

fn names(present: &[Present]) -> Vec<ClientId> {
    present.iter().map(|present| present.client).collect()
}

#[test]
fn the_first_change_is_told_at_once_and_the_next_an_interval_later() {
    let mut presence = presence(Shown::Identities);
    arrive(&mut presence, 1);
    let batch = presence.batch(at(10), ALL).expect("somebody came");
    assert_eq!((batch.seq, batch.count), (1, 1));
    assert_eq!(names(&batch.joined), [client(1)]);
    arrive(&mut presence, 2);
    arrive(&mut presence, 3);
    assert_eq!(presence.due(), Some(at(1_010)));
    assert_eq!(presence.batch(at(1_009), ALL), None);
    let batch = presence.batch(at(1_010), ALL).expect("two came");
    assert_eq!(names(&batch.joined), [client(2), client(3)]);
    assert_eq!(presence.due(), None);
}

#[test]
fn who_comes_back_in_time_neither_left_nor_joined() {
    let mut presence = presence(Shown::Identities);
    arrive(&mut presence, 1);
    presence.batch(at(0), ALL).expect("somebody came");
    depart(&mut presence, 2_000, 1);
    assert_eq!(presence.batch(at(3_000), ALL), None);
    assert_eq!(presence.page(None, ALL).count, 1, "it may come back");
    arrive(&mut presence, 1);
    assert_eq!(presence.due(), None);
    depart(&mut presence, 8_000, 1);
    assert_eq!(presence.due(), Some(at(13_000)));
    let batch = presence.batch(at(13_000), ALL).expect("it has gone");
    assert_eq!((batch.left, batch.count), (vec![client(1)], 0));
    assert!(presence.clients.is_empty());
}

#[test]
fn who_comes_and_goes_between_two_batches_is_not_told() {
    let mut presence = presence(Shown::Identities);
    arrive(&mut presence, 1);
    presence.batch(at(0), ALL).expect("somebody came");
    arrive(&mut presence, 2);
    depart(&mut presence, 1, 2);
    assert_eq!(presence.batch(at(9_000), ALL), None);
}

#[test]
fn a_second_device_is_an_update_of_the_same_client() {
    let mut presence = presence(Shown::Identities);
    let ada: Username = "ada".parse().expect("a name");
    for (puddle, form) in [(0, WireForm::Raw), (3, WireForm::Multiplexed)] {
        presence.arrive(PuddleId(puddle), client(1), Some(ada.clone()), form);
        presence.batch(at(10_000 * u64::from(puddle)), ALL);
    }
    let page = presence.page(None, ALL);
    assert_eq!(page.seq, 2);
    let (raw, multiplexed) = (1, 1);
    let devices = Devices {
        raw,
        multiplexed,
        ..Devices::default()
    };
    let username = Some(ada);
    let client = client(1);
    assert_eq!(
        page.present,
        Some(vec![Present {
            client,
            username,
            devices
        }])
    );
    presence.lose(at(40_000), PuddleId(3));
    let batch = presence.batch(at(40_000), ALL).expect("a device less");
    assert_eq!(batch.updated[0].devices.sockets(), 1);
}

#[test]
fn counts_are_told_only_when_they_change() {
    let mut presence = presence(Shown::Counts);
    arrive(&mut presence, 1);
    presence.batch(at(0), ALL).expect("one came");
    depart(&mut presence, 0, 1);
    arrive(&mut presence, 2);
    let batch = presence.batch(at(1_000), ALL).expect("another came");
    assert_eq!(batch.count, 2, "the first may come back");
    assert_eq!((batch.joined, batch.left), (vec![], vec![]), "no names");
    arrive(&mut presence, 3);
    assert_eq!(presence.batch(at(5_000), ALL), None, "one came, one went");
    assert_eq!(presence.page(None, ALL).present, None);
    assert_eq!(presence.page(None, ALL).count, 2);
}

#[test]
fn ten_thousand_joins_are_ten_thousand_entries_in_bounded_batches() {
    let mut presence = presence(Shown::Identities);
    for number in 0..10_000 {
        arrive(&mut presence, number);
    }
    let mut now = 0;
    let mut told = Vec::new();
    while let Some(batch) = presence.batch(at(now), 2_000) {
        told.push(batch.joined.len());
        assert!(batch.left.is_empty() && batch.updated.is_empty());
        now += 1_000;
    }
    assert_eq!(told, [2_000; 5]);
}

#[test]
fn a_longer_grace_is_for_those_who_go_later() {
    let mut presence = presence(Shown::Identities);
    arrive(&mut presence, 1);
    arrive(&mut presence, 2);
    presence.batch(at(0), ALL).expect("two came");
    depart(&mut presence, 0, 1);
    presence.rule(PresenceRules {
        grace: GRACE * 10,
        ..presence.rules
    });
    depart(&mut presence, 0, 2);
    let batch = presence.batch(at(5_000), ALL).expect("one has gone");
    assert_eq!(batch.left, [client(1)]);
    assert_eq!(presence.due(), Some(at(50_000)));
}

#[test]
fn pages_hold_everybody_once_in_order() {
    let mut presence = presence(Shown::Identities);
    for number in 0..25 {
        arrive(&mut presence, number * 7 % 25);
    }
    presence.batch(at(0), ALL).expect("they came");
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = presence.page(after, 10);
        seen.extend(names(&page.present.expect("identities are shown")));
        after = seen.last().copied();
        if !page.more {
            break;
        }
    }
    assert!(seen.iter().copied().eq((0..25).map(client)));
}

/// What somebody who looks believes, and what is so.
#[derive(Default)]
struct Reference {
    believed: BTreeMap<ClientId, Devices>,
    sockets: BTreeMap<(ClientId, PuddleId), Devices>,
    left_at: BTreeMap<ClientId, u64>,
    seq: u64,
    entries: usize,
}

impl Reference {
    fn truth(&self) -> BTreeMap<ClientId, Devices> {
        let mut truth = BTreeMap::<ClientId, Devices>::new();
        for ((client, _), devices) in &self.sockets {
            let sum = truth.entry(*client).or_default();
            sum.raw += devices.raw;
            sum.multiplexed += devices.multiplexed;
        }
        truth.retain(|_, devices| devices.sockets() > 0);
        truth
    }

    fn hear(&mut self, now: u64, batch: &Batch) {
        self.seq += 1;
        assert_eq!(batch.seq, self.seq, "no batch is left out");
        self.entries += batch.joined.len() + batch.left.len() + batch.updated.len();
        for one in &batch.joined {
            let before = self.believed.insert(one.client, one.devices);
            assert_eq!(before, None, "joins and leaves alternate");
        }
        for one in &batch.updated {
            let before = self.believed.insert(one.client, one.devices);
            assert!(before.is_some_and(|before| before != one.devices));
        }
        for client in &batch.left {
            assert!(self.believed.remove(client).is_some(), "they alternate");
            let gone = now - self.left_at[client];
            assert!(gone >= 5_000, "nobody leaves before their grace is over");
        }
        assert_eq!(batch.count, self.believed.len());
    }

    fn left(&mut self, now: u64, client: ClientId) {
        if !self.truth().contains_key(&client) {
            self.left_at.insert(client, now);
        }
    }
}

/// One random thing happens to both.
fn happen(chance: &mut Chance, now: u64, presence: &mut Presence, reference: &mut Reference) {
    let client = client(chance.next() % 40);
    let puddle = PuddleId(u8::try_from(chance.next() % 3).expect("three"));
    let raw = chance.next().is_multiple_of(2);
    let form = if raw {
        WireForm::Raw
    } else {
        WireForm::Multiplexed
    };
    let known = reference.sockets.entry((client, puddle)).or_default();
    let count = if raw {
        &mut known.raw
    } else {
        &mut known.multiplexed
    };
    match chance.next() % 100 {
        0 => {
            let lost: Vec<_> = reference.truth().into_keys().collect();
            reference.sockets.retain(|(_, at), _| *at != puddle);
            presence.lose(at(now), puddle);
            for client in lost {
                reference.left(now, client);
            }
        }
        1..50 => {
            *count += 1;
            presence.arrive(puddle, client, None, form);
        }
        _ if *count > 0 => {
            *count -= 1;
            presence.depart(at(now), puddle, client, form);
            reference.left(now, client);
        }
        _ => {}
    }
}

#[test]
fn ten_thousand_random_changes_are_told_as_they_are() {
    for seed in 0..8 {
        let mut chance = Chance::new(Seed(seed));
        let mut presence = presence(Shown::Identities);
        let mut reference = Reference::default();
        let mut now = 0;
        for step in 0..10_000 {
            now += chance.next() % 200;
            happen(&mut chance, now, &mut presence, &mut reference);
            // A sweep from time to time, so that rooms empty too.
            if step % 500 == 499 {
                now += chance.next() % 20_000;
            }
            if let Some(batch) = presence.batch(at(now), 10) {
                reference.hear(now, &batch);
            }
            assert!(reference.entries <= step + 1, "a change costs one entry");
        }
        for _ in 0..20 {
            now += 1_000;
            if let Some(batch) = presence.batch(at(now), 10) {
                reference.hear(now, &batch);
            }
        }
        assert_eq!(reference.believed, reference.truth(), "seed {seed}");
        assert_eq!(presence.due(), None);
    }
}
