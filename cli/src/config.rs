//! `porthouse config`: what the settings are, and what holds of them.

use std::path::Path;

use anyhow::Context;
use clap::CommandFactory as _;
use porthouse_process::configuration::{self, Effective};

use crate::secret::NotGiven;

/// Check and explain the settings that a file, the environment and defaults give
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Check(Check),
    PrintDefault(PrintDefault),
}

/// Say what holds for a command, and from where; secrets are not shown
#[derive(Debug, clap::Args)]
struct Check {
    /// For which command [default: each]
    #[arg(value_name = "COMMAND", value_parser = CONFIGURED)]
    command: Option<String>,
}

/// Print a file with every setting, its default and what it is
#[derive(Debug, clap::Args)]
struct PrintDefault {}

/// The commands that run on settings.
const CONFIGURED: [&str; 4] = ["dev", "control", "node", "migrate"];

/// Runs the command; `file` is what `--config` names.
pub(crate) fn run(arguments: Arguments, file: Option<&Path>) -> anyhow::Result<()> {
    match arguments.command {
        Command::Check(Check { command }) => check(command.as_deref(), file),
        Command::PrintDefault(PrintDefault {}) => {
            print!("{}", configuration::sample(&crate::Arguments::command()));
            Ok(())
        }
    }
}

/// Says what holds, and looks at it as the command itself does before it starts. What a
/// command needs and is not given is no mistake where no command is named: it may be
/// given where that runs.
fn check(command: Option<&str>, file: Option<&Path>) -> anyhow::Result<()> {
    let chosen = CONFIGURED
        .iter()
        .filter(|one| command.is_none_or(|command| command == **one));
    for chosen in chosen {
        let would_not = || format!("`porthouse {chosen}` would not start");
        let (arguments, holding) =
            configuration::effective::<crate::Arguments>(file, chosen).with_context(would_not)?;
        let missing = match would_start(arguments.command) {
            Err(error) if command.is_none() && error.is::<NotGiven>() => Some(error),
            checked => {
                checked.with_context(would_not)?;
                None
            }
        };
        println!("{chosen}");
        for line in table(&holding) {
            println!("  {line}");
        }
        if let Some(missing) = missing {
            println!("  would not start here: {missing}");
        }
    }
    Ok(())
}

/// Whether a command would start on what it is told.
fn would_start(command: crate::Command) -> anyhow::Result<()> {
    match command {
        crate::Command::Dev(told) => told.check(),
        crate::Command::Control(told) => told.check(),
        crate::Command::Node(told) => told.check(),
        crate::Command::Migrate(told) => told.check(),
        crate::Command::Config(_)
        | crate::Command::Bench(_)
        | crate::Command::Explain(_)
        | crate::Command::Token(_) => Ok(()),
    }
}

/// Name, value and source in columns.
fn table(holding: &[Effective]) -> Vec<String> {
    let rows: Vec<[&str; 3]> = holding
        .iter()
        .map(|one| {
            let value = one.value.as_deref().unwrap_or("(not set)");
            [one.name.as_str(), value, one.source.as_str()]
        })
        .collect();
    let widest = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (name, value) = (widest(0), widest(1));
    rows.iter()
        .map(|row| format!("{:name$}  {:value$}  {}", row[0], row[1], row[2]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_file_is_the_default_one() {
        assert!(
            include_str!("../../docs/porthouse.toml")
                == configuration::sample(&crate::Arguments::command()),
            "renew it: porthouse config print-default > docs/porthouse.toml"
        );
    }

    #[test]
    fn every_setting_has_one_name_for_flag_variable_and_file() {
        for setting in configuration::settings(&crate::Arguments::command()) {
            let variable = match setting.name.as_str() {
                // As every tool has it.
                "database_url" => "DATABASE_URL".to_owned(),
                name => format!("PORTHOUSE_{}", name.to_uppercase()),
            };
            assert_eq!(setting.variable, variable);
            for (command, argument) in setting.uses {
                let other = argument.get_env().is_some_and(|other| *other != *variable);
                assert!(!other, "{command:?} has another variable than {variable}");
            }
        }
    }

    #[test]
    fn every_command_of_settings_says_what_holds() {
        for command in CONFIGURED {
            let holding = configuration::effective::<crate::Arguments>(None, command);
            let (arguments, holding) = holding.expect("defaults are right");
            assert!(!holding.is_empty());
            // In itself, whatever secrets this machine's environment gives.
            if let Err(error) = would_start(arguments.command) {
                assert!(error.is::<NotGiven>(), "{command}: {error:#}");
            }
        }
    }

    #[test]
    fn what_a_command_would_not_start_on_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text).expect("room");
        };
        write("none.pem", "-----BEGIN CERTIFICATE-----\nnone\n");
        write("empty", "\n");
        let tls = "tls_certificate_file = 'HERE/none.pem'\ntls_key_file = 'HERE/none.pem'";
        let nats = "nats_url = 'nats://127.0.0.1:4222'\nnats_credentials = 'HERE/empty'";
        for (command, text, told) in [
            ("control", "hash_memory_kib = 8", "--hash-memory-kib 8"),
            (
                "control",
                "issuer_keys_refresh_ms = 3600000",
                "less than --issuer-keys-age-max-ms",
            ),
            ("control", tls, "TLS cannot be spoken: "),
            ("control", "secrets_key_file = 'HERE/empty'", "no key in it"),
            ("control", "database_url_file = 'HERE/gone'", "HERE/gone"),
            ("node", tls, "TLS cannot be spoken with backends"),
            ("node", "api_key_file = 'HERE/empty'", "HERE/empty is empty"),
            ("node", "resume_key_file = 'HERE/empty'", "no key in it"),
            ("node", "puddles = 65", "1 to 64 puddles, not 65"),
            ("node", nats, "the NATS credentials cannot be read"),
            (
                "node",
                "transient_owner_rules = ['none', 'content']",
                "`none` stands alone",
            ),
            (
                "dev",
                "transient_owner_rules = ['none', 'content']",
                "`none` stands alone",
            ),
            ("migrate", "database_url_file = 'HERE/empty'", "is empty"),
        ] {
            let here = directory.path().to_str().expect("text");
            write("porthouse.toml", &text.replace("HERE", here));
            let file = directory.path().join("porthouse.toml");
            let refused = check(Some(command), Some(&file)).expect_err(text);
            let refused = format!("{refused:#}");
            assert!(refused.contains(&told.replace("HERE", here)), "{refused}");
            assert!(check(None, Some(&file)).is_err(), "{text}");
        }
    }
}
