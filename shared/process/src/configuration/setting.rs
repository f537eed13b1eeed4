//! What settings there are: the arguments of a command, seen by their names.

use clap::{Arg, Command};

/// A setting, and the commands that have it.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Its name in a file.
    pub name: String,
    /// Its name in the environment.
    pub variable: String,
    /// What it is to each of the commands; one that is global, to all (`None`).
    pub uses: Vec<(Option<String>, Arg)>,
}

impl Setting {
    /// Whether its value is to be shown to nobody.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.uses
            .iter()
            .any(|(_, argument)| argument.is_hide_env_values_set())
    }
}

/// The settings of a program, in the order in which its commands have them.
#[must_use]
pub fn settings(program: &Command) -> Vec<Setting> {
    let mut found = Vec::new();
    for command in program.get_subcommands() {
        add(&mut found, Some(command.get_name()), command);
        // Of `control init`, say; it is called by the whole command's name.
        for below in command.get_subcommands() {
            add(&mut found, Some(command.get_name()), below);
        }
    }
    add(&mut found, None, program);
    found
}

fn add(found: &mut Vec<Setting>, of: Option<&str>, command: &Command) {
    for argument in command.get_arguments() {
        let (Some(name), Some(variable)) = (name(argument), argument.get_env()) else {
            continue;
        };
        let at = found.iter().position(|known| known.name == name);
        let at = at.unwrap_or_else(|| {
            found.push(Setting {
                name,
                variable: variable.to_string_lossy().into_owned(),
                uses: Vec::new(),
            });
            found.len() - 1
        });
        let setting = &mut found[at];
        let known = setting.uses.iter().any(|(whose, _)| whose.as_deref() == of);
        if !known {
            setting.uses.push((of.map(str::to_owned), argument.clone()));
        }
    }
}

/// A setting's name in a file; none: the argument is no setting of one.
pub(super) fn name(argument: &Arg) -> Option<String> {
    let setting = argument.get_env().is_some() && argument.get_id() != "config";
    let flag = argument.get_long().filter(|_| setting)?;
    Some(flag.replace('-', "_"))
}
