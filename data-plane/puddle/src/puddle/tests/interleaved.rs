//! One order for all, whatever crosses on the way: sockets of three puddles come,
//! speak, read and leave, hops stand and go, puddles begin anew; and what each
//! socket was told is held against what all were told.

use core::time::Duration;
use std::collections::BTreeMap;

use porthouse_model::{BroadcastRules, HistoryRules, Keep, RoomRules};
use proptest::prelude::*;

use super::homes::{ordered, restart};
use super::world::{Client, World};

/// What happens.
#[derive(Clone, Debug)]
enum Step {
    /// A socket comes to this puddle and joins.
    Join(usize),
    /// One of those there were leaves, or joins again.
    Leave(usize),
    Rejoin(usize),
    /// One speaks.
    Say(usize),
    /// One reads what was said.
    Read(usize),
    /// What is told to this puddle stands from here on.
    Hold(usize),
    /// Nothing stands any more.
    Release,
    /// A puddle begins anew, and its sockets are gone.
    Restart(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3_usize).prop_map(Step::Join),
        1 => any::<usize>().prop_map(Step::Leave),
        1 => any::<usize>().prop_map(Step::Rejoin),
        8 => any::<usize>().prop_map(Step::Say),
        1 => any::<usize>().prop_map(Step::Read),
        2 => (0..3_usize).prop_map(Step::Hold),
        2 => Just(Step::Release),
        1 => (0..3_usize).prop_map(Step::Restart),
    ]
}

/// One socket, and how far it has heard.
#[derive(Debug)]
struct Ear {
    client: Client,
    /// Epoch and offset of what it heard last; nothing while it is outside.
    heard: Option<(u64, u64)>,
}

/// What all were told: each place has one message.
type Said = BTreeMap<(u64, u64), String>;

fn rules() -> RoomRules {
    RoomRules {
        broadcast: BroadcastRules {
            echo: true,
            ..BroadcastRules::default()
        },
        history: HistoryRules {
            keep: Keep::Last {
                messages_max: 5,
                age_max: Duration::from_mins(1),
            },
            ..HistoryRules::default()
        },
        ..ordered()
    }
}

fn number(line: &str, field: &str) -> Option<u64> {
    let at = line.find(&format!(r#""{field}":"#))? + field.len() + 3;
    let rest = &line[at..];
    let end = rest
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}

impl Ear {
    /// Takes what came, and holds it against what was heard before.
    fn listen(&mut self, world: &mut World, said: &mut Said) {
        let text = world.take_text(self.client);
        for (at, _) in text.match_indices(r#"{"op":""#) {
            let rest = &text[at..];
            let end = rest.find('}').expect("a line ends");
            let (line, payload) = rest.split_at(end + 1);
            let op = line[7..].split('"').next().expect("an op");
            let offset = number(line, "offset");
            match op {
                "admitted" | "epoch" => self.heard = number(line, "epoch").zip(offset),
                "left" => self.heard = None,
                "message" => {
                    let offset = offset.expect("it has a place");
                    let (epoch, last) = self.heard.expect("who hears is inside");
                    let payload = payload[1..6].to_owned();
                    let one = said
                        .entry((epoch, offset))
                        .or_insert_with(|| payload.clone());
                    assert_eq!(*one, payload, "one place has one message");
                    if line.contains(r#""history":true"#) {
                        assert!(offset <= last, "history is over");
                    } else {
                        assert_eq!(offset, last + 1, "no hole, nothing twice");
                        self.heard = Some((epoch, offset));
                    }
                }
                "history" | "receipt" | "refused" | "error" => {}
                other => panic!("{other} was not expected: {line}"),
            }
        }
    }
}

struct Course {
    world: World,
    ears: Vec<Ear>,
    said: Said,
    spoken: u32,
}

impl Course {
    fn new() -> Self {
        let mut world = World::new(3);
        world.room("ledger", rules());
        Self {
            world,
            ears: Vec::new(),
            said: Said::new(),
            spoken: 0,
        }
    }

    fn line(&mut self, chosen: usize, line: &str) {
        if let Some(at) = chosen.checked_rem(self.ears.len()) {
            let client = self.ears[at].client;
            self.world.line(client, line);
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Join(puddle) => {
                let client = self.world.lobby(puddle);
                self.ears.push(Ear {
                    client,
                    heard: None,
                });
                self.line(self.ears.len() - 1, r#"{"op":"join","room":"ledger"}"#);
            }
            Step::Rejoin(chosen) => self.line(chosen, r#"{"op":"join","room":"ledger"}"#),
            Step::Leave(chosen) => self.line(chosen, r#"{"op":"leave","room":"ledger"}"#),
            Step::Read(chosen) => self.line(chosen, r#"{"op":"history","room":"ledger"}"#),
            Step::Say(chosen) => {
                self.spoken += 1;
                let line = format!(
                    "{{\"op\":\"send\",\"room\":\"ledger\"}}\nm{:04}",
                    self.spoken
                );
                self.line(chosen, &line);
            }
            Step::Hold(puddle) => {
                // What stands for another is let go: nothing overtakes on a ring.
                self.release();
                self.world.hops_stand_to = Some(puddle);
            }
            Step::Release => self.release(),
            Step::Restart(puddle) => {
                self.listen();
                self.world.lose_hops_of(puddle);
                self.ears.retain(|ear| ear.client.puddle != puddle);
                let seed = u64::from(self.spoken) + 1_000;
                restart(&mut self.world, puddle, seed);
            }
        }
        self.listen();
    }

    fn release(&mut self) {
        self.world.hops_stand_to = None;
        self.world.release_hops();
    }

    fn listen(&mut self) {
        for ear in &mut self.ears {
            ear.listen(&mut self.world, &mut self.said);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Everybody inside hears one order without holes from where they came in,
    /// reads nothing but what was said, and at rest all have heard the same.
    #[test]
    fn whatever_crosses_all_hear_one_order(steps in prop::collection::vec(step(), 1..60)) {
        let mut course = Course::new();
        for step in &steps {
            course.step(step);
        }
        course.release();
        course.listen();
        let heard: Vec<_> = course.ears.iter().filter_map(|ear| ear.heard).collect();
        prop_assert!(heard.iter().all(|last| *last == heard[0]), "{:?}", heard);
    }
}
