//! `porthouse control`: the control plane, over a database that is given.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, bail};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use porthouse_control::{
    AuditChecked, AuditHead, GuardSettings, Operated, PrivateAddresses, Settings,
};
use porthouse_process::operators::Plane;
use porthouse_process::spans::SpanSettings;
use tokio::net::TcpListener;
use tonic::service::Routes;

use crate::secret::Secret;
use crate::{database, hashing, issuers, operators, sealing, sessions, spans, tls};

/// Run the control plane, or make its first API key
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, after_help = database::HELP)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Serve(Box<Serve>),
    Init(Init),
    SecretsKey(SecretsKey),
    VerifyAudit(VerifyAudit),
}

/// Run a replica of the control plane (the same as without `serve`)
///
/// Any number of replicas run over one database. It must have been migrated.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = format!("{}\n\n{}", database::HELP, sealing::HELP))]
struct Serve {
    /// Where control.v1 is served, to backends and nodes; port 0 is any free port
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "PORTHOUSE_GRPC",
        default_value = "127.0.0.1:7440"
    )]
    grpc: SocketAddr,
    #[command(flatten)]
    operators: operators::Arguments,
    #[command(flatten)]
    database: database::Arguments,
    #[command(flatten)]
    tls: tls::Serving,
    #[command(flatten)]
    sealing: sealing::Arguments,
    #[command(flatten)]
    hashing: hashing::Arguments,
    /// Whether the backends of rooms' owners, which decide who enters, may be at
    /// addresses that are not public
    #[arg(
        long,
        value_name = "RULE",
        env = "PORTHOUSE_HOOK_PRIVATE_ADDRESSES",
        default_value = "refuse"
    )]
    hook_private_addresses: HookPrivateAddresses,
    #[command(flatten)]
    issuers: issuers::Arguments,
    #[command(flatten)]
    sessions: sessions::Arguments,
    /// Guards there may be; each is judged with each write of a room
    #[arg(
        long,
        value_name = "NUMBER",
        env = "PORTHOUSE_GUARDS_MAX",
        default_value_t = GuardSettings::default().guards_max
    )]
    guards_max: u32,
    /// Rooms and templates that one guard is judged of when it is written
    #[arg(
        long,
        value_name = "NUMBER",
        env = "PORTHOUSE_GUARDED_ROOMS_MAX",
        default_value_t = GuardSettings::default().guarded_rooms_max
    )]
    guarded_rooms_max: u32,
    #[command(flatten)]
    spans: spans::Arguments,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum HookPrivateAddresses {
    /// They may: every backend is trusted that a room's owner may name
    Allow,
    /// They may not: this machine, its networks and those of a cloud are not asked
    Refuse,
}

impl From<HookPrivateAddresses> for PrivateAddresses {
    fn from(given: HookPrivateAddresses) -> Self {
        match given {
            HookPrivateAddresses::Allow => Self::Allow,
            HookPrivateAddresses::Refuse => Self::Refuse,
        }
    }
}

/// Make and print a key that secrets in the database can be sealed under
///
/// Print it into a file that only the control plane can read, and name that by
/// --secrets-key-file.
#[derive(Debug, clap::Args)]
struct SecretsKey {
    /// What the key is called: 1 to 32 of a-z, 0-9, - and _
    #[arg(value_name = "NAME")]
    name: String,
}

/// Make and print the first API key; only a database without one is given it
///
/// It has the scope `admin`, and makes all others (ApiKeyService.CreateApiKey).
#[derive(Debug, clap::Args)]
#[command(after_help = database::HELP)]
struct Init {
    #[command(flatten)]
    database: database::Arguments,
}

/// Check that the audit log is as it was written, and print its head
///
/// Keep the head where the database's owner cannot write, and give it the next time:
/// without it nobody can tell that the end of the log was cut off.
#[derive(Debug, clap::Args)]
#[command(after_help = database::HELP)]
struct VerifyAudit {
    #[command(flatten)]
    database: database::Arguments,
    /// The head that was printed before: NUMBER:CHAIN
    #[arg(long, value_name = "HEAD", value_parser = head)]
    head: Option<AuditHead>,
}

