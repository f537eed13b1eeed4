//! What is promised of a puddle's knowledge, shown on the machine alone. Owns
//! tests, and a small log to run them against; never ships.

mod model;
mod promises;
mod schedule;
