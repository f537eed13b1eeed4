//! What is promised of a switchboard, shown on the machine alone and on random
//! schedules of a whole node's knowledge. Owns tests; never ships.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test picks what it looks at"
)]

mod rig;
mod following;
mod asking;
mod calling;
mod schedule;
mod sharing;
