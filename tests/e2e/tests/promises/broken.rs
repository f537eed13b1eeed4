//! A panic in a puddle costs its own sockets a 1011 and nothing else, under load;
//! and what came to the puddle is kept, and done again. Never judges the fault:
//! builds for tests have it on request.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use porthouse_e2e::planes::{Node, Planes};
use porthouse_e2e::raw::Raw;
use porthouse_e2e::wait::within;
use porthouse_e2e::wire::Wire;
use porthouse_sim::{Again, Dump, Ending, again};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

const LISTENERS: usize = 32;
/// Said before the fault, and again after it.
const MESSAGES: u64 = 300;
/// From the fault to the last 1011, on a loaded machine.
const TOLD_TIME_MAX: Duration = Duration::from_secs(5);

/// What a listener heard, until it was closed or heard the last word.
struct Listened {
    heard: Vec<u64>,
    /// The close code, and when it came.
    closed: Option<(u16, Instant)>,
}

const LAST: &str = "last";

fn listen(mut socket: Raw) -> JoinHandle<Listened> {
    tokio::spawn(async move {
        let mut heard = Vec::new();
        loop {
            match socket.next().await {
                Message::Close(frame) => {
                    let code = frame.expect("a close frame says why").code.into();
                    let closed = Some((code, Instant::now()));
                    return Listened { heard, closed };
                }
                Message::Text(text) if text.as_str() == LAST => {
                    return Listened {
                        heard,
                        closed: None,
                    };
                }
                message @ (Message::Text(_)
                | Message::Binary(_)
                | Message::Ping(_)
                | Message::Pong(_)
                | Message::Frame(_)) => heard.push(number(&message)),
            }
        }
    })
}

fn number(message: &Message) -> u64 {
    let text = message.to_text().expect("a number");
    text.parse().expect("a number")
}

/// One who speaks, and one on the same puddle by whom it is paced.
struct Talk {
    speaker: Raw,
    witness: Raw,
    said: u64,
}

impl Talk {
    async fn go_on(&mut self, messages: u64) {
        for _ in 0..messages {
            self.speaker.say(self.said.to_string()).await;
            assert_eq!(number(&self.witness.next().await), self.said);
            self.said += 1;
        }
    }
}

async fn operate(operators: SocketAddr, method: &str, path: &str) -> String {
    let mut wire = Wire::connect(operators).await;
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {operators}\r\n\r\n");
    wire.send(request.as_bytes()).await;
    let answer = wire.answer().await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.body
}

