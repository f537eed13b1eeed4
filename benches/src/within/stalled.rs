//! A tenth of a room stops reading: what the others notice, what the server holds
//! for them, and what becomes of them by each rule for slow readers.

use std::time::Duration;

use porthouse_api::control::v1 as control;
use porthouse_load::house::House;
use porthouse_load::raw::Raw;
use porthouse_load::stalled;
use porthouse_load::talk::{Pace, Plan, everybody};
use porthouse_load::to_float;

use super::Within;
use super::side::Side;
use crate::budget::Budget;
use crate::owner::Owner;
use crate::record::{Record, Row};
use crate::table::shown;

/// Sockets that listen, and of how many one stalls.
const SOCKETS: usize = 5_000;
const STALLED_ONE_IN: usize = 10;
/// Messages of a run: long enough that whoever does not read has more waiting than it may,
/// 1 MiB, when half of it is over.
const RATE: f64 = 10.0;
const BYTES: usize = 16 * 1024;
const SPAN: Duration = Duration::from_secs(14);
/// A run is long, so there are few.
const PAIRS_MAX: usize = 3;
/// What may wait on a puddle, shared payloads counted once: `payload_bytes_max`.
const WAITING_BYTES_MAX: f64 = 268e6;

/// Each rule for slow readers, and what it is called.
const RULES: [(control::SlowConsumer, &str); 4] = [
    (control::SlowConsumer::Close, "close"),
    (control::SlowConsumer::DropOldest, "drop oldest"),
    (control::SlowConsumer::DropNewest, "drop newest"),
    (control::SlowConsumer::Conflate, "conflate"),
];

pub(super) fn stalled(wanted: &Within, record: &mut Record) -> anyhow::Result<()> {
    let house = wanted.house()?;
    let owner = Owner::of(&house)?;
    for (rule, name) in RULES {
        let beginning = format!("slow-{}-", name.replace(' ', "-"));
        let rules = control::RoomRules {
            delivery: Some(control::DeliveryRules {
                slow_consumer: rule.into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        owner.rules(&beginning, rules)?;
        measure(wanted, &house, (name, &beginning), record)?;
    }
    Ok(())
}

/// One rule.
fn measure(
    wanted: &Within,
    house: &House,
    (rule, beginning): (&str, &str),
    record: &mut Record,
) -> anyhow::Result<()> {
    let all = wanted.sockets(SOCKETS);
    let stalling = all / STALLED_ONE_IN;
    let (mut pairs, mut grown, mut fate) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..wanted.pairs.min(PAIRS_MAX) {
        let room = |part: &str| format!("{beginning}{part}-{number}");
        let some = run(house, &room("some"), all - stalling, stalling)?;
        let none = run(house, &room("none"), all - stalling, 0)?;
        pairs.push((some.p99, none.p99));
        grown.push((some.grown, none.grown));
        fate = some.fate;
    }
    let what = format!("p99 of the others, {stalling} of {all} stalled, to none");
    let row = Row::new(&format!("stalled, {rule}"), &what, "ms", &pairs).noting(fate);
    record.row(row.within(Some(Budget::ratio_up_to(1.5, 1.1))));
    let most = WAITING_BYTES_MAX / 1e6;
    let what = "memory of the server grown by, beside what may wait";
    let (with, without): (Vec<f64>, Vec<f64>) = grown.into_iter().unzip();
    let without = without.into_iter().fold(0.0, f64::max);
    let note = format!("{} at most with nobody stalled", shown(without));
    let row = Row::alone(&format!("stalled, {rule}"), what, "MB", &with).noting(vec![note]);
    record.row(row.within(Some(Budget::ratio_up_to(most, most / 4.0).ours())));
    Ok(())
}

/// What a run came to.
struct Run {
    /// Of those who read, in ms.
    p99: f64,
    /// In MB.
    grown: f64,
    /// Of those who did not.
    fate: Vec<String>,
}

fn run(house: &House, room: &str, reading: usize, stalling: usize) -> anyhow::Result<Run> {
    let seats = everybody(1, reading, stalling);
    let mut side = Side::open(house, Raw::in_room(room), &seats)?;
    let before = side.process.memory_bytes()?;
    let plan = Plan {
        pace: Pace::Rate(RATE),
        span: SPAN,
        payload_bytes: BYTES,
    };
    let told = side.talk(&plan)?;
    let grown = side.process.memory_bytes()?.saturating_sub(before);
    let fates = stalled::fates(&mut side.crowd)?;
    let mut fate: Vec<String> = fates
        .0
        .iter()
        .map(|(fate, count)| format!("{count} {fate}"))
        .collect();
    if let Some(heard) = stalled::read_on(&mut side.crowd)? {
        let said = to_float(told.outcome.messages);
        fate.push(format!(
            "who then read heard {} to {} of about {said:.0}",
            heard.least, heard.most
        ));
    }
    if told.outcome.client_share() > 0.9 {
        let share = told.outcome.client_share();
        fate.push(format!("the client was full: {}", shown(share)));
    }
    Ok(Run {
        p99: told.p99(),
        grown: to_float(grown) / 1e6,
        fate,
    })
}
