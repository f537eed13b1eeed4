//! Who must wait before another password of a room is looked at, remembered for a
//! moment, so that of a flood of guesses few ask the database. How many wrong ones
//! are borne is decided elsewhere. Knows no answer; the clock is handed in.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use porthouse_model::RoomId;
use tokio::time::Instant;

/// How long it is remembered: so long it may take until somebody whose wrong answers
/// were forgotten is heard again.
const MEMORY: Duration = Duration::from_secs(1);
/// Waits that are remembered; beyond, the oldest is forgotten.
const WAITS_MAX: usize = 16_384;

/// The room whose password was asked for, and the network from which the answer
/// came.
pub(super) type Source = (RoomId, String);

/// The waits that are remembered.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Until when each waits.
    until: HashMap<Source, Instant>,
    /// When each is forgotten, in that order.
    forgetting: VecDeque<(Instant, Source)>,
}

impl Waiting {
    /// How long this one must still wait, as far as is remembered.
    pub(super) fn left(&mut self, source: &Source, now: Instant) -> Option<Duration> {
        while self.forgetting.front().is_some_and(|(end, _)| *end <= now) {
            self.forget_oldest();
        }
        let left = self.until.get(source)?.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Remembers that this one must wait.
    pub(super) fn note(&mut self, source: Source, wait: Duration, now: Instant) {
        if self.until.insert(source.clone(), now + wait).is_some() {
            return;
        }
        self.forgetting.push_back((now + MEMORY, source));
        if self.forgetting.len() > WAITS_MAX {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, source)) = self.forgetting.pop_front() {
            self.until.remove(&source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(network: &str) -> Source {
        (RoomId::from_bytes([1; 16]), network.to_owned())
    }

    #[test]
    fn a_wait_is_remembered_for_a_moment_and_by_its_own_network() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        waiting.note(source("a"), Duration::from_secs(40), now);
        let soon = now + MEMORY / 2;
        assert_eq!(
            waiting.left(&source("a"), soon),
            Some(Duration::from_millis(39_500))
        );
        assert_eq!(waiting.left(&source("b"), soon), None);
        assert_eq!(waiting.left(&source("a"), now + MEMORY), None);
        assert!(waiting.until.is_empty() && waiting.forgetting.is_empty());
    }

    #[test]
    fn a_wait_that_is_over_holds_nobody() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        waiting.note(source("a"), MEMORY / 4, now);
        assert_eq!(waiting.left(&source("a"), now + MEMORY / 2), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        for n in 0..=WAITS_MAX {
            waiting.note(source(&n.to_string()), MEMORY, now);
        }
        assert_eq!(waiting.until.len(), WAITS_MAX);
        assert_eq!(waiting.forgetting.len(), WAITS_MAX);
    }
}
