//! Slow readers: what those who stop reading do to the others, and what becomes
//! of them.

use porthouse_load::raw::Raw;
use porthouse_load::stalled;
use porthouse_load::talk;
use porthouse_load::to_float;

use super::place;
use super::progress::Progress;
use super::report::Report;
use super::talking::{Paced, come, speak};

/// Some sockets stop reading; the others are measured without and with them
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: place::Arguments,
    #[command(flatten)]
    paced: Paced,
    /// Sockets that listen, the stalled among them
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000)]
    sockets: usize,
    /// How many of a hundred stall
    #[arg(long, value_name = "PERCENT", default_value_t = 10)]
    #[arg(value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=99))]
    stalled: usize,
}

/// Runs it.
pub(super) fn run(arguments: &Arguments, progress: &mut Progress) -> anyhow::Result<()> {
    let place = arguments.place.open(arguments.sockets + 1)?;
    let stalled = arguments.sockets * arguments.stalled / 100;
    let reading = arguments.sockets - stalled;
    let (at_once, plan) = (arguments.place.at_once, arguments.paced.plan());
    let mut report = Report::new("slow");
    report.count("sockets that read", reading as u64);
    report.count("sockets that stall", stalled as u64);

    let everybody = talk::everybody(1, reading, 0);
    let speech = Raw::in_room(&format!("{}-all-read", place.room));
    let mut crowd = come(&place, at_once, speech, &everybody, progress)?;
    let alone = speak(&place, &mut crowd, &plan, progress)?;
    drop(crowd);
    report.latency("delivery, nobody stalls", &alone.outcome.latency);

    let everybody = talk::everybody(1, reading, stalled);
    let speech = Raw::in_room(&format!("{}-some-stall", place.room));
    let mut crowd = come(&place, at_once, speech, &everybody, progress)?;
    let before = place.memory_bytes()?;
    let beside = speak(&place, &mut crowd, &plan, progress)?;
    let after = place.memory_bytes()?;
    report.latency("delivery, some stall", &beside.outcome.latency);
    let p99 = |run: &super::talking::Run| run.outcome.latency.percentile(99.0).as_secs_f64();
    report.figure("p99 to nobody stalling", p99(&beside) / p99(&alone), "");
    report.figure("deliveries, nobody stalls", alone.outcome.rate(), "/s");
    report.figure("deliveries, some stall", beside.outcome.rate(), "/s");
    if let (Some(before), Some(after)) = (before, after) {
        let grown = after.saturating_sub(before);
        report.figure("memory grown", to_float(grown) / 1e6, "MB");
    }
    for (fate, count) in stalled::fates(&mut crowd)?.0 {
        report.count(&format!("stalled, {fate}"), count);
    }
    report.print(arguments.place.json);
    Ok(())
}
