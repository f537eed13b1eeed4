//! As many sockets as this machine holds, over several processes where one may not
//! have so many files: idle, coming in at once, in one room, and in very many.
//!
//! * [`limits`]: what the machine lets a run do, looked at before it begins
//! * [`fleet`]: Porthouse as several nodes of one control plane
//! * [`client`]: one client process; [`crew`]: several of them, led from here

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use porthouse_load::process::Process;
use porthouse_load::{files, to_float};

use crate::budget::Budget;
use crate::machine;
use crate::record::{Record, Row};

pub(crate) mod client;
mod crew;
mod fleet;
mod limits;

use client::{Arrived, Order, Talked};
use crew::{Crew, Party};
use fleet::Fleet;

/// Those who are inside before a storm, at each node, and messages a second to them.
const WITNESSES: usize = 50;
const WITNESSED_RATE: f64 = 5.0;
/// Sockets of a node that come before its memory is looked at, and pay for what all share.
const FIRST_SOCKETS: usize = 100;
/// How long a storm is watched, in seconds; it must be over by then.
const STORM_SECONDS: u64 = 30;
/// How long all else is watched.
const SECONDS: u64 = 15;
/// Messages a second to a great room, and in all small ones at each node.
const ROOM_RATE: f64 = 5.0;
const ROOMS_RATE: f64 = 200.0;
/// What may keep somebody waiting who is inside, in milliseconds.
const STALL_MS: f64 = 1_000.0;

/// What is tried, and how much of it.
#[derive(clap::Args)]
pub(crate) struct Scale {
    /// The `porthouse` program, built with `--release`.
    #[arg(long, default_value = "target/release/porthouse")]
    porthouse: PathBuf,
    /// What is tried.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Trial::value_variants().to_vec())]
    trials: Vec<Trial>,
    /// Idle sockets.
    #[arg(long, default_value_t = 100_000)]
    idle: usize,
    /// Sockets of a storm.
    #[arg(long, default_value_t = 20_000)]
    storm: usize,
    /// Sockets of one room: those of one node, as nodes do not share rooms.
    #[arg(long, default_value_t = 50_000)]
    room: usize,
    /// Rooms of two.
    #[arg(long, default_value_t = 50_000)]
    rooms: usize,
    /// Write all of it there as JSON too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Something that is tried; three minutes at most.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Trial {
    /// Sockets that are open and silent.
    Idle,
    /// Sockets that all come in at once, beside some who are inside.
    Storm,
    /// One room.
    Room,
    /// Rooms of two.
    Rooms,
}

