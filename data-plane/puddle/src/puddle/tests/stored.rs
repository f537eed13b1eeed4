//! Whatever goes wrong between a node and its store, and whenever puddles begin
//! anew: what was said to be stored, and what anybody heard, is in history in
//! that place, and a message with a key is there once.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::durable::{news, restart_all, restart_home};
use super::homes::home_and_other;
use super::world::{Client, World};

/// What happens.
#[derive(Clone, Debug)]
enum Step {
    /// The user on this puddle says something new.
    Say(usize),
    /// Or says again what they said last.
    Again(usize),
    /// The store is away, or back.
    Down(bool),
    /// It does what is asked, and its answers to so many appends are lost.
    LoseAcks(u32),
    /// Nothing is done there until it goes on.
    Stand,
    Release,
    /// The home begins anew; what was under way to the store comes there later.
    RestartHome,
    RestartAll,
    /// That comes.
    Land,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_usize).prop_map(Step::Say),
        3 => (0..3_usize).prop_map(Step::Again),
        1 => any::<bool>().prop_map(Step::Down),
        1 => (1..4_u32).prop_map(Step::LoseAcks),
        2 => Just(Step::Stand),
        2 => Just(Step::Release),
        1 => Just(Step::RestartHome),
        1 => Just(Step::RestartAll),
        2 => Just(Step::Land),
    ]
}

/// What was promised.
#[derive(Default)]
struct Promised {
    clients: BTreeMap<usize, Client>,
    said: u64,
    last: BTreeMap<usize, u64>,
    /// Which message has which place, by receipts and by what was heard.
    placed: BTreeMap<u64, u64>,
    seed: u64,
}

impl Promised {
    fn step(&mut self, world: &mut World, step: &Step) {
        let (home, _) = home_and_other("news");
        match step {
            Step::Say(at) => {
                self.said += 1;
                self.last.insert(*at, self.said);
                self.say(world, *at, self.said);
            }
            Step::Again(at) => {
                if let Some(last) = self.last.get(at) {
                    self.say(world, *at, *last);
                }
            }
            Step::Down(down) => world.store.down = *down,
            Step::LoseAcks(count) => world.store.acks_lost = *count,
            Step::Land => world.store.land(),
            Step::Stand => world.store.stands = true,
            Step::Release => world.release_store(),
            Step::RestartHome => {
                self.seed += 100;
                world.store.delay_waiting();
                restart_home(world, home, self.seed);
                self.clients.remove(&home);
            }
            Step::RestartAll => {
                self.seed += 100;
                world.store.delay_waiting();
                restart_all(world, self.seed);
                self.clients.clear();
            }
        }
        self.listen(world);
    }

    /// Says it, by its number, with that as the key; joins before where needed.
    fn say(&mut self, world: &mut World, at: usize, number: u64) {
        let user = u8::try_from(at + 1).expect("few");
        let client = *self
            .clients
            .entry(at)
            .or_insert_with(|| world.lobby_of(at, user));
        world.line(client, r#"{"op":"join","room":"news","id":0}"#);
        let ask = r#""op":"send","room":"news","receipt":"stored""#;
        world.line(
            client,
            &format!("{{{ask},\"id\":{number},\"key\":\"k{number}\"}}\n{number}."),
        );
    }

    fn listen(&mut self, world: &mut World) {
        for client in self.clients.values() {
            for line in world.take_text(*client).split(r#"{"op":""#) {
                let said = if line.starts_with("receipt") {
                    assert!(line.contains(r#""level":"stored""#), "{line}");
                    field(line, "id")
                } else if line.starts_with("message") {
                    let payload = line.split_once("}\n").map(|(_, payload)| payload);
                    payload.and_then(|payload| payload.split_once('.')?.0.parse().ok())
                } else {
                    None
                };
                if let (Some(said), Some(offset)) = (said, field(line, "offset")) {
                    let before = *self.placed.entry(offset).or_insert(said);
                    assert_eq!(before, said, "one place has one message");
                }
            }
        }
    }
}

fn field(line: &str, name: &str) -> Option<u64> {
    let (_, rest) = line.split_once(&format!(r#""{name}":"#))?;
    let end = rest.find(|letter: char| !letter.is_ascii_digit())?;
    rest[..end].parse().ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_was_promised_is_in_history(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = news(|_| {});
        for user in 1..=4 {
            world.session(user);
        }
        let mut promised = Promised::default();
        for step in &steps {
            promised.step(&mut world, step);
        }
        world.store.down = false;
        world.store.land();
        world.release_store();
        promised.listen(&mut world);
        restart_all(&mut world, 9_999);
        let reader = world.lobby_of(0, 4);
        world.line(reader, r#"{"op":"join","room":"news","id":0}"#);
        world.wait(Duration::from_millis(1));
        world.take(reader);
        world.line(reader, r#"{"op":"history","room":"news","id":1}"#);
        let mut kept = Promised::default();
        kept.clients.insert(0, reader);
        kept.listen(&mut world);
        for (offset, said) in &promised.placed {
            prop_assert_eq!(kept.placed.get(offset), Some(said));
        }
        let offsets: Vec<u64> = kept.placed.keys().copied().collect();
        let count = offsets.len() as u64;
        prop_assert_eq!(offsets, (1..=count).collect::<Vec<_>>());
        let once: BTreeSet<u64> = kept.placed.values().copied().collect();
        prop_assert_eq!(once.len() as u64, count, "a key is one message");
    }
}
