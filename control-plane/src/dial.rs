//! Where what the control plane connects to may be: a name is looked up once, its
//! addresses are checked, and one of these very addresses is connected to, so that
//! a name that means something else a moment later leads nowhere else.

use std::io;
use std::net::{IpAddr, SocketAddr};

use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};

use crate::identity::network::is_public;

/// The most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;

/// Whether what is connected to may be at addresses that are not public: this
/// machine's, its networks', a cloud's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivateAddresses {
    /// It may.
    Allow,
    /// It may not.
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

/// Why there is no address to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAddress {
    /// The name leads nowhere.
    Unresolved,
    /// None of its addresses may be connected to.
    Private,
}

/// Those addresses of a name that may be connected to; at least one.
pub(crate) async fn addresses(
    host: &str,
    port: u16,
    rule: PrivateAddresses,
) -> Result<Vec<SocketAddr>, NoAddress> {
    let found = lookup_host((host, port)).await;
    let found: Vec<_> = found.map_err(|_| NoAddress::Unresolved)?.collect();
    if found.is_empty() {
        return Err(NoAddress::Unresolved);
    }
    let may_be: Vec<_> = found
        .into_iter()
        .filter(|address| rule.may_be(address.ip()))
        .take(ADDRESSES_MAX)
        .collect();
    if may_be.is_empty() {
        return Err(NoAddress::Private);
    }
    Ok(may_be)
}

/// Connects to the first of these that takes it. How long it may take is the
/// caller's matter.
pub(crate) async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(addresses).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The same as hyper takes it.
pub(crate) async fn connect_io(addresses: &[SocketAddr]) -> io::Result<TokioIo<TcpStream>> {
    connect(addresses).await.map(TokioIo::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn private_addresses_are_connected_to_only_where_they_may_be() {
        for host in [
            "127.0.0.1",
            "localhost",
            "::1",
            "169.254.169.254",
            "0.0.0.0",
        ] {
            let refused = addresses(host, 80, PrivateAddresses::Refuse).await;
            assert_eq!(refused, Err(NoAddress::Private), "{host}");
            let allowed = addresses(host, 80, PrivateAddresses::Allow).await;
            assert!(allowed.is_ok(), "{host}");
        }
    }
}
