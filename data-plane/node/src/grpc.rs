//! live.v1 on a listener and a thread of the node's own, with reflection and
//! health, so that gRPC never takes a puddle's turn. Knows nothing of rooms.

use std::net::{SocketAddr, TcpListener};
use std::thread;

use porthouse_api::FILE_DESCRIPTOR_SET;
use porthouse_api::live::v1::live_service_server::LiveServiceServer;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic_reflection::server::Builder as Reflection;

use crate::error::StartError;
use crate::live::Live;

/// Calls under way on one connection.
const CALLS_PER_CONNECTION_MAX: usize = 256;

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

    /// Finishes the calls under way.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        // It may have stopped by itself.
        let _ = self.stopped.await;
    }
}

/// Starts to serve.
pub(crate) fn start(
    address: SocketAddr,
    live: LiveServiceServer<Live>,
) -> Result<Grpc, StartError> {
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
            if let Err(error) = runtime.block_on(serve(listener, live, stops)) {
                tracing::error!(%error, "live.v1 is not served any more");
            }
            let _ = end.send(());
        })?;
    Ok(Grpc {
        address,
        stop,
        stopped,
    })
}

async fn serve(
    listener: TcpListener,
    live: LiveServiceServer<Live>,
    stop: oneshot::Receiver<()>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let incoming = TcpListenerStream::new(tokio::net::TcpListener::from_std(listener)?);
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<LiveServiceServer<Live>>().await;
    let reflection = || {
        Reflection::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .with_service_name("porthouse.live.v1.LiveService")
    };
    Server::builder()
        .concurrency_limit_per_connection(CALLS_PER_CONNECTION_MAX)
        .add_service(live)
        .add_service(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .serve_with_incoming_shutdown(incoming, async {
            // A node that was forgotten stops serving, too.
            let _ = stop.await;
        })
        .await?;
    Ok(())
}