fn head(text: &str) -> anyhow::Result<AuditHead> {
    let (number, chain) = text.split_once(':').context("NUMBER:CHAIN")?;
    let number = number.parse().context("NUMBER is a number")?;
    let chain = HEXLOWER_PERMISSIVE.decode(chain.as_bytes()).ok();
    let chain = chain.filter(|chain| chain.len() == 32);
    let chain = chain.context("CHAIN is 64 hexadecimal digits")?;
    Ok(AuditHead { number, chain })
}

async fn verify_audit(arguments: VerifyAudit) -> anyhow::Result<()> {
    let url = arguments.database.url()?;
    match porthouse_control::verify_audit_log(url.reveal(), arguments.head).await? {
        AuditChecked::Whole(head) => {
            let chain = HEXLOWER.encode(&head.chain);
            println!("{}:{chain}", head.number);
            Ok(())
        }
        AuditChecked::Broken(number, problem) => bail!("auditEvents/{number}: {problem}"),
    }
}

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.command {
        None => serve(arguments.serve).await,
        Some(Command::Serve(arguments)) => serve(*arguments).await,
        Some(Command::Init(arguments)) => init(arguments).await,
        Some(Command::SecretsKey(arguments)) => sealing::print(&arguments.name),
        Some(Command::VerifyAudit(arguments)) => verify_audit(arguments).await,
    }
}

impl Arguments {
    /// Whether a replica would start; binds nothing, and asks no database.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.serve.settings().map(drop)
    }
}

impl Serve {
    /// Which spans are taken, and where they go.
    fn spans(&self) -> anyhow::Result<SpanSettings> {
        self.spans.given("porthouse-control", None)
    }

    /// What a replica is told, checked.
    fn settings(&self) -> anyhow::Result<Settings> {
        let url = self.database.given()?;
        let mut settings = Settings::new(url.as_ref().map_or("", Secret::reveal));
        settings.tls = self.tls.given()?;
        settings.sealing_keys = self.sealing.given()?;
        settings.hashing.cost = self.hashing.given()?;
        settings.hook.private_addresses = self.hook_private_addresses.into();
        self.issuers.apply(&mut settings);
        self.sessions.apply(&mut settings);
        settings.guards = GuardSettings {
            guards_max: self.guards_max,
            guarded_rooms_max: self.guarded_rooms_max,
        };
        settings.check()?;
        self.spans()?;
        // The last, so that what is given is looked at where a secret is not.
        self.database.url()?;
        Ok(settings)
    }
}

async fn serve(arguments: Serve) -> anyhow::Result<()> {
    let stop = porthouse_process::shutdown::on_signals()?;
    let mut settings = arguments.settings()?;
    let listener = listen(arguments.grpc).await?;
    let operators = arguments.operators.listen()?;
    let asked = operators.as_ref().map(std::net::TcpListener::local_addr);
    let asked = asked.transpose()?;
    tracing::info!(grpc = %listener.local_addr()?, operators = ?asked, "the control plane listens");
    let (tracer, exporting) = spans::start(arguments.spans()?)?;
    settings.spans = tracer;
    let operated = operators.is_some().then(Operated::default);
    let planes = operated
        .iter()
        .map(|plane| -> Arc<dyn Plane> { Arc::new(plane.clone()) });
    let _shown = operators::show(operators, planes.collect(), settings.spans.clone())?;
    settings.operated = operated;
    let served = porthouse_control::serve(settings, listener, Routes::default(), stop).await;
    exporting.stop().await;
    Ok(served?)
}

async fn init(arguments: Init) -> anyhow::Result<()> {
    let url = arguments.database.url()?;
    println!("{}", porthouse_control::init(url.reveal()).await?);
    Ok(())
}

/// Binds the listener that gRPC is served on.
pub(crate) async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}: choose another by --grpc"))
}
