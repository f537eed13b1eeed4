//! `porthouse node`: a node, on a control plane that is given.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use porthouse_model::{Address, NodeName};
use porthouse_node::{ApiKeySecret, Node, Settings, StartError, TransientMakers};
use porthouse_process::spans::SpanSettings;
use tokio_util::sync::CancellationToken;

use crate::secret::{Given, Named, NotGiven};
use crate::store;

/// How long sockets may take to leave when the node stops.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);

const NO_KEY: NotGiven = NotGiven(
    "the node has no API key: set PORTHOUSE_API_KEY or --api-key-file, or a certificate by \
     --control-certificate-file",
);

const HELP: &str = "\
The node's API key is given by the environment or a file, because flags show in the process list:
  PORTHOUSE_API_KEY=phk_...   a key with the scope `node` (ApiKeyService.CreateApiKey)
Instead it may show a certificate that is such a key (--control-certificate-file).";

/// Run a node: it holds sockets and asks a control plane what they may do
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// A replica of the control plane; repeat it for more
    #[arg(
        long,
        value_name = "URL",
        env = "PORTHOUSE_CONTROL",
        value_delimiter = ',',
        value_parser = replica
    )]
    #[arg(default_value = "http://127.0.0.1:7440")]
    control: Vec<String>,
    #[command(flatten)]
    tls: crate::tls::Shown,
    #[command(flatten)]
    own: crate::tls::Own,
    #[command(flatten)]
    api_key: Given<ApiKey>,
    /// Its name, of its own among the nodes of a control plane [default: the machine's]
    #[arg(long, alias = "name", value_name = "NAME", env = "PORTHOUSE_NODE_NAME")]
    node_name: Option<NodeName>,
    /// Where sockets connect; port 0 is any free port
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "PORTHOUSE_WS",
        default_value = "127.0.0.1:7480"
    )]
    ws: SocketAddr,
    /// Where backends call live.v1; port 0 is any free port
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "PORTHOUSE_GRPC",
        default_value = "127.0.0.1:7441"
    )]
    grpc: SocketAddr,
    #[command(flatten)]
    operators: crate::operators::Arguments,
    /// Backends that follow rooms (`Subscribe`) at once, 0 to 1024; past it one more is refused
    #[arg(
        long,
        value_name = "NUMBER",
        env = "PORTHOUSE_SUBSCRIPTIONS_MAX",
        default_value_t = 64,
        value_parser = clap::value_parser!(u16).range(..=1024)
    )]
    subscriptions_max: u16,
    /// Threads that hold sockets, 1 to 64 [default: one a core]
    #[arg(long, value_name = "NUMBER", env = "PORTHOUSE_PUDDLES")]
    puddles: Option<usize>,
    /// Who makes a room by entering a name that has none
    #[arg(
        long,
        value_name = "WHO",
        env = "PORTHOUSE_TRANSIENT_ROOMS",
        default_value = "users"
    )]
    transient_rooms: Makers,
    /// Hosts that end with this are addresses of endpoints, such as `.example.com`
    #[arg(
        long,
        value_name = "SUFFIX",
        env = "PORTHOUSE_ENDPOINT_HOSTS",
        value_parser = host_suffix
    )]
    endpoint_hosts: Option<String>,
    /// An origin of pages that may use the session cookie, such as
    /// `https://app.example.com`; repeat it for more [default: the node's own host]
    #[arg(
        long,
        value_name = "ORIGIN",
        env = "PORTHOUSE_PAGE_ORIGINS",
        value_delimiter = ',',
        value_parser = page_origin
    )]
    page_origins: Vec<String>,
    #[command(flatten)]
    proxies: crate::proxies::Arguments,
    #[command(flatten)]
    resume: crate::resume::Arguments,
    #[command(flatten)]
    store: store::Arguments,
    #[command(flatten)]
    transient: crate::transient::Arguments,
    #[command(flatten)]
    silence: crate::silence::Arguments,
    #[command(flatten)]
    boxes: crate::boxes::Arguments,
    #[command(flatten)]
    spans: crate::spans::Arguments,
}

/// The node's API key.
struct ApiKey;

impl Named for ApiKey {
    const NAME: &'static str = "api_key";
    const FILE: &'static str = "api_key_file";
    const VARIABLES: [&'static str; 2] = ["PORTHOUSE_API_KEY", "PORTHOUSE_API_KEY_FILE"];
    const HELP: [&'static str; 2] = [
        "The node's API key, with the scope `node`",
        "Read the node's API key from a file, not from PORTHOUSE_API_KEY",
    ];
}

/// Who makes transient rooms.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Makers {
    /// Whoever enters
    Anyone,
    /// Signed-in users
    Users,
    /// No one: only rooms that were made over gRPC exist
    Nobody,
}

impl From<Makers> for TransientMakers {
    fn from(makers: Makers) -> Self {
        match makers {
            Makers::Anyone => Self::Anyone,
            Makers::Users => Self::Users,
            Makers::Nobody => Self::Nobody,
        }
    }
}

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let stop = porthouse_process::shutdown::on_signals()?;
    let (mut settings, spans) = arguments.settings()?;
    let (tracer, exporting) = crate::spans::start(spans)?;
    settings.spans = tracer;
    let node = start(settings).await?;
    tracing::info!(ws = %node.ws_addr(), grpc = ?node.grpc_addr(), operators = ?node.operators_addr(), "the node listens");
    let outcome = until(node, &stop, DRAIN_TIME_MAX).await;
    exporting.stop().await;
    outcome
}

