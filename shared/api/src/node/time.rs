//! Moments and spans between protobuf's well-known types and the model. What the
//! model cannot hold is an error.

use core::time::Duration;

use porthouse_model::UnixTime;

const NANOS_PER_MILLI: u64 = 1_000_000;
const MILLIS_PER_SECOND: u64 = 1_000;

/// A moment for the wire.
#[must_use]
pub fn timestamp(time: UnixTime) -> prost_types::Timestamp {
    let millis = time.as_millis();
    let nanos = (millis % MILLIS_PER_SECOND) * NANOS_PER_MILLI;
    prost_types::Timestamp {
        seconds: i64::try_from(millis / MILLIS_PER_SECOND).unwrap_or(i64::MAX),
        nanos: i32::try_from(nanos).expect("less than a second"),
    }
}

/// A moment from the wire, if it is not before 1970.
#[must_use]
pub fn unix_time(timestamp: prost_types::Timestamp) -> Option<UnixTime> {
    let seconds = u64::try_from(timestamp.seconds).ok()?;
    let nanos = u64::try_from(timestamp.nanos).ok()?;
    let millis = seconds
        .checked_mul(MILLIS_PER_SECOND)?
        .checked_add(nanos / NANOS_PER_MILLI)?;
    Some(UnixTime::from_millis(millis))
}

/// A span for the wire.
pub(super) fn span(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).expect("less than a second"),
    }
}

/// A span from the wire, if it is not negative.
pub(super) fn duration(span: prost_types::Duration) -> Option<Duration> {
    Duration::try_from(span).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_spans_are_read_back_as_written() {
        let time = UnixTime::from_millis(1_700_000_000_123);
        assert_eq!(unix_time(timestamp(time)), Some(time));
        let long = Duration::from_millis(900_001);
        assert_eq!(duration(span(long)), Some(long));
    }

    #[test]
    fn what_is_before_the_beginning_is_refused() {
        assert_eq!(
            unix_time(prost_types::Timestamp {
                seconds: -1,
                nanos: 0
            }),
            None
        );
        assert_eq!(
            duration(prost_types::Duration {
                seconds: -1,
                nanos: 0
            }),
            None
        );
    }
}
