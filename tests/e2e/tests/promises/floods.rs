//! What somebody who reaches a node's gRPC listener may do to it below gRPC: it costs
//! only that connection. Others are answered meanwhile, and memory stays bounded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use porthouse_api::live::v1 as live;
use porthouse_e2e::backend::Backend;
use porthouse_e2e::honest::Memory;
use porthouse_e2e::http2::{
    CONTINUATION, END_HEADERS, Ended, HEADERS, Http2, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS,
    PING, RST_STREAM, SETTINGS, Sent, call, frame, message,
};
use porthouse_e2e::planes::Planes;
use porthouse_e2e::wait::within_time;
use tokio::task::JoinHandle;
use tokio::time::{interval, sleep};
use tonic::Status;
use tonic_types::StatusExt as _;

/// What a process may hold more at the end, in a build that optimises nothing.
const GROWN_KIB_MAX: u64 = 128 * 1024;
/// The code of a `GOAWAY` to who does too much.
const ENHANCE_YOUR_CALM: u32 = 0xb;
/// The code of a stream that is not begun.
const REFUSED_STREAM: u32 = 0x7;
/// Streams that are opened on one connection.
const STREAMS: u32 = 2_000;
/// Those of them that may be.
const STREAMS_MAX: u32 = 256;

/// A listener, and a call that whoever has a key may make.
struct Listener {
    name: &'static str,
    at: SocketAddr,
    pid: u32,
    backend: Backend,
    path: &'static str,
    key: String,
}

impl Listener {
    /// It is asked, again where it says when, as anybody does, and answers.
    async fn asked(&self) {
        let answered = async {
            while let Err(status) = self.ask().await {
                let again = status.get_details_retry_info();
                let delay = again.and_then(|info| info.retry_delay);
                sleep(delay.unwrap_or_else(|| panic!("{status:?}"))).await;
            }
        };
        within_time("an answer", Duration::from_secs(20), answered).await;
    }

    async fn ask(&self) -> Result<(), Status> {
        let all = live::ListRoomsRequest::default();
        self.backend.live().list_rooms(all).await.map(drop)
    }
}

/// Who calls on and on while others do what they should not.
struct Caller {
    stop: Arc<AtomicBool>,
    calls: JoinHandle<u64>,
}

impl Caller {
    fn begin(listener: &Arc<Listener>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (listener, stopped) = (Arc::clone(listener), Arc::clone(&stop));
        let calls = tokio::spawn(async move {
            let mut pace = interval(Duration::from_millis(20));
            let mut calls = 0;
            while !stopped.load(Ordering::Relaxed) {
                pace.tick().await;
                listener.asked().await;
                calls += 1;
            }
            calls
        });
        Self { stop, calls }
    }

    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.calls.await.expect("every call was answered")
    }
}

