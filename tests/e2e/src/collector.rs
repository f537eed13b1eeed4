//! A collector of spans, as OpenTelemetry's own listens: OTLP over gRPC. Keeps all
//! that it is sent, and judges nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::wait::within;

/// A span as it was sent.
#[derive(Clone, Debug)]
pub struct Span {
    /// What kind of process sent it.
    pub service: String,
    /// Its trace.
    pub trace: Vec<u8>,
    /// Its id.
    pub id: Vec<u8>,
    /// The span that it is part of; empty: of none.
    pub parent: Vec<u8>,
    /// What was done.
    pub name: String,
    /// From when to when, in nanoseconds.
    pub time: (u64, u64),
    /// What it says of itself, as text.
    pub attributes: BTreeMap<String, String>,
}

/// A running collector.
#[derive(Debug)]
pub struct Collector {
    /// Where it listens.
    pub address: SocketAddr,
    kept: Arc<Kept>,
    serving: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Kept {
    spans: Mutex<Vec<Span>>,
    /// All that was sent, as it was sent.
    sent: Mutex<String>,
    /// What was shown with each export, by this name.
    keys: Mutex<Vec<Option<String>>>,
    count: watch::Sender<usize>,
}

/// The service, over what it keeps.
struct Keeps(Arc<Kept>);

#[tonic::async_trait]
impl TraceService for Keeps {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let key = request.metadata().get("api-key");
        let key = key.and_then(|key| key.to_str().ok()).map(str::to_owned);
        self.0.keys.lock().expect("no thread panics").push(key);
        let sent = format!("{:?}\n", request.get_ref());
        self.0
            .sent
            .lock()
            .expect("no thread panics")
            .push_str(&sent);
        let mut spans = self.0.spans.lock().expect("no thread panics");
        for of_one in request.into_inner().resource_spans {
            let about = of_one.resource.unwrap_or_default();
            let service = text(&about.attributes).remove("service.name");
            let service = service.unwrap_or_default();
            let sent = of_one.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.extend(sent.map(|span| Span {
                service: service.clone(),
                trace: span.trace_id,
                id: span.span_id,
                parent: span.parent_span_id,
                name: span.name,
                time: (span.start_time_unix_nano, span.end_time_unix_nano),
                attributes: text(&span.attributes),
            }));
        }
        self.0.count.send_replace(spans.len());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Starts to collect.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let kept = Arc::new(Kept::default());
        let service = TraceServiceServer::new(Keeps(Arc::clone(&kept)));
        let serving = tokio::spawn(async move {
            let server = Server::builder().add_service(service);
            let ended = server.serve_with_incoming(TcpIncoming::from(listener));
            ended.await.expect("it serves until it is dropped");
        });
        Self {
            address,
            kept,
            serving,
        }
    }

    /// All that came so far.
    ///
    /// # Panics
    /// When it has panicked.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.kept.spans.lock().expect("no thread panics").clone()
    }

    /// All that was sent so far, what [`Self::spans`] leaves out included, to be searched.
    ///
    /// # Panics
    /// When it has panicked.
    #[must_use]
    pub fn sent(&self) -> String {
        self.kept.sent.lock().expect("no thread panics").clone()
    }

    /// What was shown as `api-key` with each export.
    ///
    /// # Panics
    /// When it has panicked.
    #[must_use]
    pub fn keys(&self) -> Vec<Option<String>> {
        self.kept.keys.lock().expect("no thread panics").clone()
    }

    /// Waits until what came has something to tell.
    ///
    /// # Panics
    /// When time passes without.
    pub async fn told<T>(&self, what: &str, tells: impl Fn(&[Span]) -> Option<T>) -> T {
        let mut count = self.kept.count.subscribe();
        within(what, async {
            loop {
                count.borrow_and_update();
                if let Some(told) = tells(&self.spans()) {
                    return told;
                }
                count.changed().await.expect("the collector is there");
            }
        })
        .await
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn text(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let said = |attribute: &KeyValue| {
        let value = attribute.value.as_ref().and_then(|it| it.value.clone());
        let value = match value {
            Some(Value::StringValue(text)) => text,
            other => format!("{other:?}"),
        };
        (attribute.key.clone(), value)
    };
    attributes.iter().map(said).collect()
}
