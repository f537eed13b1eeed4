//! A node's settings, every limit by name. Parses nothing: who starts a node
//! knows where its configuration comes from.

use core::fmt;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use porthouse_model::{AddressRange, NodeName};
use porthouse_process::spans::Tracer;
use porthouse_puddle::{
    HistoryStore, Hosts, OwnerRule, PuddleId, ResumeKeys, RoomLife, TransientMakers,
};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, ServerTlsConfig};
use zeroize::Zeroizing;

use crate::black_box::BlackBoxes;

/// How a node is to be.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name, of its own among the nodes of a control plane.
    pub name: NodeName,
    /// Where sockets connect; port 0 is any free port.
    pub listen: SocketAddr,
    /// Where live.v1 is served to backends by a listener of its own; `None`:
    /// only where [`crate::Node::live`] is put.
    pub grpc: Option<SocketAddr>,
    /// By what that listener speaks TLS; `None`: it does not.
    pub grpc_tls: Option<GrpcTls>,
    /// Where operators are answered (`/metrics`, `/live`, `/ready`); `None`:
    /// nowhere.
    pub operators: Option<SocketAddr>,
    /// Threads that hold sockets, 1 to 64.
    pub puddles: usize,
    /// The replicas of the control plane, each as `http://host:port`, or `https://…`
    /// where it speaks TLS.
    pub control_planes: Vec<String>,
    /// By what they are asked over TLS.
    pub control_tls: ControlTls,
    /// The key by which it asks them, with the scope `node`; `None`: its certificate is
    /// the key.
    pub api_key: Option<ApiKeySecret>,
    /// Who makes a transient room by joining a name that has none.
    pub transient_makers: TransientMakers,
    /// How long a transient room lives unless its maker says otherwise; `None`:
    /// nobody owns one, and it lives as long as anybody is inside.
    pub transient_life: Option<RoomLife>,
    /// What an owner may set of a transient room's rules.
    pub owner_rules: BTreeSet<OwnerRule>,
    /// Owned transient rooms of the node; past it one more is refused retryably.
    pub transient_rooms_max: usize,
    /// Transient rooms that a client owns and is in, on one puddle; past it one
    /// more is refused retryably.
    pub transient_rooms_per_client_max: usize,
    /// Hosts that end with this, which begins with a dot, are endpoints'
    /// addresses; `None`: every host is the node's own.
    pub endpoint_host_suffix: Option<String>,
    /// Origins of pages that may use the session cookie, as browsers write them
    /// (`https://app.example.com`). None: pages of the node's own host.
    pub page_origins: Vec<String>,
    /// Proxies in front, which are believed about where their clients are
    /// (`X-Forwarded-For`), at most 64 ranges. None: every client is where its
    /// connection is from.
    pub trusted_proxies: Vec<AddressRange>,
    /// What tokens are sealed under by which clients come back to where they
    /// were. By default a key of this process alone.
    pub resume_keys: ResumeKeys,
    /// Where what must survive the node is kept; `None`: durable rooms are
    /// refused.
    pub nats: Option<NatsSettings>,
    /// Silence of a client after which it is asked whether it is there; after the
    /// same again, or when what it is sent is not acknowledged for twice as long,
    /// it is gone.
    pub silence_time_max: Duration,
    /// Backends that follow rooms at once, at most 1,024; past it one more is refused
    /// with `RESOURCE_EXHAUSTED`.
    pub subscriptions_max: usize,
    /// Sockets of each puddle; past it a connection is refused with 503.
    pub sockets_per_puddle_max: usize,
    /// The last of what came to each puddle is kept, so that it can be done again
    /// by `cargo sim --replay`; `None`: it is not.
    pub black_boxes: Option<BlackBoxes>,
    /// What takes spans of entries, turns, calls and questions; off by default.
    pub spans: Tracer,
}

impl Settings {
    /// The defaults, for a node of this name that asks one control plane.
    #[must_use]
    pub fn new(
        name: NodeName,
        listen: SocketAddr,
        control_plane: String,
        api_key: impl Into<Option<ApiKeySecret>>,
    ) -> Self {
        let puddles = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            name,
            listen,
            grpc: None,
            grpc_tls: None,
            operators: None,
            puddles: puddles.min(PUDDLES_MAX),
            control_planes: vec![control_plane],
            control_tls: ControlTls::default(),
            api_key: api_key.into(),
            transient_makers: TransientMakers::Users,
            transient_life: Some(RoomLife::Peerless),
            owner_rules: OwnerRule::ALL.into(),
            transient_rooms_max: 100_000,
            transient_rooms_per_client_max: 64,
            endpoint_host_suffix: None,
            page_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            resume_keys: ResumeKeys::drawn(rand::random()),
            nats: None,
            silence_time_max: Duration::from_secs(45),
            subscriptions_max: 64,
            sockets_per_puddle_max: 100_000,
            black_boxes: None,
            spans: Tracer::default(),
        }
    }

    fn hosts(&self) -> Hosts {
        let suffix = self.endpoint_host_suffix.as_ref();
        Hosts {
            endpoint_suffix: suffix.map(|suffix| suffix.to_ascii_lowercase().into()),
            page_origins: self.page_origins.clone(),
            trusted_proxies: self.trusted_proxies.clone(),
        }
    }

    /// One puddle's settings.
    pub(crate) fn puddle(&self, puddle: PuddleId) -> porthouse_puddle::Settings {
        let puddles = u8::try_from(self.puddles).expect("checked at the start");
        porthouse_puddle::Settings {
            transient_makers: self.transient_makers,
            transient_life: self.transient_life,
            owner_rules: self.owner_rules.clone(),
            transient_rooms_max: self.transient_rooms_max,
            transient_rooms_per_client_max: self.transient_rooms_per_client_max,
            hosts: self.hosts(),
            resume_keys: self.resume_keys.clone(),
            history_store: match self.nats {
                None => HistoryStore::Nowhere,
                Some(_) => HistoryStore::Bridged,
            },
            sockets_max: self.sockets_per_puddle_max,
            silence_time_max: self.silence_time_max,
            ..porthouse_puddle::Settings::new(puddle, puddles)
        }
    }
}