/// A figure of each puddle.
async fn figure(operators: SocketAddr, name: &str) -> [u64; 2] {
    let text = operate(operators, "GET", "/metrics").await;
    [0, 1].map(|puddle| {
        let begins = format!("{name}{{puddle=\"{puddle}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&begins));
        line.and_then(|value| value.parse().ok()).expect("a figure")
    })
}

async fn until(operators: SocketAddr, name: &str, holds: impl Fn([u64; 2]) -> bool) {
    let asking = async {
        while !holds(figure(operators, name).await) {
            tokio::task::yield_now().await;
        }
    };
    within(name, asking).await;
}

/// Sockets that come in until each puddle has one that it had not; the two by puddle.
async fn one_of_each(ws: SocketAddr, operators: SocketAddr, room: &str) -> BTreeMap<usize, Raw> {
    let mut found = BTreeMap::new();
    while found.len() < 2 {
        let before = figure(operators, "porthouse_admitted_total").await;
        let socket = Raw::enter(ws, room, None).await;
        let sum = before.iter().sum::<u64>();
        until(operators, "porthouse_admitted_total", |now| {
            now.iter().sum::<u64>() > sum
        })
        .await;
        let after = figure(operators, "porthouse_admitted_total").await;
        found.insert(usize::from(after[1] > before[1]), socket);
    }
    found
}

fn replayed(path: &Path) -> Again {
    let file = std::fs::read(path).expect("a black box");
    again(Dump::read(&file).expect("a black box"), &mut |_, _| {})
}

#[tokio::test]
async fn a_panic_costs_its_puddles_sockets_a_1011_and_nobody_else_a_message() {
    let planes = Planes::found().await;
    let replica = planes.replica(None).await;
    let boxes = tempfile::tempdir().expect("a directory");
    let directory = boxes.path().to_str().expect("a path in UTF-8");
    let flags = [
        &["--operators", "127.0.0.1:0", "--transient-rooms", "anyone"][..],
        &[
            "--black-box-bytes",
            "67108864",
            "--black-box-directory",
            directory,
        ],
    ];
    let node = planes.node("alpha", &replica, &flags.concat()).await;
    let (ws, operators) = (node.ws, node.operators.expect("it listens for them"));

    // The speaker and its witness sit on one puddle; the other will break.
    let mut first = one_of_each(ws, operators, "hall").await;
    let mut second = one_of_each(ws, operators, "hall").await;
    let mut talk = Talk {
        speaker: first.remove(&0).expect("on the first"),
        witness: second.remove(&0).expect("on the first"),
        said: 0,
    };
    let mut listeners = Vec::new();
    for _ in 0..LISTENERS {
        listeners.push(listen(Raw::enter(ws, "hall", None).await));
    }
    listeners.extend(first.into_values().chain(second.into_values()).map(listen));
    talk.go_on(MESSAGES).await;

    let asked = operate(operators, "POST", "/black-box").await;
    assert_eq!(asked.lines().count(), 2, "{asked}");
    for path in asked.lines() {
        let done = replayed(Path::new(path));
        assert_eq!(done.ending, Ending::Same, "{done}");
        assert!(done.inputs > 0, "{done}");
    }

    let broke = Instant::now();
    operate(operators, "POST", "/panic/1").await;
    talk.go_on(MESSAGES).await;
    until(operators, "porthouse_puddle_panics_total", |now| {
        now == [0, 1]
    })
    .await;
    // What the fresh puddle counts is shown once it has had a turn.
    until(operators, "porthouse_connections", |now| now[1] == 0).await;

    // The room goes on over both puddles, the fresh one too.
    let mut fresh = one_of_each(ws, operators, "hall").await;
    let mut newcomer = fresh.remove(&1).expect("on the fresh puddle");
    talk.go_on(1).await;
    assert_eq!(number(&newcomer.next().await), talk.said - 1);
    newcomer.say(talk.said.to_string()).await;
    assert_eq!(number(&talk.witness.next().await), talk.said);
    talk.said += 1;
    talk.speaker.say(LAST).await;

    judge(listeners, talk.said, broke).await;
    the_panic_is_done_again(boxes.path());
    the_third_ends_the_node(node, operators).await;
    planes.close_replicas(vec![replica]).await;
}

/// Those of one puddle were told that it is over, and all others heard everything.
async fn judge(listeners: Vec<JoinHandle<Listened>>, said: u64, broke: Instant) {
    let (mut broken, mut whole) = (0, 0);
    for listener in listeners {
        let listened = within("a listener", listener).await.expect("it listens");
        let heard = listened.heard;
        let in_order = heard.iter().copied().eq(0..heard.len() as u64);
        assert!(in_order, "no gap: {heard:?}");
        if let Some((code, at)) = listened.closed {
            assert_eq!(code, 1011);
            assert!(at - broke < TOLD_TIME_MAX, "{:?}", at - broke);
            broken += 1;
        } else {
            assert_eq!(heard.len() as u64, said, "everything");
            whole += 1;
        }
    }
    assert!(broken > 0 && whole > 0, "{broken} broken, {whole} whole");
}

fn the_panic_is_done_again(directory: &Path) {
    let files = std::fs::read_dir(directory).expect("a directory");
    let paths = files.map(|file| file.expect("a file").path());
    let of_panics: Vec<_> = paths
        .filter(|path| path.to_string_lossy().ends_with("-puddle-1-panic.blackbox"))
        .collect();
    assert_eq!(of_panics.len(), 1);
    let done = replayed(&of_panics[0]);
    assert!(
        matches!(done.ending, Ending::Panicked { as_then: true, .. }),
        "{done}"
    );
}

async fn the_third_ends_the_node(node: Node, operators: SocketAddr) {
    operate(operators, "POST", "/panic/1").await;
    until(operators, "porthouse_puddle_panics_total", |now| {
        now == [0, 2]
    })
    .await;
    operate(operators, "POST", "/panic/1").await;
    let status = node.ended().await;
    assert!(!status.success(), "it ends with a fault: {status}");
}
