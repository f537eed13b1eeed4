//! Connections as they come in: how many may be open, and what happens when none
//! can be taken. Reads and decides nothing of what they carry.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tonic::transport::server::Connected;

/// How long nothing is accepted once accepting has failed, mostly for want of file
/// descriptors: trying again at once would fail at once.
const REST: Duration = Duration::from_millis(100);

/// The connections to serve: of `accepted`, those that come while fewer than
/// `connections_max` are open. Others are closed.
pub(crate) fn incoming<C>(
    accepted: impl Stream<Item = io::Result<C>>,
    connections_max: usize,
) -> impl Stream<Item = io::Result<Incoming<C>>> {
    let places = Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS)));
    accepted.filter_map(move |accepted| take(accepted, places.clone()))
}

async fn take<C>(
    accepted: io::Result<C>,
    places: Arc<Semaphore>,
) -> Option<io::Result<Incoming<C>>> {
    match accepted {
        Ok(connection) => {
            let Ok(place) = places.try_acquire_owned() else {
                tracing::debug!("a connection was closed: as many are open as may be");
                return None;
            };
            Some(Ok(Incoming {
                connection,
                _place: place,
            }))
        }
        Err(failure) => {
            if !is_of_one_peer(&failure) {
                tracing::warn!(%failure, "no connection can be accepted");
                sleep(REST).await;
            }
            None
        }
    }
}

/// Whether one connection failed before it was accepted, which says nothing of the
/// next.
fn is_of_one_peer(failure: &io::Error) -> bool {
    matches!(
        failure.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}

/// A connection and its place among those that may be open.
pub(crate) struct Incoming<C> {
    connection: C,
    _place: OwnedSemaphorePermit,
}

impl<C: Connected> Connected for Incoming<C> {
    type ConnectInfo = C::ConnectInfo;

    fn connect_info(&self) -> C::ConnectInfo {
        self.connection.connect_info()
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Incoming<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_read(context, buffer)
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Incoming<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;

    use futures_util::{FutureExt, stream};
    use tokio::sync::mpsc;
    use tokio::time::{Instant, timeout};
    use tokio_stream::wrappers::ReceiverStream;

    use super::*;

    #[tokio::test]
    async fn accepting_rests_after_it_failed() {
        let tries = Cell::new(0_u32);
        let failing = stream::repeat_with(|| {
            tries.set(tries.get() + 1);
            Err::<(), _>(io::Error::other("too many open files"))
        });
        let began = Instant::now();
        let mut incoming = pin!(incoming(failing, 1));
        let taken = timeout(5 * REST / 2, incoming.next()).await;
        assert!(taken.is_err(), "nothing comes");
        let most = began.elapsed().as_millis() / REST.as_millis() + 1;
        assert!(u128::from(tries.get()) <= most, "{} tries", tries.get());
    }

    #[tokio::test]
    async fn a_connection_too_many_is_closed_and_a_place_is_free_when_one_ends() {
        let (peer, accepted) = mpsc::channel(1);
        let mut incoming = pin!(incoming(ReceiverStream::new(accepted), 1));
        let connection = Arc::new(());
        let connect = || peer.try_send(Ok(connection.clone())).expect("room for one");
        connect();
        let first = incoming.next().await.expect("a connection");
        connect();
        assert!(incoming.next().now_or_never().is_none(), "one too many");
        assert_eq!(Arc::strong_count(&connection), 2, "it was closed");
        drop(first);
        connect();
        assert!(incoming.next().now_or_never().is_some());
    }
}
