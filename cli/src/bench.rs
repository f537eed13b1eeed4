//! `porthouse bench`: what a server does under load, measured from one thread.
//!
//! Owns what is measured and how it is told: a table for people, JSON for
//! programs. The load itself is `porthouse-load`'s. The server is one that runs
//! already, or a private one ([`place`]); nothing else is ever loaded.

use porthouse_load::cores;
use porthouse_process::shutdown;

mod place;
mod progress;
mod report;
mod arriving;
mod idle;
mod talking;
mod slow;
mod backend;
mod echo;
mod revoke;
mod committed;

use progress::Progress;

const HELP: &str = "\
Each loads the server of a URL, or with --here a private one that is started for it, on a core of
its own (core 0, the client on core 1), over a database of its own, and gone afterwards.

Figures are the machine's as much as the server's: compare within one run, on a quiet machine.";

/// Measure a server: joins, fan-out, memory, slow readers, revocation
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Connect(arriving::Arguments),
    Fanout(talking::Fanout),
    Rooms(talking::Rooms),
    Echo(echo::Arguments),
    Idle(idle::Arguments),
    Slow(slow::Arguments),
    Revoke(revoke::Arguments),
}

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let stop = shutdown::on_signals()?;
    // A load client is one thread that waits for its sockets itself.
    let measured = tokio::task::spawn_blocking(move || {
        cores::pin(cores::CLIENT)?;
        let mut progress = Progress::new(stop);
        match arguments.command {
            Command::Connect(arguments) => arriving::run(&arguments, &mut progress),
            Command::Fanout(arguments) => talking::fanout(&arguments, &mut progress),
            Command::Rooms(arguments) => talking::rooms(&arguments, &mut progress),
            Command::Echo(arguments) => echo::run(&arguments, &mut progress),
            Command::Idle(arguments) => idle::run(&arguments, &mut progress),
            Command::Slow(arguments) => slow::run(&arguments, &mut progress),
            Command::Revoke(arguments) => revoke::run(&arguments, &mut progress),
        }
    });
    measured.await?
}
