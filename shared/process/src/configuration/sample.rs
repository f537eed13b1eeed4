//! A file with every setting, its default and what it is, all commented out.

use std::fmt::Write as _;

use clap::{Arg, Command};

use super::setting::{Setting, settings};

/// The widest line of explanation.
const COLUMNS: usize = 100;

/// A file of a program's settings, whose every setting is a comment.
#[must_use]
pub fn sample(program: &Command) -> String {
    let name = program.get_name();
    let mut text = format!(
        "\
# Settings of {name}. `--config FILE` or PORTHOUSE_CONFIG names such a file.
#
# A setting has one name: `log_format` here is the flag --log-format and the variable
# PORTHOUSE_LOG_FORMAT. A flag counts more than the environment, that more than a file, and that
# more than the default, which is what stands here. One file does for every command: each takes what
# is its own. Paths are from the directory that the command runs in. A secret is never a flag; it is
# given by the environment, or here, or best by the `_file` that has it.
#
# `{name} config check` says what holds and from where, `{name} config print-default` is this file.
"
    );
    for setting in settings(program) {
        describe(&mut text, &setting);
    }
    text
}

fn describe(text: &mut String, setting: &Setting) {
    text.push('\n');
    let mut told: Vec<(String, Vec<&str>)> = Vec::new();
    let first = &setting.uses[0].1;
    for (command, argument) in &setting.uses {
        let about = about(
            argument,
            argument.get_default_values() != first.get_default_values(),
        );
        let command = command.as_deref().unwrap_or("every command");
        match told.iter_mut().find(|(known, _)| *known == about) {
            Some((_, commands)) => commands.push(command),
            None => told.push((about, vec![command])),
        }
    }
    for (about, commands) in told {
        wrapped(text, &format!("{} ({})", about, commands.join(", ")));
    }
    let variable = format!("PORTHOUSE_{}", setting.name.to_uppercase());
    if setting.variable != variable {
        wrapped(text, &format!("Its variable is {}.", setting.variable));
    }
    let value = value(first);
    writeln!(text, "#{} = {value}", setting.name).expect("a string takes all");
}

fn about(argument: &Arg, other_default: bool) -> String {
    let help = argument.get_help().map(ToString::to_string);
    let mut about = help.unwrap_or_default();
    let possible = argument.get_possible_values();
    for value in possible.iter().filter(|value| value.get_help().is_some()) {
        let help = value.get_help().map(ToString::to_string);
        let help = help.unwrap_or_default();
        write!(about, "; {}: {help}", value.get_name()).expect("a string takes all");
    }
    if other_default {
        write!(about, "; default {}", value(argument)).expect("a string takes all");
    }
    about
}

/// A default as TOML; the name of a value where there is none.
fn value(argument: &Arg) -> String {
    let defaults = argument.get_default_values();
    let defaults = defaults.iter().map(|text| text.to_string_lossy());
    let quoted: Vec<String> = defaults
        .map(|text| format!("{:?}", text.as_ref()))
        .collect();
    let several = argument.get_value_delimiter().is_some();
    match quoted.as_slice() {
        [] => {
            let names = argument.get_value_names().unwrap_or_default();
            format!("{:?}", names.first().map_or("VALUE", |name| name.as_str()))
        }
        quoted if several => format!("[{}]", quoted.join(", ")),
        quoted => quoted.join(", "),
    }
}

fn wrapped(text: &mut String, sentence: &str) {
    let mut line = String::from("#");
    for word in sentence.split_whitespace() {
        if line.len() + 1 + word.len() > COLUMNS {
            text.push_str(&line);
            text.push('\n');
            "#".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}
