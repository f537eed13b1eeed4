//! A puddle's thread, as sockets, the switchboard and another puddle see it.

use std::io::{Read, Write};
use std::net::TcpStream;

use porthouse_puddle::{Dump, Hop, PuddleId, Replay};
use rtrb::Producer;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;
use crate::listen;
use crate::own::Sign;
use crate::own::front::Front;
use crate::ring::Peers;
use crate::socket::Sockets;

const WAIT_MAX: Duration = Duration::from_secs(20);
const SLOTS: usize = 64;
const BOX_BYTES: usize = 1 << 20;

/// A running thread, as the switchboard and another puddle see it.
struct Running {
    address: SocketAddr,
    thread: std::thread::JoinHandle<()>,
    heard: mpsc::Receiver<(PuddleId, Said)>,
    inbox: Producer<Told>,
    other: Peers,
    wake: Arc<Wake>,
    bell: Arc<Bell>,
}

fn running(sockets_max: usize) -> Running {
    running_with(sockets_max, None)
}

fn running_with(sockets_max: usize, boxes: Option<&BlackBoxes>) -> Running {
    let (address, mut listeners) =
        listen::bind("127.0.0.1:0".parse().unwrap(), 1, Duration::from_secs(90)).unwrap();
    let wakes: Vec<_> = (0..2).map(|_| Wake::new().unwrap()).collect();
    let settings = Settings {
        sockets_max,
        ..Settings::new(PuddleId(0), 2)
    };
    let mut mesh = Peers::mesh(&wakes, settings.hop_ring_slots() as usize);
    let (other, own) = (mesh.pop().unwrap(), mesh.pop().unwrap());
    let (inbox, told) = RingBuffer::new(SLOTS);
    let (voice, heard) = mpsc::channel(SLOTS);
    let clock = Clock::start();
    let io = Io {
        puddle: PuddleId(0),
        sockets: Sockets::new(sockets_max).unwrap(),
        peers: own,
        voice,
        sign: Arc::new(Sign::new()),
        front: Front::nowhere(),
        refusals: Arc::new(crate::refusals::Refusals::new()),
        seen: crate::policy::seen::Seen::of(1),
        followers: crate::follow::Followers::default(),
        kept_out: crate::policy::kept_out::KeptOut::nowhere(),
        now: clock.now(),
        writes: 0,
        spans: None,
    };
    let wake = Arc::clone(&wakes[0]);
    let bell = Arc::new(Bell::new(Arc::clone(&wake)));
    let recorder = Recorder {
        black_box: BlackBox::new(BOX_BYTES),
        boxes: boxes.cloned(),
        bell: Arc::clone(&bell),
    };
    let thread = Thread::new(
        settings,
        clock,
        listeners.remove(0),
        Arc::clone(&wake),
        told,
        io,
        (Arc::new(Tally::default()), recorder),
    );
    let thread = std::thread::spawn(move || thread.run());
    Running {
        address,
        thread,
        heard,
        inbox,
        other,
        wake,
        bell,
    }
}

impl Running {
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.take(4_096).read_to_string(&mut answer).unwrap();
        answer
    }

    fn tell(&mut self, told: Told) {
        assert!(self.inbox.push(told).is_ok());
        self.wake.wake();
    }

    /// Breaks the puddle's trust in its peers: nothing was given, so nothing
    /// can come back.
    fn break_puddle(&mut self) {
        self.other
            .tell(PuddleId(0), Hop::Credit { hops: 1, bytes: 0 });
        self.other.wake_told();
    }

    async fn said(&mut self) -> Said {
        timeout(WAIT_MAX, self.heard.recv())
            .await
            .unwrap()
            .unwrap()
            .1
    }

    async fn restarted(&mut self) {
        let Said::Restarted { inbox, peers } = self.said().await else {
            panic!("no restart")
        };
        self.inbox = inbox;
        for (_, ends) in peers {
            self.other.replace(PuddleId(0), ends);
        }
    }
}

