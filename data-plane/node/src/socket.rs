//! The sockets of one puddle: a slab of descriptors, what each is waited for
//! in `epoll`, and how one is closed without destroying its last bytes. Knows
//! nothing of what is read or written.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use porthouse_model::Time;
use porthouse_puddle::SocketId;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown, recv, shutdown};

/// How long a closed connection is kept so that its peer can read our last
/// bytes: what a peer sends after `close` is answered by a reset, which throws
/// away what it has not read yet.
const LINGER_TIME_MAX: Duration = Duration::from_secs(1);
/// Connections kept like this; past it the oldest is cut.
const LINGERING_MAX: usize = 1_024;
/// Input thrown away when a connection is closed.
const DISCARDED_BYTES_MAX: usize = 64 * 1024;

/// A slot, used or free.
#[derive(Debug, Default)]
struct Slot {
    fd: Option<OwnedFd>,
    generation: u32,
    interest: Interest,
}

/// What a socket is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interest {
    read: bool,
    write: bool,
}

impl Default for Interest {
    fn default() -> Self {
        Self {
            read: true,
            write: false,
        }
    }
}

impl Interest {
    fn flags(self) -> EventFlags {
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, self.read);
        flags.set(EventFlags::OUT, self.write);
        flags
    }
}

/// All sockets of a puddle.
#[derive(Debug)]
pub(crate) struct Sockets {
    epoll: OwnedFd,
    slots: Vec<Slot>,
    free: Vec<u32>,
    sockets_max: usize,
    lingering: VecDeque<(Time, OwnedFd)>,
}

impl Sockets {
    /// No socket yet, at most `sockets_max`.
    pub(crate) fn new(sockets_max: usize) -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            slots: Vec::new(),
            free: Vec::new(),
            sockets_max,
            lingering: VecDeque::new(),
        })
    }

    pub(crate) fn epoll(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    pub(crate) const fn open(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.open() >= self.sockets_max
    }

    /// Takes a connection in; it is waited for to be readable.
    pub(crate) fn insert(&mut self, fd: OwnedFd) -> io::Result<SocketId> {
        assert!(!self.is_full(), "who accepts looks first");
        let slot = self
            .free
            .last()
            .copied()
            .unwrap_or_else(|| self.next_slot());
        let generation = self
            .slots
            .get(slot as usize)
            .map_or(0, |slot| slot.generation);
        let socket = SocketId { slot, generation };
        let interest = Interest::default();
        epoll::add(&self.epoll, &fd, event_data(socket), interest.flags())?;
        if self.free.pop().is_none() {
            self.slots.push(Slot::default());
        }
        self.slots[slot as usize] = Slot {
            fd: Some(fd),
            generation,
            interest,
        };
        Ok(socket)
    }

    fn next_slot(&self) -> u32 {
        u32::try_from(self.slots.len()).expect("sockets_max is below 32 bits")
    }

    /// The connection, unless it is gone.
    pub(crate) fn fd(&self, socket: SocketId) -> Option<BorrowedFd<'_>> {
        let slot = self.slots.get(socket.slot as usize)?;
        let fd = slot.fd.as_ref()?;
        (slot.generation == socket.generation).then(|| fd.as_fd())
    }

    /// Starts or stops to wait for it to be readable.
    pub(crate) fn wait_readable(&mut self, socket: SocketId, read: bool) {
        self.wait(socket, |interest| Interest { read, ..interest });
    }

    /// Starts or stops to wait for it to be writable.
    pub(crate) fn wait_writable(&mut self, socket: SocketId, write: bool) {
        self.wait(socket, |interest| Interest { write, ..interest });
    }

    fn wait(&mut self, socket: SocketId, change: impl FnOnce(Interest) -> Interest) {
        let Some(slot) = self.slots.get_mut(socket.slot as usize) else {
            return;
        };
        let Some(fd) = slot
            .fd
            .as_ref()
            .filter(|_| slot.generation == socket.generation)
        else {
            return;
        };
        let interest = change(slot.interest);
        if interest != slot.interest {
            epoll::modify(&self.epoll, fd, event_data(socket), interest.flags())
                .expect("an open socket stays in epoll");
            slot.interest = interest;
        }
    }

    /// Forgets a socket: its slot is free, with the next generation.
    pub(crate) fn remove(&mut self, socket: SocketId) -> Option<OwnedFd> {
        let slot = self.slots.get_mut(socket.slot as usize)?;
        if slot.generation != socket.generation {
            return None;
        }
        let fd = slot.fd.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(socket.slot);
        epoll::delete(&self.epoll, &fd).expect("an open socket stays in epoll");
        Some(fd)
    }

    /// Forgets a socket and ends its connection, in the order in which the peer
    /// can still read what was written.
    pub(crate) fn close(&mut self, socket: SocketId, now: Time) {
        if let Some(fd) = self.remove(socket) {
            self.part(fd, now);
        }
    }

    /// Ends a connection that has no slot.
    pub(crate) fn part(&mut self, fd: OwnedFd, now: Time) {
        if shutdown(&fd, Shutdown::Write).is_err() || peer_has_ended(&fd) {
            return;
        }
        if self.lingering.len() == LINGERING_MAX {
            self.lingering.pop_front();
        }
        self.lingering.push_back((now + LINGER_TIME_MAX, fd));
    }

    /// Cuts the connections that were kept long enough, and says when the next
    /// one is due.
    pub(crate) fn cut_lingering(&mut self, now: Time) -> Option<Time> {
        while let Some((_, fd)) = self.lingering.pop_front_if(|(until, _)| *until <= now) {
            peer_has_ended(&fd);
        }
        self.lingering.front().map(|(until, _)| *until)
    }

    /// Whether it is waited for to be readable.
    pub(crate) fn is_read(&self, socket: SocketId) -> bool {
        self.fd(socket).is_some() && self.slots[socket.slot as usize].interest.read
    }

    /// Whether a connection is open or lingers.
    pub(crate) fn is_empty(&self) -> bool {
        self.open() == 0 && self.lingering.is_empty()
    }

    /// The connections that took everything they were sent, for a last word.
    pub(crate) fn between_frames(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let taken = self.slots.iter().filter(|slot| !slot.interest.write);
        taken.filter_map(|slot| slot.fd.as_ref().map(AsFd::as_fd))
    }
}

