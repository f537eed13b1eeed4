//! The `porthouse` command: all of Porthouse in one program.
//!
//! Owns the words a person starts a part by, and the settings each part reads
//! from flags and environment. Never does a part's work:
//!
//! * [`dev`]: everything in one process, over a database of its own ([`postgres`])
//! * [`control`]: the control plane, over a database that is given
//! * [`node`]: a node, on a control plane that is given
//! * [`migrate`]: a database brought to what this version needs
//! * [`config`]: what the settings are, and what holds of them
//! * [`bench`]: what a server does under load
//! * [`explain`]: why something is decided as it is
//! * [`token`]: a user signed in
//!
//! Secrets come by environment or file ([`secret`]), never by flag.

mod dev;
mod postgres;
mod control;
mod node;
mod migrate;
mod config;
mod bench;
mod boxes;
mod explain;
mod token;
mod caller;
mod database;
mod log;
mod secret;
mod typed;
mod store;
mod sealing;
mod tls;
mod sessions;
mod hashing;
mod issuers;
mod resume;
mod transient;
mod proxies;
mod silence;
mod spans;
mod operators;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use porthouse_process::configuration;

/// Rooms made over gRPC, entered by WebSocket, closed the moment permission ends.
#[derive(Debug, Parser)]
#[command(name = "porthouse", version)]
struct Arguments {
    #[command(flatten)]
    configuration: configuration::Arguments,
    #[command(flatten)]
    log: log::Arguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Dev(dev::Arguments),
    Control(control::Arguments),
    Node(Box<node::Arguments>),
    Migrate(migrate::Arguments),
    Config(config::Arguments),
    Bench(bench::Arguments),
    Explain(explain::Arguments),
    Token(token::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    porthouse_process::exit::status("porthouse", run().await)
}

async fn run() -> anyhow::Result<()> {
    let arguments: Arguments = configuration::parse()?;
    arguments.log.start()?;
    match arguments.command {
        Command::Dev(arguments) => dev::run(arguments).await,
        Command::Control(arguments) => control::run(arguments).await,
        Command::Node(arguments) => node::run(*arguments).await,
        Command::Migrate(arguments) => migrate::run(arguments).await,
        Command::Explain(arguments) => explain::run(arguments).await,
        Command::Token(arguments) => token::run(arguments).await,
        Command::Config(asked) => {
            let file = arguments.configuration.config;
            config::run(asked, file.as_deref())
        }
        Command::Bench(arguments) => bench::run(arguments).await,
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
        for setting in configuration::settings(&Arguments::command()) {
            let endings = ["key", "password", "token", "url"];
            // Its form has no place for credentials, and what has some is refused.
            let open = setting.name == "nats_url";
            if !open && endings.iter().any(|ending| setting.name.ends_with(ending)) {
                assert!(setting.is_secret(), "{} is shown", setting.name);
                for (_, argument) in setting.uses {
                    assert!(argument.is_hide_set(), "{} is a flag", setting.name);
                }
            }
        }
    }
}
