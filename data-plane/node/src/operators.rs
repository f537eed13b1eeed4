//! What operators ask a node, on a listener and a thread of its own: whether it
//! lives, whether it is ready, and what it counts. Never takes a puddle's turn,
//! and shows nothing of any one client.

mod asked;
mod metrics;
mod process;

use core::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use porthouse_process::spans::Tracer;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use crate::black_box::{Bell, BlackBoxes};
use crate::bridge::StoreSign;
use crate::error::StartError;
use crate::own::{Readiness, Sign};
use crate::tally::Tally;

/// Connections at once; one more waits until one of them has ended.
const CONNECTIONS_MAX: usize = 16;
/// From a connection to the end of its request's head.
const HEAD_TIME_MAX: Duration = Duration::from_secs(5);
/// From a connection to its end, whatever its peer does.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(15);
/// A request's head in bytes; past it, 431. The least that hyper takes.
const HEAD_BYTES_MAX: usize = 8_192;
/// How long nothing is accepted after the system gave no connection.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// The running listener. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Operators {
    address: SocketAddr,
    _stop: oneshot::Sender<Infallible>,
}

/// What is shown.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) node: String,
    pub(crate) sign: Arc<Sign>,
    /// By puddle.
    pub(crate) tallies: Vec<Arc<Tally>>,
    /// The store of durable rooms, if there is one.
    pub(crate) store: Option<Arc<StoreSign>>,
    /// What takes spans.
    pub(crate) spans: Tracer,
    /// By puddle: how its thread is asked for something.
    pub(crate) bells: Vec<Arc<Bell>>,
    /// Where black boxes go, if they are kept.
    pub(crate) boxes: Option<BlackBoxes>,
    /// Held by who asks for them: one at a time.
    pub(crate) asking: tokio::sync::Mutex<()>,
}

impl Operators {
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Starts to answer.
pub(crate) fn start(address: SocketAddr, shown: Shown) -> Result<Operators, StartError> {
    let listener = TcpListener::bind(address).map_err(|source| StartError::Listen {
        address,
        setting: "operators",
        source,
    })?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (stop, stopped) = oneshot::channel::<Infallible>();
    let shown = Arc::new(shown);
    thread::Builder::new()
        .name("operators".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    ended = serve(listener, shown) => if let Err(error) = ended {
                        tracing::error!(%error, "operators are not answered any more");
                    },
                    // Nothing is sent: it was dropped.
                    _ = stopped => {}
                }
            });
        })?;
    Ok(Operators {
        address,
        _stop: stop,
    })
}

async fn serve(listener: TcpListener, shown: Arc<Shown>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let place = place.expect("the places are never closed");
        match listener.accept().await {
            Ok((stream, peer)) => {
                let shown = Arc::clone(&shown);
                tokio::spawn(async move {
                    // Who takes longer is cut.
                    let _ = timeout(CONNECTION_TIME_MAX, converse(stream, peer, &shown)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "no operator can be let in");
                sleep(ACCEPT_REST).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, peer: SocketAddr, shown: &Shown) {
    let answers = service_fn(async |request: Request<Incoming>| {
        let asked = asked::answer(&request, peer, shown).await;
        Ok::<_, Infallible>(
            asked.unwrap_or_else(|| answer(request.method(), request.uri().path(), shown)),
        )
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answers)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "an operator's connection has broken");
    }
}

fn answer(method: &Method, path: &str, shown: &Shown) -> Response<String> {
    let known = matches!(path, "/metrics" | "/live" | "/ready");
    let plain = "text/plain; charset=utf-8";
    let (status, kind, body) = match path {
        _ if known && method != Method::GET && method != Method::HEAD => {
            let body = "only GET and HEAD\n".to_owned();
            (StatusCode::METHOD_NOT_ALLOWED, plain, body)
        }
        "/metrics" => (StatusCode::OK, metrics::FORM, metrics::text(shown)),
        "/live" => (StatusCode::OK, plain, "live\n".to_owned()),
        "/ready" => {
            let readiness = shown.sign.read();
            let status = match readiness {
                Readiness::Ready => StatusCode::OK,
                Readiness::Starting | Readiness::Draining => StatusCode::SERVICE_UNAVAILABLE,
            };
            // A node without its store is of use to all other rooms.
            let store = shown.store.as_ref();
            let store = store.map_or("", |store| store.read().sentence());
            (status, plain, format!("{}{store}", readiness.sentence()))
        }
        _ => {
            let body =
                "operators are answered at /metrics, /live, /ready and /black-box\n".to_owned();
            (StatusCode::NOT_FOUND, plain, body)
        }
    };
    respond((status, kind), "GET, HEAD", body)
}

fn respond(
    (status, kind): (StatusCode, &'static str),
    allowed: &'static str,
    body: String,
) -> Response<String> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, kind)
        .header(CACHE_CONTROL, "no-store")
        .header(ALLOW, allowed)
        .body(body)
        .expect("these are header values")
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use porthouse_puddle::Counters;

    use super::*;
    use crate::bridge::Store;

    fn shown() -> Shown {
        let tallies = vec![Arc::new(Tally::default()), Arc::new(Tally::default())];
        Shown {
            node: "node-1".to_owned(),
            sign: Arc::new(Sign::new()),
            tallies,
            store: Some(Arc::new(StoreSign::new())),
            spans: Tracer::default(),
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
        let operators = start("127.0.0.1:0".parse().unwrap(), shown).expect("it starts");
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
        assert!(metrics.ends_with("# EOF\n"));
    }

    #[test]
    fn what_is_not_for_operators_is_refused_and_says_what_is() {
        let operators = start("127.0.0.1:0".parse().unwrap(), shown()).expect("it starts");
        let unknown = get(&operators, "/lobby");
        assert!(unknown.starts_with("HTTP/1.1 404") && unknown.contains("/metrics"));
        let posted = "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
        assert!(ask(&operators, posted).starts_with("HTTP/1.1 405"));
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(2 * HEAD_BYTES_MAX));
        let mut stream = TcpStream::connect(operators.address()).expect("it listens");
        let _ = stream.write_all(long.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
    }

    #[test]
    fn the_listener_ends_with_its_node() {
        let operators = start("127.0.0.1:0".parse().unwrap(), shown()).expect("it starts");
        let address = operators.address();
        drop(operators);
        // It would go on for ever, and the test's own deadline would end it.
        while TcpStream::connect(address).is_ok() {
            thread::yield_now();
        }
    }

    #[test]
    fn black_boxes_are_for_operators_on_the_machine_and_no_page_of_a_browser() {
        let operators = start("127.0.0.1:0".parse().unwrap(), shown()).expect("it starts");
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