/// A NATS server that keeps streams (`JetStream`).
#[derive(Clone, Debug)]
pub struct NatsSettings {
    /// Where it is, as `nats://host:port`; without a secret.
    pub url: String,
    /// A file with the credentials of its account.
    pub credentials_file: Option<PathBuf>,
}

impl NatsSettings {
    /// A server at this address; `None`: it has a secret in it, or is none.
    #[must_use]
    pub fn at(url: &str) -> Option<Self> {
        let host = ["nats://", "tls://"]
            .into_iter()
            .find_map(|scheme| url.strip_prefix(scheme))?;
        let is_one = !host.is_empty() && !host.contains(['@', '/', '?', '#', ',']);
        is_one.then(|| Self {
            url: url.to_owned(),
            credentials_file: None,
        })
    }
}

/// By what live.v1 is served over TLS, in PEM.
#[derive(Clone)]
pub struct GrpcTls {
    /// The certificate, and those that lead to its authority.
    pub certificate: Vec<u8>,
    /// Its private key.
    pub key: Zeroizing<Vec<u8>>,
}

impl GrpcTls {
    pub(crate) fn config(&self) -> ServerTlsConfig {
        ServerTlsConfig::new()
            .identity(Identity::from_pem(&self.certificate, &*self.key))
            .timeout(ACCEPT_TIME_MAX)
    }
}

impl fmt::Debug for GrpcTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcTls").finish_non_exhaustive()
    }
}

/// How long a backend may take to agree on TLS.
const ACCEPT_TIME_MAX: Duration = Duration::from_secs(10);

/// By what a control plane is asked that speaks TLS, in PEM.
#[derive(Clone, Default)]
pub struct ControlTls {
    /// Who signs its certificate; `None`: whom this machine trusts.
    pub authority: Option<Vec<u8>>,
    /// The certificate that is shown to it, and its private key.
    pub certificate: Option<(Vec<u8>, Zeroizing<Vec<u8>>)>,
}

impl ControlTls {
    /// An endpoint that is connected to so, where it speaks TLS.
    ///
    /// # Errors
    ///
    /// When what is given is no certificate, or no key of it.
    pub fn applied(&self, endpoint: Endpoint) -> Result<Endpoint, tonic::transport::Error> {
        if endpoint.uri().scheme_str() != Some("https") {
            return Ok(endpoint);
        }
        let tls = ClientTlsConfig::new().timeout(HANDSHAKE_TIME_MAX);
        let tls = match &self.authority {
            None => tls.with_native_roots(),
            Some(authority) => tls.ca_certificate(Certificate::from_pem(authority)),
        };
        endpoint.tls_config(match &self.certificate {
            None => tls,
            Some((certificate, key)) => tls.identity(Identity::from_pem(certificate, &**key)),
        })
    }
}

impl fmt::Debug for ControlTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlTls")
            .field("authority", &self.authority.is_some())
            .field("certificate", &self.certificate.is_some())
            .finish()
    }
}

/// How long a control plane may take to agree on TLS.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(2);

/// Ranges of proxies that one node trusts: each is looked at for each connection.
pub(crate) const TRUSTED_PROXIES_MAX: usize = 64;
/// Puddles of one node.
pub(crate) const PUDDLES_MAX: usize = 64;

/// An API key, never shown.
#[derive(Clone)]
pub struct ApiKeySecret(String);

impl ApiKeySecret {
    /// Keeps a key from being shown.
    #[must_use]
    pub const fn new(key: String) -> Self {
        Self(key)
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeySecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_nats_has_no_secret_in_it() {
        for url in ["nats://127.0.0.1:4222", "tls://nats.example"] {
            assert!(NatsSettings::at(url).is_some(), "{url}");
        }
        for url in [
            "nats://user:word@host",
            "127.0.0.1:4222",
            "nats://",
            "http://host",
        ] {
            assert!(NatsSettings::at(url).is_none(), "{url}");
        }
    }

    #[test]
    fn a_key_is_never_shown() {
        let key = ApiKeySecret::new("phk_secret".to_owned());
        let name = "node-1".parse().expect("a node's name");
        let listen = "127.0.0.1:0".parse().expect("an address");
        let settings = Settings::new(name, listen, "http://127.0.0.1:1".to_owned(), key);
        assert!(!format!("{settings:?}").contains("phk_"));
    }
}
