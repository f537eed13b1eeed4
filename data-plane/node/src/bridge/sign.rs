//! How the store of durable rooms stands, as operators are told. Owns the last
//! word of it; never decides what is done about it.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// A request that takes longer than this says that the store lags.
const LAG: Duration = Duration::from_secs(1);

/// How the store stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Store {
    /// It cannot be reached, and is tried again.
    Away,
    /// It does what is asked.
    Connected,
    /// It is there, and the last request failed or took long.
    Lagging,
    /// It is there, and is none that keeps what it says.
    Refused,
}

impl Store {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Away, Self::Connected, Self::Lagging, Self::Refused];

    /// Its name in a metric.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::Connected => "connected",
            Self::Lagging => "lagging",
            Self::Refused => "refused",
        }
    }

    /// What is answered to who asks.
    pub(crate) const fn sentence(self) -> &'static str {
        match self {
            Self::Away => "store: away, and tried again; durable rooms are refused meanwhile\n",
            Self::Connected => "store: connected\n",
            Self::Lagging => "store: lagging; the last request failed or took more than a second\n",
            Self::Refused => "store: refused; the node's log says what of it does not fit\n",
        }
    }
}

/// The last word, as all threads see it.
#[derive(Debug)]
pub(crate) struct StoreSign {
    state: AtomicU8,
    made: AtomicU64,
}

impl StoreSign {
    pub(crate) const fn new() -> Self {
        Self {
            state: AtomicU8::new(Store::Away as u8),
            made: AtomicU64::new(0),
        }
    }

    pub(crate) fn show(&self, store: Store) {
        self.state.store(store as u8, Ordering::Relaxed);
    }

    /// A request ended after this long.
    pub(super) fn asked(&self, done: bool, took: Duration) {
        self.show(if done && took < LAG {
            Store::Connected
        } else {
            Store::Lagging
        });
    }

    /// The stream was not there any more, and was made anew.
    pub(super) fn made(&self) {
        self.made.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Store {
        match self.state.load(Ordering::Relaxed) {
            0 => Store::Away,
            1 => Store::Connected,
            2 => Store::Lagging,
            _ => Store::Refused,
        }
    }

    /// How often the stream was made anew since the node began.
    pub(crate) fn times_made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }
}
