//! Bounds on what is waited for. Never decides how long something should take:
//! the bound only turns a hang into a failure that says what was missing.

use std::time::Duration;

/// How long any one thing may take on a loaded machine.
pub const WAIT_MAX: Duration = Duration::from_secs(40);

/// How long a process may take to start, which makes a database, or to say
/// something, beside six others on two cores.
pub const START_MAX: Duration = Duration::from_secs(150);

/// Waits for something to happen.
///
/// # Panics
/// When it has not within [`WAIT_MAX`].
pub fn within<T>(what: &str, event: impl Future<Output = T>) -> impl Future<Output = T> {
    within_time(what, WAIT_MAX, event)
}

/// Waits for something to happen, for so long.
///
/// # Panics
/// When it has not.
pub async fn within_time<T>(what: &str, bound: Duration, event: impl Future<Output = T>) -> T {
    let happened = tokio::time::timeout(bound, event).await;
    happened.unwrap_or_else(|late| panic!("{what}: {late}, not within {bound:?}"))
}
