//! What a node counts. Reads the counters when it is asked, and keeps nothing.

use core::fmt;

use porthouse_process::operators::MetricsEncoder;

use super::Shown;
use crate::bridge::Store;
use crate::own::Readiness;
use crate::tally::Read;

/// Of each puddle: name, meaning, and where it stands.
type Row = (&'static str, &'static str, fn(&Read) -> u64);

/// What there is now.
const GAUGES: [Row; 3] = [
    (
        "porthouse_connections",
        "Connections open, those not yet upgraded included",
        |read| read.connections,
    ),
    (
        "porthouse_rooms",
        "Rooms that somebody is in or entering",
        |read| read.puddle.rooms,
    ),
    (
        "porthouse_queued_bytes",
        "Bytes that sockets have not taken, shared ones counted once",
        |read| read.puddle.held_bytes,
    ),
];
/// What has happened since the puddle began.
const COUNTERS: [Row; 9] = [
    ("porthouse_admitted", "Entries to rooms", |read| {
        read.puddle.admitted
    }),
    ("porthouse_refused", "Refusals told", |read| {
        read.puddle.refused
    }),
    (
        "porthouse_pages_refused",
        "Refusals told to pages of an origin that the room does not name",
        |read| read.puddle.pages_refused,
    ),
    (
        "porthouse_cookies_refused",
        "Refusals told to pages that may not use the session cookie they came with",
        |read| read.puddle.cookies_refused,
    ),
    (
        "porthouse_messages",
        "Messages taken from sockets and backends",
        |read| read.puddle.messages,
    ),
    (
        "porthouse_deliveries",
        "Messages queued for a socket",
        |read| read.puddle.deliveries,
    ),
    (
        "porthouse_slow_closed",
        "Sockets closed for reading too slowly",
        |read| read.puddle.slow,
    ),
    (
        "porthouse_dropped_messages",
        "Messages that sockets missed for reading too slowly",
        |read| read.puddle.dropped,
    ),
    (
        "porthouse_puddle_panics",
        "Times the puddle began anew after a fault",
        |read| read.panics,
    ),
];

const READY: (&str, &str) = ("porthouse_ready", "Whether clients are welcome");

/// Of the store, where there is one.
const STORE: &str = "porthouse_store";
const STREAMS_MADE: &str = "porthouse_store_streams_made";

/// Everything, as of now.
pub(super) fn count(shown: &Shown, out: &mut MetricsEncoder<'_>) -> fmt::Result {
    let puddles: Vec<Read> = shown.tallies.iter().map(|tally| tally.read()).collect();
    let of_each = |of: fn(&Read) -> u64| {
        let puddles = puddles.iter().enumerate();
        puddles.map(move |(puddle, read)| ([("puddle", puddle.to_string())], of(read)))
    };
    for (name, meaning, of) in GAUGES {
        out.gauges((name, meaning), of_each(of))?;
    }
    for (name, meaning, of) in COUNTERS {
        out.counters((name, meaning), of_each(of))?;
    }
    let ready = shown.sign.read() == Readiness::Ready;
    out.gauge(READY, ready.into())?;
    let store = shown.store.as_ref();
    store.map_or(Ok(()), |store| {
        count_store(out, store.read(), store.times_made())
    })
}

/// How the store of durable rooms stands: 1 at the one state that it is in.
fn count_store(out: &mut MetricsEncoder<'_>, store: Store, made: u64) -> fmt::Result {
    let of = |state: Store| {
        let label = [(STORE, state.name().to_owned())];
        (label, u64::from(state == store))
    };
    let meaning = "How the store of durable rooms stands";
    out.gauges((STORE, meaning), Store::ALL.map(of))?;
    let meaning = "Times the store's stream was gone and was made anew";
    out.counter((STREAMS_MADE, meaning), made)
}
