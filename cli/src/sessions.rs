//! How long sessions last, as flags.

use std::time::Duration;

use porthouse_control::Settings;

/// The longest that either may be: a year.
const MINUTES_MAX: i64 = 366 * 24 * 60;

/// How long sessions last.
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// The longest a session lasts, and how long it does unless asked; 30 days unless
    /// changed
    #[arg(
        long,
        value_name = "MINUTES",
        env = "PORTHOUSE_SESSION_MINUTES_MAX",
        default_value_t = 43_200,
        value_parser = clap::value_parser!(u32).range(1..=MINUTES_MAX)
    )]
    session_minutes_max: u32,
    /// How long a session lasts that no node has seen a socket of; 14 days unless
    /// changed. While nodes cannot report, nobody is idle
    #[arg(
        long,
        value_name = "MINUTES",
        env = "PORTHOUSE_SESSION_IDLE_MINUTES_MAX",
        default_value_t = 20_160,
        value_parser = clap::value_parser!(u32).range(5..=MINUTES_MAX)
    )]
    session_idle_minutes_max: u32,
}

impl Arguments {
    /// Sets them.
    pub(crate) fn apply(self, settings: &mut Settings) {
        let minutes = |minutes: u32| Duration::from_secs(u64::from(minutes) * 60);
        settings.session_lifetime_max = minutes(self.session_minutes_max);
        settings.feed.session_idle_max = minutes(self.session_idle_minutes_max);
    }
}
