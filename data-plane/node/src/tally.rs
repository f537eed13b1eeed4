//! What a puddle counts, where other threads can read it. Written by the puddle's
//! thread alone, once a turn; adds nothing up.

use std::sync::atomic::{AtomicU64, Ordering};

use porthouse_puddle::Counters;

/// A puddle's counters as of its last turn. Those that only grow begin anew with
/// the puddle.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    connections: AtomicU64,
    rooms: AtomicU64,
    held_bytes: AtomicU64,
    admitted: AtomicU64,
    refused: AtomicU64,
    pages_refused: AtomicU64,
    cookies_refused: AtomicU64,
    messages: AtomicU64,
    deliveries: AtomicU64,
    slow: AtomicU64,
    dropped: AtomicU64,
    panics: AtomicU64,
}

/// Each is read by itself: together they are of about one moment, not of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    /// Connections open now, those not yet upgraded included.
    pub connections: u64,
    /// What the puddle counts itself; its sockets are the connections.
    pub puddle: Counters,
    /// How often the puddle has begun anew.
    pub panics: u64,
}

impl Tally {
    pub(crate) fn publish(&self, connections: usize, counters: &Counters) {
        let now = [
            (&self.connections, connections as u64),
            (&self.rooms, counters.rooms),
            (&self.held_bytes, counters.held_bytes),
            (&self.admitted, counters.admitted),
            (&self.refused, counters.refused),
            (&self.pages_refused, counters.pages_refused),
            (&self.cookies_refused, counters.cookies_refused),
            (&self.messages, counters.messages),
            (&self.deliveries, counters.deliveries),
            (&self.slow, counters.slow),
            (&self.dropped, counters.dropped),
        ];
        for (cell, value) in now {
            cell.store(value, Ordering::Relaxed);
        }
    }

    pub(crate) fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn read(&self) -> Read {
        let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        Read {
            connections: self.connections(),
            puddle: Counters {
                sockets: self.connections(),
                rooms: read(&self.rooms),
                held_bytes: read(&self.held_bytes),
                admitted: read(&self.admitted),
                refused: read(&self.refused),
                pages_refused: read(&self.pages_refused),
                cookies_refused: read(&self.cookies_refused),
                messages: read(&self.messages),
                deliveries: read(&self.deliveries),
                slow: read(&self.slow),
                dropped: read(&self.dropped),
            },
            panics: read(&self.panics),
        }
    }
}