/// Throws away what came, and says whether nothing more will.
fn peer_has_ended(fd: &OwnedFd) -> bool {
    let mut bytes = [0; 4 * 1024];
    for _ in 0..DISCARDED_BYTES_MAX / bytes.len() {
        match recv(fd, &mut bytes, RecvFlags::DONTWAIT) {
            Ok((_, 0)) => return true,
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return false,
            Err(_) => return true,
        }
    }
    false
}

/// What stands for a socket in `epoll`.
pub(crate) fn event_data(socket: SocketId) -> EventData {
    EventData::new_u64(u64::from(socket.generation) << u32::BITS | u64::from(socket.slot))
}

/// The socket an event is about.
pub(crate) fn of_event(data: EventData) -> SocketId {
    let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).expect("32 bits are left");
    SocketId {
        slot: half(data.u64()),
        generation: half(data.u64() >> u32::BITS),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn connected() -> (TcpStream, OwnedFd) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        (client, listener.accept().unwrap().0.into())
    }

    #[test]
    fn a_slot_is_used_again_with_the_next_generation() {
        let mut sockets = Sockets::new(2).unwrap();
        let (_client, fd) = connected();
        let first = sockets.insert(fd).unwrap();
        assert!(sockets.remove(first).is_some() && sockets.remove(first).is_none());
        let (_client, fd) = connected();
        let second = sockets.insert(fd).unwrap();
        assert_eq!(
            second,
            SocketId {
                slot: first.slot,
                generation: first.generation + 1
            }
        );
        assert!(sockets.fd(first).is_none() && sockets.fd(second).is_some());
        assert_eq!(of_event(event_data(second)), second);
    }

    #[test]
    fn as_many_sockets_as_may_be_are_full() {
        let mut sockets = Sockets::new(1).unwrap();
        let (_client, fd) = connected();
        assert!(!sockets.is_full());
        let socket = sockets.insert(fd).unwrap();
        assert!(sockets.is_full());
        sockets.remove(socket);
        assert!(!sockets.is_full());
    }

    #[test]
    fn last_bytes_are_read_though_more_was_sent_than_anybody_read() {
        let mut sockets = Sockets::new(1).unwrap();
        let (mut client, fd) = connected();
        client.write_all(&[1; 1_000]).unwrap();
        let socket = sockets.insert(fd).unwrap();
        rustix::io::write(sockets.fd(socket).unwrap(), b"last").unwrap();
        sockets.close(socket, Time::ZERO);
        client.write_all(&[2; 1_000]).unwrap();
        let mut last = [0; 8];
        assert_eq!(client.read(&mut last).unwrap(), 4);
        assert_eq!(client.read(&mut last).unwrap(), 0);
    }

    #[test]
    fn a_connection_lingers_for_as_long_as_it_may() {
        let mut sockets = Sockets::new(1).unwrap();
        let (mut client, fd) = connected();
        let socket = sockets.insert(fd).unwrap();
        sockets.close(socket, Time::ZERO);
        assert_eq!(
            sockets.cut_lingering(Time::ZERO),
            Some(Time::ZERO + LINGER_TIME_MAX)
        );
        assert!(!sockets.is_empty());
        assert_eq!(sockets.cut_lingering(Time::ZERO + LINGER_TIME_MAX), None);
        assert!(sockets.is_empty());
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
}
