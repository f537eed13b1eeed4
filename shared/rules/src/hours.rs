//! Opening hours: from an instant to the week's local time and back, by the time
//! zone data that is built in. Never reads a clock or a file.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use porthouse_model::{OpeningHours, UnixTime, WeekSpan};

use crate::compile::RuleFault;

/// The most spans of a week.
pub(crate) const SPANS_MAX: usize = 168;

/// Minutes of a week.
const WEEK_MINUTES: u16 = 7 * 24 * 60;

/// Milliseconds of a minute and of a week.
const MINUTE_MS: i64 = 60_000;
const WEEK_MS: i64 = WEEK_MINUTES as i64 * MINUTE_MS;

/// From the first Monday, 00:00, to the epoch, which was a Thursday.
const EPOCH_IN_WEEK_MS: i64 = 3 * 24 * 60 * MINUTE_MS;

/// The latest instant that is looked at: all of our time stays far before it.
const INSTANT_MS_MAX: i64 = 8_000 * 366 * 24 * 60 * MINUTE_MS - EPOCH_IN_WEEK_MS;

/// A room's opening hours, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Hours {
    zone: TimeZone,
    /// In order, no two touching but over the week's end.
    spans: Vec<WeekSpan>,
}

impl Hours {
    pub(crate) fn compile(hours: &OpeningHours) -> Result<Self, RuleFault> {
        let zone = TimeZone::get(&hours.zone).map_err(|_| {
            let needed = "the IANA name of a time zone: Europe/Berlin";
            RuleFault::new("connection.hours.zone", needed)
        })?;
        if !(1..=SPANS_MAX).contains(&hours.spans.len()) {
            let needed = format!("1 to {SPANS_MAX} spans of a week");
            return Err(RuleFault::new("connection.hours.spans", needed));
        }
        let mut spans: Vec<WeekSpan> = Vec::new();
        for (at, span) in hours.spans.iter().enumerate() {
            let begins = spans.last().map_or(0, |last| last.to_minute);
            if span.from_minute < begins
                || span.to_minute <= span.from_minute
                || span.to_minute > WEEK_MINUTES
            {
                let field = format!("connection.hours.spans[{at}]");
                let needed = "minutes of a week, 0 to 10080, after the spans before it";
                return Err(RuleFault::new(field, needed));
            }
            match spans.last_mut() {
                Some(last) if last.to_minute == span.from_minute => last.to_minute = span.to_minute,
                Some(_) | None => spans.push(*span),
            }
        }
        Ok(Self { zone, spans })
    }

    /// When the room closes next; `None`, if it is closed now. A room that is
    /// never closed is said to close in more than a week, and then again.
    pub(crate) fn open_until(&self, now: UnixTime) -> Option<UnixTime> {
        let start = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let start = start.min(INSTANT_MS_MAX);
        let mut at = start;
        // A week has a few changes of its zone's offset at the most, and a span or
        // two between each.
        while at <= start + WEEK_MS {
            let Some(end) = self.end_of_span(at) else {
                break;
            };
            let (offset_ends, closes) = (self.offset_ends(at), at + end);
            at = closes.min(offset_ends);
        }
        let closes = u64::try_from(at).expect("not before now");
        (at > start).then_some(UnixTime::from_millis(closes))
    }

    /// How long the span that an instant is in still lasts, if the zone's offset
    /// stays what it is.
    fn end_of_span(&self, at: i64) -> Option<i64> {
        let local = (at + self.offset(at) + EPOCH_IN_WEEK_MS).rem_euclid(WEEK_MS);
        let minutes = |minute: u16| i64::from(minute) * MINUTE_MS;
        let span = self
            .spans
            .iter()
            .find(|span| (minutes(span.from_minute)..minutes(span.to_minute)).contains(&local))?;
        Some(minutes(span.to_minute) - local)
    }

    fn offset(&self, at: i64) -> i64 {
        let offset = self.zone.to_offset(instant(at));
        i64::from(offset.seconds()) * 1_000
    }

    /// When the zone's offset changes next.
    fn offset_ends(&self, at: i64) -> i64 {
        let next = self.zone.following(instant(at)).next();
        next.map_or(i64::MAX, |next| next.timestamp().as_millisecond())
    }
}

