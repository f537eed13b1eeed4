//! Honest sockets that talk in a room while others do what they should not: one
//! speaks, others hear, on both puddles and in both wire forms. Owns what is
//! judged (all arrives, once, in order, and nobody is closed) and what is only
//! told, how long it took. Never judges a time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

use crate::house::House;
use crate::multiplexed::{Multiplexed, Told};
use crate::raw::Raw;

/// Between two messages.
const PACE: Duration = Duration::from_millis(5);
/// The speaker's last word.
const END: &str = "end";

/// People who talk.
#[derive(Debug)]
pub struct Honest {
    stop: watch::Sender<bool>,
    speaks: JoinHandle<u64>,
    hear: Vec<JoinHandle<Vec<Duration>>>,
    memory: Memory,
}

/// What a process holds in memory, and held at the beginning.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pid: u32,
    began_kib: u64,
}

impl Memory {
    /// Of a process, from now on.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        Self {
            pid,
            began_kib: resident_kib(pid),
        }
    }

    /// How much more it holds than at the beginning.
    #[must_use]
    pub fn grown_kib(&self) -> u64 {
        resident_kib(self.pid).saturating_sub(self.began_kib)
    }
}

/// What a process holds in memory.
///
/// # Panics
/// When it has ended.
fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    kib.and_then(|kib| kib.parse().ok()).expect("a number")
}

impl Honest {
    /// They come into a room, and one begins to talk.
    pub async fn talk(house: &mut House, room: &'static str) -> Self {
        let ws = house.ws();
        let mut hear = Vec::new();
        let raws = house.sockets_on_both_puddles(room, None, 2).await;
        let mut client = Multiplexed::open(ws, None).await;
        client.join(room).await;
        let speaker = Raw::enter(ws, room, None).await;
        let began = Instant::now();
        for raw in raws {
            hear.push(tokio::spawn(hears_raw(raw, began)));
        }
        hear.push(tokio::spawn(hears_lines(client, room, began)));
        let (stop, stopped) = watch::channel(false);
        let speaks = tokio::spawn(speaks(speaker, began, stopped));
        Self {
            stop,
            speaks,
            hear,
            memory: Memory::of(house.process().pid()),
        }
    }

    /// They stop; all that was said was heard by everybody, and nobody was closed.
    /// Tells what it was like, and answers by how much the house's memory grew.
    ///
    /// # Panics
    /// When it was not.
    pub async fn stop(self, beside: &str) -> u64 {
        self.stop.send_replace(true);
        let said = self.speaks.await.expect("the speaker was not closed");
        let mut all = Vec::new();
        for hears in self.hear {
            let heard = hears.await.expect("who heard was not closed");
            assert_eq!(heard.len() as u64, said, "everybody hears everything");
            all.extend(heard);
        }
        assert!(said > 0, "they talked");
        all.sort_unstable();
        let grown = self.memory.grown_kib();
        println!(
            "beside {beside}: {said} said, p50 {:?}, p99 {:?}, max {:?}, {grown} KiB more",
            all[all.len() / 2],
            all[all.len() * 99 / 100],
            all[all.len() - 1],
        );
        grown
    }
}

async fn speaks(mut speaker: Raw, began: Instant, stopped: watch::Receiver<bool>) -> u64 {
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut said = 0;
    while !*stopped.borrow() {
        pace.tick().await;
        let text = format!("{said} {}", began.elapsed().as_micros());
        speaker.say(Message::text(text)).await;
        said += 1;
    }
    speaker.say(Message::text(END)).await;
    said
}

/// How long the next message took; nothing after the last word.
///
/// # Panics
/// When it is not the next.
fn took(text: &str, heard: &[Duration], began: Instant) -> Option<Duration> {
    if text == END {
        return None;
    }
    let (number, at) = text.split_once(' ').expect("a number and a time");
    assert_eq!(number, heard.len().to_string(), "in order, each once");
    let at = Duration::from_micros(at.parse().expect("a time"));
    Some(began.elapsed().saturating_sub(at))
}

async fn hears_raw(mut raw: Raw, began: Instant) -> Vec<Duration> {
    let mut heard = Vec::new();
    loop {
        match raw.next().await {
            Message::Text(text) => match took(&text, &heard, began) {
                Some(span) => heard.push(span),
                None => return heard,
            },
            other @ (Message::Binary(_)
            | Message::Ping(_)
            | Message::Pong(_)
            | Message::Close(_)
            | Message::Frame(_)) => panic!("nobody honest says {other:?}"),
        }
    }
}

async fn hears_lines(mut client: Multiplexed, room: &str, began: Instant) -> Vec<Duration> {
    let mut heard = Vec::new();
    loop {
        match client.next().await {
            Told::Line { header, payload } => {
                assert_eq!(header["op"], "message", "{header}");
                assert_eq!(header["room"], Value::from(room), "{header}");
                match took(&payload.to_string(), &heard, began) {
                    Some(span) => heard.push(span),
                    None => return heard,
                }
            }
            Told::Closed(closed) => panic!("who is honest is closed: {closed:?}"),
        }
    }
}

/// Connects from an address of this machine's own, such as 127.0.0.9.
///
/// # Panics
/// When nobody listens.
pub async fn connect_from(from: [u8; 4], ws: SocketAddr) -> tokio::net::TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind((from, 0).into()).expect("every 127.x is ours");
    let connected = crate::wait::within("a connection", socket.connect(ws)).await;
    connected.expect("the node listens")
}
