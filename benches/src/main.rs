//! Side-by-side benchmarks: Porthouse and its peers, in one run, in alternating
//! pairs, as ratios. Each server has one core and the load client the other;
//! everything is on loopback and stops by itself.
//!
//! * [`compare`]: what is measured of a pair, and in which order
//! * [`subject`]: a server under test, and what can be asked of it
//! * [`peer`]: the servers that Porthouse is held against
//! * [`plain`]: one of them, the server everybody writes first
//! * [`table`]: minimum, median and maximum

mod compare;
mod subject;
mod peer;
mod plain;
mod table;

use clap::{Parser, Subcommand};

/// Side-by-side benchmarks of Porthouse.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs Porthouse beside each peer that is here and prints a table of ratios.
    Compare(compare::Compare),
    /// Serves as the plain server, on a port of this number, until killed.
    Plain {
        /// The port, on the loopback.
        port: u16,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Compare(wanted) => compare::run(&wanted),
        Command::Plain { port } => plain::serve(port),
    }
}
