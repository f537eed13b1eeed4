//! Calls, counted: of each how often it ended how, and how long it took until its
//! answer began. Owns the counts; knows calls by name alone, and of what nobody
//! serves not even that, so that no caller makes a series of its own.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use porthouse_api::{call_of, calls};
use porthouse_process::operators::{Lengths, MetricsEncoder};
use porthouse_process::spans::call::name;
use tokio::time::Instant;
use tonic::Code;

/// As it is told of.
pub(super) const ENDED: (&str, &str) = (
    "porthouse_control_calls",
    "Calls whose answer has begun, or that were given up, by their status then",
);
/// As it is told of.
pub(super) const TOOK: (&str, &str) = (
    "porthouse_control_call_seconds",
    "How long calls took until their answer began, or until they were given up",
);

/// What health, reflection and what nobody serves are called.
const OTHER: &str = "other";
/// Statuses that there are.
const CODES: usize = 17;
/// Lengths that are told apart, in microseconds: up to each of these.
const UP_TO: [u64; 13] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    10_000_000, 30_000_000,
];

/// The counts, by call; those of no call of ours are last.
pub(crate) struct Calls(Vec<Of>);

/// Those of one call.
#[derive(Default)]
struct Of {
    codes: [AtomicU64; CODES],
    /// One more than there are bounds: the last has none.
    lengths: [AtomicU64; UP_TO.len() + 1],
    micros: AtomicU64,
}

/// A call under way. Who drops it has given it up.
pub(crate) struct UnderWay {
    calls: Arc<Calls>,
    of: usize,
    began: Instant,
    code: Code,
}

impl Default for Calls {
    fn default() -> Self {
        let of = (0..=calls().len()).map(|_| Of::default());
        Self(of.collect())
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Calls").finish_non_exhaustive()
    }
}

impl Calls {
    /// A call to this path has come.
    pub(crate) fn begun(self: &Arc<Self>, path: &str) -> UnderWay {
        UnderWay {
            of: call_of(path).unwrap_or(calls().len()),
            calls: Arc::clone(self),
            began: Instant::now(),
            code: Code::Cancelled,
        }
    }

    /// Tells of those that there were.
    pub(super) fn count(&self, out: &mut MetricsEncoder<'_>) -> fmt::Result {
        let names = calls().iter().map(String::as_str).chain([OTHER]);
        let of: Vec<(&str, &Of)> = names.zip(&self.0).collect();
        let ended = of.iter().flat_map(|(call, of)| {
            let codes = (0_i32..).zip(&of.codes);
            codes.filter_map(move |(code, count)| {
                let labels = [
                    ("method", (*call).to_owned()),
                    ("code", name(Code::from_i32(code)).to_owned()),
                ];
                Some(count.load(Ordering::Relaxed))
                    .filter(|count| *count > 0)
                    .map(|count| (labels, count))
            })
        });
        out.counters(ENDED, ended)?;
        let took: Vec<_> = of.iter().filter_map(|(call, of)| of.took(call)).collect();
        let lengths = took.iter().map(|(call, sum, buckets, beyond)| {
            let lengths = Lengths {
                sum: *sum,
                buckets,
                beyond: *beyond,
            };
            ([("method", (*call).to_owned())], lengths)
        });
        out.histograms(TOOK, lengths)
    }
}

/// A call, its time in all, how many took up to how long, and how many longer.
type Took<'a> = (&'a str, f64, [(f64, u64); UP_TO.len()], u64);

impl Of {
    fn took<'a>(&self, call: &'a str) -> Option<Took<'a>> {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let mut buckets = [(0.0, 0); UP_TO.len()];
        for ((bucket, up_to), count) in buckets.iter_mut().zip(UP_TO).zip(&self.lengths) {
            *bucket = (Duration::from_micros(up_to).as_secs_f64(), read(count));
        }
        let beyond = read(&self.lengths[UP_TO.len()]);
        let any = beyond > 0 || buckets.iter().any(|(_, count)| *count > 0);
        let sum = Duration::from_micros(read(&self.micros)).as_secs_f64();
        any.then_some((call, sum, buckets, beyond))
    }
}

impl UnderWay {
    /// Its answer has begun.
    pub(crate) fn answered(mut self, code: Code) {
        self.code = code;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let of = &self.calls.0[self.of];
        let micros = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let length = UP_TO.iter().position(|up_to| micros <= *up_to);
        let one = |count: &AtomicU64| count.fetch_add(1, Ordering::Relaxed);
        one(&of.lengths[length.unwrap_or(UP_TO.len())]);
        of.micros.fetch_add(micros, Ordering::Relaxed);
        let code = usize::try_from(i32::from(self.code)).expect("no status is negative");
        one(&of.codes[code]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_apart_and_what_is_made_up_is_not() {
        let calls = Arc::new(Calls::default());
        let create = "/porthouse.control.v1.UserService/CreateUser";
        calls.begun(create).answered(Code::Ok);
        calls.begun(create).answered(Code::AlreadyExists);
        drop(calls.begun(create));
        for number in 0..1_000 {
            let made_up = format!("/porthouse.control.v1.UserService/Made{number}");
            calls.begun(&made_up).answered(Code::Unimplemented);
        }
        let count = |of: usize, code: Code| {
            let code = usize::try_from(i32::from(code)).expect("small");
            calls.0[of].codes[code].load(Ordering::Relaxed)
        };
        let of = call_of(create).expect("a call");
        let codes = [Code::Ok, Code::AlreadyExists, Code::Cancelled];
        assert_eq!(codes.map(|code| count(of, code)), [1, 1, 1]);
        assert_eq!(count(calls.0.len() - 1, Code::Unimplemented), 1_000);
        let told = calls.0.iter().filter(|of| of.took("").is_some());
        assert_eq!(told.count(), 2);
    }

    #[test]
    fn lengths_are_in_the_first_bucket_that_holds_them() {
        let calls = Arc::new(Calls::default());
        let mut long = calls.begun("/a/B");
        long.began -= Duration::from_secs(31);
        long.answered(Code::Ok);
        let mut short = calls.begun("/a/B");
        short.began -= Duration::from_millis(30);
        short.answered(Code::Ok);
        let (_, sum, buckets, beyond) = calls.0.last().and_then(|of| of.took("a")).expect("two");
        assert!((31.03..32.0).contains(&sum), "{sum}");
        let filled = buckets.iter().filter(|(_, count)| *count > 0);
        let filled: Vec<_> = filled.map(|(up_to, count)| (*up_to, *count)).collect();
        assert_eq!((filled, beyond), (vec![(0.05, 1)], 1));
    }
}
