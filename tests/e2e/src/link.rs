//! A link between clients and a node that can be cut without a word: nothing
//! passes any more, and neither end is closed. Owns the bytes under way; never
//! looks at them.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What passes at once.
const PASSING_BYTES_MAX: usize = 16 * 1024;

/// A link; its connections end with it.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    cut: watch::Sender<bool>,
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
        let (cut, is_cut) = watch::channel(false);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(joined(client, node, is_cut.clone()));
            }
        });
        Self {
            address,
            cut,
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
        self.cut.send_replace(true);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One connection, until the link is gone.
async fn joined(client: TcpStream, node: SocketAddr, is_cut: watch::Receiver<bool>) {
    let Ok(node) = TcpStream::connect(node).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_node, to_node) = node.into_split();
    tokio::join!(
        pass(from_client, to_node, is_cut.clone()),
        pass(from_node, to_client, is_cut)
    );
}

/// Passes bytes on until the link is cut; then holds both ends until it is gone.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut is_cut: watch::Receiver<bool>) {
    let mut bytes = vec![0; PASSING_BYTES_MAX];
    loop {
        tokio::select! {
            cut = is_cut.changed() => match cut {
                Ok(()) => break,
                Err(_) => return,
            },
            read = from.read(&mut bytes) => match read {
                Ok(count @ 1..) if to.write_all(&bytes[..count]).await.is_ok() => {}
                Ok(_) | Err(_) => return,
            },
        }
    }
    while is_cut.changed().await.is_ok() {}
}
