//! A way to a database that swallows notifications, as a pooler does that hands out
//! server connections by the transaction.

use std::io;
use std::path::Path;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// What Postgres calls its socket.
const SOCKET: &str = ".s.PGSQL.5432";
/// What a notification begins with.
const NOTIFICATION: u8 = b'A';

/// The way; it ends when this is dropped.
pub(crate) struct Pooled {
    directory: TempDir,
    accepting: JoinHandle<()>,
}

impl Pooled {
    /// A way to the cluster at this URL.
    pub(crate) fn before(url: &str) -> Self {
        let host = url.split(' ').find_map(|part| part.strip_prefix("host="));
        let cluster = Path::new(host.expect("the socket's directory")).join(SOCKET);
        let directory = TempDir::with_prefix("porthouse-pooled-").expect("a temporary directory");
        let listener = UnixListener::bind(directory.path().join(SOCKET)).expect("a socket");
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = UnixStream::connect(&cluster).await.expect("the cluster");
                let ((mut asks, hears), (says, mut asked)) = (near.into_split(), far.into_split());
                // Either side may go.
                tokio::spawn(async move { copy(&mut asks, &mut asked).await });
                tokio::spawn(but_for_notifications(says, hears));
            }
        });
        Self {
            directory,
            accepting,
        }
    }

    /// Where it begins.
    pub(crate) fn url(&self) -> String {
        let directory = self.directory.path().display();
        format!("host={directory} user=postgres dbname=postgres")
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Passes on what a server says: a letter, how long it is with that number, and it.
async fn but_for_notifications(
    mut says: OwnedReadHalf,
    mut hears: OwnedWriteHalf,
) -> io::Result<()> {
    loop {
        let kind = says.read_u8().await?;
        let bytes = says.read_u32().await?;
        let mut message = vec![0; usize::try_from(bytes).expect("64 bits") - size_of::<u32>()];
        says.read_exact(&mut message).await?;
        if kind != NOTIFICATION {
            hears.write_u8(kind).await?;
            hears.write_u32(bytes).await?;
            hears.write_all(&message).await?;
        }
    }
}
