//! Which keys the tokens are sealed under by which clients come back to where
//! they were in a room.
//!
//! Owns how they come in: from a file, never as a flag. Never shows one.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use porthouse_node::ResumeKeys;

/// The longest file of keys, in bytes.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// Where the keys are.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// Read the keys that clients come back by from a file, one a line as `porthouse control
    /// secrets-key NAME` prints it; the first seals, each opens [default: one of this process]
    #[arg(long, value_name = "FILE", env = "PORTHOUSE_RESUME_KEY_FILE")]
    resume_key_file: Option<PathBuf>,
}

impl Arguments {
    /// The keys, if any are given.
    ///
    /// # Errors
    /// When what is given holds none.
    pub(crate) fn given(&self) -> anyhow::Result<Option<ResumeKeys>> {
        let Some(file) = &self.resume_key_file else {
            return Ok(None);
        };
        let shown = file.display();
        let bytes = std::fs::metadata(file)
            .with_context(|| format!("cannot read {shown}"))?
            .len();
        ensure!(bytes <= FILE_BYTES_MAX, "{shown} is too long to hold keys");
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
        let keys = ResumeKeys::parse(&text).with_context(|| format!("bad {shown}"))?;
        Ok(Some(keys))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_key_is_refused_by_name_and_a_drawn_key_is_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("keys");
        let given = Arguments {
            resume_key_file: Some(file.clone()),
        };
        std::fs::write(&file, "# none yet\n").expect("a file");
        let refused = format!("{:#}", given.given().expect_err("no key"));
        assert!(refused.contains("there is no key in it"), "{refused}");
        let line = porthouse_control::SealingKeys::draw("a");
        std::fs::write(&file, &*line).expect("a file");
        assert!(given.given().expect("a key").is_some());
    }
}
