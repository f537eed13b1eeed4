//! Bounds on what is waited for. Never decides how long something should take:
//! the bound only turns a hang into a failure that says what was missing.

use std::time::Duration;

/// How long any one thing may take on a loaded machine.
pub const WAIT_MAX: Duration = Duration::from_secs(40);

/// Waits for something to happen.
///
/// # Panics
/// When it has not within [`WAIT_MAX`].
pub async fn within<T>(what: &str, event: impl Future<Output = T>) -> T {
    let happened = tokio::time::timeout(WAIT_MAX, event).await;
    happened.unwrap_or_else(|late| panic!("{what}: {late}, not within {WAIT_MAX:?}"))
}
