//! Moments of the database as the model has them. Never asks for the time.

use chrono::{DateTime, Utc};
use porthouse_model::UnixTime;

/// A moment for nodes. What is before 1970 has always expired.
pub(crate) fn unix_time(time: DateTime<Utc>) -> UnixTime {
    UnixTime::from_millis(u64::try_from(time.timestamp_millis()).unwrap_or(0))
}
