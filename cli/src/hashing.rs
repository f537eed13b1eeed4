//! What hashing a password costs: how it is told, and what is too little.

use anyhow::Context;
use porthouse_control::PasswordCost;

/// What a password is hashed at.
///
/// Raised, each password is hashed anew when its user next signs in.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// Memory of one hash of a password, in KiB [default: 19456]
    #[arg(long, value_name = "KIB", env = "PORTHOUSE_HASH_MEMORY_KIB")]
    hash_memory_kib: Option<u32>,
    /// Passes over that memory [default: 2]
    #[arg(long, value_name = "NUMBER", env = "PORTHOUSE_HASH_PASSES")]
    hash_passes: Option<u32>,
    /// Lanes of that memory [default: 1]
    #[arg(long, value_name = "NUMBER", env = "PORTHOUSE_HASH_LANES")]
    hash_lanes: Option<u32>,
}

impl Arguments {
    /// The cost that is asked for.
    ///
    /// # Errors
    /// When it is too little to keep passwords at, or beyond reason.
    pub(crate) fn given(&self) -> anyhow::Result<PasswordCost> {
        let default = PasswordCost::default();
        let cost = PasswordCost {
            memory_kib: self.hash_memory_kib.unwrap_or(default.memory_kib),
            passes: self.hash_passes.unwrap_or(default.passes),
            lanes: self.hash_lanes.unwrap_or(default.lanes),
        };
        cost.bounded().with_context(|| {
            format!(
                "refused: --hash-memory-kib {} --hash-passes {} --hash-lanes {}",
                cost.memory_kib, cost.passes, cost.lanes
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weak_cost_is_refused_and_named() {
        let given = |memory_kib| Arguments {
            hash_memory_kib: memory_kib,
            hash_passes: None,
            hash_lanes: None,
        };
        assert_eq!(
            given(None).given().expect("the default"),
            PasswordCost::default()
        );
        let refused = format!("{:#}", given(Some(8)).given().expect_err("weak"));
        assert!(refused.contains("--hash-memory-kib 8"), "{refused}");
        assert!(refused.contains("19 MiB in 2"), "{refused}");
    }
}
