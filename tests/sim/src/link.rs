//! A connection, as TCP is: two streams of bytes that keep their order, are cut anywhere, delayed,
//! taken in part, stalled by a reader that does not read, or broken. Knows no frames.

use std::collections::VecDeque;
use std::io::IoSlice;

use porthouse_puddle::Wrote;

use crate::queue::Nanos;

/// Bytes under way in one direction.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    bytes: Vec<u8>,
    head: usize,
}

impl Stream {
    /// How many are under way.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.head
    }

    /// Puts bytes behind the others.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// What will arrive first, so many bytes of it, to be read in place.
    pub(crate) fn front(&mut self, len: usize) -> &mut [u8] {
        &mut self.bytes[self.head..self.head + len]
    }

    /// Forgets what arrived.
    pub(crate) fn advance(&mut self, len: usize) {
        self.head += len;
        if self.head == self.bytes.len() {
            self.bytes.clear();
            self.head = 0;
        } else if self.head > 64 * 1024 {
            self.bytes.drain(..self.head);
            self.head = 0;
        }
    }
}

/// When bytes were written: at which step of the world, and at which moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// The step.
    pub(crate) step: u64,
    /// The moment.
    pub(crate) at: Nanos,
}

/// The direction from the node to the client: a kernel's buffer, and who reads it.
#[derive(Debug)]
pub(crate) struct Down {
    stream: Stream,
    bytes_max: usize,
    written: u64,
    arrived: u64,
    stamps: VecDeque<(u64, Written)>,
    /// The node waits until there is room.
    pub(crate) blocked: bool,
    /// Nothing is written any more: the end follows the bytes.
    pub(crate) ended: bool,
}

impl Down {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            stream: Stream::default(),
            bytes_max,
            written: 0,
            arrived: 0,
            stamps: VecDeque::new(),
            blocked: false,
            ended: false,
        }
    }

    /// Takes more at once from here on.
    pub(crate) fn widen(&mut self, bytes_max: usize) {
        self.bytes_max = self.bytes_max.max(bytes_max);
    }

    /// Takes what fits, at most `most` bytes.
    pub(crate) fn write(&mut self, from: &[IoSlice<'_>], most: usize, stamp: Written) -> Wrote {
        assert!(!self.blocked, "written to before it became writable");
        assert!(!self.ended, "written to after its end");
        let room = self.bytes_max.saturating_sub(self.stream.len()).min(most);
        let (mut taken, mut offered) = (0, 0);
        for slice in from {
            let part = slice.len().min(room - taken);
            self.stream.push(&slice[..part]);
            taken += part;
            offered += slice.len();
        }
        self.stamp(taken, stamp);
        if taken == offered {
            return Wrote::All;
        }
        self.blocked = true;
        Wrote::Part(taken)
    }

    fn stamp(&mut self, taken: usize, stamp: Written) {
        if taken == 0 {
            return;
        }
        self.written += u64::try_from(taken).expect("a length");
        match self.stamps.back_mut() {
            Some((end, last)) if *last == stamp => *end = self.written,
            Some(_) | None => self.stamps.push_back((self.written, stamp)),
        }
    }

    /// Bytes that have not arrived.
    pub(crate) fn under_way(&self) -> usize {
        self.stream.len()
    }

    /// Whether the node may go on writing.
    pub(crate) fn has_room(&self) -> bool {
        self.stream.len() < self.bytes_max
    }

    /// The next bytes to arrive.
    pub(crate) fn front(&mut self, len: usize) -> &mut [u8] {
        self.stream.front(len)
    }

    /// Those bytes have arrived.
    pub(crate) fn advance(&mut self, len: usize) {
        self.stream.advance(len);
        self.arrived += u64::try_from(len).expect("a length");
    }

    /// When the byte at this place of the whole stream was written; places are asked for in order.
    pub(crate) fn written_at(&mut self, place: u64) -> Written {
        loop {
            let (end, stamp) = *self
                .stamps
                .front()
                .expect("a byte that arrived was written");
            if place < end {
                return stamp;
            }
            self.stamps.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_buffer_takes_a_part_and_each_byte_knows_when_it_was_written() {
        let mut down = Down::new(4);
        let stamp = |step| Written { step, at: step };
        let wrote = down.write(&[IoSlice::new(b"ab")], usize::MAX, stamp(1));
        assert_eq!(wrote, Wrote::All);
        let slices = [IoSlice::new(b"c"), IoSlice::new(b"de")];
        assert_eq!(down.write(&slices, usize::MAX, stamp(2)), Wrote::Part(2));
        assert!(down.blocked && !down.has_room());
        assert_eq!(down.front(4), b"abcd");
        down.advance(3);
        assert_eq!(down.written_at(1), stamp(1));
        assert_eq!(down.written_at(3), stamp(2));
        assert!(down.has_room());
    }
}
