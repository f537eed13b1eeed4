//! What operators ask a process, on a listener and a thread of its own: whether it
//! lives, whether it is ready, and what it counts.
//!
//! Owns the listener and its bounds, the paths, and what every process of ours counts
//! alike. What a plane shows is the plane's affair ([`Plane`]); nothing that it does
//! waits for whoever asks here.

use core::convert::Infallible;
use core::fmt;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

mod metrics;
mod process;

pub use metrics::{Label, Lengths, MetricsEncoder};

use crate::spans::Tracer;

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
/// What every process answers.
const PATHS: [&str; 3] = ["/metrics", "/live", "/ready"];
/// What is no metric is text for people.
const PLAIN: &str = "text/plain; charset=utf-8";

/// An answer that takes its time.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Response<String>> + Send + 'a>>;

/// A plane as operators see it.
pub trait Plane: fmt::Debug + Send + Sync {
    /// Which one it is: labels of `porthouse_build_info` beside the version.
    fn labels(&self) -> Vec<(&'static str, String)>;

    /// Whether it is of use to those it serves.
    fn readiness(&self) -> Readiness;

    /// What it counts.
    ///
    /// # Errors
    /// Those of the encoder.
    fn count(&self, out: &mut MetricsEncoder<'_>) -> fmt::Result;

    /// Paths of its own, beside those of every process.
    fn paths(&self) -> &'static [&'static str] {
        &[]
    }

    /// The answer to a request for one of them.
    fn asked<'a>(&'a self, _request: &'a Parts, _peer: SocketAddr) -> Option<Answering<'a>> {
        None
    }
}

/// Whether a plane is of use to those it serves, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Whether it is.
    pub is_ready: bool,
    /// Lines for whoever asks.
    pub says: String,
}

/// What is shown.
#[derive(Debug)]
pub struct Shown {
    /// The planes that this process runs.
    pub planes: Vec<Arc<dyn Plane>>,
    /// What takes spans.
    pub spans: Tracer,
}

/// The running listener. It ends when this is dropped.
#[derive(Debug)]
pub struct Operators {
    address: SocketAddr,
    _stop: oneshot::Sender<Infallible>,
}

