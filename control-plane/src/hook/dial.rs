//! The way to an owner's backend: gRPC to an address that may be connected to.

use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tower::service_fn;

use crate::dial::{NoAddress, PrivateAddresses, addresses, connect_io};

use super::Unasked;
use super::url::HookUrl;

/// Connects. How long it may take is the caller's matter.
pub(super) async fn dial(url: &HookUrl, rule: PrivateAddresses) -> Result<Channel, Unasked> {
    let found = addresses(url.host(), url.port(), rule).await;
    let addresses = found.map_err(|none| match none {
        NoAddress::Unresolved => Unasked::Unresolved,
        NoAddress::Private => Unasked::PrivateAddress,
    })?;
    let endpoint = endpoint(url).map_err(|_| Unasked::Unconnected)?;
    let connect = service_fn(move |_| {
        let addresses = addresses.clone();
        async move { connect_io(&addresses).await }
    });
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
