//! This program under callgrind. An operation is run for few rounds and for more;
//! what both have, the start of the process and of its world, falls out.

use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::operation::Operation;

/// Rounds of the two runs. The first are for what is made once.
const FEW_ROUNDS: u32 = 20;
const MORE_ROUNDS: u32 = 120;

/// Instructions of one operation.
pub(crate) fn instructions(operation: Operation) -> anyhow::Result<f64> {
    let few = run(operation, FEW_ROUNDS)?;
    let more = run(operation, MORE_ROUNDS)?;
    let rounds = more
        .checked_sub(few)
        .context("more rounds took fewer instructions")?;
    let operations = (MORE_ROUNDS - FEW_ROUNDS) * operation.per_round();
    #[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
    Ok(rounds as f64 / f64::from(operations))
}

fn run(operation: Operation, rounds: u32) -> anyhow::Result<u64> {
    let own = std::env::current_exe()?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
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
    collected(&told).with_context(|| format!("callgrind did not tell what it collected: {told}"))
}

/// The line is `==1234== Collected : 5678`.
fn collected(told: &str) -> Option<u64> {
    let line = told
        .lines()
        .find_map(|line| line.split_once("Collected : "))?;
    line.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_found_in_what_callgrind_tells() {
        let told = "==7== Events    : Ir\n==7== Collected : 123456\n==7== \n";
        assert_eq!(collected(told), Some(123_456));
        assert_eq!(collected("==7== nothing"), None);
    }
}
