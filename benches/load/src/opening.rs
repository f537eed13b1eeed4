//! How sockets come in: many at once, never more than asked, each from its first
//! packet to the moment it is in its room. A refusal is counted and the first one
//! kept, in the server's own words.

use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use crate::crowd::{Crowd, Member};
use crate::latency::Latency;
use crate::speech::{Part, Speech, Who};
use crate::target::Target;
use crate::{Watch, files, to_float};

/// How long nobody may get on before the server is given up.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// The longest answer to a handshake.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Of a refusal, so much is told.
const TOLD_BYTES_MAX: usize = 400;
/// What the kernel holds for a socket that stalls, so that it is soon full.
const STALLED_RECEIVE_BYTES: usize = 4 * 1024;
/// The segments that it takes, as over Ethernet: the server's kernel holds a multiple of
/// them for it, and those of the loopback are 64 KiB.
const STALLED_SEGMENT_BYTES: u32 = 1_400;

/// What came of opening a crowd.
#[derive(Debug)]
pub struct Opened {
    /// Those that came in.
    pub inside: u64,
    /// Those that did not.
    pub refused: u64,
    /// Why the first of them did not.
    pub first_refusal: Option<String>,
    /// From the first packet to the last entry.
    pub took: Duration,
    /// Of each, from its first packet to its entry.
    pub latency: Latency,
}

impl Opened {
    /// Entries a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        to_float(self.inside) / self.took.as_secs_f64()
    }

    /// Everybody must have come in.
    ///
    /// # Errors
    /// With the first refusal, when somebody did not.
    pub fn all(&self) -> anyhow::Result<()> {
        let why = self.first_refusal.as_deref().unwrap_or("nothing was said");
        ensure!(
            self.refused == 0,
            "{} of {} sockets were not let in; the first: {why}",
            self.refused,
            self.refused + self.inside
        );
        Ok(())
    }
}

/// Opens a socket for everybody, so many at once.
///
/// # Errors
/// When the machine cannot hold so many, the server says nothing any more, or
/// the watch ends it. That somebody is refused is no error here.
pub fn open<S: Speech>(
    target: &Target,
    speech: S,
    everybody: &[Who],
    at_once: usize,
    watch: Watch<'_>,
) -> anyhow::Result<(Crowd<S>, Opened)> {
    files::raise(everybody.len())?;
    let mut door = Door {
        crowd: Crowd::new(speech)?,
        target,
        epoll: epoll::create(CreateFlags::CLOEXEC)?,
        coming: Vec::new(),
        free: Vec::new(),
        opened: Opened {
            inside: 0,
            refused: 0,
            first_refusal: None,
            took: Duration::ZERO,
            latency: Latency::default(),
        },
    };
    let began = Instant::now();
    let mut next = 0;
    let mut moved = began;
    while door.done() < everybody.len() {
        while next < everybody.len() && next - door.done() < at_once.max(1) {
            door.knock(next, everybody[next])?;
            next += 1;
        }
        if door.wait()? {
            moved = Instant::now();
        }
        ensure!(
            moved.elapsed() < SILENCE_MAX,
            "nobody got on for {SILENCE_MAX:?} while coming in"
        );
        let share = to_float(door.done() as u64) / to_float(everybody.len() as u64);
        if watch(share) == ControlFlow::Break(()) {
            bail!("stopped");
        }
    }
    door.opened.took = began.elapsed();
    Ok((door.crowd, door.opened))
}

/// Those who are coming in.
struct Door<'a, S: Speech> {
    crowd: Crowd<S>,
    target: &'a Target,
    epoll: OwnedFd,
    /// By their places, which `epoll` tells.
    coming: Vec<Option<Coming<S>>>,
    free: Vec<usize>,
    opened: Opened,
}

/// One who is coming in.
struct Coming<S: Speech> {
    began: Instant,
    member: Member<S::Meter>,
    step: Step,
}

/// How far it has come.
enum Step {
    /// The connection is being made.
    Connecting,
    /// Its request was sent; this is the answer so far.
    Asked(Vec<u8>),
    /// It is open, and not inside yet.
    Open,
}

/// What became of it.
enum Became {
    Waiting,
    Inside,
    Refused(String),
}

