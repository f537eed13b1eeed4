//! Round trips: each socket hears what it says, alone in a room that echoes.

use anyhow::{Context as _, ensure};
use porthouse_load::raw::Raw;
use porthouse_load::talk;
use tokio::runtime::Handle;

use super::backend::{self, Backend};
use super::place::{self, Place};
use super::progress::Progress;
use super::report::Report;
use super::talking::{Paced, Run, come, speak};

/// Sockets that hear what they say, each in a room of its own
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: place::Arguments,
    #[command(flatten)]
    paced: Paced,
    #[command(flatten)]
    backend: backend::Arguments,
    /// Sockets, and rooms
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    sockets: usize,
}

/// Runs it. Rooms that are named echo already.
pub(super) fn run(arguments: &Arguments, progress: &mut Progress) -> anyhow::Result<()> {
    let place = arguments.place.open(arguments.sockets)?;
    let beginning = format!("{}-", place.room);
    let run = if arguments.place.names_room() {
        measure(arguments, &place, &beginning, progress)?
    } else {
        let backend = arguments.backend.of(&place)?.context(
            "a room echoes by its rules: give a key by PORTHOUSE_API_KEY or --api-key-file that \
             may make some, or name rooms that echo by --room",
        )?;
        within_echo(&backend, &beginning, || {
            measure(arguments, &place, &beginning, progress)
        })?
    };
    let mut report = Report::new("echo");
    report.count("sockets", arguments.sockets as u64);
    run.told(&mut report);
    report.print(arguments.place.json);
    Ok(())
}

/// Runs something while rooms echo.
fn within_echo(
    backend: &Backend,
    beginning: &str,
    measure: impl FnOnce() -> anyhow::Result<Run>,
) -> anyhow::Result<Run> {
    let runtime = Handle::current();
    runtime.block_on(backend.make_echo(beginning))?;
    let measured = measure();
    let removed = runtime.block_on(backend.remove_echo(beginning));
    let run = measured?;
    removed?;
    Ok(run)
}

fn measure(
    arguments: &Arguments,
    place: &Place,
    beginning: &str,
    progress: &mut Progress,
) -> anyhow::Result<Run> {
    let everybody = talk::echoing(arguments.sockets);
    ensure!(!everybody.is_empty(), "--sockets is at least 1");
    let speech = Raw::in_rooms(beginning);
    let at_once = arguments.place.at_once;
    let mut crowd = come(place, at_once, speech, &everybody, progress)?;
    speak(place, &mut crowd, &arguments.paced.plan(), progress)
}
