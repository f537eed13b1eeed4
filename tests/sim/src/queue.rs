//! What happens next: one queue of events by time, then by the order in which they were asked for.
//! Never lets two runs of a seed differ, and never runs an event itself.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

/// Nanoseconds since the world began.
pub(crate) type Nanos = u64;

/// A microsecond.
pub(crate) const MICROS: Nanos = 1_000;
/// A millisecond.
pub(crate) const MILLIS: Nanos = 1_000_000;
/// A second.
pub(crate) const SECONDS: Nanos = 1_000_000_000;

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    /// What is later, and what was asked for this moment before it came.
    heap: BinaryHeap<Due<E>>,
    /// What was asked for this moment since it came, in that order: most of all, and a
    /// heap is dear.
    now_due: VecDeque<E>,
    asked: u64,
    now: Nanos,
}

#[derive(Debug)]
struct Due<E> {
    at: Nanos,
    order: u64,
    event: E,
}

impl<E> Queue<E> {
    pub(crate) const fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            now_due: VecDeque::new(),
            asked: 0,
            now: 0,
        }
    }

    /// The moment of the event that was taken last.
    pub(crate) const fn now(&self) -> Nanos {
        self.now
    }

    /// An event for later, or for now.
    pub(crate) fn after(&mut self, delay: Nanos, event: E) {
        self.at(self.now.saturating_add(delay), event);
    }

    /// An event for a moment; one that has passed means now.
    pub(crate) fn at(&mut self, at: Nanos, event: E) {
        if at <= self.now {
            self.now_due.push_back(event);
            return;
        }
        self.asked += 1;
        let order = self.asked;
        self.heap.push(Due { at, order, event });
    }

    /// The next event no later than `until`.
    pub(crate) fn take(&mut self, until: Nanos) -> Option<E> {
        let next = self.heap.peek().map(|due| due.at);
        if next.is_none_or(|at| at > self.now)
            && let Some(event) = self.now_due.pop_front()
        {
            return Some(event);
        }
        if next? > until {
            return None;
        }
        let due = self.heap.pop()?;
        self.now = due.at;
        Some(due.event)
    }
}

impl<E> Ord for Due<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl<E> PartialOrd for Due<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Due<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Due<E> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_then_in_the_order_they_were_asked_for() {
        let mut queue = Queue::new();
        for (at, event) in [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b')] {
            queue.at(at, event);
        }
        let taken: String = std::iter::from_fn(|| queue.take(10)).collect();
        assert_eq!((taken.as_str(), queue.now()), ("abcd", 5));
    }

    #[test]
    fn what_is_asked_for_now_comes_after_what_was_asked_for_this_moment_before() {
        let mut queue = Queue::new();
        for (at, event) in [(5, 'a'), (5, 'b'), (6, 'e')] {
            queue.at(at, event);
        }
        assert_eq!(queue.take(10), Some('a'));
        queue.after(0, 'c');
        queue.at(3, 'd');
        let taken: String = std::iter::from_fn(|| queue.take(10)).collect();
        assert_eq!((taken.as_str(), queue.now()), ("bcde", 6));
    }
}
