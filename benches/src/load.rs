//! The load client: one thread on epoll, as fast as it can be, since it shares
//! the machine with what it measures. One socket sends, the others count.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::event::epoll;

/// A message's payload, in bytes.
pub(crate) const PAYLOAD_BYTES: usize = 128;
/// A server's frame of it: two bytes, a 16-bit length, the payload.
const FRAME_BYTES: usize = 4 + PAYLOAD_BYTES;
/// How long nothing may come before the run has failed.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// One room: a sender and those who listen.
pub(crate) struct Room {
    sender: TcpStream,
    listeners: Vec<Listener>,
    epoll: rustix::fd::OwnedFd,
    scratch: Vec<u8>,
}

struct Listener {
    stream: TcpStream,
    bytes: usize,
}

/// What a run came to.
pub(crate) struct Run {
    /// Messages that a listener received.
    pub(crate) deliveries: u64,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Run {
    /// Deliveries a second.
    pub(crate) fn rate(&self) -> f64 {
        to_float(self.deliveries) / self.took.as_secs_f64()
    }
}

/// A count as a number to divide by.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub(crate) fn to_float(count: u64) -> f64 {
    count as f64
}

/// Opens a socket in a room of its server.
pub(crate) fn open(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    write!(
        stream,
        "GET /bench HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream
            .read_exact(&mut byte)
            .context("the answer to the upgrade")?;
        head.push(byte[0]);
    }
    ensure!(
        head.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&head)
    );
    Ok(stream)
}

impl Room {
    /// Everybody enters.
    pub(crate) fn open(address: SocketAddr, listeners: usize) -> anyhow::Result<Self> {
        let sender = open(address)?;
        sender.set_nonblocking(true)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut opened = Vec::with_capacity(listeners);
        for number in 0..listeners {
            let stream = open(address)?;
            stream.set_nonblocking(true)?;
            let data = epoll::EventData::new_u64(number as u64);
            epoll::add(&epoll, &stream, data, epoll::EventFlags::IN)?;
            opened.push(Listener { stream, bytes: 0 });
        }
        Ok(Self {
            sender,
            listeners: opened,
            epoll,
            scratch: vec![0; 256 * 1024],
        })
    }

    /// Keeps so many messages under way, each of which everybody must receive.
    pub(crate) fn closed_loop(&mut self, window: usize, span: Duration) -> anyhow::Result<Run> {
        self.start_anew();
        let mut sent = 0_usize;
        let mut received = Received::new(self.listeners.len(), window);
        let began = Instant::now();
        while began.elapsed() < span {
            while sent < received.by_all + window {
                sent += self.send(received.by_all + window - sent)?;
            }
            self.receive(&mut received)?;
        }
        let took = began.elapsed();
        let deliveries = received.deliveries;
        while received.by_all < sent {
            self.receive(&mut received)?;
        }
        Ok(Run { deliveries, took })
    }

    /// Sends a message at each beat, whoever received what.
    pub(crate) fn beat(&mut self, every: Duration, span: Duration) -> anyhow::Result<Run> {
        self.start_anew();
        let mut received = Received::new(self.listeners.len(), 1);
        let began = Instant::now();
        let mut sent = 0;
        while began.elapsed() < span {
            let due = began + every * u32::try_from(sent)?;
            #[expect(clippy::disallowed_methods, reason = "a beat is kept by sleeping")]
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            sent += self.send(1)?;
            while received.by_all < sent {
                self.receive(&mut received)?;
            }
        }
        Ok(Run {
            deliveries: received.deliveries,
            took: began.elapsed(),
        })
    }

    /// Sends messages in one write; answers how many. A client's frame is masked;
    /// a mask of zeros leaves the payload as it is.
    fn send(&mut self, messages: usize) -> anyhow::Result<usize> {
        let mut bytes = Vec::with_capacity(messages * (FRAME_BYTES + 4));
        for _ in 0..messages {
            bytes.extend_from_slice(&[0x82, 0x80 | 0x7e, 0, 128, 0, 0, 0, 0]);
            bytes.extend_from_slice(&[b'x'; PAYLOAD_BYTES]);
        }
        self.sender.set_nonblocking(false)?;
        self.sender.write_all(&bytes)?;
        self.sender.set_nonblocking(true)?;
        Ok(messages)
    }

    fn receive(&mut self, received: &mut Received) -> anyhow::Result<()> {
        let mut events = [const {
            epoll::Event {
                flags: epoll::EventFlags::empty(),
                data: epoll::EventData::new_u64(0),
            }
        }; 512];
        let timeout = rustix::time::Timespec::try_from(SILENCE_MAX)?;
        let count = epoll::wait(&self.epoll, &mut events, Some(&timeout))?;
        ensure!(count > 0, "nothing came for {SILENCE_MAX:?}");
        for event in &events[..count] {
            let listener = &mut self.listeners[usize::try_from(event.data.u64())?];
            let before = listener.bytes / FRAME_BYTES;
            match listener.stream.read(&mut self.scratch) {
                Ok(0) => anyhow::bail!("a listener was closed"),
                Ok(bytes) => listener.bytes += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
            received.count(before, listener.bytes / FRAME_BYTES);
        }
        Ok(())
    }

    /// Forgets what was received before.
    fn start_anew(&mut self) {
        for listener in &mut self.listeners {
            listener.bytes = 0;
        }
    }
}

/// Which messages everybody has.
struct Received {
    listeners: usize,
    /// How many have each of the messages after `by_all`, as a ring.
    having: Vec<usize>,
    by_all: usize,
    deliveries: u64,
}

impl Received {
    fn new(listeners: usize, window: usize) -> Self {
        Self {
            listeners,
            having: vec![0; window + 1],
            by_all: 0,
            deliveries: 0,
        }
    }

    /// A listener had so many messages before, and has so many now.
    fn count(&mut self, before: usize, now: usize) {
        self.deliveries += (now - before) as u64;
        let ring = self.having.len();
        for message in before..now {
            self.having[message % ring] += 1;
        }
        while self.having[self.by_all % ring] == self.listeners {
            self.having[self.by_all % ring] = 0;
            self.by_all += 1;
        }
    }
}
