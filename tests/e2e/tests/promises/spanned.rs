//! Spans: a join is one trace from the socket to the database, a turn says what it
//! did, and a collector that hangs costs spans and nothing else.

use std::net::SocketAddr;

use porthouse_api::control::v1::{BroadcastRules, Room, RoomRules};
use porthouse_e2e::collector::{Collector, Span};
use porthouse_e2e::planes::{Node, Planes};
use porthouse_e2e::raw::Raw;
use porthouse_e2e::wait::within;
use porthouse_e2e::wire::Wire;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

/// The call by which a node asks, and its span on either side.
const RESOLVE: &str = "porthouse.node.v1.PolicyFeedService/Resolve";

/// Everything is taken, and goes there.
fn all_to(address: SocketAddr) -> [String; 4] {
    let endpoint = format!("http://{address}");
    ["--spans-ratio", "1", "--spans-endpoint", &endpoint].map(str::to_owned)
}

/// The one of these that is part of it.
fn part<'a>(spans: &'a [Span], whole: &Span, name: &str) -> Option<&'a Span> {
    let mut spans = spans.iter();
    spans.find(|span| span.trace == whole.trace && span.parent == whole.id && span.name == name)
}

/// From a socket's entry to a transaction, each a part of the one before.
fn joined(spans: &[Span]) -> Option<[Span; 4]> {
    let entries = spans.iter().filter(|span| span.name == "socket.entry");
    let mut whole = entries.filter_map(|entry| {
        let asks = part(spans, entry, RESOLVE)?;
        let answers = part(spans, asks, RESOLVE)?;
        let reads = part(spans, answers, "transaction")?;
        Some([entry, asks, answers, reads].map(Clone::clone))
    });
    whole.next()
}

#[tokio::test]
async fn a_join_is_one_trace_from_the_socket_to_the_database() {
    let collector = Collector::start().await;
    let planes = Planes::found().await;
    let key = planes
        .secrets()
        .keep("a collector's key", "sesame-of-spans");
    let flags = all_to(collector.address);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let headers = format!("api-key={key}");
    let shown = [("PORTHOUSE_SPANS_HEADERS", headers.as_str())];
    let replica = planes.replica_with(None, &flags, &shown).await;
    let node = planes.node("alpha", &replica, &flags).await;
    let backend = planes.backend(&replica);
    let broadcast = BroadcastRules {
        echo: Some(true),
        ..BroadcastRules::default()
    };
    let rules = RoomRules {
        broadcast: Some(broadcast),
        ..RoomRules::default()
    };
    let room = Room {
        rules: Some(rules),
        ..Room::default()
    };
    let made = backend.make_room("quarterdeck", room).await;
    backend.applied(made).await;
    let ada = backend.signed_in_user("bellatrix").await;
    let mut socket = Raw::enter(node.ws, "quarterdeck", Some(&ada.token)).await;
    socket.say(Message::text("a word of mouth")).await;
    assert_eq!(socket.next().await, Message::text("a word of mouth"));

    let [entry, asks, answers, reads] = collector.told("a whole join", joined).await;
    assert_eq!(entry.attributes["porthouse.outcome"], "arrived");
    assert_eq!(entry.parent, [0_u8; 0]);
    let services = [&entry, &asks, &answers, &reads].map(|span| span.service.as_str());
    let [on_node, on_control] = ["porthouse-node", "porthouse-control"];
    assert_eq!(services, [on_node, on_node, on_control, on_control]);
    for call in [&asks, &answers] {
        assert_eq!(call.attributes["rpc.method"], RESOLVE);
        assert_eq!(call.attributes["rpc.response.status_code"], "OK");
    }
    assert!(entry.time.0 <= asks.time.0 && asks.time.1 <= entry.time.1);

    let said = |spans: &[Span]| {
        let turns = spans.iter().filter(|span| span.name == "puddle.turn");
        let mut said = turns.filter(|turn| {
            let counts = ["porthouse.messages", "porthouse.deliveries"];
            counts.map(|count| turn.attributes[count].contains("(1)")) == [true; 2]
        });
        let turn = said.next()?;
        let handle = part(spans, turn, "puddle.handle")?;
        let settle = part(spans, turn, "puddle.settle")?;
        Some([turn, handle, settle].map(Clone::clone))
    };
    let [turn, handle, settle] = collector.told("a turn with a message", said).await;
    assert_eq!((turn.time.0, turn.time.1), (handle.time.0, settle.time.1));
    assert_eq!(handle.time.1, settle.time.0);

    let secrets = std::sync::Arc::clone(planes.secrets());
    planes.close(node, vec![replica], Vec::new()).await;
    let sent = collector.sent();
    assert!(
        sent.contains("service.version"),
        "what no span has is searched too"
    );
    assert_eq!(secrets.found_in(&sent), [""; 0], "was sent");
    for private in ["quarterdeck", "bellatrix", "a word of mouth", "127.0.0.1"] {
        assert!(!sent.contains(private), "{private} was sent");
    }
    assert!(
        collector.keys().contains(&Some(key)),
        "it was shown the key"
    );
}

/// What is counted on the node, by the name of a metric without labels.
async fn counted(node: &Node, metric: &str) -> u64 {
    let operators = node.operators.expect("it listens for them");
    let mut wire = Wire::connect(operators).await;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {operators}\r\n\r\n");
    wire.send(request.as_bytes()).await;
    let metrics = wire.answer().await.body;
    let mut lines = metrics.lines();
    let found = lines.find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    found.expect("it is counted").parse().expect("a number")
}

#[tokio::test]
async fn a_collector_that_hangs_costs_spans_and_nothing_else() {
    // The kernel takes the connection, and nobody reads from it.
    let hangs = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let planes = Planes::found().await;
    let replica = planes.replica(None).await;
    let mut flags = all_to(hangs.local_addr().expect("it listens")).to_vec();
    flags.extend(["--operators", "127.0.0.1:0", "--transient-rooms", "anyone"].map(str::to_owned));
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let node = planes.node("alpha", &replica, &flags).await;
    let mut speaker = Raw::enter(node.ws, "lobby", None).await;
    let mut listener = Raw::enter(node.ws, "lobby", None).await;
    within("spans that are dropped", async {
        while counted(&node, "porthouse_spans_dropped_total").await == 0 {
            for number in 0..200 {
                let word = Message::text(number.to_string());
                speaker.say(word.clone()).await;
                assert_eq!(listener.next().await, word);
            }
        }
    })
    .await;
    assert_eq!(counted(&node, "porthouse_spans_exported_total").await, 0);
    drop((speaker, listener));
    // It ends in time, too.
    planes.close(node, vec![replica], Vec::new()).await;
}
