//! Who is written to next: the urgent first, then rooms by turns, so that a room
//! of ten thousand does not keep one of two waiting.
//!
//! While the puddle pauses so that more is said in each write, only rooms that were
//! not written to since the last pause have turns: a quiet room waits for no other.

use std::collections::VecDeque;

/// Sockets of one room written to before the next room has its turn.
const ROOM_SOCKETS: usize = 64;

#[derive(Debug)]
pub(super) struct Turns {
    urgent: VecDeque<u32>,
    /// The sockets of each room that wait, by the room's index.
    rooms: Vec<Waiting>,
    /// The rooms in which sockets wait, in turn.
    order: VecDeque<u32>,
    /// Those that have their turn after the pause.
    resting: VecDeque<u32>,
    /// Left of the first room's turn.
    left: usize,
    /// Grows with each pause.
    round: u64,
    pauses: bool,
}

#[derive(Debug, Default)]
struct Waiting {
    slots: Vec<u32>,
    /// Those before are done.
    done: usize,
    /// The round in which one of its sockets was written to last.
    written: u64,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            urgent: VecDeque::new(),
            rooms: Vec::new(),
            order: VecDeque::new(),
            resting: VecDeque::new(),
            left: ROOM_SOCKETS,
            round: 1,
            pauses: false,
        }
    }
}

impl Waiting {
    /// A room that is written to all the time is never done: what is, makes room.
    #[inline]
    fn push(&mut self, slot: u32) {
        if self.slots.len() == self.slots.capacity() && self.done > self.slots.len() / 2 {
            self.slots.drain(..self.done);
            self.done = 0;
        }
        self.slots.push(slot);
    }
}

impl Turns {
    pub(super) fn urgent(&mut self, slot: u32) {
        self.urgent.push_back(slot);
    }

    #[inline]
    pub(super) fn room(&mut self, room: u32, slot: u32) {
        let at = room as usize;
        if self.rooms.len() <= at {
            self.rooms.resize_with(at + 1, Waiting::default);
        }
        let waiting = &mut self.rooms[at];
        if waiting.slots.is_empty() {
            if self.pauses && waiting.written == self.round {
                self.resting.push_back(room);
            } else {
                self.order.push_back(room);
            }
        }
        waiting.push(slot);
    }

    /// The next slot; one may come twice.
    pub(super) fn next(&mut self) -> Option<u32> {
        if let Some(slot) = self.urgent.pop_front() {
            return Some(slot);
        }
        let room = *self.order.front()?;
        let waiting = &mut self.rooms[room as usize];
        let slot = waiting.slots[waiting.done];
        waiting.done += 1;
        waiting.written = self.round;
        self.left -= 1;
        if waiting.done == waiting.slots.len() {
            waiting.slots.clear();
            waiting.done = 0;
            self.order.pop_front();
            self.left = ROOM_SOCKETS;
        } else if self.left == 0 {
            self.order.rotate_left(1);
            self.left = ROOM_SOCKETS;
        }
        Some(slot)
    }

    pub(super) fn is_urgent(&self) -> bool {
        !self.urgent.is_empty()
    }

    /// Whether somebody is written to next, pause or not.
    pub(super) fn is_ready(&self) -> bool {
        self.is_urgent() || !self.order.is_empty()
    }

    /// Whether somebody waits, if only for the end of the pause.
    pub(super) fn is_waiting(&self) -> bool {
        self.is_ready() || !self.resting.is_empty()
    }

    /// Whether what is said in a room waits for the end of the pause.
    pub(super) fn rests(&self, room: u32) -> bool {
        let waiting = self.rooms.get(room as usize);
        self.pauses && waiting.is_some_and(|waiting| waiting.written == self.round)
    }

    /// A pause begins for the rooms that were written to since the last.
    pub(super) fn pause(&mut self) {
        let (rooms, round) = (&self.rooms, self.round);
        let resting = &mut self.resting;
        self.order.retain(|room| {
            let rests = rooms[*room as usize].written == round;
            if rests {
                resting.push_back(*room);
            }
            !rests
        });
        self.left = ROOM_SOCKETS;
        self.pauses = true;
    }

    /// The pause is over, if there was one.
    pub(super) fn go_on(&mut self) {
        if self.pauses {
            self.order.append(&mut self.resting);
            self.round += 1;
            self.pauses = false;
        }
    }

    /// A room's index may be given to another room: who waits is still written to.
    pub(super) fn forget(&mut self, room: u32) {
        let Some(waiting) = self.rooms.get_mut(room as usize) else {
            return;
        };
        let left = std::mem::take(waiting);
        if left.slots.is_empty() {
            return;
        }
        self.urgent.extend(left.slots.into_iter().skip(left.done));
        if self.order.front() == Some(&room) {
            self.left = ROOM_SOCKETS;
        }
        self.order.retain(|other| *other != room);
        self.resting.retain(|other| *other != room);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CROWDED: u32 = 0;
    const QUIET: u32 = 1;

    fn taken(turns: &mut Turns, count: usize) -> Vec<u32> {
        std::iter::from_fn(|| turns.next()).take(count).collect()
    }

    fn crowd(turns: &mut Turns, sockets: u32) {
        for slot in 0..sockets {
            turns.room(CROWDED, slot);
        }
    }

    #[test]
    fn a_quiet_room_has_its_turn_after_one_share_of_a_crowded_one() {
        let mut turns = Turns::default();
        crowd(&mut turns, 1_000);
        turns.room(QUIET, 5_000);
        // However the puddle's turns cut it.
        assert_eq!(taken(&mut turns, 40).len(), 40);
        let next = taken(&mut turns, 25);
        assert_eq!(next[24], 5_000);
    }

    #[test]
    fn in_a_pause_a_room_that_was_not_written_to_is_and_others_wait() {
        let mut turns = Turns::default();
        crowd(&mut turns, 1_000);
        taken(&mut turns, 100);
        turns.pause();
        assert!(turns.rests(CROWDED) && !turns.is_ready() && turns.is_waiting());
        turns.room(QUIET, 5_000);
        assert_eq!(taken(&mut turns, 10), [5_000]);
        turns.room(QUIET, 5_001);
        assert!(
            taken(&mut turns, 10).is_empty(),
            "it was written to in this pause"
        );
        turns.go_on();
        assert_eq!(taken(&mut turns, 1), [100]);
        let rest = taken(&mut turns, 2_000);
        assert_eq!(rest.len(), 900);
        assert!(rest.contains(&5_001) && !turns.is_waiting());
    }

    #[test]
    fn a_room_that_is_never_done_takes_no_more_memory_for_it() {
        let mut turns = Turns::default();
        crowd(&mut turns, 100);
        for round in 0..100_000 {
            assert_eq!(turns.next(), Some(round % 100));
            turns.room(CROWDED, round % 100);
        }
        assert!(turns.rooms[0].slots.capacity() < 1_000);
    }

    #[test]
    fn who_waits_in_a_room_that_is_forgotten_is_written_to() {
        let mut turns = Turns::default();
        crowd(&mut turns, 10);
        taken(&mut turns, 4);
        turns.pause();
        turns.forget(CROWDED);
        assert_eq!(taken(&mut turns, 10), [4, 5, 6, 7, 8, 9]);
        turns.room(CROWDED, 77);
        assert_eq!(taken(&mut turns, 10), [77], "another room of that index");
    }
}
