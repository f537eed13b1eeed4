//! An issuer's keys, fetched: one GET over one connection, to an address that may
//! be connected to, following nothing, within a time and a size. Keeps nothing.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use porthouse_jwt::{BadKeySet, KEY_SET_BYTES_MAX, KeySet};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::dial::{NoAddress, PrivateAddresses, addresses, connect};

use super::url::KeysUrl;

/// The most bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Why there are no keys. Says nothing that the issuer sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unfetched {
    /// Its name leads nowhere.
    Unresolved,
    /// It has no address that may be connected to.
    PrivateAddress,
    /// It does not take the connection, or ended it.
    Unconnected,
    /// Its certificate is not one that this machine trusts for it.
    Untrusted,
    /// It did not answer in time.
    Late(Duration),
    /// It answered this instead; a redirection is not followed.
    Status(StatusCode),
    /// It answered more than keys may take.
    TooLong,
    /// What it answered are no keys.
    Keys(BadKeySet),
}

impl fmt::Display for Unfetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolved => f.write_str("its name has no address"),
            Self::PrivateAddress => {
                f.write_str("it is at a private address (--issuer-private-addresses)")
            }
            Self::Unconnected => f.write_str("it takes no connection, or ended it"),
            Self::Untrusted => f.write_str("its certificate is not trusted by this machine"),
            Self::Late(after) => write!(f, "it did not answer within {} ms", after.as_millis()),
            Self::Status(status) => write!(f, "it answered {} instead of 200", status.as_u16()),
            Self::TooLong => write!(f, "it answered more than {KEY_SET_BYTES_MAX} bytes"),
            Self::Keys(bad) => write!(f, "it answered what is no set of keys: {bad}"),
        }
    }
}

/// Keys as they were answered, and read.
pub(crate) type Fetched = (String, KeySet);

/// Fetches keys, within this time.
pub(crate) async fn fetch(
    url: &KeysUrl,
    rule: PrivateAddresses,
    time_max: Duration,
) -> Result<Fetched, Unfetched> {
    let answered = timeout(time_max, answer(url, rule)).await;
    let body = answered.map_err(|_| Unfetched::Late(time_max))??;
    let keys = KeySet::parse_published(&body).map_err(Unfetched::Keys)?;
    let text = String::from_utf8(body.to_vec());
    Ok((text.map_err(|_| Unfetched::Keys(BadKeySet::Form))?, keys))
}

async fn answer(url: &KeysUrl, rule: PrivateAddresses) -> Result<Bytes, Unfetched> {
    let found = addresses(url.host(), url.port(), rule).await;
    let mut addresses = found.map_err(|none| match none {
        NoAddress::Unresolved => Unfetched::Unresolved,
        NoAddress::Private => Unfetched::PrivateAddress,
    })?;
    if !url.is_secure() {
        // What is sent without TLS does not leave this machine.
        addresses.retain(|address| address.ip().is_loopback());
        if addresses.is_empty() {
            return Err(Unfetched::PrivateAddress);
        }
    }
    let stream = connect(&addresses).await;
    let stream = stream.map_err(|_| Unfetched::Unconnected)?;
    if !url.is_secure() {
        return ask(url, stream).await;
    }
    let name = ServerName::try_from(url.host().to_owned());
    let name = name.map_err(|_| Unfetched::Unresolved)?;
    let connecting = TlsConnector::from(trusting()).connect(name, stream).await;
    ask(url, connecting.map_err(|_| Unfetched::Untrusted)?).await
}

async fn ask(
    url: &KeysUrl,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<Bytes, Unfetched> {
    let mut client = http1::Builder::new();
    client.max_buf_size(HEAD_BYTES_MAX);
    let (mut sender, connection) = client
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|_| Unfetched::Unconnected)?;
    let request = Request::get(url.target())
        .header(HOST, url.authority())
        .header(ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())
        .map_err(|_| Unfetched::Unconnected)?;
    let answering = async {
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|_| Unfetched::Unconnected)?;
        if answer.status() != StatusCode::OK {
            return Err(Unfetched::Status(answer.status()));
        }
        let body = Limited::new(answer.into_body(), KEY_SET_BYTES_MAX);
        match body.collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Unfetched::TooLong),
            Err(_) => Err(Unfetched::Unconnected),
        }
    };
    tokio::pin!(answering);
    tokio::pin!(connection);
    tokio::select! {
        biased;
        answer = &mut answering => answer,
        _ = &mut connection => answering.await,
    }
}

