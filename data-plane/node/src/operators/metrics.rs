//! What a node counts, in the text form of
//! [OpenMetrics 1.0](https://prometheus.io/docs/specs/om/open_metrics_spec/),
//! which Prometheus reads. Reads the counters when it is asked, and keeps nothing.

use core::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::Shown;
use super::process::{Process, gauge};
use crate::bridge::Store;
use crate::own::Readiness;
use crate::tally::Read;

/// The media type of the text.
pub(super) const FORM: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Of each puddle: name, meaning, and where it stands.
type Row = (&'static str, &'static str, fn(&Read) -> u64);

/// What there is now.
const GAUGES: [Row; 3] = [
    (
        "porthouse_connections",
        "Connections open, those not yet upgraded included",
        |read| read.connections,
    ),
    (
        "porthouse_rooms",
        "Rooms that somebody is in or entering",
        |read| read.puddle.rooms,
    ),
    (
        "porthouse_queued_bytes",
        "Bytes that sockets have not taken, shared ones counted once",
        |read| read.puddle.held_bytes,
    ),
];
/// What has happened since the puddle began.
const COUNTERS: [Row; 9] = [
    ("porthouse_admitted", "Entries to rooms", |read| {
        read.puddle.admitted
    }),
    ("porthouse_refused", "Refusals told", |read| {
        read.puddle.refused
    }),
    (
        "porthouse_pages_refused",
        "Refusals told to pages of an origin that the room does not name",
        |read| read.puddle.pages_refused,
    ),
    (
        "porthouse_cookies_refused",
        "Refusals told to pages that may not use the session cookie they came with",
        |read| read.puddle.cookies_refused,
    ),
    (
        "porthouse_messages",
        "Messages taken from sockets and backends",
        |read| read.puddle.messages,
    ),
    (
        "porthouse_deliveries",
        "Messages queued for a socket",
        |read| read.puddle.deliveries,
    ),
    (
        "porthouse_slow_closed",
        "Sockets closed for reading too slowly",
        |read| read.puddle.slow,
    ),
    (
        "porthouse_dropped_messages",
        "Messages that sockets missed for reading too slowly",
        |read| read.puddle.dropped,
    ),
    (
        "porthouse_puddle_panics",
        "Times the puddle began anew after a fault",
        |read| read.panics,
    ),
];

/// Of the store, where there is one.
const STORE: &str = "porthouse_store";
const STREAMS_MADE: &str = "porthouse_store_streams_made";

/// Of spans, where any are taken.
const SPANS: [(&str, &str); 2] = [
    ("porthouse_spans_exported", "Spans that the collector took"),
    ("porthouse_spans_dropped", "Spans that nobody took in time"),
];

/// Everything, as of now.
pub(super) fn text(shown: &Shown) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Now {
        node: shown.node.clone(),
        ready: shown.sign.read() == Readiness::Ready,
        puddles: shown.tallies.iter().map(|tally| tally.read()).collect(),
        store: (shown.store.as_ref()).map(|store| (store.read(), store.times_made())),
        spans: shown.spans.counts().map(Into::into),
        process: Process::read(),
    }));
    let mut text = String::new();
    encode(&mut text, &registry).expect("a string takes all");
    text
}

#[derive(Debug)]
struct Now {
    node: String,
    ready: bool,
    puddles: Vec<Read>,
    /// How the store stands, and how often its stream was made anew.
    store: Option<(Store, u64)>,
    /// Exported and dropped.
    spans: Option<[u64; 2]>,
    process: Option<Process>,
}

impl Collector for Now {
    fn encode(&self, mut out: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, meaning, of) in GAUGES {
            let mut family = out.encode_descriptor(name, meaning, None, MetricType::Gauge)?;
            for (puddle, read) in self.puddles.iter().enumerate() {
                let labels = [("puddle", puddle.to_string())];
                gauge(of(read)).encode(family.encode_family(&labels)?)?;
            }
        }
        for (name, meaning, of) in COUNTERS {
            let mut family = out.encode_descriptor(name, meaning, None, MetricType::Counter)?;
            for (puddle, read) in self.puddles.iter().enumerate() {
                let labels = [("puddle", puddle.to_string())];
                ConstCounter::new(of(read)).encode(family.encode_family(&labels)?)?;
            }
        }
        let meaning = "Whether clients are welcome";
        let ready = out.encode_descriptor("porthouse_ready", meaning, None, MetricType::Gauge)?;
        ConstGauge::new(i64::from(self.ready)).encode(ready)?;
        if let Some((store, made)) = self.store {
            encode_store(&mut out, store, made)?;
        }
        for ((name, meaning), count) in SPANS.into_iter().zip(self.spans.into_iter().flatten()) {
            let family = out.encode_descriptor(name, meaning, None, MetricType::Counter)?;
            ConstCounter::new(count).encode(family)?;
        }
        let meaning = "Which node this is";
        let mut family =
            out.encode_descriptor("porthouse_build", meaning, None, MetricType::Info)?;
        let labels = [
            ("node", self.node.as_str()),
            ("version", env!("CARGO_PKG_VERSION")),
        ];
        ConstGauge::new(1_i64).encode(family.encode_family(&labels)?)?;
        self.process
            .as_ref()
            .map_or(Ok(()), |read| read.encode(out))
    }
}

/// How the store of durable rooms stands: 1 at the one state that it is in.
fn encode_store(
    out: &mut DescriptorEncoder<'_>,
    store: Store,
    made: u64,
) -> Result<(), fmt::Error> {
    let meaning = "How the store of durable rooms stands";
    let mut family = out.encode_descriptor(STORE, meaning, None, MetricType::Gauge)?;
    for state in Store::ALL {
        let labels = [(STORE, state.name())];
        ConstGauge::new(i64::from(state == store)).encode(family.encode_family(&labels)?)?;
    }
    let meaning = "Times the store's stream was gone and was made anew";
    let family = out.encode_descriptor(STREAMS_MADE, meaning, None, MetricType::Counter)?;
    ConstCounter::new(made).encode(family)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_every_metric() {
        let document = include_str!("../../../../docs/operating.md");
        for (name, _, _) in GAUGES {
            assert!(document.contains(&format!("| `{name}`")), "{name}");
        }
        for (name, _, _) in COUNTERS {
            assert!(document.contains(&format!("| `{name}_total`")), "{name}");
        }
        for (name, _) in SPANS {
            assert!(document.contains(&format!("| `{name}_total`")), "{name}");
        }
        assert!(document.contains(&format!("| `{STORE}`")));
        assert!(document.contains(&format!("| `{STREAMS_MADE}_total`")));
    }
}
