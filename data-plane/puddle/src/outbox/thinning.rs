//! Which messages leave the queue of a socket that reads too slowly, and what
//! stands there instead.
//!
//! Looks only at queues that are too long or have waited, never at one that is
//! written out. Never drops what is no message, nor a frame that has begun.

use std::collections::{BTreeMap, BTreeSet};

use porthouse_model::SlowConsumer;

use super::Outbox;
use super::log::{Frame, Span, What, join};
use crate::output::WireForm;

/// A queue that was too long is brought this part of its limit below it, so that
/// it is not looked through again for each message that comes.
const SPARE_PART: usize = 8;

/// Why room is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pressure {
    /// The socket takes more again: of what waited, some may have been overtaken.
    Resumed,
    /// The socket has more bytes queued than this.
    Backlog {
        /// What it may have.
        bytes_max: usize,
    },
    /// All queues hold too much, and this one holds something of this log, the
    /// oldest.
    Memory {
        /// Its number.
        log: u32,
    },
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Thinned {
    /// Messages that left the queue.
    pub dropped: u64,
    /// What is left in it, in bytes.
    pub bytes: usize,
}

impl Outbox {
    /// Makes room in a socket's queue, by the rules of the rooms it is in, in
    /// order of the rooms; what is of any other room stays. `gap` encodes what
    /// says that so many messages of a room are missing, if the socket is told.
    pub(crate) fn thin(
        &mut self,
        slot: u32,
        form: WireForm,
        rules: &BTreeMap<u32, SlowConsumer>,
        pressure: Pressure,
        gap: impl FnMut(u32, u32) -> Option<Vec<u8>>,
    ) -> Thinned {
        self.spread();
        let queue = &self.queues[slot as usize];
        let untouched = Thinned {
            dropped: 0,
            bytes: queue.bytes(),
        };
        let conflates = rules.values().any(|rule| *rule == SlowConsumer::Conflate);
        // Nothing else leaves a queue that is being taken.
        if pressure == Pressure::Resumed && !conflates {
            return untouched;
        }
        let run = queue.spans();
        let looked_at = match pressure {
            Pressure::Memory { log } if !conflates => {
                let last = run.iter().rposition(|span| span.is_in(log));
                last.map_or(0, |last| last + 1)
            }
            Pressure::Resumed | Pressure::Backlog { .. } | Pressure::Memory { .. } => run.len(),
        };
        let rest = run[looked_at..].to_vec();
        let frames = self.logs.frames(&run[..looked_at]);
        let leaving = leaving(&frames, rules, pressure);
        let dropped = leaving.iter().filter(|leaves| **leaves).count();
        if dropped == 0 {
            return untouched;
        }
        let mut kept = self.without(form, &frames, &leaving, gap);
        for span in rest {
            join(&mut kept, span);
        }
        self.replace(slot, kept);
        Thinned {
            dropped: dropped as u64,
            bytes: self.queues[slot as usize].bytes(),
        }
    }

    /// The run of what stays, with a gap for each run of a room's messages that do
    /// not: in front of what comes next of the room.
    fn without(
        &mut self,
        form: WireForm,
        frames: &[Frame],
        leaving: &[bool],
        mut gap: impl FnMut(u32, u32) -> Option<Vec<u8>>,
    ) -> Vec<Span> {
        let mut kept = Vec::new();
        let mut gaps: BTreeMap<u32, Missing> = BTreeMap::new();
        for (frame, leaves) in frames.iter().zip(leaving) {
            let missing = match frame.what {
                What::Message(room) if *leaves => Some((room, 1, None)),
                What::Gap { room, dropped } if frame.whole => {
                    Some((room, dropped, Some(frame.span)))
                }
                What::Control | What::Event(_) | What::Message(_) | What::Gap { .. } => None,
            };
            if let Some((room, dropped, said)) = missing {
                gaps.entry(room).or_default().add(dropped, said);
                continue;
            }
            let before = frame.what.room().and_then(|room| gaps.remove_entry(&room));
            if let Some(span) = before.and_then(|one| self.fill(form, one, &mut gap)) {
                join(&mut kept, span);
            }
            join(&mut kept, frame.span);
        }
        for one in gaps {
            if let Some(span) = self.fill(form, one, &mut gap) {
                join(&mut kept, span);
            }
        }
        kept
    }

    /// What stands where messages are missing.
    fn fill(
        &mut self,
        form: WireForm,
        (room, missing): (u32, Missing),
        gap: &mut impl FnMut(u32, u32) -> Option<Vec<u8>>,
    ) -> Option<Span> {
        let dropped = missing.dropped;
        missing.said.or_else(|| {
            let frame = gap(room, dropped)?;
            let what = What::Gap { room, dropped };
            Some(self.logs.append(form, what, |out| out.extend(frame)))
        })
    }
}

/// Messages of a room that are missing between two that are there.
#[derive(Clone, Copy, Debug, Default)]
struct Missing {
    dropped: u32,
    /// The frame that says just that.
    said: Option<Span>,
}

impl Missing {
    fn add(&mut self, dropped: u32, said: Option<Span>) {
        self.said = said.filter(|_| self.dropped == 0);
        self.dropped = self.dropped.saturating_add(dropped);
    }
}

/// Which frames leave, in the order of the frames.
fn leaving(frames: &[Frame], rules: &BTreeMap<u32, SlowConsumer>, pressure: Pressure) -> Vec<bool> {
    let mut leaving = overtaken(frames, rules);
    let is = |frame: &Frame, by| rule(frame, rules) == Some(by);
    match pressure {
        Pressure::Resumed => {}
        Pressure::Backlog { bytes_max } => {
            let stay = frames.iter().zip(&leaving).filter(|(_, left)| !**left);
            let mut bytes: usize = stay.map(|(frame, _)| frame.span.len()).sum();
            if bytes <= bytes_max {
                return leaving;
            }
            let enough = bytes_max - bytes_max / SPARE_PART;
            let mut leave = |frame: &Frame, left: &mut bool, by| {
                if bytes > enough && is(frame, by) {
                    *left = true;
                    bytes -= frame.span.len();
                }
            };
            for (frame, left) in frames.iter().zip(&mut leaving) {
                leave(frame, left, SlowConsumer::DropOldest);
            }
            for (frame, left) in frames.iter().zip(&mut leaving).rev() {
                leave(frame, left, SlowConsumer::DropNewest);
            }
        }
        Pressure::Memory { log } => {
            for (frame, left) in frames.iter().zip(&mut leaving) {
                let drops =
                    is(frame, SlowConsumer::DropOldest) || is(frame, SlowConsumer::DropNewest);
                *left |= drops && frame.span.is_in(log);
            }
        }
    }
    leaving
}

/// By which rule a frame may leave; none for what is no message, or has begun.
fn rule(frame: &Frame, rules: &BTreeMap<u32, SlowConsumer>) -> Option<SlowConsumer> {
    match frame.what {
        What::Message(room) if frame.whole => rules.get(&room).copied(),
        What::Message(_) | What::Control | What::Event(_) | What::Gap { .. } => None,
    }
}

/// Which messages are not the newest of a room that wants only that.
fn overtaken(frames: &[Frame], rules: &BTreeMap<u32, SlowConsumer>) -> Vec<bool> {
    let mut newest = BTreeSet::new();
    let mut overtaken: Vec<bool> = frames
        .iter()
        .rev()
        .map(|frame| {
            rule(frame, rules) == Some(SlowConsumer::Conflate) && !newest.insert(frame.what.room())
        })
        .collect();
    overtaken.reverse();
    overtaken
}

#[cfg(test)]
mod tests;
