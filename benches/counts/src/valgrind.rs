//! This program under valgrind. An operation is run for few rounds and for more;
//! what both have, the start of the process and of its world, falls out.

use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::operation::{Operation, Unit};

/// What one operation comes to, in its unit.
pub(crate) fn count(operation: Operation) -> anyhow::Result<f64> {
    let [few_rounds, more_rounds] = operation.rounds();
    let few = run(operation, few_rounds)?;
    let more = run(operation, more_rounds)?;
    let rounds = more
        .checked_sub(few)
        .with_context(|| format!("more rounds of {} came to less", operation.name()))?;
    let operations = (more_rounds - few_rounds) * operation.per_round();
    #[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
    Ok(rounds as f64 / f64::from(operations))
}

fn run(operation: Operation, rounds: u32) -> anyhow::Result<u64> {
    let own = std::env::current_exe()?;
    let unit = operation.unit();
    let output = Command::new("valgrind")
        .args(unit.arguments())
        .arg(own)
        .args(["run", operation.name(), &rounds.to_string()])
        .output()
        .context("valgrind does not start: is it installed? scripts/setup test")?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{} failed under valgrind: {told}",
        operation.name()
    );
    unit.counted(&told)
        .with_context(|| format!("valgrind did not tell what it counted: {told}"))
}

impl Unit {
    const fn arguments(self) -> [&'static str; 2] {
        match self {
            Self::Instructions => ["--tool=callgrind", "--callgrind-out-file=/dev/null"],
            Self::Bytes => ["--tool=dhat", "--dhat-out-file=/dev/null"],
        }
    }

    /// The line is `==1234== Collected : 5678`, or
    /// `==1234== At t-end:   5,678 bytes in 9 blocks`.
    fn counted(self, told: &str) -> Option<u64> {
        let before = match self {
            Self::Instructions => "Collected : ",
            Self::Bytes => "At t-end:",
        };
        let (_, line) = told.lines().find_map(|line| line.split_once(before))?;
        let number = line.split_whitespace().next()?;
        number.replace(',', "").parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_found_in_what_callgrind_tells() {
        let told = "==7== Events    : Ir\n==7== Collected : 123456\n==7== \n";
        assert_eq!(Unit::Instructions.counted(told), Some(123_456));
        assert_eq!(Unit::Bytes.counted(told), None);
        let told =
            "==7== At t-gmax: 9 bytes in 1 blocks\n==7== At t-end:  1,234,567 bytes in 8 blocks";
        assert_eq!(Unit::Bytes.counted(told), Some(1_234_567));
    }
}