impl<S: Speech> Door<'_, S> {
    fn done(&self) -> usize {
        usize::try_from(self.opened.inside + self.opened.refused).unwrap_or(usize::MAX)
    }

    /// Sends the first packet.
    fn knock(&mut self, number: usize, who: Who) -> anyhow::Result<()> {
        let began = Instant::now();
        let stream = match connect(self.target, number, who.part) {
            Ok(stream) => stream,
            Err(error) => {
                self.refused(format!(
                    "cannot connect to {}: {error}",
                    self.target.address
                ));
                return Ok(());
            }
        };
        let place = self.free.pop().unwrap_or(self.coming.len());
        if place == self.coming.len() {
            self.coming.push(None);
        }
        let data = EventData::new_u64(place as u64);
        epoll::add(&self.epoll, &stream, data, EventFlags::OUT)?;
        let meter = self.crowd.speech.meter(who);
        self.coming[place] = Some(Coming {
            began,
            member: Member::new(stream, who, meter),
            step: Step::Connecting,
        });
        Ok(())
    }

    /// Waits for whoever gets on. Answers whether somebody did.
    fn wait(&mut self) -> anyhow::Result<bool> {
        let mut ready = [const {
            Event {
                flags: EventFlags::empty(),
                data: EventData::new_u64(0),
            }
        }; 256];
        let timeout = Timespec::try_from(Duration::from_millis(200))?;
        let count = match epoll::wait(&self.epoll, &mut ready, Some(&timeout)) {
            Ok(count) => count,
            Err(Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        for event in &ready[..count] {
            let data = event.data;
            let place = usize::try_from(data.u64())?;
            let Some(mut coming) = self.coming[place].take() else {
                continue;
            };
            match self.step(&mut coming, place)? {
                Became::Waiting => self.coming[place] = Some(coming),
                Became::Inside => {
                    epoll::delete(&self.epoll, &coming.member.stream)?;
                    self.free.push(place);
                    self.opened.latency.record(coming.began.elapsed(), 1);
                    self.opened.inside += 1;
                    self.crowd.add(coming.member)?;
                }
                Became::Refused(why) => {
                    self.free.push(place);
                    self.refused(why);
                }
            }
        }
        Ok(count > 0)
    }

    fn step(&self, coming: &mut Coming<S>, place: usize) -> anyhow::Result<Became> {
        if matches!(coming.step, Step::Connecting) {
            return self.ask(coming, place);
        }
        let mut bytes = [0; 4_096];
        let count = match coming.member.stream.read(&mut bytes) {
            Ok(0) => return Ok(Became::Refused(ended(&coming.step))),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Became::Waiting),
            Err(error) => return Ok(Became::Refused(error.to_string())),
        };
        let mut inner = &bytes[..count];
        let rest;
        if let Step::Asked(head) = &mut coming.step {
            head.extend_from_slice(inner);
            let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") else {
                ensure!(
                    head.len() < HEAD_BYTES_MAX,
                    "the answer to a handshake has no end"
                );
                return Ok(Became::Waiting);
            };
            if !head.starts_with(b"HTTP/1.1 101") {
                return Ok(Became::Refused(told(head)));
            }
            rest = head.split_off(end + 4);
            inner = &rest;
            coming.step = Step::Open;
            let greeting = self.crowd.speech.greeting(coming.member.who);
            coming.member.write(&greeting)?;
        }
        let seen = coming.member.take(inner);
        Ok(match seen.closed {
            Some(goodbye) => Became::Refused(format!("closed with {goodbye}")),
            None if coming.member.is_inside() => Became::Inside,
            None => Became::Waiting,
        })
    }

    /// The connection is made, or failed: sends the request.
    fn ask(&self, coming: &mut Coming<S>, place: usize) -> anyhow::Result<Became> {
        if let Some(error) = coming.member.stream.take_error()? {
            let address = self.target.address;
            return Ok(Became::Refused(format!(
                "cannot connect to {address}: {error}"
            )));
        }
        let request = self.crowd.speech.request(self.target, coming.member.who);
        coming.member.write(request.as_bytes())?;
        if coming.member.is_held() {
            return Ok(Became::Refused("its request is not taken".to_owned()));
        }
        let data = EventData::new_u64(place as u64);
        epoll::modify(&self.epoll, &coming.member.stream, data, EventFlags::IN)?;
        coming.step = Step::Asked(Vec::new());
        Ok(Became::Waiting)
    }

    fn refused(&mut self, why: String) {
        self.opened.refused += 1;
        self.opened.first_refusal.get_or_insert(why);
    }
}

fn connect(target: &Target, number: usize, part: Part) -> anyhow::Result<TcpStream> {
    let kind = Type::STREAM.nonblocking();
    let socket = Socket::new(
        Domain::for_address(target.address),
        kind,
        Some(Protocol::TCP),
    )?;
    if let Some(source) = target.source(number) {
        socket
            .bind(&source.into())
            .context("no port is free at the source address")?;
        // Its end leaves nothing behind (TIME-WAIT, RFC 9293, section 3.3.2): the kernel
        // takes long to find a port for the next trial among a hundred thousand that rest.
        socket.set_linger(Some(Duration::ZERO))?;
    }
    if part == Part::Stalls {
        socket.set_recv_buffer_size(STALLED_RECEIVE_BYTES)?;
        socket.set_tcp_mss(STALLED_SEGMENT_BYTES)?;
    }
    socket.set_tcp_nodelay(true)?;
    match socket.connect(&target.address.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(socket.into())
}

fn ended(step: &Step) -> String {
    match step {
        Step::Asked(head) if !head.is_empty() => told(head),
        Step::Connecting | Step::Asked(_) | Step::Open => "the connection was ended".to_owned(),
    }
}

/// A refusal in the server's words: the status, and what follows the head.
fn told(answer: &[u8]) -> String {
    let answer = String::from_utf8_lossy(&answer[..answer.len().min(TOLD_BYTES_MAX)]);
    let status = answer.lines().next().unwrap_or_default();
    let body = answer
        .split_once("\r\n\r\n")
        .map_or("", |(_, body)| body.trim());
    format!("{status} {body}").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_servers_words() {
        let answer = b"HTTP/1.1 403 Forbidden\r\nContent-Type: x\r\n\r\n{\"code\":4003}";
        assert_eq!(told(answer), "HTTP/1.1 403 Forbidden {\"code\":4003}");
        assert_eq!(told(b"HTTP/1.1 400 Bad"), "HTTP/1.1 400 Bad");
    }
}
