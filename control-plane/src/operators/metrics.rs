//! What a replica counts beside calls. Reads it when it is asked, and keeps nothing.

use std::fmt;

use porthouse_process::operators::MetricsEncoder;
use tokio::time::Instant;

use super::Parts;
use crate::api::lockouts_told;
use crate::store::tail::Tail;

/// What there is now.
type Gauge = (&'static str, &'static str);

pub(super) fn ready(out: &mut MetricsEncoder<'_>, is_ready: bool) -> fmt::Result {
    let ready: Gauge = (
        "porthouse_control_ready",
        "Whether the replica is of use to backends and nodes",
    );
    out.gauge(ready, is_ready.into())
}

pub(super) fn count(parts: &Parts, out: &mut MetricsEncoder<'_>) -> fmt::Result {
    hashing(parts, out)?;
    database(parts, out)?;
    log(parts, out)?;
    kept(parts, out)
}

fn hashing(parts: &Parts, out: &mut MetricsEncoder<'_>) -> fmt::Result {
    let line = parts.hashing.line();
    let (running, waiting) = (line.running as u64, line.waiting as u64);
    let places = parts.hashing.places();
    for (name, meaning, value) in [
        (
            "porthouse_control_hashing_permits",
            "Passwords that may be hashed at once",
            places.running_max as u64,
        ),
        (
            "porthouse_control_hashing_running",
            "Passwords that are being hashed",
            running,
        ),
        (
            "porthouse_control_hashing_waiting",
            "Passwords that wait to be hashed",
            waiting,
        ),
        (
            "porthouse_control_hashing_waiting_max",
            "Passwords that may wait to be hashed",
            places.waiting_max as u64,
        ),
    ] {
        out.gauge((name, meaning), value)?;
    }
    Ok(())
}

fn database(parts: &Parts, out: &mut MetricsEncoder<'_>) -> fmt::Result {
    let pool = parts.store.places();
    let state = |state: &str, count: usize| ([("state", state.to_owned())], count as u64);
    let connections = (
        "porthouse_control_database_connections",
        "Connections to the database",
    );
    let states = [state("busy", pool.busy), state("idle", pool.idle)];
    out.gauges(connections, states)?;
    let most = (
        "porthouse_control_database_connections_max",
        "Connections to the database that there may be",
    );
    out.gauge(most, pool.most as u64)?;
    let waiting = (
        "porthouse_control_database_waiting",
        "Transactions that wait for a connection",
    );
    out.gauge(waiting, pool.waiting as u64)
}

fn log(parts: &Parts, out: &mut MetricsEncoder<'_>) -> fmt::Result {
    let watches = (
        "porthouse_control_watches",
        "Nodes that watch at this replica",
    );
    out.gauge(watches, parts.watches.open() as u64)?;
    let most = (
        "porthouse_control_watches_max",
        "Nodes that may watch at this replica",
    );
    out.gauge(most, parts.watches.max() as u64)?;
    let written = (
        "porthouse_control_revisions_written",
        "Revisions that this replica has written",
    );
    out.counter(written, parts.store.revisions_written())?;
    let read = (
        "porthouse_control_revision_read",
        "The last revision that this replica has read",
    );
    out.gauge(read, parts.tail.head().0)?;
    let queued = (
        "porthouse_control_notifications_queued",
        "Findings in the log that the slowest watch has not taken",
    );
    out.gauge(queued, parts.tail.queued() as u64)?;
    let most = (
        "porthouse_control_notifications_queued_max",
        "Findings that a watch may be behind before it is cut off",
    );
    out.gauge(most, Tail::queued_max() as u64)
}

/// What all replicas have together, as of the last look; and what this one refused.
fn kept(parts: &Parts, out: &mut MetricsEncoder<'_>) -> fmt::Result {
    let standing = parts.standing.borrow().clone();
    if let Some(look) = standing.fresh(Instant::now()) {
        for (name, meaning, value) in [
            (
                "porthouse_control_revision_written",
                "The last revision that any replica has written",
                look.written,
            ),
            (
                "porthouse_control_revision_applied",
                "The last revision that every node has applied that may still deliver",
                look.applied,
            ),
            (
                "porthouse_control_nodes",
                "Nodes that may still deliver, of all replicas",
                look.nodes,
            ),
            (
                "porthouse_control_audit_entries",
                "Entries of the audit log, of all replicas",
                look.audited,
            ),
        ] {
            out.gauge((name, meaning), value)?;
        }
    }
    let lockouts = (
        "porthouse_control_lockouts",
        "Passwords, codes and tokens not looked at, as there were too many wrong ones",
    );
    out.counter(lockouts, lockouts_told())?;
    let unnoted = (
        "porthouse_control_refusals_unnoted",
        "Refusals of keys that are in the log, and not in the audit log, as they were too many",
    );
    out.counter(unnoted, parts.keys.refusals_unnoted())
}
