//! live.v1 on a listener and a thread of the node's own, with reflection and
//! health, so that gRPC never takes a puddle's turn. Knows nothing of rooms.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use porthouse_api::FILE_DESCRIPTOR_SET;
use porthouse_api::live::v1::live_service_server::LiveServiceServer;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::Server;
use tonic_reflection::server::Builder as Reflection;

use crate::error::StartError;
use crate::live::Live;
use crate::live::guard::GuardedLive;
use crate::settings::GrpcTls;

/// Calls under way on one connection; one more is refused.
const CALLS_PER_CONNECTION_MAX: u16 = 256;
/// How often a connection is asked whether it lives.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// How long calls under way may take to finish once the node stops; then they
/// are cut, as are those that never finish.
const STOP_TIME_MAX: Duration = Duration::from_secs(5);
/// How long nothing is accepted after the system had no descriptor left.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// The running server.
#[derive(Debug)]
pub(crate) struct Grpc {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    stopped: oneshot::Receiver<()>,
}

impl Grpc {
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Finishes the calls under way, as far as [`STOP_TIME_MAX`] lets it.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        // It may have stopped by itself.
        let _ = self.stopped.await;
    }
}

/// What serves, over TLS where it is to.
pub(crate) fn server(tls: Option<&GrpcTls>) -> Result<Server, StartError> {
    let server = Server::builder();
    match tls {
        None => Ok(server),
        Some(tls) => server.tls_config(tls.config()).map_err(StartError::GrpcTls),
    }
}

/// Starts to serve.
pub(crate) fn start(
    address: SocketAddr,
    tls: Option<&GrpcTls>,
    live: GuardedLive,
) -> Result<Grpc, StartError> {
    let server = server(tls)?;
    let listener = TcpListener::bind(address).map_err(|source| StartError::Listen {
        address,
        setting: "grpc",
        source,
    })?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let ((stop, stops), (end, stopped)) = (oneshot::channel(), oneshot::channel());
    thread::Builder::new()
        .name("live".to_owned())
        .spawn(move || {
            if let Err(error) = runtime.block_on(serve(server, listener, live, stops)) {
                tracing::error!(%error, "live.v1 is not served any more");
            }
            // Cuts what is left of the connections.
            drop(runtime);
            let _ = end.send(());
        })?;
    Ok(Grpc {
        address,
        stop,
        stopped,
    })
}

async fn serve(
    server: Server,
    listener: TcpListener,
    live: GuardedLive,
    stop: oneshot::Receiver<()>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let incoming = rested(TcpListenerStream::new(tokio::net::TcpListener::from_std(
        listener,
    )?));
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<LiveServiceServer<Live>>().await;
    let reflection = || {
        Reflection::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .with_service_name("porthouse.live.v1.LiveService")
    };
    let (stopping, stops) = oneshot::channel();
    let serving = server
        .http2_keepalive_interval(Some(KEEPALIVE))
        .concurrency_limit_per_connection(CALLS_PER_CONNECTION_MAX.into())
        .max_concurrent_streams(u32::from(CALLS_PER_CONNECTION_MAX))
        .add_service(live)
        .add_service(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .serve_with_incoming_shutdown(incoming, async {
            // A node that was forgotten stops serving, too.
            let _ = stop.await;
            let _ = stopping.send(());
        });
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return Ok(ended?),
        _ = stops => {}
    }
    if let Ok(ended) = timeout(STOP_TIME_MAX, serving).await {
        return Ok(ended?);
    }
    tracing::warn!("calls of live.v1 that did not end in time were cut");
    Ok(())
}

/// What is accepted, with a rest after what may fail again at once: tonic goes on
/// after every error without a word.
fn rested<T>(incoming: impl Stream<Item = io::Result<T>>) -> impl Stream<Item = io::Result<T>> {
    incoming.then(async |accepted| {
        if let Err(error) = &accepted
            && !is_of_the_peer(error)
        {
            tracing::warn!(%error, "no call can be accepted");
            sleep(ACCEPT_REST).await;
        }
        accepted
    })
}

/// Whether that connection alone has broken; the next may not have.
fn is_of_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_listener_without_descriptors_rests() {
        let error = io::Error::from(Errno::MFILE);
        let mut incoming = std::pin::pin!(rested(tokio_stream::iter([Err::<(), _>(error)])));
        let began = Instant::now();
        assert!(incoming.next().await.is_some_and(|it| it.is_err()));
        assert!(began.elapsed() >= ACCEPT_REST);
    }

    #[test]
    fn a_connection_that_broke_lets_the_next_in_at_once() {
        assert!(is_of_the_peer(&io::Error::from(Errno::CONNABORTED)));
        assert!(!is_of_the_peer(&io::Error::from(Errno::MFILE)));
        assert!(!is_of_the_peer(&io::Error::from(Errno::NOMEM)));
    }
}
