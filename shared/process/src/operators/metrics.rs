//! What a process counts, in the text form of
//! [OpenMetrics 1.0](https://prometheus.io/docs/specs/om/open_metrics_spec/),
//! which Prometheus reads. Asks the planes when it is asked, and keeps nothing.

use core::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::process::Process;
use super::{Plane, Shown};

/// The media type of the text.
pub(super) const FORM: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A label and its value.
pub type Label = (&'static str, String);

/// Of spans, where any are taken.
const SPANS: [(&str, &str); 2] = [
    ("porthouse_spans_exported", "Spans that the collector took"),
    ("porthouse_spans_dropped", "Spans that nobody took in time"),
];

/// Takes what is counted.
#[derive(Debug)]
pub struct MetricsEncoder<'a>(DescriptorEncoder<'a>);

/// How long something took, each time.
#[derive(Clone, Debug, PartialEq)]
pub struct Lengths<'a> {
    /// All of them together, in seconds.
    pub sum: f64,
    /// Up to which length in seconds, and how many of those that are in no earlier
    /// one. Lengths past the last are `beyond`.
    pub buckets: &'a [(f64, u64)],
    /// How many were longer.
    pub beyond: u64,
}

impl MetricsEncoder<'_> {
    /// One thing that there is now.
    ///
    /// # Errors
    /// Those of the text.
    pub fn gauge(&mut self, named: (&str, &str), value: u64) -> fmt::Result {
        gauge(value).encode(self.family(named, MetricType::Gauge)?)
    }

    /// What there is now, for each set of labels.
    ///
    /// # Errors
    /// Those of the text.
    pub fn gauges<L: AsRef<[Label]>>(
        &mut self,
        named: (&str, &str),
        values: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut family = self.family(named, MetricType::Gauge)?;
        for (labels, value) in values {
            gauge(value).encode(family.encode_family(&labels.as_ref())?)?;
        }
        Ok(())
    }

    /// One thing that has happened so far. The name is without `_total`.
    ///
    /// # Errors
    /// Those of the text.
    pub fn counter(&mut self, named: (&str, &str), value: u64) -> fmt::Result {
        ConstCounter::new(value).encode(self.family(named, MetricType::Counter)?)
    }

    /// What has happened so far, for each set of labels.
    ///
    /// # Errors
    /// Those of the text.
    pub fn counters<L: AsRef<[Label]>>(
        &mut self,
        named: (&str, &str),
        values: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut family = self.family(named, MetricType::Counter)?;
        for (labels, value) in values {
            ConstCounter::new(value).encode(family.encode_family(&labels.as_ref())?)?;
        }
        Ok(())
    }

    /// How long something took, for each set of labels.
    ///
    /// # Errors
    /// Those of the text.
    pub fn histograms<'l, L: AsRef<[Label]>>(
        &mut self,
        named: (&str, &str),
        values: impl IntoIterator<Item = (L, Lengths<'l>)>,
    ) -> fmt::Result {
        let mut family = self.family(named, MetricType::Histogram)?;
        for (labels, lengths) in values {
            let mut buckets = lengths.buckets.to_vec();
            // As the encoder knows the last one, which has no end.
            buckets.push((f64::MAX, lengths.beyond));
            let count = buckets.iter().map(|(_, count)| count).sum();
            let labels = labels.as_ref();
            let mut one = family.encode_family(&labels)?;
            one.encode_histogram::<NoLabelSet>(lengths.sum, count, &buckets, None)?;
        }
        Ok(())
    }

    /// Seconds so far.
    pub(super) fn seconds(&mut self, named: (&str, &str), value: f64) -> fmt::Result {
        ConstCounter::new(value).encode(self.family(named, MetricType::Counter)?)
    }

    fn builds(&mut self, planes: &[Arc<dyn Plane>]) -> fmt::Result {
        // What is told of is called `_info` besides.
        let named = ("porthouse_build", "Which plane of which version this is");
        let mut family = self.family(named, MetricType::Info)?;
        for plane in planes {
            let mut labels = plane.labels();
            labels.push(("version", env!("CARGO_PKG_VERSION").to_owned()));
            family.encode_info(&labels)?;
        }
        Ok(())
    }

    fn family<'f>(
        &'f mut self,
        (name, meaning): (&'f str, &str),
        kind: MetricType,
    ) -> Result<MetricEncoder<'f>, fmt::Error> {
        self.0.encode_descriptor(name, meaning, None, kind)
    }
}

/// A whole number of now, which is what is counted here.
fn gauge(value: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}

/// Everything, as of now.
pub(super) fn text(shown: &Shown) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Now {
        planes: shown.planes.clone(),
        spans: shown.spans.counts().map(Into::into),
    }));
    let mut text = String::new();
    encode(&mut text, &registry).expect("a string takes all");
    text
}

#[derive(Debug)]
struct Now {
    planes: Vec<Arc<dyn Plane>>,
    /// Exported and dropped.
    spans: Option<[u64; 2]>,
}

impl Collector for Now {
    fn encode(&self, out: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = MetricsEncoder(out);
        for plane in &self.planes {
            plane.count(&mut out)?;
        }
        for (named, count) in SPANS.into_iter().zip(self.spans.into_iter().flatten()) {
            out.counter(named, count)?;
        }
        out.builds(&self.planes)?;
        Process::read().map_or(Ok(()), |read| read.count(&mut out))
    }
}
