//! A puddle's thread: waits for what happens, hands it to the puddle, and
//! settles the turn. Owns the listener, the read scratch and the turn's bounds;
//! decides nothing about what is read or written.
//!
//! The driver is `epoll`, level-triggered and without a runtime: of the safe
//! designs tried it delivered most (1.04 of uWebSockets, a task over `AsyncFd`
//! 0.98), and what is left for a later turn is reported again by itself.

use std::any::Any;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use porthouse_model::Time;
use porthouse_puddle::{
    BlackBox, Deadline, End, Input, Puddle, SecretSeed, Seed, Seeds, Settings, SocketId, ToPuddle,
};
use rtrb::{Consumer, RingBuffer};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventFlags};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketFlags, acceptfrom_with, recv};

use crate::black_box::{Bell, BlackBoxes};
use crate::clock::Clock;
use crate::door::{Door, LISTENER};
use crate::ring::Wake;
use crate::shell::{Io, Said, Told};
use crate::socket::{event_data, of_event};
use crate::tally::Tally;

/// Read at once from one socket.
const SCRATCH_BYTES: usize = 256 * 1024;
/// Events taken from the kernel at once.
const EVENTS_MAX: usize = 512;
/// Read in one turn from all sockets, give or take one read; what is left of
/// the events is looked at in the next turn.
const TURN_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Hops handled in one turn.
const TURN_HOPS_MAX: usize = 4_096;
/// Connections accepted in one turn.
const ACCEPTS_MAX: usize = 64;
/// How long nothing is accepted after the system had no descriptor left.
const ACCEPT_REST: Duration = Duration::from_millis(100);
/// How often the puddle is told the wall clock.
const WALL_EVERY: Duration = Duration::from_secs(1);
/// The third panic within this time ends the node.
const PANICS_TIME: Duration = Duration::from_mins(1);
const PANICS_MAX: usize = 3;

/// Stands for the wake in `epoll`; no socket has this slot.
const WAKE: SocketId = SocketId {
    slot: u32::MAX - 1,
    generation: 0,
};

/// A puddle's thread, and all it works with.
#[derive(Debug)]
pub(crate) struct Thread {
    settings: Settings,
    clock: Clock,
    door: Door,
    wake: Arc<Wake>,
    inbox: Consumer<Told>,
    io: Io,
    /// For others to read.
    tally: Arc<Tally>,
    recorder: Recorder,
    scratch: Vec<u8>,
    wall_next: Time,
    emptied: bool,
}

/// What is kept of what comes to the puddle, and where it goes.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) black_box: BlackBox,
    pub(crate) boxes: Option<BlackBoxes>,
    pub(crate) bell: Arc<Bell>,
}

/// What the kernel reported.
struct Batch {
    events: Vec<Event>,
    /// The first that was not looked at.
    next: usize,
}

impl Batch {
    fn new() -> Self {
        Self {
            events: Vec::with_capacity(EVENTS_MAX),
            next: 0,
        }
    }

    fn pop(&mut self) -> Option<(SocketId, EventFlags)> {
        let event = self.events.get(self.next)?;
        self.next += 1;
        Some((of_event(event.data), event.flags))
    }

    fn is_empty(&self) -> bool {
        self.next == self.events.len()
    }

    /// Has the kernel report, and waits for it at most so long.
    fn wait(&mut self, epoll: BorrowedFd<'_>, span: Duration) {
        self.events.clear();
        self.next = 0;
        let timeout = Timespec::try_from(span).expect("a second at most");
        match epoll::wait(epoll, spare_capacity(&mut self.events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => panic!("an epoll can be waited for: {error}"),
        }
    }
}

impl Thread {
    pub(crate) fn new(
        settings: Settings,
        clock: Clock,
        listener: TcpListener,
        wake: Arc<Wake>,
        inbox: Consumer<Told>,
        io: Io,
        (tally, recorder): (Arc<Tally>, Recorder),
    ) -> Self {
        Self {
            settings,
            clock,
            door: Door::Open(listener),
            wake,
            inbox,
            io,
            tally,
            recorder,
            scratch: vec![0; SCRATCH_BYTES],
            wall_next: Time::ZERO,
            emptied: false,
        }
    }

