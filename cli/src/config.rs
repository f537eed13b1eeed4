//! `porthouse config`: what the settings are, and what holds of them.

use std::path::Path;

use anyhow::Context;
use clap::CommandFactory as _;
use porthouse_process::configuration::{self, Effective};

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

fn check(command: Option<&str>, file: Option<&Path>) -> anyhow::Result<()> {
    let chosen = CONFIGURED
        .iter()
        .filter(|one| command.is_none_or(|command| command == **one));
    for command in chosen {
        let holding = configuration::effective::<crate::Arguments>(file, command)
            .with_context(|| format!("`porthouse {command}` would not start"))?;
        println!("{command}");
        for line in table(&holding) {
            println!("  {line}");
        }
    }
    Ok(())
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
            assert!(!holding.expect("defaults are right").is_empty());
        }
    }
}
