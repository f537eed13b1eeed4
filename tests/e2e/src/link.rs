//! A link between clients and a node that can be cut: without a word, so that
//! nothing passes any more and neither end is closed, or with both ends closed.
//! Owns the bytes under way; never looks at them.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What passes at once.
const PASSING_BYTES_MAX: usize = 16 * 1024;

/// How a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Bytes pass; connections from before it was closed so often are gone.
    Open(u32),
    /// Nothing passes, and nobody is told.
    Cut,
}

/// A link; its connections end with it.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    state: watch::Sender<State>,
    accepting: JoinHandle<()>,
}

impl Link {
    /// A link to whoever listens there.
    ///
    /// # Panics
    /// When the machine has no port left.
    pub async fn to(node: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it has one");
        let (state, changes) = watch::channel(State::Open(0));
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(joined(client, node, changes.clone()));
            }
        });
        Self {
            address,
            state,
            accepting,
        }
    }

    /// Where clients connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Nothing passes from here on.
    pub fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// Every connection is closed at both ends; others can be made.
    pub fn close(&self) {
        self.state.send_modify(|state| {
            *state = match *state {
                State::Open(times) => State::Open(times + 1),
                State::Cut => State::Open(0),
            };
        });
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One connection, until it is closed or the link is gone.
async fn joined(client: TcpStream, node: SocketAddr, mut changes: watch::Receiver<State>) {
    let Ok(node) = TcpStream::connect(node).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_node, to_node) = node.into_split();
    let state = *changes.borrow_and_update();
    tokio::join!(
        pass(from_client, to_node, state, changes.clone()),
        pass(from_node, to_client, state, changes)
    );
}

/// Passes bytes on while the link is as it was; if it is cut, holds both ends
/// until it is closed or gone.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: State,
    mut changes: watch::Receiver<State>,
) {
    let mut bytes = vec![0; PASSING_BYTES_MAX];
    loop {
        tokio::select! {
            told = changes.changed() => {
                if told.is_err() {
                    return;
                }
                state = *changes.borrow_and_update();
                if state != State::Cut {
                    return;
                }
            }
            read = from.read(&mut bytes), if state != State::Cut => match read {
                Ok(count @ 1..) if to.write_all(&bytes[..count]).await.is_ok() => {}
                Ok(_) | Err(_) => return,
            },
        }
    }
}
