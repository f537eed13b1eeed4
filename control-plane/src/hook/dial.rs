//! The way to an owner's backend: its name is looked up once, its addresses are
//! checked, and one of these very addresses is connected to, so that a name that
//! means something else a moment later leads nowhere else.

use std::io;
use std::net::{IpAddr, SocketAddr};

use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tower::service_fn;

use crate::identity::network::is_public;

use super::Unasked;
use super::url::HookUrl;

/// The most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;

/// Whether owners' backends may be at addresses that are not public: this
/// machine's, its networks', a cloud's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivateAddresses {
    /// They may.
    Allow,
    /// They may not.
    Refuse,
}

impl PrivateAddresses {
    fn may_be(self, address: IpAddr) -> bool {
        match self {
            Self::Allow => true,
            Self::Refuse => is_public(address),
        }
    }
}

/// Connects. How long it may take is the caller's matter.
pub(super) async fn dial(url: &HookUrl, rule: PrivateAddresses) -> Result<Channel, Unasked> {
    let addresses = addresses(url, rule).await?;
    let endpoint = endpoint(url).map_err(|_| Unasked::Unconnected)?;
    let connect = service_fn(move |_| connect(addresses.clone()));
    let channel = endpoint.connect_with_connector(connect).await;
    channel.map_err(|_| Unasked::Unconnected)
}

fn endpoint(url: &HookUrl) -> Result<Endpoint, tonic::transport::Error> {
    let endpoint = Endpoint::from(url.uri().clone());
    if url.is_secure() {
        return endpoint.tls_config(ClientTlsConfig::new().with_native_roots());
    }
    Ok(endpoint)
}

/// Those addresses of it that may be connected to; at least one.
async fn addresses(url: &HookUrl, rule: PrivateAddresses) -> Result<Vec<SocketAddr>, Unasked> {
    let found = lookup_host((url.host(), url.port())).await;
    let found: Vec<_> = found.map_err(|_| Unasked::Unresolved)?.collect();
    if found.is_empty() {
        return Err(Unasked::Unresolved);
    }
    let may_be: Vec<_> = found
        .into_iter()
        .filter(|address| rule.may_be(address.ip()))
        .take(ADDRESSES_MAX)
        .collect();
    if may_be.is_empty() {
        return Err(Unasked::PrivateAddress);
    }
    Ok(may_be)
}

async fn connect(addresses: Vec<SocketAddr>) -> io::Result<TokioIo<TcpStream>> {
    let stream = TcpStream::connect(&addresses[..]).await?;
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn private_addresses_are_connected_to_only_where_they_may_be() {
        for host in [
            "127.0.0.1",
            "localhost",
            "[::1]",
            "169.254.169.254",
            "0.0.0.0",
        ] {
            let url: HookUrl = format!("http://{host}:80").parse().expect("a hook");
            let refused = addresses(&url, PrivateAddresses::Refuse).await;
            assert_eq!(refused, Err(Unasked::PrivateAddress), "{host}");
            assert!(
                addresses(&url, PrivateAddresses::Allow).await.is_ok(),
                "{host}"
            );
        }
    }
}
