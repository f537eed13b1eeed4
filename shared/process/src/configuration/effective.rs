//! What holds for a command, and where each setting of it comes from.
//!
//! Never shows a secret, only that there is one.

use std::path::Path;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, Parser};

use super::file::{ConfigurationError, File};
use super::setting;

/// Stands in the place of a secret.
const HIDDEN: &str = "(hidden)";

/// A setting of a command, as it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Its name in a file.
    pub name: String,
    /// Its value; none: it is not set. A secret's is hidden.
    pub value: Option<String>,
    /// Where it is from: `default`, a flag, a variable, or a file and line.
    pub source: String,
}

/// What a program is started with by a file and no flags, and what holds for a
/// command of it.
///
/// # Errors
/// When something of it is not right.
pub fn effective<P: Parser>(
    file: Option<&Path>,
    command: &str,
) -> Result<(P, Vec<Effective>), ConfigurationError> {
    let plain = P::command();
    let file = file.map(|path| File::read(path, &plain)).transpose()?;
    let program = match &file {
        Some(file) => file.defaults_of(plain),
        None => plain,
    };
    let (arguments, matches) = started::<P>(program.clone(), command)?;
    let (_, matches) = matches.subcommand().expect("the one that was named");
    let own = program.find_subcommand(command);
    let holding = own
        .into_iter()
        .flat_map(Command::get_arguments)
        .chain(program.get_arguments())
        .filter_map(|argument| holding(argument, matches, file.as_ref()))
        .collect();
    Ok((arguments, holding))
}

/// How a command would be started.
fn started<P: Parser>(
    program: Command,
    command: &str,
) -> Result<(P, ArgMatches), ConfigurationError> {
    let refused = |error: clap::Error| {
        let words = error.to_string();
        let words = words.trim_start_matches("error: ");
        let line = words.lines().next().unwrap_or_default();
        ConfigurationError::Elsewhere(line.to_owned())
    };
    let words = [program.get_name().to_owned(), command.to_owned()];
    let matches = program.try_get_matches_from(words).map_err(refused)?;
    let arguments = P::from_arg_matches(&matches).map_err(refused)?;
    Ok((arguments, matches))
}

fn holding(argument: &Arg, matches: &ArgMatches, file: Option<&File>) -> Option<Effective> {
    let name = setting::name(argument)?;
    let id = argument.get_id().as_str();
    let source = match matches.value_source(id) {
        Some(ValueSource::EnvVariable) => {
            let variable = argument.get_env().unwrap_or_default();
            variable.to_string_lossy().into_owned()
        }
        Some(_) | None => file
            .and_then(|file| file.place(&name))
            .unwrap_or_else(|| "default".to_owned()),
    };
    let value = matches.get_raw(id).map(|values| {
        let texts: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
        texts.join(",")
    });
    let value = value.map(|text| {
        let hidden = argument.is_hide_env_values_set();
        if hidden { HIDDEN.to_owned() } else { text }
    });
    Some(Effective {
        name,
        value,
        source,
    })
}
