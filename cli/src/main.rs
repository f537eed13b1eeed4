//! The `porthouse` command: all of Porthouse in one program.
//!
//! Owns the words a person starts a part by, and the settings each part reads
//! from flags and environment. Never does a part's work:
//!
//! * [`dev`]: everything in one process, over a database of its own ([`postgres`])
//! * [`control`]: the control plane, over a database that is given
//! * [`node`]: a node, on a control plane that is given
//! * [`migrate`]: a database brought to what this version needs
//!
//! Secrets come by environment or file ([`secret`]), never by flag.

mod dev;
mod postgres;
mod control;
mod node;
mod migrate;
mod database;
mod log;
mod secret;
mod sealing;
mod hashing;
mod resume;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Rooms made over gRPC, entered by WebSocket, closed the moment permission ends.
#[derive(Debug, Parser)]
#[command(name = "porthouse", version)]
struct Arguments {
    #[command(flatten)]
    log: log::Arguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Dev(dev::Arguments),
    Control(control::Arguments),
    Node(node::Arguments),
    Migrate(migrate::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    porthouse_process::exit::status("porthouse", run(arguments).await)
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    arguments.log.start()?;
    match arguments.command {
        Command::Dev(arguments) => dev::run(arguments).await,
        Command::Control(arguments) => control::run(arguments).await,
        Command::Node(arguments) => node::run(arguments).await,
        Command::Migrate(arguments) => migrate::run(arguments).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_contradict_nothing() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn no_secret_is_a_flag() {
        let mut commands = vec![Arguments::command()];
        while let Some(command) = commands.pop() {
            for flag in command.get_arguments().filter_map(clap::Arg::get_long) {
                let names_a_secret = ["key", "password", "token", "database-url"];
                assert!(
                    !names_a_secret.contains(&flag),
                    "--{flag} shows in the process list"
                );
                assert!(
                    !flag.ends_with("-key"),
                    "--{flag} shows in the process list"
                );
            }
            commands.extend(command.get_subcommands().cloned());
        }
    }
}
