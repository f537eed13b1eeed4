//! Times and spans between the wire and the database, to the microsecond, which is
//! as fine as Postgres keeps them. Reads no clock.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::error::ApiError;

/// A time as it is sent.
pub(crate) fn to_wire(time: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.timestamp(),
        nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(999_999_999),
    }
}

/// A time as it was sent.
pub(crate) fn from_wire(
    field: &str,
    time: prost_types::Timestamp,
) -> Result<DateTime<Utc>, ApiError> {
    u32::try_from(time.nanos)
        .ok()
        .and_then(|nanos| DateTime::from_timestamp(time.seconds, nanos / 1000 * 1000))
        .filter(|time| time.timestamp() < END)
        .ok_or_else(|| ApiError::field(field, "a time from 1970 to 9999"))
}

/// The year 10000, where RFC 3339 ends.
const END: i64 = 253_402_300_800;

/// A time that has not come yet, as it was sent; unset: never.
pub(crate) fn future(
    field: &str,
    time: Option<prost_types::Timestamp>,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, ApiError> {
    let Some(time) = time else { return Ok(None) };
    let time = from_wire(field, time)?;
    if time > now {
        Ok(Some(time))
    } else {
        Err(ApiError::field(field, "a time in the future"))
    }
}

/// A span as it is sent.
pub(crate) fn span_to_wire(span: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(span.subsec_nanos()).unwrap_or(999_999_999),
    }
}

/// A span as it was sent, no longer than `max`.
pub(crate) fn span(
    field: &str,
    span: prost_types::Duration,
    min: Duration,
    max: Duration,
) -> Result<Duration, ApiError> {
    Duration::try_from(span)
        .ok()
        .filter(|span| (min..=max).contains(span))
        .ok_or_else(|| {
            ApiError::field(
                field,
                format!("{} to {} seconds", min.as_secs(), max.as_secs()),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_comes_back_as_it_went() {
        let time = DateTime::from_timestamp(1_700_000_000, 123_456_000).expect("a time");
        assert_eq!(from_wire("t", to_wire(time)), Ok(time));
    }

    #[test]
    fn times_and_spans_out_of_range_are_refused() {
        for (seconds, nanos) in [(i64::MAX, 0), (0, -1), (END, 0), (0, i32::MAX)] {
            assert!(from_wire("t", prost_types::Timestamp { seconds, nanos }).is_err());
        }
        let max = Duration::from_mins(1);
        for seconds in [-1, 0, 61, i64::MAX] {
            let given = prost_types::Duration { seconds, nanos: 0 };
            assert!(
                span("s", given, Duration::from_secs(1), max).is_err(),
                "{seconds}"
            );
        }
        let now = Utc::now();
        assert!(future("t", Some(to_wire(now)), now).is_err());
        assert_eq!(future("t", None, now), Ok(None));
    }
}
