//! The HTTP conversations of the node's own routes that must ask the control plane:
//! connections that a puddle has handed over with what it had read. Owns their
//! number, their time and their bytes; a puddle's turn is never taken.

use core::convert::Infallible;
use std::io::{self, Cursor};
use std::net::{IpAddr, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use porthouse_process::spans;
use rustix::fd::OwnedFd;
use tokio::io::AsyncReadExt;
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::refused::{Answer, TOO_LONG, TOO_SLOW, UNREADABLE};
use super::session::Sessions;
use crate::spans::PageCall;

/// Conversations at once, of all puddles; one more is turned away.
const CONVERSATIONS_MAX: usize = 256;
/// From the hand-over to the end, whatever the client does.
const CONVERSATION_TIME_MAX: Duration = Duration::from_secs(15);
/// How long a body may take to come.
const BODY_TIME_MAX: Duration = Duration::from_secs(5);
/// The longest body.
const BODY_BYTES_MAX: usize = 20 * 1024;
/// What hyper reads ahead; the head is there already.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// A connection handed over.
#[derive(Debug)]
struct Handed {
    stream: TcpStream,
    /// Where its client is, behind whatever proxy.
    from: IpAddr,
    /// What was read of it.
    read: Vec<u8>,
}

/// The way to the conversations; they end when the last one of these is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Front(mpsc::Sender<Handed>);

impl Front {
    /// Starts to converse.
    pub(crate) fn start(sessions: Sessions) -> io::Result<Self> {
        let (front, handed) = mpsc::channel(CONVERSATIONS_MAX);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new()
            .name("front".to_owned())
            .spawn(move || runtime.block_on(serve(handed, sessions)))?;
        Ok(Self(front))
    }

    /// Nobody answers there.
    #[cfg(test)]
    pub(crate) fn nowhere() -> Self {
        Self(mpsc::channel(1).0)
    }

    /// Hands a connection over; it is given back where there is no room.
    pub(crate) fn hand(&self, stream: OwnedFd, from: IpAddr, read: &[u8]) -> Result<(), OwnedFd> {
        let handed = Handed {
            stream: stream.into(),
            from,
            read: read.to_vec(),
        };
        self.0.try_send(handed).map_err(|full| match full {
            mpsc::error::TrySendError::Full(handed) | mpsc::error::TrySendError::Closed(handed) => {
                handed.stream.into()
            }
        })
    }
}

async fn serve(mut handed: mpsc::Receiver<Handed>, sessions: Sessions) {
    let places = Arc::new(Semaphore::new(CONVERSATIONS_MAX));
    let sessions = Arc::new(sessions);
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let place = place.expect("the places are never closed");
        let Some(next) = handed.recv().await else {
            return;
        };
        let sessions = Arc::clone(&sessions);
        tokio::spawn(async move {
            // Who takes longer is cut.
            if let Ok(Err(error)) = timeout(CONVERSATION_TIME_MAX, converse(next, &sessions)).await
            {
                tracing::debug!(%error, "a conversation has broken");
            }
            drop(place);
        });
    }
}

async fn converse(handed: Handed, sessions: &Sessions) -> io::Result<()> {
    handed.stream.set_nonblocking(true)?;
    let address = handed.from;
    let stream = tokio::net::TcpStream::from_std(handed.stream)?;
    let (reader, writer) = stream.into_split();
    let whole = tokio::io::join(Cursor::new(handed.read).chain(reader), writer);
    let answers = service_fn(async |request: Request<Incoming>| {
        let (head, body) = request.into_parts();
        let answer = match timeout(BODY_TIME_MAX, read_body(body)).await {
            Ok(Ok(body)) => {
                let call = PageCall::begun(sessions.control.spans(), &head);
                let answer = sessions.answer(&head, &body, address);
                let answer = spans::within(call.span(), answer).await;
                call.answered(answer.status());
                answer
            }
            Ok(Err(answer)) => answer,
            Err(_) => TOO_SLOW.into(),
        };
        Ok::<Response<String>, Infallible>(answer.into_http(&sessions.refusals, address))
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(BODY_TIME_MAX)
        .max_buf_size(BUFFER_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(whole), answers)
        .await
        .map_err(io::Error::other)
}

/// A whole body within its limit.
async fn read_body(mut body: Incoming) -> Result<Vec<u8>, Answer> {
    let mut whole = Vec::new();
    loop {
        let frame = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        let data = match frame {
            None => return Ok(whole),
            Some(Ok(frame)) => frame.into_data().unwrap_or_else(|_| Bytes::new()),
            Some(Err(_)) => return Err(UNREADABLE.into()),
        };
        if whole.len() + data.len() > BODY_BYTES_MAX {
            return Err(TOO_LONG.into());
        }
        whole.extend_from_slice(&data);
    }
}