    /// Runs until it is told to stop, or has panicked too often.
    pub(crate) fn run(mut self) {
        let mut panics = Vec::new();
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.live())) {
            let now = self.clock.now();
            panics.retain(|panic| now.since(*panic) < PANICS_TIME);
            panics.push(now);
            self.tally.panicked();
            tracing::error!(
                puddle = self.io.puddle.0,
                panics = panics.len(),
                "a puddle panicked"
            );
            let goes_on = self.begin_anew().is_ok() && panics.len() < PANICS_MAX;
            // Its sockets have been told by now, and nobody waits for the file but
            // whoever comes anew.
            self.put_box(&End::Panicked(words(panic.as_ref())));
            if !goes_on {
                self.io.say(Said::Broken);
                return;
            }
        }
    }

    /// One puddle's life.
    fn live(&mut self) {
        let now = self.clock.now();
        let seeds = Seeds {
            chance: Seed(rand::random()),
            secrets: SecretSeed::new(rand::random()),
        };
        self.recorder.black_box.begin(&self.settings, &seeds, now);
        let mut puddle = Puddle::new(self.settings.clone(), seeds, now);
        self.watch().expect("a fresh epoll takes the listener");
        let mut batch = Batch::new();
        let mut deadline = None;
        loop {
            self.wait(&mut batch, deadline);
            let now = self.clock.now();
            self.io.now = now;
            let writes = self.io.writes;
            let spans = self.io.spans.as_mut();
            let mut watched = spans.and_then(|spans| spans.turn(&puddle, writes));
            if self.take_turn(&mut puddle, now, &mut batch).is_break() {
                return;
            }
            if let Some(watched) = &mut watched {
                watched.settles();
            }
            let black_box = &mut self.recorder.black_box;
            deadline = black_box.settle(&mut puddle, self.clock.now(), &mut self.io);
            self.io.peers.wake_told();
            if let Some(spans) = &mut self.io.spans {
                spans.turned(watched, &puddle, self.io.writes);
            }
            self.count(&puddle);
        }
    }

    /// Sleeps until something happens or is due, unless something is left to do.
    fn wait(&mut self, batch: &mut Batch, deadline: Option<Deadline>) {
        if !batch.is_empty() {
            return;
        }
        let now = self.clock.now();
        let due = [
            deadline.map(|deadline| deadline.at),
            self.io.sockets.cut_lingering(now),
            self.door.rests_until(),
            Some(self.wall_next),
        ];
        let due = due
            .into_iter()
            .flatten()
            .min()
            .expect("the wall clock is always due");
        let span = due.since(now);
        self.wake.doze();
        let told =
            !(self.inbox.is_empty() && self.io.peers.is_silent()) || self.recorder.bell.is_rung();
        batch.wait(
            self.io.sockets.epoll(),
            if told { Duration::ZERO } else { span },
        );
        self.wake.rise();
    }

    /// Control work first, then other puddles, then sockets.
    fn take_turn(&mut self, puddle: &mut Puddle, now: Time, batch: &mut Batch) -> ControlFlow<()> {
        if self.recorder.bell.is_rung() {
            self.recorder.bell.answer(&self.recorder.black_box);
            #[cfg(debug_assertions)]
            self.break_if_told(puddle, now);
        }
        if now >= self.wall_next {
            if self.inbox.is_abandoned() {
                // The node has ended while this puddle began anew.
                return ControlFlow::Break(());
            }
            self.handle(puddle, now, Input::Wall(Clock::wall()));
            self.wall_next = now + WALL_EVERY;
        }
        for _ in 0..self.inbox.slots() {
            let told = self.inbox.pop().expect("as many are there as were counted");
            self.heed(puddle, now, told)?;
        }
        for _ in 0..TURN_HOPS_MAX {
            let Some((from, hop)) = self.io.peers.pop() else {
                break;
            };
            self.handle(puddle, now, Input::Hopped { from, hop });
        }
        self.look_at_events(puddle, now, batch);
        ControlFlow::Continue(())
    }

    fn handle(&mut self, puddle: &mut Puddle, now: Time, input: Input<'_>) {
        self.recorder.black_box.handle(puddle, now, input);
    }

    /// More credit comes back than was ever given: no puddle goes on from there.
    #[cfg(debug_assertions)]
    fn break_if_told(&mut self, puddle: &mut Puddle, now: Time) {
        if !self.recorder.bell.breaks() {
            return;
        }
        let other = u8::from(self.io.puddle.0 == 0);
        let (hops, bytes) = (u32::MAX / 2, 0);
        let hop = porthouse_puddle::Hop::Credit { hops, bytes };
        let from = porthouse_puddle::PuddleId(other);
        self.handle(puddle, now, Input::Hopped { from, hop });
    }

    /// What came to the puddle is put into a file, where that is kept.
    fn put_box(&self, end: &End) {
        let Some(boxes) = &self.recorder.boxes else {
            return;
        };
        let Some(bytes) = self.recorder.black_box.dump(end) else {
            return;
        };
        let puddle = self.io.puddle;
        match boxes.put(puddle, end, &bytes) {
            Ok(path) => {
                tracing::error!(puddle = puddle.0, path = %path.display(), "its black box is kept");
            }
            Err(error) => {
                tracing::error!(puddle = puddle.0, %error, "its black box cannot be kept");
            }
        }
    }

    fn heed(&mut self, puddle: &mut Puddle, now: Time, told: Told) -> ControlFlow<()> {
        match told {
            Told::Message(message) => {
                if matches!(message, ToPuddle::Drain { .. }) {
                    self.door.close();
                }
                self.handle(puddle, now, message.into());
            }
            Told::Bridged { request, answer } => {
                self.handle(puddle, now, Input::Bridged { request, answer });
            }
            Told::Restarted {
                puddle: other,
                ends,
            } => {
                self.io.peers.replace(other, ends);
                self.handle(puddle, now, Input::Restarted { puddle: other });
            }
            Told::Follow(follow) => {
                for room in self.io.followers.add(&follow) {
                    self.handle(puddle, now, Input::Follow { room });
                }
                follow.heard_by_puddle();
            }
            Told::Unfollow(follow) => {
                for room in self.io.followers.remove(&follow) {
                    self.handle(puddle, now, Input::Unfollow { room });
                }
            }
            Told::Stop => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn look_at_events(&mut self, puddle: &mut Puddle, now: Time, batch: &mut Batch) {
        self.door
            .wake(now, self.io.sockets.epoll())
            .expect("an epoll takes the listener back");
        if self.door.is_closing() {
            self.accept(puddle, now);
        }
        let mut bytes = 0;
        while bytes < TURN_BYTES_MAX
            && let Some((socket, flags)) = batch.pop()
        {
            match socket {
                LISTENER => self.accept(puddle, now),
                WAKE => self.wake.clear(),
                socket => bytes += self.attend(puddle, now, socket, flags),
            }
        }
    }

    /// Something happened to a socket. Answers how much was read.
    fn attend(
        &mut self,
        puddle: &mut Puddle,
        now: Time,
        socket: SocketId,
        flags: EventFlags,
    ) -> usize {
        if self.io.sockets.fd(socket).is_none() {
            return 0;
        }
        if flags.contains(EventFlags::OUT) {
            self.io.sockets.wait_writable(socket, false);
            self.handle(puddle, now, Input::Writable { socket });
        }
        let broken = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        if !self.io.sockets.is_read(socket) {
            if broken {
                self.lose(puddle, now, socket);
            }
            return 0;
        }
        if broken || flags.contains(EventFlags::IN) {
            return self.read(puddle, now, socket);
        }
        0
    }

    fn read(&mut self, puddle: &mut Puddle, now: Time, socket: SocketId) -> usize {
        let Some(fd) = self.io.sockets.fd(socket) else {
            return 0;
        };
        match recv(fd, &mut self.scratch[..], RecvFlags::empty()) {
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Ok((0, _)) | Err(_) => {
                self.lose(puddle, now, socket);
                0
            }
            Ok((count, _)) => {
                let bytes = &mut self.scratch[..count];
                let input = Input::Received { socket, bytes };
                self.recorder.black_box.handle(puddle, now, input);
                count
            }
        }
    }

    fn lose(&mut self, puddle: &mut Puddle, now: Time, socket: SocketId) {
        self.io.sockets.remove(socket);
        self.handle(puddle, now, Input::Lost { socket });
    }

    /// Accepts a few; the kernel reports those it still has.
    fn accept(&mut self, puddle: &mut Puddle, now: Time) {
        for _ in 0..ACCEPTS_MAX {
            let Some(listener) = self.door.listener() else {
                return;
            };
            match acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok((fd, address)) => {
                    let address = address.and_then(|address| SocketAddr::try_from(address).ok());
                    self.take_in(puddle, now, fd, address);
                }
                Err(Errno::AGAIN) => return self.door.emptied(),
                // That connection has broken; the next may not have.
                Err(Errno::INTR | Errno::CONNABORTED | Errno::PROTO | Errno::PERM) => {}
                Err(error) => {
                    tracing::warn!(puddle = self.io.puddle.0, %error, "nothing can be accepted");
                    return self.door.rest(now + ACCEPT_REST, self.io.sockets.epoll());
                }
            }
        }
    }

    fn take_in(
        &mut self,
        puddle: &mut Puddle,
        now: Time,
        fd: OwnedFd,
        address: Option<SocketAddr>,
    ) {
        let Some(address) = address else { return };
        if self.io.sockets.is_full() {
            return self.io.turn_away(fd, address.ip().to_canonical());
        }
        match self.io.sockets.insert(fd) {
            Ok(socket) => {
                let address = address.ip().to_canonical();
                if let Some(spans) = &mut self.io.spans {
                    spans.accepted(socket);
                }
                self.handle(puddle, now, Input::Connected { socket, address });
            }
            Err(error) => tracing::warn!(%error, "a connection cannot be waited for"),
        }
    }

    /// Has `epoll` watch what is no socket of the puddle's.
    fn watch(&mut self) -> io::Result<()> {
        let epoll = self.io.sockets.epoll();
        epoll::add(epoll, &*self.wake, event_data(WAKE), EventFlags::IN)?;
        self.door.watch(epoll)
    }

    fn count(&mut self, puddle: &Puddle) {
        self.tally
            .publish(self.io.sockets.open(), &puddle.counters());
        if !self.emptied && self.door.is_closed() && self.io.sockets.is_empty() {
            self.emptied = true;
            self.io.say(Said::Emptied);
        }
    }

    /// The puddle is lost: its sockets are told so and closed, and a fresh one
    /// gets rings in which nothing is of the old one.
    fn begin_anew(&mut self) -> io::Result<()> {
        self.io.abandon(self.settings.sockets_max)?;
        self.wall_next = Time::ZERO;
        let (inbox, heard) = RingBuffer::new(self.inbox.buffer().capacity());
        self.inbox = heard;
        let peers = self.io.peers.renew(self.settings.hop_ring_slots() as usize);
        self.io.say(Said::Restarted { inbox, peers });
        Ok(())
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let owned = || panic.downcast_ref::<String>().cloned();
    text.or_else(owned)
        .unwrap_or_else(|| "a panic without words".to_owned())
}

#[cfg(test)]
mod tests;
