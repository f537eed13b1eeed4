//! How a process of ours starts, reports and stops.
//!
//! Owns what every program does alike: how it is told its settings
//! ([`configuration`]), where its log goes ([`telemetry`]), what it did and how long
//! that took ([`spans`]), what it shows its operators ([`operators`]), when it is asked to stop ([`shutdown`]) and how it says
//! that it failed ([`exit`]).
//! Never knows what the process is for, and never logs on its behalf.

pub mod configuration;
pub mod telemetry;
pub mod spans;
pub mod operators;
pub mod shutdown;
pub mod exit;
