//! A puddle's listener, as far as connections are accepted by it. Owns when it
//! is waited for; never accepts.

use std::io;
use std::net::TcpListener;

use porthouse_model::Time;
use porthouse_puddle::SocketId;
use rustix::event::epoll::{self, EventFlags};
use rustix::fd::{AsFd, BorrowedFd};

use crate::socket::event_data;

/// Stands for the listener in `epoll`; no socket has this slot.
pub(crate) const LISTENER: SocketId = SocketId {
    slot: u32::MAX,
    generation: 0,
};

/// The listener and whether it is waited for.
#[derive(Debug)]
pub(crate) enum Door {
    /// Connections are accepted.
    Open(TcpListener),
    /// The system had no descriptor left: nothing is accepted until then, and
    /// the listener is not waited for, so that it does not wake anybody.
    Resting(TcpListener, Time),
    /// The node drains: what the kernel has queued is accepted, and no more.
    Closing(TcpListener),
    /// Nothing is accepted any more.
    Closed,
}

impl Door {
    pub(crate) fn listener(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Open(listener) | Self::Resting(listener, _) | Self::Closing(listener) => {
                Some(listener.as_fd())
            }
            Self::Closed => None,
        }
    }

    /// Starts to wait for connections, unless it rests.
    pub(crate) fn watch(&self, epoll: BorrowedFd<'_>) -> io::Result<()> {
        match self {
            Self::Open(listener) | Self::Closing(listener) => Ok(epoll::add(
                epoll,
                listener,
                event_data(LISTENER),
                EventFlags::IN,
            )?),
            Self::Resting(..) | Self::Closed => Ok(()),
        }
    }

    /// Accepts nothing until then.
    pub(crate) fn rest(&mut self, until: Time, epoll: BorrowedFd<'_>) {
        *self = match std::mem::replace(self, Self::Closed) {
            Self::Open(listener) => {
                epoll::delete(epoll, &listener).expect("an open door is watched");
                Self::Resting(listener, until)
            }
            // Who has no time to rest leaves what is queued to the kernel.
            Self::Resting(..) | Self::Closing(_) | Self::Closed => Self::Closed,
        };
    }

    /// When to go on accepting; `None`: the kernel says when.
    pub(crate) const fn rests_until(&self) -> Option<Time> {
        match self {
            Self::Resting(_, until) => Some(*until),
            Self::Open(_) | Self::Closing(_) | Self::Closed => None,
        }
    }

    /// Goes on accepting, if it has rested long enough.
    pub(crate) fn wake(&mut self, now: Time, epoll: BorrowedFd<'_>) -> io::Result<()> {
        if self.rests_until().is_some_and(|until| until <= now)
            && let Self::Resting(listener, _) = std::mem::replace(self, Self::Closed)
        {
            *self = Self::Open(listener);
            self.watch(epoll)?;
        }
        Ok(())
    }

    /// Accepts only what is queued already.
    pub(crate) fn close(&mut self) {
        *self = match std::mem::replace(self, Self::Closed) {
            Self::Open(listener) | Self::Closing(listener) => Self::Closing(listener),
            Self::Resting(..) | Self::Closed => Self::Closed,
        };
    }

    /// The kernel has nothing queued.
    pub(crate) fn emptied(&mut self) {
        if self.is_closing() {
            *self = Self::Closed;
        }
    }

    pub(crate) const fn is_closing(&self) -> bool {
        matches!(self, Self::Closing(_))
    }

    pub(crate) const fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::event::Timespec;
    use rustix::event::epoll::Event;

    use super::*;

    fn door() -> (Door, rustix::fd::OwnedFd, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let door = Door::Open(listener);
        door.watch(epoll.as_fd()).unwrap();
        (door, epoll, client)
    }

    fn is_reported(epoll: BorrowedFd<'_>) -> bool {
        let mut events: Vec<Event> = Vec::with_capacity(1);
        let events = rustix::buffer::spare_capacity(&mut events);
        epoll::wait(epoll, events, Some(&Timespec::default())).unwrap() == 1
    }

    #[test]
    fn a_door_that_rests_wakes_nobody_and_loses_nobody() {
        let (mut door, epoll, _client) = door();
        assert!(is_reported(epoll.as_fd()));
        let until = Time::ZERO + Duration::from_millis(100);
        door.rest(until, epoll.as_fd());
        assert!(!is_reported(epoll.as_fd()));
        door.wake(Time::ZERO, epoll.as_fd()).unwrap();
        assert_eq!(door.rests_until(), Some(until));
        door.wake(until, epoll.as_fd()).unwrap();
        assert!(is_reported(epoll.as_fd()));
    }

    #[test]
    fn a_closing_door_is_closed_once_nothing_is_queued() {
        let (mut door, _epoll, _client) = door();
        door.emptied();
        assert!(!door.is_closed(), "an open door stays open");
        door.close();
        assert!(door.listener().is_some());
        door.emptied();
        assert!(door.is_closed() && door.listener().is_none());
    }
}
