//! Who is written to next: the urgent first, then rooms by turns, so that a room
//! of ten thousand does not keep one of two waiting.

use std::collections::VecDeque;

/// Sockets of one room written to before the next room has its turn.
const ROOM_SOCKETS: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Turns {
    urgent: VecDeque<u32>,
    /// The sockets of each room that wait, by the room's index.
    rooms: Vec<Waiting>,
    /// The rooms in which sockets wait, in turn.
    order: VecDeque<u32>,
    /// Left of the first room's turn.
    left: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    slots: Vec<u32>,
    /// Those before are done.
    done: usize,
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
            self.order.push_back(room);
        }
        waiting.slots.push(slot);
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
        self.left = self.left.checked_sub(1).unwrap_or(ROOM_SOCKETS - 1);
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

    pub(super) fn is_waiting(&self) -> bool {
        !self.urgent.is_empty() || !self.order.is_empty()
    }

    /// The next turn begins with a whole share.
    pub(super) const fn end(&mut self) {
        self.left = ROOM_SOCKETS;
    }

    /// A room's index may be given to another room: who waits is still written to.
    pub(super) fn forget(&mut self, room: u32) {
        let Some(waiting) = self.rooms.get_mut(room as usize) else {
            return;
        };
        if waiting.slots.is_empty() {
            return;
        }
        let left = std::mem::take(waiting);
        self.urgent.extend(left.slots.into_iter().skip(left.done));
        self.order.retain(|other| *other != room);
    }
}