fn instant(at: i64) -> Timestamp {
    Timestamp::from_millisecond(at).expect("an instant before the year 9999")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: u16 = 60;
    const DAY: u16 = 24 * HOUR;

    fn hours(zone: &str, spans: &[(u16, u16)]) -> Hours {
        let spans = spans.iter().map(|&(from_minute, to_minute)| WeekSpan {
            from_minute,
            to_minute,
        });
        Hours::compile(&OpeningHours {
            zone: zone.to_owned(),
            spans: spans.collect(),
        })
        .expect("valid")
    }

    fn at(text: &str) -> UnixTime {
        let instant: Timestamp = text.parse().expect("an instant");
        UnixTime::from_millis(u64::try_from(instant.as_millisecond()).expect("after 1970"))
    }

    #[test]
    fn a_room_is_open_in_its_own_zone() {
        // Monday to Tuesday, nine to five.
        let office = [(9 * HOUR, 17 * HOUR), (DAY + 9 * HOUR, DAY + 17 * HOUR)];
        let berlin = hours("Europe/Berlin", &office);
        for (now, closes) in [
            ("2026-03-02T07:59:59.999Z", None),
            ("2026-03-02T08:00:00Z", Some("2026-03-02T16:00:00Z")),
            ("2026-03-02T15:59:59.999Z", Some("2026-03-02T16:00:00Z")),
            ("2026-03-02T16:00:00Z", None),
            ("2026-03-03T12:00:00Z", Some("2026-03-03T16:00:00Z")),
            ("2026-03-04T12:00:00Z", None),
            // Summer time: two hours ahead.
            ("2026-03-30T07:00:00Z", Some("2026-03-30T15:00:00Z")),
        ] {
            assert_eq!(berlin.open_until(at(now)), closes.map(at), "{now}");
        }
    }

    #[test]
    fn the_night_of_a_change_is_as_long_as_it_is() {
        // Sunday, one to four; 2026-03-29 has no two o'clock, 2026-10-25 has it twice.
        let night = hours("Europe/Berlin", &[(6 * DAY + HOUR, 6 * DAY + 4 * HOUR)]);
        let open = |now| night.open_until(at(now));
        assert_eq!(
            open("2026-03-29T00:00:00Z"),
            Some(at("2026-03-29T02:00:00Z"))
        );
        assert_eq!(
            open("2026-10-24T23:00:00Z"),
            Some(at("2026-10-25T03:00:00Z"))
        );
        // Until half past two, then again from two to half past.
        let brief = hours("Europe/Berlin", &[(6 * DAY, 6 * DAY + 150)]);
        let open = |now| brief.open_until(at(now));
        assert_eq!(
            open("2026-10-25T00:00:00Z"),
            Some(at("2026-10-25T00:30:00Z"))
        );
        assert_eq!(open("2026-10-25T00:45:00Z"), None);
        assert_eq!(
            open("2026-10-25T01:00:00Z"),
            Some(at("2026-10-25T01:30:00Z"))
        );
        // A room that closes at an hour that does not come closes when it is passed.
        assert_eq!(
            open("2026-03-29T00:30:00Z"),
            Some(at("2026-03-29T01:00:00Z"))
        );
    }

    #[test]
    fn a_span_goes_on_over_the_end_of_the_week() {
        let weekend = hours("UTC", &[(0, 6 * HOUR), (6 * DAY, 7 * DAY)]);
        let sunday = weekend.open_until(at("2026-03-01T12:00:00Z"));
        assert_eq!(sunday, Some(at("2026-03-02T06:00:00Z")));
        let always = hours("Asia/Kathmandu", &[(0, DAY), (DAY, 7 * DAY)]);
        let now = at("2026-03-01T12:00:00Z");
        let until = always.open_until(now).expect("open");
        assert!(until.since(now).as_secs() > 7 * 24 * 3_600);
    }

    #[test]
    fn hours_that_cannot_be_kept_are_named() {
        let fault = |zone: &str, spans: &[(u16, u16)]| {
            let spans = spans.iter().map(|&(from_minute, to_minute)| WeekSpan {
                from_minute,
                to_minute,
            });
            let hours = OpeningHours {
                zone: zone.to_owned(),
                spans: spans.collect(),
            };
            Hours::compile(&hours)
                .expect_err("refused")
                .field
                .into_owned()
        };
        for zone in [
            "",
            "Berlin",
            "Europe/Nowhere",
            "../../etc/passwd",
            "+01:00",
            "\0",
        ] {
            assert_eq!(fault(zone, &[(0, 1)]), "connection.hours.zone", "{zone}");
        }
        assert_eq!(fault("UTC", &[]), "connection.hours.spans");
        assert_eq!(fault("UTC", &[(0, 1); 169]), "connection.hours.spans");
        for spans in [&[(5, 5)][..], &[(6, 5)], &[(0, 10_081)]] {
            assert_eq!(fault("UTC", spans), "connection.hours.spans[0]");
        }
        assert_eq!(
            fault("UTC", &[(0, 10), (9, 20)]),
            "connection.hours.spans[1]"
        );
    }

    proptest! {
        #[test]
        fn no_instant_makes_it_panic_and_it_closes_when_it_said(
            now: u64, within in 0_u64..4_000_000_000_000, from in 0..10_000_u16, long in 1..5_000_u16,
        ) {
            let to = (from + long).min(WEEK_MINUTES);
            for zone in ["Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"] {
                let hours = hours(zone, &[(from, to)]);
                let _ = hours.open_until(UnixTime::from_millis(now));
                let now = UnixTime::from_millis(within);
                if let Some(until) = hours.open_until(now) {
                    prop_assert!(until > now);
                    let before = UnixTime::from_millis(until.as_millis() - 1);
                    prop_assert_eq!(hours.open_until(before), Some(until));
                }
            }
        }
    }
}
