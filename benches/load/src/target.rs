//! Where a server is, and as whom it is spoken to. The credential is shown to the
//! server alone.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};

use anyhow::{Context as _, ensure};

/// Sockets that share a source address on the loopback, a port each. The kernel first
/// gives out every second port of its range, and once those are taken walks through them
/// all for each that it gives: 14,116 of the usual 28,232.
pub const SOCKETS_PER_SOURCE: usize = 12_000;

/// A server.
#[derive(Clone)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// What `Host` is told.
    pub host: String,
    /// A session's token; none: the sockets are anonymous.
    pub token: Option<String>,
    /// To a loopback address sockets come from 127.0.N.x, where N is this: a port of an
    /// address is one client's, so clients beside each other have each their own.
    pub loopback: u8,
}

// Not derived: it would show the token.
impl fmt::Debug for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Target");
        shown
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Target {
    /// A server at an address.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Self {
            address,
            host: address.to_string(),
            token: None,
            loopback: 0,
        }
    }

    /// The server of a URL, `ws://host:port`.
    ///
    /// # Errors
    /// When it is none, or its host is not known.
    pub fn of_url(url: &str) -> anyhow::Result<Self> {
        ensure!(
            !url.starts_with("wss://"),
            "{url}: TLS is ended in front of a node; load the node itself, by ws://host:port"
        );
        let host = url
            .strip_prefix("ws://")
            .map(|rest| rest.trim_end_matches('/'));
        let host = host.filter(|host| !host.is_empty() && !host.contains(['/', '@', '?', '#']));
        let host = host.with_context(|| format!("{url:?} is not like ws://127.0.0.1:7480"))?;
        let with_port = if host
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.ends_with(']'))
        {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        let mut addresses = with_port
            .to_socket_addrs()
            .with_context(|| format!("cannot find {host}"))?;
        let address = addresses.next().context("it has no address")?;
        Ok(Self {
            address,
            host: host.to_owned(),
            token: None,
            loopback: 0,
        })
    }

    /// The address that a socket comes from; none: the kernel chooses. One
    /// loopback address has fewer ports than a large run has sockets.
    #[must_use]
    pub fn source(&self, number: usize) -> Option<SocketAddr> {
        let IpAddr::V4(address) = self.address.ip() else {
            return None;
        };
        let nth = u8::try_from(number / SOCKETS_PER_SOURCE).ok()?;
        let named = nth > 0 || self.loopback > 0;
        let ours = address.is_loopback() && named && nth < 250;
        ours.then(|| (Ipv4Addr::new(127, 0, self.loopback, 1 + nth), 0).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_host_and_perhaps_a_port() {
        let target = Target::of_url("ws://127.0.0.1:7480/").expect("a URL");
        assert_eq!(target.address.port(), 7480);
        assert_eq!(
            Target::of_url("ws://127.0.0.1")
                .expect("a URL")
                .address
                .port(),
            80
        );
        for wrong in [
            "http://127.0.0.1",
            "wss://127.0.0.1",
            "ws://",
            "ws://a@b/",
            "ws://a/b",
        ] {
            assert!(Target::of_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_token_is_not_in_the_debug_form() {
        let mut target = Target::of_url("ws://127.0.0.1:7480").expect("a URL");
        target.token = Some("phs_example".to_owned());
        assert!(!format!("{target:?}").contains("phs_"));
    }

    #[test]
    fn many_sockets_come_from_several_loopback_addresses() {
        let target = Target::at(([127, 0, 0, 1], 1).into());
        assert_eq!(target.source(0), None);
        assert_eq!(target.source(11_999), None);
        assert_eq!(target.source(45_000), Some(([127, 0, 0, 4], 0).into()));
        let mut beside = target.clone();
        beside.loopback = 7;
        assert_eq!(beside.source(12_000), Some(([127, 0, 7, 2], 0).into()));
        assert_eq!(Target::at(([192, 0, 2, 1], 1).into()).source(45_000), None);
    }
}