/// Starts a node. It makes runtimes, which may not be dropped on one of ours.
pub(crate) async fn start(settings: Settings) -> anyhow::Result<Node> {
    let started = tokio::task::spawn_blocking(move || Node::start(&settings)).await?;
    started.map_err(|error| match error {
        StartError::Listen {
            address,
            setting,
            source,
        } => {
            let flag = match setting {
                "grpc" => "--grpc",
                "operators" => "--operators",
                _ => "--ws",
            };
            anyhow::Error::new(source).context(format!(
                "cannot listen on {address}: choose another by {flag}"
            ))
        }
        other @ (StartError::NoControlPlane
        | StartError::ControlPlane(_)
        | StartError::ApiKey
        | StartError::ControlTls(_)
        | StartError::GrpcTls(_)
        | StartError::Puddles(_)
        | StartError::TrustedProxies(_)
        | StartError::BlackBoxes { .. }
        | StartError::Store(_)
        | StartError::System(_)) => other.into(),
    })
}

/// Runs a node until it is to stop, then drains it within a time.
pub(crate) async fn until(
    mut node: Node,
    stop: &CancellationToken,
    drain_time_max: Duration,
) -> anyhow::Result<()> {
    tokio::select! {
        error = node.ended() => Err(error.into()),
        () = stop.cancelled() => Ok(node.shutdown(drain_time_max).await?),
    }
}

impl Arguments {
    /// Whether a node would start; binds nothing, and asks nobody.
    pub(crate) fn check(self) -> anyhow::Result<()> {
        self.settings().map(drop)
    }

    /// What a node is told, and where its spans go, checked.
    fn settings(self) -> anyhow::Result<(Settings, SpanSettings)> {
        let name = self.node_name.map_or_else(machine_name, Ok)?;
        let tls = self.tls.given(&self.control)?;
        let key = self.api_key.secret()?;
        let key = key.map(|key| ApiKeySecret::new(key.reveal().to_owned()));
        let mut settings = Settings::new(name, self.ws, String::new(), key);
        settings.control_tls = tls;
        settings.control_planes = self.control;
        settings.grpc = Some(self.grpc);
        settings.grpc_tls = self.own.given()?;
        settings.operators = self.operators.address();
        settings.subscriptions_max = self.subscriptions_max.into();
        settings.puddles = self.puddles.unwrap_or(settings.puddles);
        settings.transient_makers = self.transient_rooms.into();
        self.transient.apply(&mut settings)?;
        self.silence.apply(&mut settings);
        self.boxes.apply(&mut settings);
        settings.endpoint_host_suffix = self.endpoint_hosts;
        settings.page_origins = self.page_origins;
        self.proxies.apply(&mut settings);
        if let Some(keys) = self.resume.given()? {
            settings.resume_keys = keys;
        }
        settings.nats = self.store.settings();
        settings.check()?;
        let instance = Some(settings.name.to_string());
        let spans = self.spans.given("porthouse-node", instance)?;
        // The last, so that what is given is looked at where a secret is not.
        if settings.api_key.is_none() && settings.control_tls.certificate.is_none() {
            return Err(NO_KEY.into());
        }
        Ok((settings, spans))
    }
}

/// What hosts end with.
fn host_suffix(text: &str) -> Result<String, &'static str> {
    let host: Option<Address> = text
        .strip_prefix('.')
        .and_then(|_| format!("a{text}").parse().ok());
    host.map(|_| text.to_owned())
        .ok_or("it looks like .example.com")
}

/// An origin as browsers write it: scheme, host and, unless it is the scheme's own,
/// port.
pub(crate) fn page_origin(text: &str) -> Result<String, &'static str> {
    let host = ["https://", "http://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let is_one = |host: &str| {
        let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        !host.is_empty()
            && host
                .bytes()
                .all(|byte| known(byte) || b"-.:[]".contains(&byte))
    };
    host.filter(|host| is_one(host))
        .map(|_| text.to_owned())
        .ok_or("it looks like https://app.example.com, in lower case and without a path")
}

/// The address of a replica.
pub(crate) fn replica(text: &str) -> Result<String, &'static str> {
    let mut schemes = ["http://", "https://"].into_iter();
    let host = schemes.find_map(|scheme| text.strip_prefix(scheme));
    host.filter(|host| !host.is_empty())
        .map(|_| text.to_owned())
        .ok_or("it looks like http://127.0.0.1:7440, or https:// where it speaks TLS")
}

/// The machine's name as a node's: in lower case, with `-` for what no node's
/// name has.
fn machine_name() -> anyhow::Result<NodeName> {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .to_lowercase();
    let name: String = name
        .chars()
        .map(|char| {
            if char.is_ascii_alphanumeric() {
                char
            } else {
                '-'
            }
        })
        .collect();
    let name = name.trim_start_matches('-');
    name.parse()
        .with_context(|| format!("the machine's name {name:?} does not do: set --node-name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_as_browsers_write_it() {
        assert!(page_origin("https://app.example.com:8443").is_ok());
        for wrong in [
            "app.example.com",
            "https://",
            "https://a/",
            "https://A.example",
            "*",
        ] {
            assert!(page_origin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_replica_is_dialled_by_http_or_tls() {
        assert!(replica("http://control.example:7440").is_ok());
        assert!(replica("https://control.example:7440").is_ok());
        for wrong in ["control.example:7440", "ftp://control.example", "http://"] {
            assert!(replica(wrong).is_err(), "{wrong}");
        }
    }
}