/// The certificates that this machine trusts, read once.
fn trusting() -> Arc<ClientConfig> {
    static TRUSTING: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let config = TRUSTING.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        if found.certs.is_empty() {
            tracing::warn!("this machine trusts no certificate: install ca-certificates");
        }
        roots.add_parsable_certificates(found.certs);
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    });
    Arc::clone(config)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// What comes of an issuer that answers every request so.
    async fn fetched_of(answer: Vec<u8>) -> Result<Fetched, Unfetched> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("somebody");
            let mut asked = [0; 1024];
            let read = stream.read(&mut asked).await.expect("a request");
            assert!(asked[..read].starts_with(b"GET /keys?a=b HTTP/1.1\r\n"));
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
        });
        let url: KeysUrl = format!("http://{address}/keys?a=b").parse().expect("a URL");
        let fetched = fetch(&url, PrivateAddresses::Allow, Duration::from_secs(5)).await;
        serving.abort();
        fetched
    }

    fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}").into_bytes()
    }

    #[tokio::test]
    async fn keys_are_what_is_answered() {
        let (text, keys) = fetched_of(answer("200 OK", "", r#"{"keys":[]}"#))
            .await
            .expect("keys");
        assert_eq!(text, r#"{"keys":[]}"#);
        assert!(keys.keys().is_empty());
    }

    #[tokio::test]
    async fn nothing_is_followed_and_nothing_else_is_taken() {
        let elsewhere = answer("302 Found", "Location: http://127.0.0.1:1/\r\n", "{}");
        assert_eq!(
            fetched_of(elsewhere).await,
            Err(Unfetched::Status(StatusCode::FOUND))
        );
        let page = answer("200 OK", "", "<html>");
        assert_eq!(
            fetched_of(page).await,
            Err(Unfetched::Keys(BadKeySet::Form))
        );
        assert_eq!(
            fetched_of(b"SSH-2.0\r\n".to_vec()).await,
            Err(Unfetched::Unconnected)
        );
        assert_eq!(fetched_of(Vec::new()).await, Err(Unfetched::Unconnected));
    }

    #[tokio::test]
    async fn an_answer_is_bounded_whether_or_not_it_says_how_long_it_is() {
        let long = " ".repeat(KEY_SET_BYTES_MAX + 1);
        assert_eq!(
            fetched_of(answer("200 OK", "", &long)).await,
            Err(Unfetched::TooLong)
        );
        let unsaid = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{long}");
        assert_eq!(
            fetched_of(unsaid.into_bytes()).await,
            Err(Unfetched::TooLong)
        );
        let head = format!(
            "HTTP/1.1 200 OK\r\nA: {}\r\n\r\n",
            "a".repeat(HEAD_BYTES_MAX)
        );
        assert_eq!(
            fetched_of(head.into_bytes()).await,
            Err(Unfetched::Unconnected)
        );
    }

    #[tokio::test]
    async fn an_issuer_that_never_answers_is_waited_for_only_so_long() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        for scheme in ["http", "https"] {
            let url: KeysUrl = format!("{scheme}://{address}/").parse().expect("a URL");
            let wait = Duration::from_millis(50);
            assert_eq!(
                fetch(&url, PrivateAddresses::Allow, wait).await,
                Err(Unfetched::Late(wait))
            );
        }
    }

    #[tokio::test]
    async fn a_private_address_is_not_connected_to() {
        let wait = Duration::from_secs(5);
        for url in [
            "https://127.0.0.1:1/",
            "http://localhost:1/",
            "https://[::1]:1/",
        ] {
            let url: KeysUrl = url.parse().expect("a URL");
            assert_eq!(
                fetch(&url, PrivateAddresses::Refuse, wait).await,
                Err(Unfetched::PrivateAddress)
            );
        }
    }

    #[tokio::test]
    async fn a_certificate_that_nobody_vouches_for_is_not_trusted() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("somebody");
            // What is no TLS at all is the least of it.
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        });
        let url: KeysUrl = format!("https://{address}/").parse().expect("a URL");
        assert_eq!(
            fetch(&url, PrivateAddresses::Allow, Duration::from_secs(5)).await,
            Err(Unfetched::Untrusted)
        );
    }
}
