//! Honest sockets in a room while others do what they should not, at so many tries
//! a second: what the honest notice. What each try is answered, the end-to-end
//! tests show; here nothing is judged of the answer but that the server gave one.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use porthouse_load::cores;
use porthouse_load::house::House;
use porthouse_load::raw::Raw;
use porthouse_load::talk::{Pace, Plan, everybody};
use porthouse_load::to_float;

use super::Within;
use super::side::Side;
use crate::budget::Budget;
use crate::record::{Record, Row};

/// Honest sockets that listen, and messages a second to them.
const SOCKETS: usize = 100;
const RATE: f64 = 100.0;
/// Tries a second.
const TRIES: u32 = 200;
/// Half-open connections that are held at one time.
const HELD: usize = 200;
/// Frames of a flood: more than are borne.
const FLOOD: usize = 2_000;
/// Connections that shake hands by half at one time, of the 4,096 of an address; and
/// how long they are watched, which is longer than a handshake may take.
const CROWD: usize = 4_000;
const WATCHED: Duration = Duration::from_secs(14);
/// A run of that is long, so there are few.
const PAIRS_MAX: usize = 2;
/// How long a try may wait for an answer.
const ANSWER: Duration = Duration::from_secs(5);

const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// What is tried again and again.
#[derive(Clone, Copy)]
enum Try {
    /// A frame of an opcode that is none.
    Frame,
    /// A request for nowhere.
    Request,
    /// A flood of pings.
    Pings,
    /// Half a request, and silence.
    Half,
    /// A flood of joins and leaves by turns.
    Joins,
}

const TRIES_OF: [(Try, &str); 5] = [
    (Try::Frame, "broken frames"),
    (Try::Request, "broken requests"),
    (Try::Pings, "floods of pings"),
    (Try::Half, "half requests"),
    (Try::Joins, "floods of joins"),
];

pub(super) fn hostile(wanted: &Within, record: &mut Record) -> anyhow::Result<()> {
    let house = wanted.house()?;
    let mut honest = Side::open(&house, Raw::in_room("hall"), &everybody(1, SOCKETS, 0))?;
    let plan = wanted.plan(Pace::Rate(RATE));
    for (tried, name) in TRIES_OF {
        let (mut pairs, mut rates) = (Vec::new(), Vec::new());
        for _ in 0..wanted.pairs {
            let crew = Crew::start(house.ws(), tried);
            let began = Instant::now();
            let beside = honest.talk(&plan)?.p99();
            let tries = crew.stop()?;
            rates.push(to_float(tries) / began.elapsed().as_secs_f64());
            pairs.push((beside, honest.talk(&plan)?.p99()));
        }
        let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
        let what = format!("p99 of {SOCKETS} honest sockets beside {name}, to alone");
        let note = format!("{least:.0} tries a second");
        let row = Row::new(&format!("hostile, {name}"), &what, "ms", &pairs).noting(vec![note]);
        record.row(row.within(Some(Budget::ratio_up_to(1.5, 1.1))));
    }
    crowd(wanted, &house, &mut honest, record)
}

/// Thousands come at one time, say half of a request, and are all told at one time
/// that it took too long.
fn crowd(
    wanted: &Within,
    house: &House,
    honest: &mut Side<Raw>,
    record: &mut Record,
) -> anyhow::Result<()> {
    let plan = Plan {
        span: WATCHED,
        ..wanted.plan(Pace::Rate(RATE))
    };
    let sockets = wanted.sockets(CROWD);
    let (mut pairs, mut longest) = (Vec::new(), Duration::ZERO);
    for _ in 0..wanted.pairs.min(PAIRS_MAX) {
        let ws = house.ws();
        let crew = thread::spawn(move || half_a_crowd(ws, sockets));
        let beside = honest.talk(&plan)?;
        longest = longest.max(beside.outcome.latency.longest());
        match crew.join() {
            Ok(held) => held?,
            Err(_) => bail!("the thread of those who shake hands broke"),
        }
        pairs.push((beside.p99(), honest.talk(&plan)?.p99()));
    }
    let what = format!("p99 of {SOCKETS} honest sockets beside {sockets} half requests, to alone");
    let note = format!("{:.0} ms at worst", longest.as_secs_f64() * 1e3);
    let row = Row::new("hostile, a crowd", &what, "ms", &pairs).noting(vec![note]);
    record.row(row.within(Some(Budget::ratio_up_to(1.5, 1.1))));
    Ok(())
}

