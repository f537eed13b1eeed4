//! The key that `dev` seals secrets under: drawn once, and kept in the data
//! directory.

use std::sync::Arc;

use porthouse_control::SealingKeys;

use super::directory::Directory;
use crate::sealing;

/// The file that has it.
const FILE: &str = "secrets.key";

/// The key of a data directory, made when it is missing.
pub(super) fn keys(directory: &Directory) -> anyhow::Result<Arc<SealingKeys>> {
    if directory.read(FILE)?.is_none() {
        directory.write(FILE, &format!("{}\n", *SealingKeys::draw("dev")))?;
    }
    sealing::read(&directory.path().join(FILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_keeps_its_key() {
        let parent = tempfile::tempdir().expect("a directory");
        let directory = Directory::open(parent.path()).expect("free");
        keys(&directory).expect("made");
        let made = directory.read(FILE).expect("readable");
        keys(&directory).expect("there");
        assert_eq!(directory.read(FILE).expect("readable"), made);
    }
}
