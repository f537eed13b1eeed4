//! The file of settings: TOML, a key a setting, and no other keys.
//!
//! Owns what is wrong with one, by its line and what was meant. Never says a
//! value that may be a secret: neither TOML's own complaints, which quote the
//! line, nor a secret's value are shown.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::setting::{self, Setting, settings};

/// The longest file of settings, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// The most letters that a name may be wrong in to be taken for another.
const WRONG_LETTERS_MAX: usize = 3;

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// It is not there, or not ours to read.
    #[error("cannot read the settings in {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is longer than a file of settings is.
    #[error("{} is too long: settings take at most {FILE_BYTES_MAX} bytes", path.display())]
    Long {
        /// The file.
        path: PathBuf,
    },
    /// A line of it is not right.
    #[error("{}:{line}: {wrong}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        wrong: String,
    },
    /// What was given elsewhere is not right: the environment, say.
    #[error("{0}")]
    Elsewhere(String),
}

/// What a file says.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    values: BTreeMap<String, Value>,
}

/// What a file says of one setting.
#[derive(Debug)]
struct Value {
    texts: Vec<String>,
    line: usize,
}

impl File {
    /// Reads a file of the settings that a program has.
    pub(super) fn read(path: &Path, program: &Command) -> Result<Self, ConfigurationError> {
        let unreadable = |source| ConfigurationError::Read {
            path: path.to_owned(),
            source,
        };
        let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(ConfigurationError::Long {
                path: path.to_owned(),
            });
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let values =
            values(&text, &settings(program)).map_err(|(at, wrong)| ConfigurationError::Line {
                path: path.to_owned(),
                line: line_of(&text, at),
                wrong,
            })?;
        Ok(Self {
            path: path.to_owned(),
            values,
        })
    }

    /// Where a setting is given; none: it is not.
    pub(super) fn place(&self, name: &str) -> Option<String> {
        let value = self.values.get(name)?;
        Some(format!("{}:{}", self.path.display(), value.line))
    }

    /// The program with what the file says in the place of its defaults.
    pub(super) fn defaults_of(&self, program: Command) -> Command {
        program
            .mut_args(|argument| match setting::name(&argument) {
                Some(name) => match self.values.get(&name) {
                    Some(value) => argument.default_values(&value.texts),
                    None => argument,
                },
                None => argument,
            })
            .mut_subcommands(|command| self.defaults_of(command))
    }
}

/// What is said of each setting; else where the text is wrong, and how.
fn values(text: &str, settings: &[Setting]) -> Result<BTreeMap<String, Value>, (usize, String)> {
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        (at, format!("this is not TOML: {}", error.message()))
    })?;
    let mut values = BTreeMap::new();
    for (key, value) in table.get_ref() {
        let at = key.span().start;
        let name = key.get_ref().as_ref();
        let setting = settings
            .iter()
            .find(|setting| setting.name == name)
            .ok_or_else(|| (at, unknown(name, settings)))?;
        let texts = texts(value).ok_or_else(|| {
            let kind = value.get_ref().type_str();
            let wrong = format!("{name} is a text, a number or a list of texts, not a {kind}");
            (at, wrong)
        })?;
        for (_, argument) in &setting.uses {
            accepted(setting, argument, &texts).map_err(|wrong| (at, wrong))?;
        }
        let line = line_of(text, at);
        values.insert(name.to_owned(), Value { texts, line });
    }
    both_forms(&values, settings, text)?;
    Ok(values)
}

/// A secret is given itself or by a file, not both.
fn both_forms(
    values: &BTreeMap<String, Value>,
    settings: &[Setting],
    text: &str,
) -> Result<(), (usize, String)> {
    for secret in settings.iter().filter(|setting| setting.is_secret()) {
        let by_file = format!("{}_file", secret.name);
        if let (Some(_), Some(second)) = (values.get(&secret.name), values.get(&by_file)) {
            let at = text
                .lines()
                .take(second.line - 1)
                .map(|line| line.len() + 1);
            let wrong = format!("{by_file} and {} are both given: keep one", secret.name);
            return Err((at.sum(), wrong));
        }
    }
    Ok(())
}

/// A value as the flag would be given it; none: there is no such flag.
fn texts(value: &Spanned<DeValue<'_>>) -> Option<Vec<String>> {
    match value.get_ref() {
        DeValue::Array(list) => list.iter().map(text).collect(),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Table(_) => text(value).map(|text| vec![text]),
    }
}

fn text(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Boolean(yes) => Some(yes.to_string()),
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => None,
    }
}

/// Asks the argument itself whether it takes a value.
fn accepted(setting: &Setting, argument: &Arg, texts: &[String]) -> Result<(), String> {
    let flag = argument.get_long().unwrap_or_default();
    let given = texts.iter().map(|text| format!("--{flag}={text}"));
    let words: Vec<String> = std::iter::once(String::new()).chain(given).collect();
    let alone = Command::new("file").arg(alone(argument));
    let Err(refused) = alone.try_get_matches_from(words) else {
        return Ok(());
    };
    let name = &setting.name;
    let several = texts.len() != 1 && !matches!(argument.get_action(), ArgAction::Append);
    let why = match refused.get(ContextKind::ValidValue) {
        _ if several => "it takes one value".to_owned(),
        Some(ContextValue::Strings(valid)) if !valid.is_empty() => {
            format!("it is one of {}", valid.join(", "))
        }
        Some(_) | None => std::error::Error::source(&refused)
            .map_or_else(|| refused.kind().to_string(), ToString::to_string),
    };
    Err(if setting.is_secret() {
        format!("{name} is not right: {why}")
    } else {
        format!("{name} is not right: {:?}: {why}", texts.join(","))
    })
}

/// The argument without what it asks of others, which are not looked at here.
fn alone(argument: &Arg) -> Arg {
    let alone = Arg::new(argument.get_id().clone())
        .long(argument.get_long().unwrap_or_default().to_owned())
        .action(argument.get_action().clone())
        .value_parser(argument.get_value_parser().clone());
    match argument.get_value_delimiter() {
        Some(delimiter) => alone.value_delimiter(delimiter),
        None => alone,
    }
}

/// The complaint about a key that is no setting, with the one that was meant.
fn unknown(key: &str, settings: &[Setting]) -> String {
    let meant = key.to_lowercase().replace('-', "_");
    let meant = meant.strip_prefix("porthouse_").unwrap_or(&meant);
    let near = settings
        .iter()
        .map(|setting| {
            let distance = strsim::damerau_levenshtein(meant, &setting.name);
            (distance, setting.name.as_str())
        })
        .min();
    match near {
        Some((distance, name)) if distance <= WRONG_LETTERS_MAX.min(meant.len() / 2) => {
            format!("there is no setting {key:?}; did you mean {name}?")
        }
        Some(_) | None => {
            let names: Vec<&str> = settings.iter().map(|known| known.name.as_str()).collect();
            format!(
                "there is no setting {key:?}; there are {}",
                names.join(", ")
            )
        }
    }
}

fn line_of(text: &str, at: usize) -> usize {
    let before = text.as_bytes().iter().take(at);
    before.filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests;
