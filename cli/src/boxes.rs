//! Whether the last of what came to each puddle is kept, and where it goes. Owns
//! the flags; keeps nothing.

use std::path::PathBuf;

use porthouse_node::{BlackBoxes, Settings};

/// The most that is kept of one puddle: a GiB.
const BYTES_MAX: u64 = 1 << 30;
/// A file holds at least what one turn may read.
const BYTES_MIN: u64 = 8 << 20;

/// Black boxes.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// Keep the last of what came to each puddle, so many bytes of it, 8388608 to 1073741824, so
    /// that a fault can be done again; it holds what clients have sent, passwords too [default:
    /// nothing is kept]
    #[arg(
        long,
        value_name = "BYTES",
        env = "PORTHOUSE_BLACK_BOX_BYTES",
        requires = "black_box_directory",
        value_parser = clap::value_parser!(u64).range(BYTES_MIN..=BYTES_MAX)
    )]
    black_box_bytes: Option<u64>,
    /// Where it is put when a puddle panics, or an operator asks for it
    #[arg(long, value_name = "DIRECTORY", env = "PORTHOUSE_BLACK_BOX_DIRECTORY")]
    black_box_directory: Option<PathBuf>,
}

impl Arguments {
    /// Puts what was said into a node's settings.
    pub(crate) fn apply(self, settings: &mut Settings) {
        let both = self.black_box_bytes.zip(self.black_box_directory);
        settings.black_boxes = both.map(|(bytes, directory)| BlackBoxes {
            bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            directory,
        });
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Node {
        #[command(flatten)]
        boxes: Arguments,
    }

    #[test]
    fn a_box_has_bounds_and_a_place() {
        let given = |words: &[&str]| Node::try_parse_from([&["node"], words].concat());
        let place = ["--black-box-directory", "/var/lib/boxes"];
        for bytes in ["0", "8388607", "1073741825", "many"] {
            let words = [&["--black-box-bytes", bytes], &place[..]].concat();
            assert!(given(&words).is_err(), "{bytes}");
        }
        let alone = given(&["--black-box-bytes", "8388608"]).expect_err("it has no place");
        assert!(
            alone.to_string().contains("--black-box-directory"),
            "{alone}"
        );
        let words = [&["--black-box-bytes", "8388608"], &place[..]].concat();
        assert_eq!(
            given(&words).expect("both").boxes.black_box_bytes,
            Some(8 << 20)
        );
        assert!(given(&[]).expect("none").boxes.black_box_bytes.is_none());
    }
}
