//! Waiting until a node is ready, as its neighbours would: by its `/-/ready`.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::bail;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a node may take to hear a control plane that runs beside it.
const READY_TIME_MAX: Duration = Duration::from_secs(30);
/// How long one answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);
/// How often a node is asked.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// The question.
const REQUEST: &[u8] = b"GET /-/ready HTTP/1.1\r\nhost: porthouse\r\nconnection: close\r\n\r\n";
/// How an answer begins that says yes.
const YES: &[u8; 12] = b"HTTP/1.1 200";

/// Waits until the node at `address` would take clients.
pub(crate) async fn ready(address: SocketAddr) -> anyhow::Result<()> {
    let asking = async {
        let mut ask = tokio::time::interval(ASK_EVERY);
        loop {
            ask.tick().await;
            if matches!(
                tokio::time::timeout(ANSWER_TIME_MAX, says_yes(address)).await,
                Ok(Ok(true))
            ) {
                return;
            }
        }
    };
    match tokio::time::timeout(READY_TIME_MAX, asking).await {
        Ok(()) => Ok(()),
        Err(_) => bail!("the node at {address} is not ready after {READY_TIME_MAX:?}"),
    }
}

async fn says_yes(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(REQUEST).await?;
    let mut beginning = [0; YES.len()];
    stream.read_exact(&mut beginning).await?;
    Ok(&beginning == YES)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_node_is_asked_until_it_says_yes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let node = tokio::spawn(async move {
            for answer in [
                "HTTP/1.1 503 Service Unavailable\r\n\r\n",
                "HTTP/1.1 200 OK\r\n\r\n",
            ] {
                let (mut stream, _) = listener.accept().await.expect("a caller");
                let mut request = [0; REQUEST.len()];
                stream.read_exact(&mut request).await.expect("the question");
                stream.write_all(answer.as_bytes()).await.expect("taken");
            }
        });
        ready(address).await.expect("ready at last");
        node.await.expect("asked twice");
    }
}
