//! Memory: what sockets cost the server that are open and silent.

use std::time::Duration;

use anyhow::Context as _;
use porthouse_load::closing::{self, Traffic};
use porthouse_load::opening;
use porthouse_load::raw::Raw;
use porthouse_load::to_float;

use super::arriving::listeners;
use super::place;
use super::progress::Progress;
use super::report::Report;

/// Why nothing can be measured.
const UNKNOWN: &str = "the server's process is not known: use --here, or name it by --pid";
/// Sockets that come first, and pay for what all share.
const FIRST_SOCKETS: usize = 100;

/// User memory of the server's process a socket
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: place::Arguments,
    /// Sockets that are open and silent
    #[arg(long, value_name = "NUMBER", default_value_t = 5_000)]
    sockets: usize,
    /// How long they stay
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    seconds: u64,
}

/// Runs it.
pub(super) fn run(arguments: &Arguments, progress: &mut Progress) -> anyhow::Result<()> {
    let place = arguments.place.open(arguments.sockets + FIRST_SOCKETS)?;
    place.process.context(UNKNOWN)?;
    let at_once = arguments.place.at_once;
    let speech = Raw::in_room(&place.room);
    let mut come = |name, sockets| {
        let (speech, everybody) = (speech.clone(), listeners(sockets));
        let mut watch = progress.phase(name);
        let opened = opening::open(&place.target, speech, &everybody, at_once, &mut watch)?;
        opened.1.all()?;
        anyhow::Ok(opened.0)
    };
    let _first = come("the first", FIRST_SOCKETS)?;
    let before = place.memory_bytes()?.context(UNKNOWN)?;
    let mut crowd = come("coming in", arguments.sockets)?;
    let growth = |after: u64| {
        let grown = after.saturating_sub(before);
        to_float(grown) / to_float(arguments.sockets.max(1) as u64)
    };
    let mut report = Report::new("idle");
    report.count("sockets", crowd.len() as u64);
    report.figure(
        "memory a socket at once",
        growth(place.memory_bytes()?.context(UNKNOWN)?),
        "bytes",
    );
    let quiet = Traffic {
        rate: 0.0,
        payload_bytes: 0,
    };
    let stay = Duration::from_secs(arguments.seconds);
    let cpu = place.cpu()?.context(UNKNOWN)?;
    let closed = closing::watch(&mut crowd, quiet, stay, &mut progress.phase("staying"))?;
    let used = place.cpu()?.context(UNKNOWN)?.saturating_sub(cpu);
    report.figure(
        "memory a socket later",
        growth(place.memory_bytes()?.context(UNKNOWN)?),
        "bytes",
    );
    report.figure("server's CPU meanwhile", used.as_secs_f64() * 1e3, "ms");
    report.count("sockets closed meanwhile", closed.closed.len() as u64);
    report.print(arguments.place.json);
    Ok(())
}
