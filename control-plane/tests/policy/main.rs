//! The policy log and those who watch it, over a real Postgres: what is promised
//! of revisions, watches, snapshots and `WaitApplied`.

mod cluster;
mod plane;
mod slow;
mod pooled;

mod lifecycle;
mod database;
mod log;
mod rules_moved;
mod needed;
mod compiled_first;
mod told;
mod watch;
mod resolve;
mod applied;
mod address;
mod covered;
mod blocked;
mod devices;
mod second_factor;
mod resealed;
mod sign_in;
mod idle;
mod kick;
mod ticket;
mod races;
mod audit;
mod misused;
mod cancelled;
mod room_code;
mod room_password;
mod hook;
