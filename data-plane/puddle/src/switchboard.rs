//! One a node: puddles, the client of the control plane, and backends' calls
//! joined. Owns the watch's cursor, one resolve for many askers, the calls under
//! way and what every puddle has applied. Never touches a socket or a clock.

mod chain;
mod event;
mod action;

use core::time::Duration;

use porthouse_model::Time;

pub use action::{Action, CallResult, ToPuddle};
pub use chain::{Chain, Position};
pub use event::{Call, CallId, Event, RequestId, Snapshot, WatchEnd, WatchId};

use crate::output::Deadline;
use crate::seed::Seed;

/// A switchboard's settings: every limit, by name.
#[derive(Clone, Debug)]
pub struct SwitchboardSettings {
    /// How many puddles the node has; 1 to 64.
    pub puddles: u8,
    /// What its chances grow from.
    pub seed: Seed,
    /// Questions of all puddles waiting for an answer; past it one is answered
    /// [`crate::Answer::Unavailable`] at once.
    pub questions_max: usize,
    /// Requests to resolve under way.
    pub requests_max: usize,
    /// Keys in one request to resolve; the control plane takes 256.
    pub keys_per_request_max: usize,
    /// From a question to its request, and from a request to its end; past it
    /// the question is answered [`crate::Answer::Unavailable`].
    pub request_time_max: Duration,
    /// Backends' calls under way; past it [`CallResult::TooMany`].
    pub calls_max: usize,
    /// From a call to its completion; past it [`CallResult::Unavailable`].
    pub call_time_max: Duration,
    /// Rooms or sockets in one page; a call that asks for more gets this many.
    pub page_max: usize,
    /// Silence of the watch, opening included, after which it is opened anew.
    pub watch_silence_max: Duration,
    /// The first wait before the watch is opened anew; it doubles.
    pub backoff_min: Duration,
    /// The longest such wait.
    pub backoff_max: Duration,
    /// API keys known.
    pub keys_max: usize,
    /// How long it is believed that an API key does not exist.
    pub absent_time_max: Duration,
    /// How old knowledge of an API key may be: past it
    /// [`CallResult::Unavailable`].
    pub key_staleness_max: Duration,
}

impl SwitchboardSettings {
    /// The defaults, for a node of so many puddles.
    #[must_use]
    pub fn new(puddles: u8, seed: Seed) -> Self {
        Self {
            puddles,
            seed,
            questions_max: 65_536,
            requests_max: 64,
            keys_per_request_max: 256,
            request_time_max: Duration::from_secs(10),
            calls_max: 1_024,
            call_time_max: Duration::from_secs(5),
            page_max: 1_000,
            watch_silence_max: Duration::from_secs(3),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
            keys_max: 10_000,
            absent_time_max: Duration::from_secs(10),
            key_staleness_max: Duration::from_mins(15),
        }
    }
}

/// One a node. Events come in, a turn is settled, actions go out.
#[derive(Debug)]
pub struct Switchboard {
    settings: SwitchboardSettings,
    out: Vec<Action>,
}

impl Switchboard {
    /// A switchboard that has heard nothing. Settle it at once: it opens the
    /// watch.
    #[must_use]
    pub fn new(settings: SwitchboardSettings, now: Time) -> Self {
        let _ = now;
        Self {
            settings,
            out: Vec::new(),
        }
    }

    /// Something happened. Never fails.
    pub fn handle(&mut self, now: Time, event: Event) {
        let _ = (now, event, &self.settings);
    }

    /// Ends a turn: due deadlines, then the actions, in their order. Answers when
    /// it must be settled again at the latest.
    pub fn settle(&mut self, now: Time, actions: &mut Vec<Action>) -> Option<Deadline> {
        let _ = now;
        actions.append(&mut self.out);
        None
    }

    /// Checks every invariant; for the simulator and debug builds.
    ///
    /// # Panics
    ///
    /// When one is broken.
    pub fn check(&self) {}
}
