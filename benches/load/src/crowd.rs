//! The sockets, and the one wait for all of them. Reads what came and has it
//! counted; whose turn it is to speak is decided by those who run a crowd.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Context as _;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;

use crate::frames::Goodbye;
use crate::speech::{Meter, Part, Seen, Speech, Who};

/// Read at once from one socket.
const SCRATCH_BYTES: usize = 256 * 1024;
/// Events taken from the kernel at once.
const EVENTS_MAX: usize = 512;

/// Sockets that are in their rooms.
pub struct Crowd<S: Speech> {
    pub(crate) speech: S,
    pub(crate) members: Vec<Member<S::Meter>>,
    epoll: OwnedFd,
    ready: Vec<Event>,
    scratch: Vec<u8>,
}

/// One socket.
pub(crate) struct Member<M> {
    pub(crate) stream: TcpStream,
    pub(crate) who: Who,
    meter: M,
    /// Messages that came in the present run.
    pub(crate) heard: u64,
    /// What its socket did not take yet, from this place on.
    unsent: Vec<u8>,
    unsent_from: usize,
    /// The server has closed it.
    pub(crate) gone: bool,
}

impl<M: Meter> Member<M> {
    pub(crate) const fn new(stream: TcpStream, who: Who, meter: M) -> Self {
        Self {
            stream,
            who,
            meter,
            heard: 0,
            unsent: Vec::new(),
            unsent_from: 0,
            gone: false,
        }
    }

    /// Whether its server has let it into its room.
    pub(crate) fn is_inside(&self) -> bool {
        self.meter.is_inside()
    }

    /// Takes what came with the answer to its handshake, or later.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Seen {
        let mut seen = Seen::default();
        self.meter.take(bytes, &mut seen);
        self.heard += seen.messages;
        seen
    }

    /// Writes, and keeps what the socket does not take.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        if self.unsent.is_empty() {
            let taken = write_some(&mut self.stream, bytes)?;
            self.unsent.extend_from_slice(&bytes[taken..]);
        } else {
            self.unsent.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Whether something waits for its socket.
    pub(crate) const fn is_held(&self) -> bool {
        !self.unsent.is_empty()
    }

    fn write_on(&mut self) -> anyhow::Result<()> {
        self.unsent_from += write_some(&mut self.stream, &self.unsent[self.unsent_from..])?;
        if self.unsent_from == self.unsent.len() {
            self.unsent.clear();
            self.unsent_from = 0;
        }
        Ok(())
    }
}

fn write_some(stream: &mut TcpStream, bytes: &[u8]) -> anyhow::Result<usize> {
    match stream.write(bytes) {
        Ok(taken) => Ok(taken),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error).context("a socket cannot be written to"),
    }
}

impl<S: Speech> Crowd<S> {
    pub(crate) fn new(speech: S) -> anyhow::Result<Self> {
        let empty = Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        };
        Ok(Self {
            speech,
            members: Vec::new(),
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            ready: vec![empty; EVENTS_MAX],
            scratch: vec![0; SCRATCH_BYTES],
        })
    }

    /// How many sockets there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// A socket that is inside joins the rest.
    pub(crate) fn add(&mut self, member: Member<S::Meter>) -> anyhow::Result<()> {
        if member.who.part != Part::Stalls {
            let data = EventData::new_u64(self.members.len() as u64);
            epoll::add(&self.epoll, &member.stream, data, EventFlags::IN)?;
        }
        self.members.push(member);
        Ok(())
    }

    /// Has a socket say something. Never waits.
    pub(crate) fn say(&mut self, number: usize, bytes: &[u8]) -> anyhow::Result<()> {
        let member = &mut self.members[number];
        let held = member.is_held();
        member.write(bytes)?;
        if member.is_held() && !held {
            self.listen_for(number, EventFlags::IN | EventFlags::OUT)?;
        }
        Ok(())
    }

    /// Whether a socket has something that its server does not take.
    pub(crate) fn is_held(&self, number: usize) -> bool {
        self.members[number].is_held()
    }

    /// Waits for whatever comes first, and tells of each socket that got something:
    /// its number and what it saw. Answers whether something came.
    pub(crate) fn wait(
        &mut self,
        time_max: Duration,
        mut each: impl FnMut(usize, &Member<S::Meter>, Seen) -> anyhow::Result<()>,
    ) -> anyhow::Result<bool> {
        let timeout = Timespec::try_from(time_max)?;
        let count = match epoll::wait(&self.epoll, &mut self.ready[..], Some(&timeout)) {
            Ok(count) => count,
            Err(rustix::io::Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        for place in 0..count {
            let event = self.ready[place];
            let (data, flags) = (event.data, event.flags);
            let number = usize::try_from(data.u64())?;
            if flags.contains(EventFlags::OUT) {
                self.members[number].write_on()?;
                if !self.is_held(number) {
                    self.listen_for(number, EventFlags::IN)?;
                }
            }
            if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                let seen = self.read(number)?;
                each(number, &self.members[number], seen)?;
            }
        }
        Ok(count > 0)
    }

    /// Reads once from a socket.
    fn read(&mut self, number: usize) -> anyhow::Result<Seen> {
        let member = &mut self.members[number];
        let mut seen = match member.stream.read(&mut self.scratch) {
            Ok(0) => Seen {
                closed: Some(Goodbye::Silent),
                ..Seen::default()
            },
            Ok(bytes) => member.take(&self.scratch[..bytes]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Seen::default(),
            // As good as a close without a word.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Seen {
                closed: Some(Goodbye::Silent),
                ..Seen::default()
            },
            Err(error) => return Err(error).context("a socket cannot be read"),
        };
        if member.gone {
            // Its close frame was told before; this is its end.
            seen.closed = None;
        } else if seen.closed.is_some() {
            member.gone = true;
            epoll::delete(&self.epoll, &member.stream)?;
        } else if !seen.owed.is_empty() {
            member.write(seen.owed)?;
        }
        Ok(seen)
    }

    /// Reads all that waits for a socket that never read. Answers why it was
    /// closed; none: it was not.
    pub(crate) fn catch_up(&mut self, number: usize) -> anyhow::Result<Option<Goodbye>> {
        let member = &mut self.members[number];
        loop {
            match member.stream.read(&mut self.scratch) {
                Ok(0) => return Ok(Some(Goodbye::Silent)),
                Ok(bytes) => {
                    let seen = member.take(&self.scratch[..bytes]);
                    if seen.closed.is_some() {
                        member.gone = true;
                        return Ok(seen.closed);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    return Ok(Some(Goodbye::Silent));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Forgets what was heard before.
    pub(crate) fn start_anew(&mut self) {
        for member in &mut self.members {
            member.heard = 0;
        }
    }

    fn listen_for(&self, number: usize, flags: EventFlags) -> anyhow::Result<()> {
        let data = EventData::new_u64(number as u64);
        let stream = &self.members[number].stream;
        Ok(epoll::modify(&self.epoll, stream, data, flags)?)
    }
}
