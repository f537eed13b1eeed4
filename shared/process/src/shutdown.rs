//! When a process is asked to stop.
//!
//! Owns the signals that ask for it: SIGINT (Ctrl-C), SIGTERM, and SIGHUP (the
//! terminal went away). The first asks, by a token everything waits on; the
//! second, from somebody who will not wait, ends the process where it stands.
//! Never decides how long stopping may take.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit status of a process that was told twice to stop: 128 and SIGINT's
/// number, as shells have it.
const TOLD_TWICE_STATUS: i32 = 130;

/// A token that is cancelled by the first signal to stop. The second signal
/// ends the process at once with status 130.
///
/// # Errors
/// When the signals cannot be listened for.
///
/// Must be called inside a tokio runtime.
pub fn on_signals() -> io::Result<CancellationToken> {
    let mut signals = Signals::listen()?;
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        signals.next().await;
        tracing::info!("stopping; once more to stop at once");
        asked.cancel();
        signals.next().await;
        leave();
    });
    Ok(stop)
}

#[expect(
    clippy::disallowed_methods,
    reason = "asked twice: not draining is the point"
)]
fn leave() -> ! {
    std::process::exit(TOLD_TWICE_STATUS)
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    #[tokio::test]
    async fn the_first_signal_asks_to_stop() {
        let stop = on_signals().expect("signals can be listened for");
        assert!(!stop.is_cancelled());
        kill_process(getpid(), Signal::TERM).expect("a process may signal itself");
        let asked = tokio::time::timeout(Duration::from_secs(10), stop.cancelled()).await;
        assert!(asked.is_ok(), "SIGTERM did not cancel the token");
    }
}