pub(crate) fn run(wanted: &Scale) -> anyhow::Result<()> {
    let mut record = Record::begin("scale", "trial");
    let mut failed = Vec::new();
    for trial in &wanted.trials {
        let outcome = match trial {
            Trial::Idle => wanted.idle(&mut record),
            Trial::Storm => wanted.storm(&mut record),
            Trial::Room => wanted.room(&mut record),
            Trial::Rooms => wanted.rooms(&mut record),
        };
        if let Err(error) = outcome {
            let name = format!("{trial:?}").to_lowercase();
            record.left_out(&name, &format!("failed: {error:#}"));
            failed.push(name);
        }
    }
    record.write(wanted.json.as_deref())?;
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

impl Scale {
    fn idle(&self, record: &mut Record) -> anyhow::Result<()> {
        let (fleet, shares) = self.fleet(self.idle)?;
        let first = vec![FIRST_SOCKETS; shares.len()];
        let mut first = Crew::start(&fleet, &first, |sockets| Party::of("idle", 1, sockets))?;
        first.arrived()?;
        let before = (fleet.memory_bytes()?, machine::memory_bytes("Slab"));
        let party = |sockets| Party::of("idle", 1, sockets);
        let mut crew = Crew::start(&fleet, &shares, party)?;
        let arrived = crew.arrived()?;
        let inside = arrivals("idle", &arrived, record)?;
        let user = fleet.memory_bytes()?.saturating_sub(before.0);
        let kernel = machine::memory_bytes("Slab").saturating_sub(before.1);
        let each = |bytes: u64| to_float(bytes) / inside;
        let spread = format!("{inside} over {} servers and as many clients", shares.len());
        let row = Row::alone("idle", "user memory a socket", "bytes", &[each(user)]);
        let budget = Budget::ratio_up_to(512.0, 256.0).ours();
        record.row(row.noting(vec![spread]).within(Some(budget)));
        let what = "kernel memory a socket, the client's end too";
        record.row(Row::alone("idle", what, "bytes", &[each(kernel)]));
        let cpu = fleet.cpu()?;
        crew.order(Order::Stay { seconds: SECONDS })?;
        let closed: u64 = crew.stayed()?.into_iter().sum();
        let share = fleet.cpu()?.saturating_sub(cpu).as_secs_f64() / to_float(SECONDS);
        let row = Row::alone("idle", "closed meanwhile", "sockets", &[to_float(closed)]);
        record.row(row.within(Some(Budget::ratio_up_to(0.0, 0.0).ours())));
        let what = "share of a core of all servers while nobody speaks";
        record.row(Row::alone("idle", what, "%", &[share * 100.0]));
        Ok(())
    }

    fn storm(&self, record: &mut Record) -> anyhow::Result<()> {
        let (fleet, shares) = self.fleet(self.storm.max(2))?;
        let witnesses = vec![WITNESSES; shares.len()];
        let mut inside = Crew::start(&fleet, &witnesses, |sockets| {
            Party::of("storm", 1, sockets).with_speakers()
        })?;
        inside.arrived()?;
        inside.order(Order::Talk {
            rate: WITNESSED_RATE,
            seconds: STORM_SECONDS,
        })?;
        let party = |sockets| Party::of("storm", 1, sockets).hurrying();
        let mut storm = Crew::start(&fleet, &shares, party)?;
        let arrived = storm.arrived()?;
        arrivals("storm", &arrived, record)?;
        let longest = arrived.iter().map(|one| one.took_s).fold(0.0, f64::max);
        ensure!(
            longest < to_float(STORM_SECONDS),
            "the storm took {longest:.0} s and was watched for {STORM_SECONDS}"
        );
        let talked = inside.talked()?;
        let what = "longest wait of those inside for a message meanwhile";
        let worst = greatest(&talked, |one| one.longest_ms);
        let row = Row::alone("storm", what, "ms", &[worst]);
        record.row(row.within(Some(Budget::ratio_up_to(STALL_MS, STALL_MS / 10.0).ours())));
        let p99 = greatest(&talked, |one| one.p99_ms);
        record.row(Row::alone("storm", "their p99", "ms", &[p99]));
        Ok(())
    }

    fn room(&self, record: &mut Record) -> anyhow::Result<()> {
        let sockets = self.room.min(limits::sockets_of_a_process()?);
        let (fleet, shares) = self.fleet(sockets)?;
        let mut crew = Crew::start(&fleet, &shares, |sockets| {
            Party::of("room", 1, sockets - 1).with_speakers()
        })?;
        arrivals("room", &crew.arrived()?, record)?;
        let note = format!(
            "{sockets} of {} that were asked for: one node, one process",
            self.room
        );
        crew.order(Order::Talk {
            rate: ROOM_RATE,
            seconds: SECONDS,
        })?;
        let talked = crew.talked()?;
        let what = format!("p99 at {ROOM_RATE} messages/s");
        let p99 = greatest(&talked, |one| one.p99_ms);
        record.row(Row::alone("room", &what, "ms", &[p99]).noting(vec![note]));
        crew.order(Order::Crowd {
            window: 8,
            seconds: SECONDS,
        })?;
        let rate = crew.talked()?.iter().map(|one| one.rate).sum::<f64>() / 1e6;
        record.row(Row::alone(
            "room",
            "fan-out, window 8",
            "M deliveries/s",
            &[rate],
        ));
        Ok(())
    }

    fn rooms(&self, record: &mut Record) -> anyhow::Result<()> {
        let (fleet, shares) = self.fleet(self.rooms * 2)?;
        let mut crew = Crew::start(&fleet, &shares, |sockets| {
            Party::of("two", sockets / 2, 1).with_speakers()
        })?;
        arrivals("rooms", &crew.arrived()?, record)?;
        crew.order(Order::Talk {
            rate: ROOMS_RATE,
            seconds: SECONDS,
        })?;
        let talked = crew.talked()?;
        let rate: f64 = talked.iter().map(|one| one.rate).sum();
        let what = format!("p99 in {} rooms of two, {rate:.0} messages/s", self.rooms);
        let p99 = greatest(&talked, |one| one.p99_ms);
        record.row(Row::alone("rooms", &what, "ms", &[p99]));
        let longest = greatest(&talked, |one| one.longest_ms);
        record.row(Row::alone("rooms", "the longest", "ms", &[longest]));
        Ok(())
    }

    /// As many nodes as so many sockets need, and how many each of them gets.
    fn fleet(&self, sockets: usize) -> anyhow::Result<(Fleet, Vec<usize>)> {
        limits::check(sockets)?;
        let most = limits::sockets_of_a_process()?;
        // Before anything is started: it inherits the limit.
        files::raise(most)?;
        let shares = limits::parts(sockets, most);
        Ok((Fleet::start(&self.porthouse, shares.len())?, shares))
    }
}

/// How everybody came in; answers how many are inside.
fn arrivals(trial: &str, arrived: &[Arrived], record: &mut Record) -> anyhow::Result<f64> {
    let inside: u64 = arrived.iter().map(|one| one.inside).sum();
    let refused: u64 = arrived.iter().map(|one| one.refused).sum();
    let first = arrived.iter().find_map(|one| one.first_refusal.clone());
    let longest = arrived.iter().map(|one| one.took_s).fold(0.0, f64::max);
    let notes = vec![format!(
        "{inside} in {longest:.1} s, the slowest took {:.0} ms",
        arrived.iter().map(|one| one.longest_ms).fold(0.0, f64::max)
    )];
    let row = Row::alone(trial, "joins", "/s", &[to_float(inside) / longest]);
    record.row(row.noting(notes));
    let row = Row::alone(trial, "refused", "sockets", &[to_float(refused)]);
    let row = row.noting(first.into_iter().collect());
    record.row(row.within(Some(Budget::ratio_up_to(0.0, 0.0).ours())));
    ensure!(inside > 0, "nobody came in");
    Ok(to_float(inside))
}

fn greatest(talked: &[Talked], figure: impl Fn(&Talked) -> f64) -> f64 {
    talked.iter().map(figure).fold(0.0, f64::max)
}

/// The sum of something over several processes.
fn sum<T: std::iter::Sum>(
    processes: impl Iterator<Item = Process>,
    read: impl Fn(Process) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let read = |process| read(process).context("a server has ended");
    processes.map(read).sum()
}
