//! The watch of the policy log: where it stands, whether it is heard, and when
//! it is opened anew. Owns the cursor; never tells a puddle.

use core::time::Duration;

use porthouse_model::{Revision, Time};

use super::SwitchboardSettings;
use super::chain::{Chain, Position};
use super::event::{WatchEnd, WatchId};
use crate::output::Deadline;
use crate::seed::Chance;

/// The watch.
#[derive(Debug)]
pub(super) struct Watch {
    /// The last opening's name.
    id: WatchId,
    phase: Phase,
    /// The last revision that came; `None`: the log was never followed.
    position: Option<Position>,
    /// Whether the log does not know that position any more.
    is_cut: bool,
    failures: u32,
    chance: Chance,
    silence_max: Duration,
    backoff_min: Duration,
    backoff_max: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// To be opened at this moment.
    Shut { until: Time },
    /// Asked for, at this moment.
    Opening { since: Time },
    /// Heard at this moment.
    Open { heard: Time },
}

/// What came of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing that counts.
    Nothing,
    /// The log is followed from here, and what is known is from elsewhere.
    Anew(Position),
    /// The log goes on where it was left. Changes follow.
    On,
    /// The next revision.
    Next,
    /// There is nothing after the last revision that came.
    Fresh(Revision),
}

impl Watch {
    pub(super) const fn new(settings: &SwitchboardSettings, now: Time, chance: Chance) -> Self {
        Self {
            id: WatchId(0),
            phase: Phase::Shut { until: now },
            position: None,
            is_cut: false,
            failures: 0,
            chance,
            silence_max: settings.watch_silence_max,
            backoff_min: settings.backoff_min,
            backoff_max: settings.backoff_max,
        }
    }

    /// Where the log that is followed was left; `None`: none is, so no answer can
    /// be placed.
    pub(super) fn position(&self) -> Option<Position> {
        self.position.filter(|_| !self.is_cut)
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open { .. })
    }

    /// Gives up a watch that was silent for too long. Done before anything that
    /// came is looked at: after the process was stopped, what lies unread was
    /// said long ago, and is no word of the present.
    pub(super) fn expire(&mut self, now: Time) {
        let silent = match self.phase {
            Phase::Shut { .. } => false,
            Phase::Opening { since: heard } | Phase::Open { heard } => {
                now >= heard + self.silence_max
            }
        };
        if silent {
            self.fail(now);
        }
    }

    /// Opens it when that is due: under this name, from there.
    pub(super) fn open(&mut self, now: Time) -> Option<(WatchId, Option<Position>)> {
        match self.phase {
            Phase::Shut { until } if until <= now => {
                self.phase = Phase::Opening { since: now };
                self.id = WatchId(self.id.0 + 1);
                Some((self.id, self.position()))
            }
            Phase::Shut { .. } | Phase::Opening { .. } | Phase::Open { .. } => None,
        }
    }

    pub(super) fn opened(&mut self, now: Time, watch: WatchId, head: Position) -> Heard {
        if watch != self.id || !matches!(self.phase, Phase::Opening { .. }) {
            return Heard::Nothing;
        }
        self.phase = Phase::Open { heard: now };
        let Some(position) = self.position() else {
            self.position = Some(head);
            self.is_cut = false;
            return Heard::Anew(head);
        };
        if head.revision < position.revision {
            // A replica that is behind, or a log that was rewound; another may know.
            self.fail(now);
            return Heard::Nothing;
        }
        if head.revision > position.revision {
            return Heard::On;
        }
        self.at_head(now, position, head)
    }

    pub(super) fn changed(
        &mut self,
        now: Time,
        watch: WatchId,
        revision: Revision,
        payload: &[u8],
        chain: Chain,
    ) -> Heard {
        let Some(position) = self.heard_by(watch) else {
            return Heard::Nothing;
        };
        let next = position.then(payload);
        if next != (Position { revision, chain }) {
            self.cut(now);
            return Heard::Nothing;
        }
        self.position = Some(next);
        self.phase = Phase::Open { heard: now };
        self.failures = 0;
        Heard::Next
    }

    pub(super) fn progress(&mut self, now: Time, watch: WatchId, head: Position) -> Heard {
        let Some(position) = self.heard_by(watch) else {
            return Heard::Nothing;
        };
        if head.revision > position.revision {
            // All before it should have come: ask again for what is missing.
            self.fail(now);
            return Heard::Nothing;
        }
        self.at_head(now, position, head)
    }

    pub(super) fn lost(&mut self, now: Time, watch: WatchId, reason: WatchEnd) {
        if watch != self.id || matches!(self.phase, Phase::Shut { .. }) {
            return;
        }
        match reason {
            WatchEnd::Retry => self.fail(now),
            WatchEnd::Resync => self.cut(now),
        }
    }

    pub(super) fn deadline(&self) -> Deadline {
        match self.phase {
            Phase::Shut { until } => Deadline {
                at: until,
                reason: "the watch is opened",
            },
            Phase::Opening { since: heard } | Phase::Open { heard } => Deadline {
                at: heard + self.silence_max,
                reason: "the watch is silent",
            },
        }
    }

    pub(super) fn check(&self) {
        assert!(
            !self.is_open() || self.position().is_some(),
            "an open watch has a place"
        );
        assert!(
            !self.is_cut || self.position.is_some(),
            "what was never followed is not cut"
        );
    }

    /// The position, if this watch is the open one.
    fn heard_by(&self, watch: WatchId) -> Option<Position> {
        self.position()
            .filter(|_| watch == self.id && self.is_open())
    }

    /// Word of a head that is not after the position. One before it is no word.
    fn at_head(&mut self, now: Time, position: Position, head: Position) -> Heard {
        if head.revision != position.revision {
            return Heard::Nothing;
        }
        if head.chain != position.chain {
            self.cut(now);
            return Heard::Nothing;
        }
        self.phase = Phase::Open { heard: now };
        self.failures = 0;
        Heard::Fresh(head.revision)
    }

    /// The log is not the one that was followed.
    fn cut(&mut self, now: Time) {
        self.is_cut = self.position.is_some();
        self.fail(now);
    }

    /// Shuts it for a while: longer each time, and nobody at the same moment.
    fn fail(&mut self, now: Time) {
        let doubled = self.backoff_min.saturating_mul(1 << self.failures.min(16));
        let half = doubled.min(self.backoff_max) / 2;
        let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
        let jitter = Duration::from_nanos(self.chance.next() % nanos.max(1));
        self.failures = self.failures.saturating_add(1);
        self.phase = Phase::Shut {
            until: now + half + jitter,
        };
    }
}
