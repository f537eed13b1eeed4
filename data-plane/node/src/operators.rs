//! What operators are shown of a node: whether it is ready, what it counts, and its
//! black boxes. Never takes a puddle's turn, and shows nothing of any one client.

mod asked;
mod metrics;

use core::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::request::Parts;
use porthouse_process::operators::{Answering, Label, MetricsEncoder, Plane, Readiness};

use crate::black_box::{Bell, BlackBoxes};
use crate::bridge::StoreSign;
use crate::own::{Readiness as Standing, Sign};
use crate::tally::Tally;

/// What is shown.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) node: String,
    pub(crate) sign: Arc<Sign>,
    /// By puddle.
    pub(crate) tallies: Vec<Arc<Tally>>,
    /// The store of durable rooms, if there is one.
    pub(crate) store: Option<Arc<StoreSign>>,
    /// By puddle: how its thread is asked for something.
    pub(crate) bells: Vec<Arc<Bell>>,
    /// Where black boxes go, if they are kept.
    pub(crate) boxes: Option<BlackBoxes>,
    /// Held by who asks for them: one at a time.
    pub(crate) asking: tokio::sync::Mutex<()>,
}

impl Plane for Shown {
    fn labels(&self) -> Vec<Label> {
        vec![("plane", "node".to_owned()), ("node", self.node.clone())]
    }

    fn readiness(&self) -> Readiness {
        let readiness = self.sign.read();
        // A node without its store is of use to all other rooms.
        let store = self.store.as_ref();
        let store = store.map_or("", |store| store.read().sentence());
        Readiness {
            is_ready: readiness == Standing::Ready,
            says: format!("{}{store}", readiness.sentence()),
        }
    }

    fn count(&self, out: &mut MetricsEncoder<'_>) -> fmt::Result {
        metrics::count(self, out)
    }

    fn paths(&self) -> &'static [&'static str] {
        &["/black-box"]
    }

    fn asked<'a>(&'a self, request: &'a Parts, peer: SocketAddr) -> Option<Answering<'a>> {
        asked::answer(request, peer, self)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use porthouse_process::operators::{self, Operators};
    use porthouse_process::spans::Tracer;
    use porthouse_puddle::Counters;

    use super::*;
    use crate::bridge::Store;

    fn start(shown: Shown) -> Operators {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let shown = operators::Shown {
            planes: vec![Arc::new(shown)],
            spans: Tracer::default(),
        };
        operators::start(listener, shown).expect("it starts")
    }

    fn shown() -> Shown {
        let tallies = vec![Arc::new(Tally::default()), Arc::new(Tally::default())];
        Shown {
            node: "node-1".to_owned(),
            sign: Arc::new(Sign::new()),
            tallies,
            store: Some(Arc::new(StoreSign::new())),
            bells: Vec::new(),
            boxes: None,
            asking: tokio::sync::Mutex::default(),
        }
    }

    fn ask(operators: &Operators, request: &str) -> String {
        let mut stream = TcpStream::connect(operators.address()).expect("it listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a timeout");
        stream.write_all(request.as_bytes()).expect("asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        answer
    }

    fn get(operators: &Operators, path: &str) -> String {
        ask(
            operators,
            &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"),
        )
    }

    #[test]
    fn operators_hear_what_is_counted_and_whether_the_node_is_ready() {
        let shown = shown();
        let (sign, tally) = (Arc::clone(&shown.sign), Arc::clone(&shown.tallies[1]));
        let store = shown.store.clone().expect("it has one");
        let operators = start(shown);
        assert!(get(&operators, "/live").starts_with("HTTP/1.1 200 OK"));
        assert!(get(&operators, "/ready").starts_with("HTTP/1.1 503"));
        sign.opened();
        assert!(get(&operators, "/ready").starts_with("HTTP/1.1 200"));
        let metrics = get(&operators, "/metrics");
        assert!(metrics.contains("porthouse_store{porthouse_store=\"away\"} 1\n"));
        assert!(get(&operators, "/ready").contains("\nstore: away"));
        store.show(Store::Connected);
        let metrics = get(&operators, "/metrics");
        assert!(metrics.contains("porthouse_store{porthouse_store=\"away\"} 0\n"));
        assert!(metrics.contains("porthouse_store{porthouse_store=\"connected\"} 1\n"));
        assert!(metrics.contains("porthouse_store_streams_made_total 0\n"));
        assert!(get(&operators, "/ready").ends_with("ready\nstore: connected\n"));
        let counters = Counters {
            deliveries: 12,
            ..Counters::default()
        };
        tally.publish(3, &counters);
        let metrics = get(&operators, "/metrics");
        assert!(metrics.contains("porthouse_connections{puddle=\"1\"} 3\n"));
        assert!(metrics.contains("porthouse_deliveries_total{puddle=\"1\"} 12\n"));
        assert!(metrics.contains("porthouse_deliveries_total{puddle=\"0\"} 0\n"));
        assert!(metrics.contains("porthouse_ready 1\n"));
        assert!(metrics.contains("porthouse_build_info{plane=\"node\",node=\"node-1\",version="));
        assert!(metrics.ends_with("# EOF\n"));
    }

    #[test]
    fn the_document_has_every_metric_and_no_other() {
        let answer = get(&start(shown()), "/metrics");
        let (_, metrics) = answer.split_once("\r\n\r\n").expect("a head");
        let document = include_str!("../../../docs/operating.md");
        let told: BTreeSet<&str> = metrics
            .lines()
            .filter_map(|line| line.split(['{', ' ']).next())
            .filter(|name| !name.is_empty() && !name.starts_with('#'))
            // Where the collector is not theirs, nothing is told of spans.
            .chain([
                "porthouse_spans_exported_total",
                "porthouse_spans_dropped_total",
            ])
            .collect();
        let written: BTreeSet<&str> = document
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split(" |").next())
            .flat_map(|names| names.split(", `"))
            .map(|name| name.trim_end_matches('`'))
            .filter(|name| name.starts_with("porthouse_") || name.starts_with("process_"))
            .filter(|name| !name.starts_with("porthouse_control_"))
            .collect();
        assert_eq!(told, written);
    }

    #[test]
    fn black_boxes_are_for_operators_on_the_machine_and_no_page_of_a_browser() {
        let operators = start(shown());
        let unknown = get(&operators, "/lobby");
        assert!(unknown.contains("/ready, /black-box\n"), "{unknown}");
        let post = |further: &str| {
            let request = format!("POST /black-box HTTP/1.1\r\nHost: x\r\n{further}\r\n");
            ask(&operators, &request)
        };
        let off = post("");
        assert!(
            off.starts_with("HTTP/1.1 404") && off.contains("black_box_bytes"),
            "{off}"
        );
        assert!(post("Origin: http://evil.example\r\n").starts_with("HTTP/1.1 403"));
        assert!(get(&operators, "/black-box").starts_with("HTTP/1.1 405"));
    }
}