#[tokio::test]
async fn a_puddle_that_panics_loses_its_sockets_and_begins_anew() {
    let mut running = running(8);
    let mut idle = TcpStream::connect(running.address).unwrap();
    idle.set_read_timeout(Some(WAIT_MAX)).unwrap();
    assert!(
        running.get("/-/live").contains("live"),
        "so `idle` was accepted, too"
    );
    running.break_puddle();
    running.restarted().await;
    let mut last = Vec::new();
    Read::by_ref(&mut idle)
        .take(64)
        .read_to_end(&mut last)
        .unwrap();
    assert_eq!(last, [0x88, 2, 0x03, 0xf3]);
    assert!(running.get("/-/live").contains("live"));
    running.tell(Told::Stop);
    running.thread.join().unwrap();
}

#[tokio::test]
async fn the_third_panic_in_a_minute_ends_it() {
    let mut running = running(8);
    for _ in 0..PANICS_MAX {
        running.break_puddle();
        running.restarted().await;
    }
    assert!(matches!(running.said().await, Said::Broken));
    running.thread.join().unwrap();
}

#[test]
fn a_connection_too_many_is_told_so() {
    let mut running = running(1);
    let _idle = TcpStream::connect(running.address).unwrap();
    let refused = running.get("/lobby");
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    let (head, body) = refused.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
    assert!(body.contains("sockets_max"));
    running.tell(Told::Stop);
    running.thread.join().unwrap();
}

#[tokio::test]
async fn a_drain_that_nobody_waits_for_has_ended_once_the_door_is_shut() {
    let mut running = running(8);
    running.tell(Told::Message(ToPuddle::Drain {
        until: Time::ZERO + WAIT_MAX,
    }));
    assert!(matches!(running.said().await, Said::Emptied));
    assert!(TcpStream::connect(running.address).is_err());
    running.tell(Told::Stop);
    running.thread.join().unwrap();
}

#[tokio::test]
async fn what_a_puddle_did_is_done_again_and_so_is_its_panic() {
    let directory = std::env::temp_dir().join(format!("porthouse-thread-{}", std::process::id()));
    let boxes = BlackBoxes {
        bytes: BOX_BYTES,
        directory: directory.clone(),
    };
    boxes.prepare().unwrap();
    let mut running = running_with(8, Some(&boxes));
    for _ in 0..20 {
        assert!(running.get("/-/live").contains("live"));
        assert!(running.get("/lobby").starts_with("HTTP/1.1 "));
    }
    let mut replay = Replay::new(Dump::read(&running.bell.dump().await.unwrap()).unwrap());
    let (mut turns, mut inputs) = (0, 0);
    while let Some(turn) = replay.turn(&mut |_, _| {}) {
        let turn = turn.unwrap();
        // The turn in which it was asked is under way.
        assert_ne!(turn.same, Some(false), "turn {}", turn.number);
        (turns, inputs) = (turns + u32::from(turn.same.is_some()), inputs + turn.inputs);
    }
    assert!(
        turns >= 40 && inputs >= 80,
        "{turns} turns, {inputs} inputs"
    );

    running.break_puddle();
    running.restarted().await;
    // It is up again once its box was put away.
    assert!(running.get("/-/live").contains("live"));
    let mut files = std::fs::read_dir(&directory).unwrap();
    let file = std::fs::read(files.next().unwrap().unwrap().path()).unwrap();
    let mut replay = Replay::new(Dump::read(&file).unwrap());
    let then = replay.panicked().unwrap().to_owned();
    assert!(then.contains("no more credit comes back"), "{then}");
    let again = catch_unwind(AssertUnwindSafe(|| {
        while let Some(turn) = replay.turn(&mut |_, _| {}) {
            assert_ne!(turn.unwrap().same, Some(false));
        }
    }));
    assert_eq!(words(again.unwrap_err().as_ref()), then);
    running.tell(Told::Stop);
    running.thread.join().unwrap();
    std::fs::remove_dir_all(directory).unwrap();
}