fn half_a_crowd(ws: SocketAddr, sockets: usize) -> anyhow::Result<()> {
    let [_, core] = cores::two_for_a_server();
    cores::pin(core)?;
    cores::give_way()?;
    let mut held = Vec::new();
    for _ in 0..sockets {
        held.extend(once(ws, Try::Half)?);
    }
    for mut stream in held {
        stream.set_read_timeout(Some(WATCHED))?;
        ensure!(stream.read(&mut [0; 512])? > 0, "it is told why");
    }
    Ok(())
}

/// Who tries, on a thread of its own that gives way to the honest.
struct Crew {
    over: SyncSender<()>,
    thread: JoinHandle<anyhow::Result<u64>>,
}

impl Crew {
    fn start(ws: SocketAddr, tried: Try) -> Self {
        let (over, until) = sync_channel(1);
        let thread = thread::spawn(move || live(ws, tried, &until));
        Self { over, thread }
    }

    /// They end; answers how often they tried.
    fn stop(self) -> anyhow::Result<u64> {
        drop(self.over);
        match self.thread.join() {
            Ok(tried) => tried,
            Err(_) => bail!("the thread of those who try broke"),
        }
    }
}

/// Tries until it is over; answers how often.
fn live(ws: SocketAddr, tried: Try, until: &Receiver<()>) -> anyhow::Result<u64> {
    let [_, core] = cores::two_for_a_server();
    cores::pin(core)?;
    cores::give_way()?;
    let pause = Duration::from_secs(1) / TRIES;
    let (mut due, mut times) = (Instant::now(), 0);
    let mut held = VecDeque::new();
    loop {
        held.extend(once(ws, tried)?);
        if held.len() > HELD {
            held.pop_front();
        }
        times += 1;
        due = Instant::now().max(due + pause);
        let wait = due.saturating_duration_since(Instant::now());
        if until.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected) {
            return Ok(times);
        }
    }
}

/// One try; what stays open of it.
fn once(ws: SocketAddr, tried: Try) -> anyhow::Result<Option<TcpStream>> {
    let mut stream = TcpStream::connect(ws)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    let said = match tried {
        Try::Half => {
            stream.write_all(b"GET /hall HTTP/1.1\r\nHost: x\r\nUpgrade: web")?;
            return Ok(Some(stream));
        }
        Try::Request => format!("GET /%2e%2e/hall HTTP/1.1\r\nHost: x\r\n{UPGRADE}").into_bytes(),
        Try::Frame => {
            upgrade(&mut stream, "/hall-of-others", "")?;
            frame(0x83, b"")?
        }
        Try::Pings => {
            upgrade(&mut stream, "/hall-of-others", "")?;
            frame(0x89, b"")?.repeat(FLOOD)
        }
        Try::Joins => {
            upgrade(&mut stream, "/", "Sec-WebSocket-Protocol: porthouse.v1\r\n")?;
            let join = br#"{"op":"join","id":1,"room":"hall-of-others"}"#;
            let leave = br#"{"op":"leave","id":2,"room":"hall-of-others"}"#;
            [frame(0x81, join)?, frame(0x81, leave)?]
                .concat()
                .repeat(FLOOD / 2)
        }
    };
    stream.write_all(&said)?;
    // It has an answer, and then an end, which may overtake the answer.
    stream.shutdown(Shutdown::Write)?;
    match stream.read_to_end(&mut Vec::new()) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => Err(error.into()),
        Ok(_) | Err(_) => Ok(None),
    }
}

/// A frame with a mask of zeros; `first` is FIN and the opcode.
fn frame(first: u8, payload: &[u8]) -> anyhow::Result<Vec<u8>> {
    let length = u8::try_from(payload.len()).context("a short payload")?;
    Ok([&[first, 0x80 | length, 0, 0, 0, 0], payload].concat())
}

fn upgrade(stream: &mut TcpStream, path: &str, more: &str) -> anyhow::Result<()> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{more}{UPGRADE}").as_bytes())?;
    let mut answer = [0; 1_024];
    let told = stream.read(&mut answer)?;
    ensure!(
        answer[..told].starts_with(b"HTTP/1.1 101"),
        "it is not let in"
    );
    Ok(())
}
