//! How far a benchmark has come, on standard error, and whether it is to stop.

use std::ops::ControlFlow;

use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

/// Steps of a bar.
const STEPS: u64 = 1_000;

/// A bar for each phase. Shown on a terminal only.
pub(super) struct Progress {
    stop: CancellationToken,
    bar: ProgressBar,
}

impl Progress {
    /// Nothing has begun.
    pub(super) fn new(stop: CancellationToken) -> Self {
        Self {
            stop,
            bar: ProgressBar::hidden(),
        }
    }

    /// A phase begins; answers what is told how far it has come.
    pub(super) fn phase(&mut self, name: &str) -> impl FnMut(f64) -> ControlFlow<()> + use<> {
        self.bar.finish_and_clear();
        let style = ProgressStyle::with_template("{msg:24} {bar:40} {percent:>3} %");
        self.bar = ProgressBar::new(STEPS)
            .with_style(style.expect("the template is right"))
            .with_message(name.to_owned());
        let (bar, stop) = (self.bar.clone(), self.stop.clone());
        move |share| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share is from 0 to 1"
            )]
            bar.set_position((share.clamp(0.0, 1.0) * 1_000.0) as u64);
            if stop.is_cancelled() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