impl Operators {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Starts to answer on a listener that is bound.
///
/// # Errors
/// When the system gives no thread, or what a runtime needs.
pub fn start(listener: TcpListener, shown: Shown) -> io::Result<Operators> {
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
        let (request, _) = request.into_parts();
        Ok::<_, Infallible>(answer(&request, peer, shown).await)
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

async fn answer(request: &Parts, peer: SocketAddr, shown: &Shown) -> Response<String> {
    let mut planes = shown.planes.iter();
    if let Some(asked) = planes.find_map(|plane| plane.asked(request, peer)) {
        return asked.await;
    }
    let path = request.uri.path();
    let known = PATHS.contains(&path);
    let (status, kind, body) = match path {
        _ if known && request.method != Method::GET && request.method != Method::HEAD => {
            let body = "only GET and HEAD\n".to_owned();
            (StatusCode::METHOD_NOT_ALLOWED, PLAIN, body)
        }
        "/metrics" => (StatusCode::OK, metrics::FORM, metrics::text(shown)),
        "/live" => (StatusCode::OK, PLAIN, "live\n".to_owned()),
        "/ready" => {
            let (is_ready, says) = readiness(shown);
            let status = if is_ready {
                StatusCode::OK
            } else {
                StatusCode::SERVICE_UNAVAILABLE
            };
            (status, PLAIN, says)
        }
        _ => (StatusCode::NOT_FOUND, PLAIN, known_paths(shown)),
    };
    respond((status, kind), "GET, HEAD", body)
}

/// A process is ready when all its planes are.
fn readiness(shown: &Shown) -> (bool, String) {
    let all = shown.planes.iter().map(|plane| plane.readiness());
    all.fold((true, String::new()), |(ready, says), next| {
        (ready && next.is_ready, says + &next.says)
    })
}

fn known_paths(shown: &Shown) -> String {
    let further = shown.planes.iter().flat_map(|plane| plane.paths());
    let all: Vec<&str> = PATHS.iter().chain(further).copied().collect();
    format!("operators are answered at {}\n", all.join(", "))
}

/// An answer of text for people.
#[must_use]
pub fn says(status: StatusCode, allowed: &'static str, body: String) -> Response<String> {
    respond((status, PLAIN), allowed, body)
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

    use super::*;

    /// A plane that is as it says.
    #[derive(Debug)]
    struct Said(&'static str, bool);

    impl Plane for Said {
        fn labels(&self) -> Vec<(&'static str, String)> {
            vec![("plane", self.0.to_owned())]
        }

        fn readiness(&self) -> Readiness {
            Readiness {
                is_ready: self.1,
                says: format!("{}: {}\n", self.0, self.1),
            }
        }

        fn count(&self, _: &mut MetricsEncoder<'_>) -> fmt::Result {
            Ok(())
        }

        fn paths(&self) -> &'static [&'static str] {
            &["/further"]
        }

        fn asked<'a>(&'a self, request: &'a Parts, _: SocketAddr) -> Option<Answering<'a>> {
            let own = request.uri.path() == "/further";
            own.then(|| -> Answering<'a> {
                Box::pin(async { says(StatusCode::OK, "POST", "done\n".to_owned()) })
            })
        }
    }

    fn operators(planes: &[Said]) -> Operators {
        let planes = planes.iter().map(|Said(name, ready)| {
            let plane: Arc<dyn Plane> = Arc::new(Said(name, *ready));
            plane
        });
        let shown = Shown {
            planes: planes.collect(),
            spans: Tracer::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        start(listener, shown).expect("it starts")
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
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        ask(operators, &request)
    }

    #[test]
    fn a_process_is_ready_when_all_its_planes_are() {
        let one = operators(&[Said("a", true)]);
        assert!(get(&one, "/live").starts_with("HTTP/1.1 200"));
        assert!(get(&one, "/ready").starts_with("HTTP/1.1 200"));
        let two = operators(&[Said("a", true), Said("b", false)]);
        let ready = get(&two, "/ready");
        assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
        assert!(ready.ends_with("a: true\nb: false\n"), "{ready}");
    }

    #[test]
    fn every_plane_says_which_it_is_and_the_process_is_counted_once() {
        let two = operators(&[Said("a", true), Said("b", true)]);
        let metrics = get(&two, "/metrics");
        for plane in ["a", "b"] {
            let line = format!("\nporthouse_build_info{{plane=\"{plane}\",version=");
            assert!(metrics.contains(&line), "{metrics}");
        }
        let processes = metrics.matches("\nprocess_cpu_seconds_total ");
        assert_eq!(processes.count(), 1);
        assert!(metrics.ends_with("# EOF\n"));
    }

    #[test]
    fn a_plane_answers_at_paths_of_its_own() {
        let one = operators(&[Said("a", true)]);
        assert!(get(&one, "/further").ends_with("done\n"));
        assert!(get(&one, "/lobby").contains(", /further\n"));
    }

    #[test]
    fn what_is_not_for_operators_is_refused_and_says_what_is() {
        let one = operators(&[Said("a", true)]);
        let unknown = get(&one, "/lobby");
        assert!(unknown.starts_with("HTTP/1.1 404") && unknown.contains("/metrics"));
        let posted = "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
        assert!(ask(&one, posted).starts_with("HTTP/1.1 405"));
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(2 * HEAD_BYTES_MAX));
        let mut stream = TcpStream::connect(one.address()).expect("it listens");
        let _ = stream.write_all(long.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
    }

    #[test]
    fn the_listener_ends_with_its_process() {
        let one = operators(&[Said("a", true)]);
        let address = one.address();
        drop(one);
        // It would go on for ever, and the test's own deadline would end it.
        while TcpStream::connect(address).is_ok() {
            thread::yield_now();
        }
    }
}
