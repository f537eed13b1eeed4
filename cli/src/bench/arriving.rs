//! Joins: how fast sockets come into a room.

use porthouse_load::opening::{self, Opened};
use porthouse_load::raw::Raw;
use porthouse_load::speech::{Part, Who};
use porthouse_load::to_float;

use super::place;
use super::progress::Progress;
use super::report::Report;

/// Joins a second, and how long each takes
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: place::Arguments,
    /// Sockets that come into one room
    #[arg(long, value_name = "NUMBER", default_value_t = 5_000)]
    sockets: usize,
}

/// Runs it.
pub(super) fn run(arguments: &Arguments, progress: &mut Progress) -> anyhow::Result<()> {
    let place = arguments.place.open(arguments.sockets)?;
    let everybody = listeners(arguments.sockets);
    let before = place.cpu()?;
    let speech = Raw::in_room(&place.room);
    let at_once = arguments.place.at_once;
    let mut watch = progress.phase("coming in");
    let (_crowd, opened) = opening::open(&place.target, speech, &everybody, at_once, &mut watch)?;
    if opened.inside == 0 {
        opened.all()?;
    }
    let mut report = Report::new("connect");
    told(&mut report, &opened);
    if let (Some(before), Some(after)) = (before, place.cpu()?) {
        let used = after.saturating_sub(before).as_secs_f64();
        let each = used * 1e6 / to_float(opened.inside.max(1));
        report.figure("server's CPU a join", each, "us");
    }
    report.print(arguments.place.json);
    Ok(())
}

/// So many who only listen, in one room.
pub(super) fn listeners(sockets: usize) -> Vec<Who> {
    let one = Who {
        room: 0,
        part: Part::Listens,
    };
    vec![one; sockets]
}

fn told(report: &mut Report, opened: &Opened) {
    report.count("sockets inside", opened.inside);
    report.count("sockets refused", opened.refused);
    report.figure("joins", opened.rate(), "/s");
    report.latency("join", &opened.latency);
    if let Some(why) = &opened.first_refusal {
        report.note(format!("The first refusal: {why}"));
    }
}
