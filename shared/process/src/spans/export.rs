//! The way of ended spans to a collector, by OTLP over gRPC, on a thread and a
//! runtime of its own. Owns how long anything may take: what the collector does not
//! take in time is dropped and counted, and tried no second time.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::resource::v1::Resource;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Extensions, Request};

use super::settings::SpanSettings;
use super::{Counts, Ended, wire};

/// Spans of one export.
const BATCH_SPANS_MAX: usize = 512;
/// How long the first of them waits for others.
const GATHER_TIME: Duration = Duration::from_millis(500);
/// How long a connection, and TLS on it, may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);
/// How often a connection is asked whether it lives, so that one that has died
/// silently costs a few exports and not a quarter of an hour of them.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// How long an export may take.
const EXPORT_TIME_MAX: Duration = Duration::from_secs(5);
/// How long the last exports may take in all, once the process stops.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(2);
/// How often it is logged at the most that spans are dropped.
const SAY_EVERY: Duration = Duration::from_secs(30);

/// Why nothing can be exported.
#[derive(Debug, thiserror::Error)]
pub enum SpansError {
    /// TLS cannot be spoken.
    #[error("spans cannot be sent: TLS with the authorities of this machine cannot be set up")]
    Tls(#[source] tonic::transport::Error),
    /// The system gave no thread.
    #[error("spans cannot be sent: the system gives no thread")]
    Thread(#[from] io::Error),
}

/// The export under way. It ends when this is dropped; [`Self::stop`] waits for that.
#[derive(Debug)]
#[must_use]
pub struct Exporting(Option<(oneshot::Sender<Infallible>, oneshot::Receiver<()>)>);

impl Exporting {
    pub(super) const fn nothing() -> Self {
        Self(None)
    }

    /// Sends what has ended, as far as the collector takes it within 2 s.
    pub async fn stop(self) {
        if let Some((stop, stopped)) = self.0 {
            drop(stop);
            // It says nothing: it is gone.
            let _ = stopped.await;
        }
    }
}

/// Starts to export what ends.
pub(super) fn start(
    settings: SpanSettings,
    ended: mpsc::Receiver<Ended>,
    counts: Arc<Counts>,
) -> Result<Exporting, SpansError> {
    let endpoint = Endpoint::from_shared(settings.endpoint.as_str().to_owned());
    let endpoint = endpoint.map_err(SpansError::Tls)?;
    let mut endpoint = endpoint
        .connect_timeout(CONNECT_TIME_MAX)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(CONNECT_TIME_MAX)
        .keep_alive_while_idle(true);
    if endpoint.uri().scheme_str() == Some("https") {
        let tls = ClientTlsConfig::new().timeout(CONNECT_TIME_MAX);
        endpoint = endpoint
            .tls_config(tls.with_native_roots())
            .map_err(SpansError::Tls)?;
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let ((stop, stops), (end, stopped)) = (oneshot::channel(), oneshot::channel());
    thread::Builder::new()
        .name("spans".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                let collector = Collector {
                    client: TraceServiceClient::new(endpoint.connect_lazy()),
                    resource: wire::resource(&settings),
                    headers: settings.headers.metadata().clone(),
                    counts,
                    under_way: 0,
                    said: None,
                };
                collector.run(ended, stops).await;
            });
            let _: Result<(), ()> = end.send(());
        })?;
    Ok(Exporting(Some((stop, stopped))))
}

/// Where spans go, and what became of those before.
struct Collector {
    client: TraceServiceClient<Channel>,
    resource: Resource,
    headers: MetadataMap,
    counts: Arc<Counts>,
    /// Spans that are being sent.
    under_way: usize,
    /// When it was last logged that spans are dropped.
    said: Option<Instant>,
}

impl Collector {
    async fn run(
        mut self,
        mut ended: mpsc::Receiver<Ended>,
        mut stop: oneshot::Receiver<Infallible>,
    ) {
        let mut batch = Vec::with_capacity(BATCH_SPANS_MAX);
        loop {
            let work = async {
                gather(&mut ended, &mut batch).await && {
                    self.export(&mut batch).await;
                    true
                }
            };
            tokio::select! {
                more = work => if !more { return },
                // Nothing is sent: it was dropped.
                _ = &mut stop => break,
            }
        }
        let cut = std::mem::take(&mut self.under_way);
        self.note_dropped(cut);
        ended.close();
        let flush = async {
            while gather(&mut ended, &mut batch).await {
                self.export(&mut batch).await;
            }
        };
        let _ = timeout(FLUSH_TIME_MAX, flush).await;
        let left = self.under_way + batch.len() + ended.len();
        self.note_dropped(left);
        if left > 0 {
            tracing::warn!(
                left,
                "the last spans were not taken in time, and are dropped"
            );
        }
    }

    /// Sends a batch, once. Whatever comes of it, the batch is empty then.
    async fn export(&mut self, batch: &mut Vec<Ended>) {
        let count = batch.len();
        let message = wire::request(&self.resource, batch.drain(..));
        self.under_way = count;
        let request = Request::from_parts(self.headers.clone(), Extensions::default(), message);
        let answer = timeout(EXPORT_TIME_MAX, self.client.export(request)).await;
        self.under_way = 0;
        let why = match answer {
            Ok(Ok(answer)) => {
                let partial = answer.into_inner().partial_success.unwrap_or_default();
                let refused = usize::try_from(partial.rejected_spans)
                    .unwrap_or(0)
                    .min(count);
                self.note_exported(count - refused);
                return self.note_dropped(refused);
            }
            Ok(Err(status)) => format!("{:?}", status.code()),
            Err(_) => format!("it did not answer in {EXPORT_TIME_MAX:?}"),
        };
        self.note_dropped(count);
        if self.may_say() {
            tracing::warn!(
                count,
                why,
                "the collector did not take spans, which are dropped"
            );
        }
    }

    fn may_say(&mut self) -> bool {
        let may = self.said.is_none_or(|said| said.elapsed() >= SAY_EVERY);
        if may {
            self.said = Some(Instant::now());
        }
        may
    }

    fn note_exported(&self, count: usize) {
        let exported = &self.counts.exported;
        exported.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn note_dropped(&self, count: usize) {
        let dropped = &self.counts.dropped;
        dropped.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// Fills a batch, or has it wait long enough; whether there is one. What was gathered
/// stays in the batch when this is dropped.
async fn gather(ended: &mut mpsc::Receiver<Ended>, batch: &mut Vec<Ended>) -> bool {
    if batch.is_empty() && ended.recv_many(batch, BATCH_SPANS_MAX).await == 0 {
        return false;
    }
    let until = Instant::now() + GATHER_TIME;
    while batch.len() < BATCH_SPANS_MAX {
        let left = BATCH_SPANS_MAX - batch.len();
        match timeout_at(until, ended.recv_many(batch, left)).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    true
}
