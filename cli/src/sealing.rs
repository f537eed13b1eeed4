//! Which keys secrets in the database are sealed under, and how one is made.
//!
//! Owns how they come in: from a file or by the environment, never as a flag.
//! Never shows one but when it is made.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use porthouse_control::SealingKeys;

use crate::secret::{Given, Named, Place};

/// The longest file of keys, in bytes.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// What to say of it in `--help`.
pub(crate) const HELP: &str = "\
Second factors, room codes and the secrets of hooks are sealed in the database under keys that
are not in it: one a line, as `porthouse control secrets-key NAME` prints it. The first seals,
each opens what it sealed. To turn over, put a new one first, and drop the old one when nothing
is sealed under it any more. Instead of a file: PORTHOUSE_SECRETS_KEY.";

/// The keys that seal.
struct Keys;

impl Named for Keys {
    const NAME: &'static str = "secrets_key";
    const FILE: &'static str = "secrets_key_file";
    const VARIABLES: [&'static str; 2] = ["PORTHOUSE_SECRETS_KEY", "PORTHOUSE_SECRETS_KEY_FILE"];
    const HELP: [&'static str; 2] = [
        "The keys that secrets in the database are sealed under, one a line",
        "Read the keys that secrets in the database are sealed under from a file",
    ];
}

/// Where the keys are.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    #[command(flatten)]
    keys: Given<Keys>,
}

impl Arguments {
    /// The keys; none: none are given, and calls that need one are refused.
    ///
    /// # Errors
    /// When what is given holds none.
    pub(crate) fn given(&self) -> anyhow::Result<Option<Arc<SealingKeys>>> {
        match self.keys.place() {
            None => Ok(None),
            Some(Place::File(file)) => read(file).map(Some),
            Some(Place::Here(text)) => {
                let keys = SealingKeys::parse(text.reveal()).context("bad secrets_key")?;
                Ok(Some(Arc::new(keys)))
            }
        }
    }
}

/// Prints a new key.
pub(crate) fn print(name: &str) -> anyhow::Result<()> {
    let line = SealingKeys::draw(name);
    SealingKeys::parse(&line).context("bad NAME")?;
    println!("{}", *line);
    Ok(())
}

/// The keys in a file.
pub(crate) fn read(file: &Path) -> anyhow::Result<Arc<SealingKeys>> {
    let shown = file.display();
    let bytes = std::fs::metadata(file)
        .with_context(|| format!("cannot read {shown}"))?
        .len();
    ensure!(bytes <= FILE_BYTES_MAX, "{shown} is too long to hold keys");
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
    let keys = SealingKeys::parse(&text).with_context(|| format!("bad {shown}"))?;
    Ok(Arc::new(keys))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_key_is_refused_by_name() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("keys");
        std::fs::write(&file, "# none yet\n").expect("a file");
        let refused = format!("{:#}", read(&file).expect_err("no key"));
        assert!(refused.contains("there is no key in it"), "{refused}");
    }
}
