//! How much homes keep, and how much they may. Owns the numbers; each limit is
//! kept where it is spent.

use core::time::Duration;

use porthouse_model::Time;

use super::rates::Pace;
use super::{Governed, Home};
use crate::settings::Settings;

/// How much homes keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub bytes: usize,
    pub keys: usize,
    pub strands: usize,
    /// What waits for the store; not of the bytes above.
    pub store_bytes: usize,
}

/// How much a home may keep; see [`Settings`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    pub history_bytes_max: usize,
    pub room_history_bytes_max: usize,
    pub idle_time_max: Duration,
    pub key_time_max: Duration,
    pub keys_per_client_max: usize,
    /// Keys the puddle may still remember.
    pub keys_left: usize,
    pub rated_clients_max: usize,
    pub room_rate_ahead_max: Duration,
    pub waiting_members_max: usize,
    pub resume_time_max: Duration,
    pub resumes_max: usize,
    pub recovered_bytes_max: usize,
    pub store_waits_max: usize,
    /// Bytes that may still wait for the store.
    pub store_bytes_left: usize,
}

impl Allowance {
    /// How one is judged who speaks, and can be kept waiting or not.
    pub(super) const fn pace(&self, waits: bool) -> Pace {
        Pace {
            clients_max: self.rated_clients_max,
            ahead: if waits {
                self.room_rate_ahead_max
            } else {
                Duration::ZERO
            },
        }
    }

    /// All that is set, nothing of it spent.
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            history_bytes_max: settings.history_bytes_max,
            room_history_bytes_max: settings.room_history_bytes_max,
            idle_time_max: settings.home_idle_time_max,
            key_time_max: settings.key_time_max,
            keys_per_client_max: settings.keys_per_client_max,
            keys_left: settings.keys_max,
            rated_clients_max: settings.rated_clients_max,
            room_rate_ahead_max: settings.room_rate_ahead_max,
            waiting_members_max: settings.waiting_members_max,
            resume_time_max: settings.resume_time_max,
            resumes_max: settings.resumes_max,
            recovered_bytes_max: settings
                .recovered_bytes_max
                .min(settings.socket_backlog_bytes_max / 2),
            store_waits_max: settings.store.waits_max,
            store_bytes_left: settings.store.wait_bytes_max,
        }
    }
}

impl Home {
    /// Until when something is kept here for which it is worth being; nothing,
    /// for a room that ends with its last socket.
    pub(super) fn needed_until(&self, now: Time, allowance: &Allowance) -> Option<Time> {
        if self.durable.as_ref().is_some_and(|all| all.is_busy()) {
            return Some(now + allowance.idle_time_max);
        }
        match self.governed {
            Governed::Transient(_) | Governed::Templated(_) => None,
            Governed::Persistent(_) => {
                let idle = now + allowance.idle_time_max;
                let history = &self.governed.rules().source().history;
                let kept = self.shelf.until(self.retention().age_max);
                let keys = self.keys.until(allowance.key_time_max);
                let away = history
                    .waiting
                    .and_then(|waiting| self.away.until(waiting.age_max));
                let latest = self.latest.as_ref().map(|_| idle);
                let back = self.strands.until(allowance.resume_time_max);
                let spent = self.spent.until(now);
                let needed = [kept, keys, away, latest, back, spent];
                needed
                    .into_iter()
                    .flatten()
                    .max()
                    .map(|until| until.min(idle))
            }
        }
    }

    pub(super) fn held(&self) -> Held {
        let latest = self.latest.as_ref().map_or(0, |latest| latest.bytes());
        Held {
            bytes: self.shelf.bytes() + usize::try_from(latest).expect("it is in memory"),
            keys: self.keys.len(),
            strands: self.strands.len(),
            store_bytes: self.durable.as_ref().map_or(0, |all| all.bytes()),
        }
    }

    pub(super) fn shrink(&mut self, bytes_max: usize) {
        if self.held().bytes > bytes_max {
            let latest = self.held().bytes - self.shelf.bytes();
            if latest > bytes_max {
                self.latest = None;
            }
            let latest = if latest > bytes_max { 0 } else { latest };
            self.shelf.shrink(bytes_max - latest);
        }
    }
}
