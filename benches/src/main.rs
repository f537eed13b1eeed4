//! Side-by-side benchmarks: Porthouse and its peers, in one run, in alternating
//! pairs, as ratios. Each server has one core and the load client the other;
//! everything is on loopback and stops by itself.
//!
//! * [`compare`]: what is measured of a pair, and in which order
//! * [`subject`]: a server under test, and what can be asked of it
//! * [`peer`]: the servers that Porthouse is held against
//! * [`plain`]: one of them, the server everybody writes first
//! * [`within`]: Porthouse against itself: what a rule, a room, a neighbour costs
//! * [`scale`]: as many sockets as the machine holds, over several processes
//! * [`deflate`]: what compression would cost and save
//! * [`owner`]: who keeps the rooms of a private Porthouse
//! * [`budget`]: what a figure shall come to
//! * [`record`], [`table`], [`machine`]: what came of it, and where it was measured
//! * [`plot`], [`chart`], [`svg`]: the same, drawn

mod compare;
mod subject;
mod peer;
mod plain;
mod within;
mod scale;
mod deflate;
mod node;
mod owner;
mod budget;
mod record;
mod table;
mod machine;
mod plot;
mod chart;
mod svg;

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
    /// Runs Porthouse against itself and prints a table of ratios.
    Within(within::Within),
    /// Tries how many sockets, and rooms, this machine holds.
    Scale(scale::Scale),
    /// Measures one compression of a message against longer writes to all.
    Deflate(deflate::Deflate),
    /// Draws what a run wrote as JSON.
    Plot(plot::Plot),
    /// Is a client of `scale`, led by standard input.
    #[command(hide = true)]
    Client(scale::client::Client),
    /// Serves as the plain server, on a port of this number, until killed.
    Plain {
        /// The port, on the loopback.
        port: u16,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Compare(wanted) => compare::run(&wanted),
        Command::Within(wanted) => within::run(&wanted),
        Command::Scale(wanted) => scale::run(&wanted),
        Command::Client(wanted) => scale::client::run(&wanted),
        Command::Deflate(wanted) => deflate::run(&wanted),
        Command::Plot(wanted) => plot::run(&wanted),
        Command::Plain { port } => plain::serve(port),
    }
}
