//! A way to a database on which connecting takes as long as a test says.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What Postgres calls its socket.
const SOCKET: &str = ".s.PGSQL.5432";

/// The way; it ends when this is dropped.
pub(crate) struct Slow {
    directory: TempDir,
    delay: watch::Sender<Duration>,
    accepting: JoinHandle<()>,
}

impl Slow {
    /// A way to the cluster at this URL, without a delay at first.
    pub(crate) fn before(url: &str) -> Self {
        let host = url.split(' ').find_map(|part| part.strip_prefix("host="));
        let cluster = Path::new(host.expect("the socket's directory")).join(SOCKET);
        let directory = TempDir::with_prefix("porthouse-slow-").expect("a temporary directory");
        let listener = UnixListener::bind(directory.path().join(SOCKET)).expect("a socket");
        let (delay, delays) = watch::channel(Duration::ZERO);
        let accepting = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (cluster, delay) = (cluster.clone(), *delays.borrow());
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    let mut far = UnixStream::connect(cluster).await.expect("the cluster");
                    // Either side may go.
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Self {
            directory,
            delay,
            accepting,
        }
    }

    /// Where it begins.
    pub(crate) fn url(&self) -> String {
        let directory = self.directory.path().display();
        format!("host={directory} user=postgres dbname=postgres")
    }

    /// How long connecting takes from now on.
    pub(crate) fn delay(&self, delay: Duration) {
        self.delay.send_replace(delay);
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
