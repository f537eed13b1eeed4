//! What each operation came to before. Holds for one toolchain alone: another
//! compiler makes other code.

use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::operation::Operation;

/// How far a count may be from what is recorded: 5 %. Fewer fail too, so that
/// what was won is written down, and kept.
const APART_MAX: f64 = 0.05;
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/recorded.txt");
const HEAD: &str = "\
# Instructions of one operation, as callgrind counts them, and of `sit` the bytes of heap, as DHAT does;
# `./test counts` fails where a count is not within 5 %. Renewed by: cargo run --profile sim -p porthouse-counts -- record
";

/// What was recorded.
#[derive(Debug, PartialEq)]
pub(crate) struct Recorded {
    /// By which compiler, for which machine.
    pub(crate) toolchain: String,
    counts: Vec<(Operation, f64)>,
}

/// A count beside what was recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Judged {
    /// Nothing was recorded.
    New,
    /// Within bounds; by so much apart.
    Kept(f64),
    /// Not within bounds.
    Apart(f64),
}

impl Judged {
    pub(crate) const fn is_failure(self) -> bool {
        match self {
            Self::New | Self::Apart(_) => true,
            Self::Kept(_) => false,
        }
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => formatter.write_str("not recorded"),
            Self::Kept(apart) => write!(formatter, "{:+.1} %", apart * 100.0),
            Self::Apart(apart) => write!(formatter, "{:+.1} %: TOO FAR APART", apart * 100.0),
        }
    }
}

impl Recorded {
    pub(crate) const fn new(toolchain: String, counts: Vec<(Operation, f64)>) -> Self {
        Self { toolchain, counts }
    }

    /// Reads the file.
    pub(crate) fn read() -> anyhow::Result<Self> {
        let path = Path::new(FILE);
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not right", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut recorded = Self::new(String::new(), Vec::new());
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.split_once(' ').with_context(|| line.to_owned())?;
            if name == "toolchain" {
                value.clone_into(&mut recorded.toolchain);
            } else {
                let operation = Operation::named(name).with_context(|| line.to_owned())?;
                let count = value.parse().with_context(|| line.to_owned())?;
                recorded.counts.push((operation, count));
            }
        }
        Ok(recorded)
    }

    /// As the file has it.
    pub(crate) fn text(&self) -> String {
        let counts = self.counts.iter();
        let lines = counts.map(|(operation, count)| format!("{} {count:.1}\n", operation.name()));
        let lines: String = lines.collect();
        format!("{HEAD}toolchain {}\n{lines}", self.toolchain)
    }

    /// How a count compares.
    pub(crate) fn judge(&self, operation: Operation, now: f64) -> Judged {
        let Some((_, before)) = self.counts.iter().find(|(one, _)| *one == operation) else {
            return Judged::New;
        };
        let apart = now / before - 1.0;
        if apart.abs() <= APART_MAX {
            Judged::Kept(apart)
        } else {
            Judged::Apart(apart)
        }
    }
}

/// The compiler that is used here, and the machine it makes code for.
pub(crate) fn toolchain() -> anyhow::Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("rustc does not start")?;
    let told = String::from_utf8(output.stdout)?;
    let field = |name: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(name));
        line.with_context(|| format!("rustc -vV says no {name}"))
    };
    Ok(format!("{} {}", field("release: ")?, field("host: ")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_read_again() {
        let counts = vec![(Operation::Frame, 100.0), (Operation::Join, 5_000.5)];
        let recorded = Recorded::new("1.95.0 x86_64-unknown-linux-gnu".to_owned(), counts);
        assert_eq!(
            Recorded::parse(&recorded.text()).expect("as written"),
            recorded
        );
        assert!(Recorded::parse("fly 7\n").is_err());
    }

    #[test]
    fn more_than_five_percent_either_way_fails() {
        let recorded = Recorded::new(String::new(), vec![(Operation::Frame, 100.0)]);
        for (now, fails) in [(104.9, false), (95.1, false), (105.1, true), (94.9, true)] {
            assert_eq!(
                recorded.judge(Operation::Frame, now).is_failure(),
                fails,
                "{now}"
            );
        }
        assert!(recorded.judge(Operation::Join, 1.0).is_failure());
    }

    #[test]
    fn the_file_has_every_operation() {
        let recorded = Recorded::read().expect("it is there");
        for operation in Operation::ALL {
            let judged = recorded.judge(operation, 1.0);
            assert_ne!(judged, Judged::New, "{}", operation.name());
        }
    }
}
