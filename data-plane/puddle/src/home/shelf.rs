//! What is kept of what was said in a room, in order and within bounds. Owns the
//! messages; never decides who may read at all, only what of it is theirs.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use porthouse_model::Time;

use super::placed::{Placed, Viewer};
use crate::hop::RoomMessage;

/// What a kept message costs beside its payload and its names, in bytes.
pub(super) const KEPT_BYTES: usize = 256;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retention {
    /// At most so many messages; 0: none.
    pub messages_max: usize,
    /// None older than this.
    pub age_max: Duration,
    /// Whether messages to some only are kept.
    pub directed: bool,
}

/// Which of the messages are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Range {
    /// Only those after this offset.
    pub after: Option<u64>,
    /// Only those before this offset.
    pub before: Option<u64>,
    /// Only the last of them, so many.
    pub last: Option<u64>,
}

/// How much is answered at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageLimits {
    /// Messages.
    pub messages_max: usize,
    /// Payload bytes; one message is answered whatever it has.
    pub bytes_max: usize,
}

/// Some of what was kept.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// The messages, in order.
    pub messages: Vec<Arc<Placed>>,
    /// Everything that was asked for up to this offset is answered.
    pub through: u64,
    /// Whether nothing that was asked for and is theirs to see is missing.
    pub complete: bool,
}

#[derive(Debug)]
struct Kept {
    at: Time,
    /// How old it was then.
    before: Duration,
    placed: Arc<Placed>,
    /// Only the fact is kept, not the bytes.
    hollow: bool,
}

impl Kept {
    const fn age(&self, now: Time) -> Duration {
        self.before.saturating_add(now.since(self.at))
    }
}

/// The messages.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    kept: VecDeque<Kept>,
    bytes: usize,
    /// Up to this offset nothing is here.
    lost: u64,
}

impl Shelf {
    /// Keeps a message, as far as it may be.
    pub(crate) fn put(&mut self, now: Time, placed: &Arc<Placed>, retention: &Retention) {
        if retention.messages_max == 0 {
            return self.lose_all(placed.offset());
        }
        let hollow = placed.is_directed() && !retention.directed;
        let placed = if hollow {
            hollowed(placed)
        } else {
            Arc::clone(placed)
        };
        self.push((now, Duration::ZERO), placed, hollow);
        self.trim(now, retention);
    }

    /// Keeps a message that was kept before and is this old. Only the fact of it
    /// is known where it is hollow.
    pub(crate) fn put_again(
        &mut self,
        (now, age): (Time, Duration),
        placed: &Arc<Placed>,
        hollow: bool,
        retention: &Retention,
    ) {
        if retention.messages_max == 0 {
            return self.lose_all(placed.offset());
        }
        let hollow = hollow || placed.is_directed() && !retention.directed;
        let placed = if hollow {
            hollowed(placed)
        } else {
            Arc::clone(placed)
        };
        // A wall clock that jumped changes no order.
        let older = self.kept.back().map(|last| last.age(now));
        let age = older.map_or(age, |older| age.min(older));
        self.push((now, age), placed, hollow);
        self.trim(now, retention);
    }

    fn push(&mut self, (at, before): (Time, Duration), placed: Arc<Placed>, hollow: bool) {
        self.bytes += cost(&placed);
        self.kept.push_back(Kept {
            at,
            before,
            placed,
            hollow,
        });
    }

    /// Nothing up to an offset was ever here.
    pub(crate) fn begin_after(&mut self, offset: u64) {
        self.lose_all(offset);
    }

    /// Keeps no more than may be.
    pub(crate) fn trim(&mut self, now: Time, retention: &Retention) {
        while let Some(first) = self.kept.front() {
            let old = first.age(now) > retention.age_max;
            if !old && self.kept.len() <= retention.messages_max {
                return;
            }
            self.drop_first();
        }
    }

    /// Keeps no more messages than this.
    pub(crate) fn keep_last(&mut self, messages_max: usize) {
        while self.kept.len() > messages_max {
            self.drop_first();
        }
    }

    /// Keeps no more bytes than this; what was kept longest goes first.
    pub(crate) fn shrink(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max {
            self.drop_first();
        }
    }

    /// Nothing up to an offset is kept any more. Answers how many messages went.
    pub(crate) fn purge(&mut self, through: u64) -> u64 {
        let before = self.kept.len();
        while self
            .kept
            .front()
            .is_some_and(|first| first.placed.offset() <= through)
        {
            self.drop_first();
        }
        self.lost = self.lost.max(through);
        (before - self.kept.len()) as u64
    }

    /// Some of what is kept: after `floor`, for one viewer.
    pub(crate) fn read(
        &self,
        range: Range,
        floor: u64,
        end: u64,
        viewer: Viewer,
        limits: PageLimits,
    ) -> Page {
        let floor = floor.max(self.lost);
        let asked_after = range.after.unwrap_or(0);
        let after = asked_after.max(floor);
        let through = range
            .before
            .map_or(end, |before| before.saturating_sub(1))
            .min(end);
        let mut hollow = false;
        let theirs = self
            .between(after, through)
            .filter(|kept| viewer.may_see(&kept.placed));
        let (messages, cut) = match range.last {
            None => pick(theirs, limits, &mut hollow),
            Some(last) => {
                let last = usize::try_from(last).unwrap_or(usize::MAX);
                let newest = theirs.rev().take(last);
                let (mut messages, cut) = pick(newest, limits, &mut hollow);
                messages.reverse();
                let whole = messages.len() == last;
                let missing = hollow || cut || !whole && after > asked_after;
                return Page {
                    messages,
                    through,
                    complete: !missing,
                };
            }
        };
        let answered = messages.last().map_or(after, |placed| placed.offset());
        Page {
            messages,
            through: if cut { answered } else { through },
            complete: !hollow && (after == asked_after || through <= asked_after),
        }
    }

