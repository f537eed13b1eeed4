//! Which keys secrets in the database are sealed under, and how one is made.
//!
//! Owns how they come in: from a file or by the environment, never as a flag.
//! Never shows one but when it is made.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use porthouse_control::SealingKeys;

use crate::dev::Directory;
use crate::secret::{Given, Named, Place};

/// The file of the data directory that has `dev`'s own key.
const DEV_FILE: &str = "secrets.key";
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

/// The key of a data directory, made when it is missing.
pub(crate) fn of(directory: &Directory) -> anyhow::Result<Arc<SealingKeys>> {
    if directory.read(DEV_FILE)?.is_none() {
        directory.write(DEV_FILE, &format!("{}\n", *SealingKeys::draw("dev")))?;
    }
    read(&directory.path().join(DEV_FILE))
}

fn read(file: &Path) -> anyhow::Result<Arc<SealingKeys>> {
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

    #[test]
    fn a_data_directory_keeps_its_key() {
        let parent = tempfile::tempdir().expect("a directory");
        let directory = Directory::open(parent.path()).expect("free");
        of(&directory).expect("made");
        let made = directory.read(DEV_FILE).expect("readable");
        of(&directory).expect("there");
        assert_eq!(directory.read(DEV_FILE).expect("readable"), made);
    }
}
