//! Side-by-side benchmarks: Porthouse and a plain server, in one run, in
//! alternating pairs, as ratios. Each server has one core and the load client
//! the other; everything is on loopback and stops by itself.

mod compare;
mod idle;
mod load;
mod plain;
mod server;
mod table;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Side-by-side benchmarks of Porthouse.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs Porthouse beside the plain server and prints a table of ratios.
    Compare(Compare),
    /// Serves as the plain server, on a port of its own choice, until killed.
    Plain,
}

/// What is compared, and for how long.
#[derive(clap::Args)]
struct Compare {
    /// The `porthouse` binary, built with `--release`.
    #[arg(long, default_value = "target/release/porthouse")]
    porthouse: PathBuf,
    /// Sockets in the room, the sender apart.
    #[arg(long, default_value_t = 1_000)]
    sockets: usize,
    /// Idle sockets whose memory is measured.
    #[arg(long, default_value_t = 5_000)]
    idle_sockets: usize,
    /// Pairs of runs; the median of their ratios counts.
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// Seconds of each run.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Compare(wanted) => compare::run(&wanted),
        Command::Plain => plain::serve(),
    }
}