    /// Everything after an offset that is theirs to see; nothing if some of it is
    /// missing, or it is more than so many bytes, all told.
    pub(crate) fn since(
        &self,
        offset: u64,
        end: u64,
        is_theirs: impl Fn(&Placed) -> bool,
        bytes_max: usize,
    ) -> Option<Vec<Arc<Placed>>> {
        if offset < self.lost || offset > end {
            return None;
        }
        let mut bytes = 0;
        let theirs = self.between(offset, end);
        let theirs = theirs.filter(|kept| is_theirs(&kept.placed));
        theirs
            .map(|kept| {
                bytes += cost(&kept.placed);
                let fits = !kept.hollow && bytes <= bytes_max;
                fits.then(|| Arc::clone(&kept.placed))
            })
            .collect()
    }

    /// The newest after an offset that are theirs to see, no more messages than
    /// this, and no more bytes, all told. And how many there are not for their
    /// bytes.
    pub(crate) fn newest(
        &self,
        (offset, end): (u64, u64),
        is_theirs: impl Fn(&Placed) -> bool,
        messages_max: usize,
        bytes_max: usize,
    ) -> (Vec<Arc<Placed>>, u32) {
        let theirs = self.between(offset.max(self.lost), end);
        let theirs = theirs.filter(|kept| !kept.hollow && is_theirs(&kept.placed));
        let (mut newest, mut bytes, mut missed) = (Vec::new(), 0, 0);
        for kept in theirs.rev().take(messages_max) {
            bytes += cost(&kept.placed);
            if bytes <= bytes_max {
                newest.push(Arc::clone(&kept.placed));
            } else {
                missed += 1;
            }
        }
        newest.reverse();
        (newest, missed)
    }

    /// The offset up to which everything is older than this.
    pub(crate) fn older_than(&self, age: Duration, now: Time) -> u64 {
        let old = self.kept.partition_point(|kept| kept.age(now) > age);
        let last = old.checked_sub(1).map(|last| &self.kept[last]);
        last.map_or(self.lost, |kept| kept.placed.offset())
    }

    /// When the first of it is too old.
    pub(crate) fn due(&self, age_max: Duration) -> Option<Time> {
        let first = self.kept.front()?;
        Some(first.at + age_max.saturating_sub(first.before))
    }

    /// When the last of it is too old.
    pub(crate) fn until(&self, age_max: Duration) -> Option<Time> {
        let last = self.kept.back()?;
        Some(last.at + age_max.saturating_sub(last.before))
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    fn between(&self, after: u64, through: u64) -> impl DoubleEndedIterator<Item = &Kept> {
        let from = self
            .kept
            .partition_point(|kept| kept.placed.offset() <= after);
        let to = self
            .kept
            .partition_point(|kept| kept.placed.offset() <= through);
        self.kept.range(from..to.max(from))
    }

    fn drop_first(&mut self) {
        if let Some(first) = self.kept.pop_front() {
            self.bytes -= cost(&first.placed);
            self.lost = first.placed.offset();
        }
    }

    fn lose_all(&mut self, through: u64) {
        self.kept.clear();
        self.bytes = 0;
        self.lost = through;
    }

    pub(crate) fn check(&self) {
        let bytes: usize = self.kept.iter().map(|kept| cost(&kept.placed)).sum();
        assert_eq!(bytes, self.bytes, "kept bytes are counted");
        let offsets = self.kept.iter().map(|kept| kept.placed.offset());
        assert!(offsets.is_sorted(), "offsets grow");
        if let Some(first) = self.kept.front() {
            assert!(first.placed.offset() > self.lost, "what is lost is gone");
        }
    }
}

/// As many as are answered at once, and whether there were more.
fn pick<'a>(
    theirs: impl Iterator<Item = &'a Kept>,
    limits: PageLimits,
    hollow: &mut bool,
) -> (Vec<Arc<Placed>>, bool) {
    let mut picked: Vec<Arc<Placed>> = Vec::new();
    let mut bytes = 0;
    for kept in theirs {
        if kept.hollow {
            *hollow = true;
            continue;
        }
        bytes += kept.placed.message.payload.len();
        let full = picked.len() >= limits.messages_max || bytes > limits.bytes_max;
        if full && !picked.is_empty() {
            return (picked, true);
        }
        picked.push(Arc::clone(&kept.placed));
    }
    (picked, false)
}

/// A message without its bytes.
fn hollowed(placed: &Placed) -> Arc<Placed> {
    let message = &placed.message;
    Arc::new(Placed {
        message: Arc::new(RoomMessage {
            room: message.room.clone(),
            room_id: message.room_id,
            from: message.from,
            kind: message.kind,
            payload: Box::default(),
            to: message.to.clone(),
            except: message.except.clone(),
        }),
        stand: placed.stand,
        speaker: placed.speaker,
    })
}

pub(super) fn cost(placed: &Placed) -> usize {
    let message = &placed.message;
    let names = message.to.len() + message.except.len();
    KEPT_BYTES + message.payload.len() + names * size_of::<porthouse_model::ClientId>()
}

#[cfg(test)]
mod tests;
