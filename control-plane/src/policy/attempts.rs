//! How often a wrong password of a room may be given from one address, an IPv6 /56
//! being one. Knows no answer; the clock is handed in.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use porthouse_model::RoomId;
use tokio::time::Instant;

/// Wrong answers to one question from one address in a window.
const WRONG_MAX: u32 = 10;
/// How long a window lasts from its first answer.
const WINDOW: Duration = Duration::from_mins(1);
/// Windows that are remembered; beyond, the oldest is forgotten.
const WINDOWS_MAX: usize = 16_384;

/// The room whose password was asked for, and the subscriber from whom the answer
/// came.
pub(super) type Source = (RoomId, String);

/// The windows that are open.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    open: HashMap<Source, u32>,
    /// When each window closes, in that order.
    closing: VecDeque<(Instant, Source)>,
}

impl Attempts {
    /// Counts an answer as wrong before it is looked at, so that many at once
    /// cannot be tried for one; answers how long to wait if there were enough.
    pub(super) fn begin(&mut self, source: &Source, now: Instant) -> Result<(), Duration> {
        self.close(now);
        if let Some(count) = self.open.get_mut(source) {
            if *count >= WRONG_MAX {
                return Err(self.left(source, now));
            }
            *count += 1;
            return Ok(());
        }
        if self.closing.len() >= WINDOWS_MAX {
            self.forget_oldest();
        }
        self.open.insert(source.clone(), 1);
        self.closing.push_back((now + WINDOW, source.clone()));
        Ok(())
    }

    /// The answer was not wrong after all.
    pub(super) fn forgive(&mut self, source: &Source) {
        if let Some(count) = self.open.get_mut(source) {
            *count = count.saturating_sub(1);
        }
    }

    fn close(&mut self, now: Instant) {
        while self.closing.front().is_some_and(|(end, _)| *end <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, source)) = self.closing.pop_front() {
            self.open.remove(&source);
        }
    }

    fn left(&self, source: &Source, now: Instant) -> Duration {
        let window = self.closing.iter().find(|(_, of)| of == source);
        window.map_or(WINDOW, |(end, _)| end.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(address: &str) -> Source {
        (RoomId::from_bytes([1; 16]), address.to_owned())
    }

    #[test]
    fn after_enough_wrong_answers_the_rest_of_the_window_is_waited_for() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..WRONG_MAX {
            assert_eq!(attempts.begin(&source("a"), now), Ok(()));
        }
        let later = now + Duration::from_secs(20);
        assert_eq!(
            attempts.begin(&source("a"), later),
            Err(Duration::from_secs(40))
        );
        assert_eq!(attempts.begin(&source("b"), later), Ok(()));
        assert_eq!(attempts.begin(&source("a"), now + WINDOW), Ok(()));
    }

    #[test]
    fn right_answers_are_not_counted() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..2 * WRONG_MAX {
            assert_eq!(attempts.begin(&source("a"), now), Ok(()));
            attempts.forgive(&source("a"));
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for n in 0..=WINDOWS_MAX {
            assert_eq!(attempts.begin(&source(&n.to_string()), now), Ok(()));
        }
        assert_eq!(attempts.open.len(), WINDOWS_MAX);
        assert_eq!(attempts.closing.len(), WINDOWS_MAX);
    }
}