/// Streams that are opened and given up, by the thousand.
async fn resets(listener: &Listener) {
    for _ in 0..10 {
        let mut http2 = Http2::connect(listener.at, &[]).await;
        let burst: Vec<u8> = (0..5_000)
            .flat_map(|number| {
                let stream = 2 * number + 1;
                let opened = call(stream, listener.path, Some(&listener.key), END_HEADERS);
                [opened, frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
            })
            .collect();
        http2.send(&burst).await;
        let ended = http2.ended().await;
        let told = [Ended::GoAway(ENHANCE_YOUR_CALM), Ended::Lost];
        assert!(told.contains(&ended), "{ended:?}");
    }
}

/// Headers without end.
async fn continuations(listener: &Listener) {
    let header = [&[0x00, 1, b'x', 100][..], &[b'a'; 100]].concat();
    let more = frame(CONTINUATION, 0, 1, &header.repeat(150));
    for _ in 0..10 {
        let mut http2 = Http2::connect(listener.at, &[]).await;
        http2.send(&call(1, listener.path, None, 0)).await;
        let mut sent = Sent::All;
        for _ in 0..1_000 {
            sent = http2.send(&more).await;
            if sent != Sent::All {
                break;
            }
        }
        assert_ne!(sent, Sent::All, "16 MB of headers are not read");
        let ended = http2.ended().await;
        let told = [Ended::GoAway(ENHANCE_YOUR_CALM), Ended::Lost];
        assert!(told.contains(&ended), "{ended:?}");
    }
}

/// What must be answered, by somebody who reads no answer: it is not read either.
async fn unread(listener: &Listener, one: &[u8]) {
    let mut http2 = Http2::connect(listener.at, &[]).await;
    let many = one.repeat(10_000);
    let mut sent = Sent::All;
    for _ in 0..500 {
        sent = http2.send(&many).await;
        if sent != Sent::All {
            break;
        }
    }
    assert_ne!(sent, Sent::All, "five million are not read");
}

/// More streams on one connection than may be, none of which ends.
async fn streams(listener: &Listener) {
    let mut http2 = Http2::connect(listener.at, &[]).await;
    let opened: Vec<u8> = (0..STREAMS)
        .flat_map(|number| {
            call(
                2 * number + 1,
                listener.path,
                Some(&listener.key),
                END_HEADERS,
            )
        })
        .collect();
    assert_eq!(http2.send(&opened).await, Sent::All);
    let mut refused = 0;
    let mut allowed = None;
    while refused < STREAMS - STREAMS_MAX {
        let told = http2.next().await.expect("each is refused");
        match told.kind {
            RST_STREAM => {
                assert_eq!(told.number(0), REFUSED_STREAM, "{told:?}");
                refused += 1;
            }
            SETTINGS => allowed = allowed.or_else(|| told.setting(MAX_CONCURRENT_STREAMS)),
            _ => {}
        }
    }
    assert_eq!(allowed, Some(STREAMS_MAX), "it says how many may be open");
}

/// Answers that nobody takes: as many are kept as calls may be under way.
async fn untaken(listener: &Listener) {
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut http2 = Http2::connect(listener.at, &[(INITIAL_WINDOW_SIZE, 0)]).await;
        let asked: Vec<u8> = (0..STREAMS_MAX)
            .flat_map(|number| {
                let stream = 2 * number + 1;
                let opened = call(stream, listener.path, Some(&listener.key), END_HEADERS);
                [opened, message(stream, &[])].concat()
            })
            .collect();
        assert_eq!(http2.send(&asked).await, Sent::All);
        held.push(http2);
    }
    for http2 in &mut held {
        let mut answered = 0;
        while answered < STREAMS_MAX {
            let told = http2.next().await.expect("it is told");
            answered += u32::from(told.kind == HEADERS);
        }
    }
    // And one call more has no place.
    for http2 in &mut held {
        let number = 2 * STREAMS_MAX + 1;
        http2
            .send(&call(
                number,
                listener.path,
                Some(&listener.key),
                END_HEADERS,
            ))
            .await;
        let refused = loop {
            let told = http2.next().await.expect("it is told");
            if told.stream == number {
                break told;
            }
        };
        assert_eq!(refused.kind, RST_STREAM);
        assert_eq!(refused.number(0), REFUSED_STREAM);
    }
}

/// Each flood, while somebody calls on.
async fn floods(listener: Listener) {
    let listener = Arc::new(listener);
    listener.asked().await;
    let memory = Memory::of(listener.pid);
    let caller = Caller::begin(&listener);
    let told = |what: &str| {
        let grown = memory.grown_kib();
        println!("{}: {grown} KiB more after {what}", listener.name);
        assert!(grown < GROWN_KIB_MAX, "{what}: {grown} KiB");
    };
    resets(&listener).await;
    told("streams that were given up");
    continuations(&listener).await;
    told("headers without end");
    unread(&listener, &frame(SETTINGS, 0, 0, &[])).await;
    told("settings");
    unread(&listener, &frame(PING, 0, 0, &[7; 8])).await;
    told("pings");
    streams(&listener).await;
    told("streams on one connection");
    untaken(&listener).await;
    told("answers that nobody took");
    let calls = caller.end().await;
    println!("{}: {calls} calls were answered meanwhile", listener.name);
    assert!(calls > 0, "others called");
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_below_a_nodes_grpc_cost_only_their_own_connection() {
    let planes = Planes::found().await;
    let replica = planes.replica(None).await;
    let node = planes.node("n", &replica, &[]).await;
    let listener = Listener {
        name: "node",
        at: node.grpc,
        pid: node.pid(),
        path: "/porthouse.live.v1.LiveService/ListRooms",
        key: planes.backend(&replica).make_key(&["live"]).await,
        backend: planes.backend_at(node.grpc),
    };
    floods(listener).await;
    planes.close(node, vec![replica], Vec::new()).await;
}
