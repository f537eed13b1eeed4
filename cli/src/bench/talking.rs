//! Fan-out: one speaks, the others listen, in one room or in many.

use std::time::Duration;

use porthouse_load::crowd::Crowd;
use porthouse_load::opening;
use porthouse_load::raw::Raw;
use porthouse_load::speech::{Speech, Who};
use porthouse_load::talk::{self, Edge, Outcome, Pace, Plan};
use porthouse_load::to_float;

use super::place::{self, Place};
use super::progress::Progress;
use super::report::Report;

/// How fast it is spoken, and what.
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(skip)]
pub(super) struct Paced {
    /// Messages under way in each room, each of which all must have before the next is said
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 8,
        conflicts_with = "rate"
    )]
    #[arg(value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=65_536))]
    window: usize,
    /// Messages a second in all rooms together, whoever is behind, instead of a window
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Bytes of each message
    #[arg(long, value_name = "NUMBER", default_value_t = 128)]
    bytes: usize,
    /// How long it is measured
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
}

impl Paced {
    /// As a plan.
    pub(super) fn plan(self) -> Plan {
        let pace = match self.rate {
            Some(rate) => Pace::Rate(rate.into()),
            None => Pace::Window(self.window),
        };
        Plan {
            pace,
            span: Duration::from_secs(self.seconds),
            payload_bytes: self.bytes,
        }
    }
}

/// One sender, many sockets, one room
#[derive(Debug, clap::Args)]
pub(super) struct Fanout {
    #[command(flatten)]
    place: place::Arguments,
    #[command(flatten)]
    paced: Paced,
    /// Sockets that listen, the sender apart
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000)]
    sockets: usize,
}

/// Many rooms, in each a sender and some sockets
#[derive(Debug, clap::Args)]
pub(super) struct Rooms {
    #[command(flatten)]
    place: place::Arguments,
    #[command(flatten)]
    paced: Paced,
    /// Rooms
    #[arg(long, value_name = "NUMBER", default_value_t = 500)]
    rooms: usize,
    /// Sockets of each room, the sender among them
    #[arg(long, value_name = "NUMBER", default_value_t = 2)]
    #[arg(value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2..))]
    sockets: usize,
}

/// Runs it.
pub(super) fn fanout(arguments: &Fanout, progress: &mut Progress) -> anyhow::Result<()> {
    let place = arguments.place.open(arguments.sockets + 1)?;
    let everybody = talk::everybody(1, arguments.sockets, 0);
    let speech = Raw::in_room(&place.room);
    let mut report = Report::new("fanout");
    report.count("sockets that listen", arguments.sockets as u64);
    let how = (&arguments.place, arguments.paced.plan());
    measure(&place, how, speech, &everybody, report, progress)
}

/// Runs it.
pub(super) fn rooms(arguments: &Rooms, progress: &mut Progress) -> anyhow::Result<()> {
    let place = arguments
        .place
        .open(arguments.rooms.saturating_mul(arguments.sockets))?;
    let everybody = talk::everybody(arguments.rooms, arguments.sockets - 1, 0);
    let speech = Raw::in_rooms(&format!("{}-", place.room));
    let mut report = Report::new("rooms");
    report.count("rooms", arguments.rooms as u64);
    report.count("sockets of each", arguments.sockets as u64);
    let how = (&arguments.place, arguments.paced.plan());
    measure(&place, how, speech, &everybody, report, progress)
}

/// Everybody comes in, it is spoken, and what came of it is told.
fn measure(
    place: &Place,
    (arguments, plan): (&place::Arguments, Plan),
    speech: Raw,
    everybody: &[Who],
    mut report: Report,
    progress: &mut Progress,
) -> anyhow::Result<()> {
    let mut crowd = come(place, arguments.at_once, speech, everybody, progress)?;
    let run = speak(place, &mut crowd, &plan, progress)?;
    run.told(&mut report);
    report.print(arguments.json);
    Ok(())
}

/// Everybody comes in.
pub(super) fn come<S: Speech>(
    place: &Place,
    at_once: usize,
    speech: S,
    everybody: &[Who],
    progress: &mut Progress,
) -> anyhow::Result<Crowd<S>> {
    let mut watch = progress.phase("coming in");
    let (crowd, opened) = opening::open(&place.target, speech, everybody, at_once, &mut watch)?;
    opened.all()?;
    Ok(crowd)
}

/// A run, and what it cost the server.
pub(super) struct Run {
    pub(super) outcome: Outcome,
    server_cpu: Option<Duration>,
}

/// Everybody talks.
pub(super) fn speak<S: Speech>(
    place: &Place,
    crowd: &mut Crowd<S>,
    plan: &Plan,
    progress: &mut Progress,
) -> anyhow::Result<Run> {
    let mut cpu = [None; 2];
    let read = |edge| {
        cpu[usize::from(edge == Edge::Over)] = place.cpu()?;
        Ok(())
    };
    let outcome = talk::talk(crowd, plan, read, &mut progress.phase("talking"))?;
    let server_cpu = match cpu {
        [Some(before), Some(after)] => Some(after.saturating_sub(before)),
        [_, _] => None,
    };
    Ok(Run {
        outcome,
        server_cpu,
    })
}

impl Run {
    /// All of it.
    pub(super) fn told(&self, report: &mut Report) {
        let outcome = &self.outcome;
        report.figure("deliveries", outcome.rate(), "/s");
        let messages = to_float(outcome.messages) / outcome.took.as_secs_f64();
        report.figure("messages", messages, "/s");
        report.latency("delivery", &outcome.latency);
        if let Some(cpu) = self.server_cpu {
            let each = cpu.as_secs_f64() * 1e6 / to_float(outcome.deliveries.max(1));
            report.figure("server's CPU a delivery", each, "us");
            let share = cpu.as_secs_f64() / outcome.took.as_secs_f64();
            report.figure("server's share of a core", share * 100.0, "%");
        }
        report.figure(
            "client's share of a core",
            outcome.client_share() * 100.0,
            "%",
        );
        if outcome.held_back > 0 {
            report.count("messages held back", outcome.held_back);
            report.note(
                "The server did not keep up: messages were due and could not be said.".to_owned(),
            );
        }
        if outcome.client_share() > 0.9 {
            report.note("The client's core was full: the server may do more than this.".to_owned());
        }
    }
}
