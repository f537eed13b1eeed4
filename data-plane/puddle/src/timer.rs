//! Deadlines of sockets: when each must be looked at again, at the latest. Owns
//! no reason: a socket that is woken knows why, or that it has more time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use porthouse_model::Time;

use crate::input::SocketId;

/// One heap for a puddle. A deadline that moved later stays where it was and is
/// armed again when it fires; so arming costs nothing while a socket is busy.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Time, SocketId)>>,
}

impl Timers {
    /// Looks at the socket at this moment, or a little later.
    pub(crate) fn arm(&mut self, socket: SocketId, at: Time) {
        self.heap.push(Reverse((at, socket)));
    }

    /// The next socket whose moment has come.
    pub(crate) fn due(&mut self, now: Time) -> Option<SocketId> {
        let Reverse((at, _)) = self.heap.peek()?;
        if *at > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, socket))| socket)
    }

    /// The earliest moment.
    pub(crate) fn next(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_woken_in_time_and_order() {
        let mut timers = Timers::default();
        let socket = |slot| SocketId {
            slot,
            generation: 0,
        };
        timers.arm(socket(1), Time::from_nanos(20));
        timers.arm(socket(2), Time::from_nanos(10));
        assert_eq!(timers.next(), Some(Time::from_nanos(10)));
        assert_eq!(timers.due(Time::from_nanos(9)), None);
        assert_eq!(timers.due(Time::from_nanos(30)), Some(socket(2)));
        assert_eq!(timers.due(Time::from_nanos(30)), Some(socket(1)));
        assert_eq!(timers.due(Time::from_nanos(30)), None);
    }
}
