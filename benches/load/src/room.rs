//! A room in a run: what was said in it and when, and which of it everybody has.

use std::time::Duration;

use crate::latency::Latency;

/// The most messages of a room that are under way.
pub(crate) const UNDER_WAY_MAX: usize = 1 << 16;

/// One room.
pub(crate) struct Room {
    /// The socket that speaks.
    pub(crate) speaker: usize,
    listeners: u32,
    sent: u64,
    by_all: u64,
    /// Of each message under way, when it was due and how many have it; a ring.
    ring: Vec<UnderWay>,
    mask: u64,
}

#[derive(Clone, Copy, Default)]
struct UnderWay {
    due: Duration,
    having: u32,
}

impl Room {
    /// A room in which at most so many messages are under way.
    pub(crate) fn new(speaker: usize, under_way_max: usize) -> Self {
        let ring = under_way_max.clamp(1, UNDER_WAY_MAX).next_power_of_two();
        Self {
            speaker,
            listeners: 0,
            sent: 0,
            by_all: 0,
            ring: vec![UnderWay::default(); ring],
            mask: ring as u64 - 1,
        }
    }

    /// One more listens.
    pub(crate) const fn listened_to(&mut self) {
        self.listeners += 1;
    }

    /// Messages that somebody does not have yet.
    pub(crate) const fn under_way(&self) -> u64 {
        self.sent - self.by_all
    }

    /// How many more can be under way.
    pub(crate) const fn space(&self) -> u64 {
        self.mask + 1 - self.under_way()
    }

    /// A message was said that was due then. There must be space.
    pub(crate) fn said(&mut self, due: Duration) {
        assert!(self.space() > 0, "more under way than the room counts");
        let place = self.place(self.sent);
        self.ring[place] = UnderWay { due, having: 0 };
        self.sent += 1;
    }

    /// A listener had so many messages before, and has so many now. Answers whether
    /// more messages have come to everybody.
    ///
    /// # Errors
    /// When it has more than were said.
    pub(crate) fn heard(
        &mut self,
        before: u64,
        now: u64,
        at: Duration,
        latency: &mut Latency,
    ) -> anyhow::Result<bool> {
        anyhow::ensure!(
            now <= self.sent,
            "a socket heard {now} messages of {}",
            self.sent
        );
        let mut number = before;
        while number < now {
            // Those that were due at one time are counted at once.
            let due = self.ring[self.place(number)].due;
            let mut alike = 0;
            while number < now {
                let place = self.place(number);
                let message = &mut self.ring[place];
                if message.due != due {
                    break;
                }
                message.having += 1;
                alike += 1;
                number += 1;
            }
            latency.record(at.saturating_sub(due), alike);
        }
        let had = self.by_all;
        while self.by_all < self.sent && self.ring[self.place(self.by_all)].having == self.listeners
        {
            self.by_all += 1;
        }
        Ok(self.by_all > had)
    }

    fn place(&self, number: u64) -> usize {
        usize::try_from(number & self.mask).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_everybodys_when_the_last_has_it() {
        let mut latency = Latency::default();
        let mut room = Room::new(0, 3);
        room.listened_to();
        room.listened_to();
        let second = Duration::from_secs(1);
        room.said(second);
        room.said(second);
        room.said(second * 2);
        assert_eq!(room.space(), 1);
        assert!(!room.heard(0, 3, second * 3, &mut latency).expect("said"));
        assert!(room.heard(0, 2, second * 3, &mut latency).expect("said"));
        assert_eq!(room.under_way(), 1);
        assert!(room.heard(2, 3, second * 3, &mut latency).expect("said"));
        assert_eq!(latency.count(), 6);
        assert!(latency.percentile(50.0) >= second);
        assert!(latency.percentile(99.0) >= second * 2);
    }

    #[test]
    fn what_nobody_said_is_not_heard() {
        let mut room = Room::new(0, 1);
        room.listened_to();
        let heard = room.heard(0, 1, Duration::ZERO, &mut Latency::default());
        assert!(heard.is_err());
    }
}
