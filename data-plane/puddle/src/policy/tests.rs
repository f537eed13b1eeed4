//! What is promised of a puddle's knowledge, shown on the machine alone. Owns
//! tests, and a small log to run them against; never ships.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test picks what it looks at"
)]

pub(crate) mod model;
mod promises;
mod resyncs;
pub(crate) mod schedule;
mod sessions;
