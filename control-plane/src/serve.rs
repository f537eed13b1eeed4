//! A replica, assembled: every service on one listener, behind the guard. Decides
//! nothing but the order in which it starts and stops.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use http::{Request, Response};
use porthouse_api::FILE_DESCRIPTOR_SET;
use porthouse_api::node::v1::policy_feed_service_server::PolicyFeedServiceServer;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic_reflection::server::Builder as Reflection;
use tower::{Layer, Service, ServiceExt};

use crate::api::{
    self, AUDIT_WATCHES_MAX, Api, CodeCheck, GuardLayer, Keys, Kicks, RefusedTokens, RoomCodeCheck,
    Sealing, SignIn, Tickets,
};
use crate::hook::Hooks;
use crate::identity::hashing::Hashing;
use crate::incoming::incoming;
use crate::issuer::{self, BadIssuerSettings, Issuers};
use crate::operators::{self, Operated, Parts, Standing};
use crate::policy::applied::Applied;
use crate::policy::asking::Asking;
use crate::policy::{PolicyFeed, Verifiers, idle, outlived};
use crate::settings::{Settings, TlsSettings};
use crate::store::tail::Tail;
use crate::store::{Store, StoreError, migrate, users};

/// How often a connection is asked whether it lives.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// How long what is counted in memory may take to be written at the end.
const LAST_WRITE_TIME_MAX: Duration = Duration::from_secs(2);

/// How long a client may take to agree on TLS.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// Why a replica does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The database cannot be used; the text says what to do.
    #[error("{0}")]
    Database(String),
    /// The database lacks migrations of this version.
    #[error("the database lacks migrations of this version: run `porthouse migrate`")]
    NotMigrated,
    /// Argon2 does not have the configured cost.
    #[error("the configured cost of hashing a password is not one Argon2 has: {0}")]
    Hashing(String),
    /// How issuers' keys are fetched does not fit together.
    #[error("{0}")]
    Issuers(#[from] BadIssuerSettings),
    /// TLS cannot be spoken by what is given.
    #[error(
        "TLS cannot be spoken: the certificate (--tls-certificate-file), its key \
         (--tls-key-file) or the authority of clients (--tls-client-authority-file) is not \
         one in PEM, or the key is another certificate's"
    )]
    Tls(#[source] tonic::transport::Error),
    /// The listener failed.
    #[error("the listener failed")]
    Listener(#[from] tonic::transport::Error),
}

impl From<StoreError> for ServeError {
    fn from(error: StoreError) -> Self {
        Self::Database(error.to_string())
    }
}

/// A replica, assembled: every service of it behind the guard, and no listener. It
/// reads the log as long as any clone of it is there.
#[derive(Clone)]
pub struct Replica {
    guard: GuardLayer,
    routes: Routes,
    refused: RefusedTokens,
    /// The reader outlives the calls that wait for it.
    _reading: Arc<DropGuard>,
}

impl Replica {
    /// Assembles control.v1, node.v1, reflection and health, and `beside` with them.
    /// When `stop` is cancelled, watches end.
    ///
    /// # Errors
    ///
    /// See [`ServeError`].
    pub async fn start(
        settings: &Settings,
        beside: Routes,
        stop: CancellationToken,
    ) -> Result<Self, ServeError> {
        settings.check()?;
        if migrate::pending(&settings.database_url).await? {
            return Err(ServeError::NotMigrated);
        }
        let store = Store::new(&settings.database_url, &settings.store)?;
        let hashing = hashing(&store, settings).await?;
        let reading = CancellationToken::new();
        let tail = Tail::start(&settings.database_url, reading.clone()).await?;
        let keys = Keys::new(store.clone());
        let sealing = Sealing::new(settings.sealing_keys.clone());
        let issuers = Issuers::new(store.clone(), settings.issuer.clone());
        tokio::spawn(issuer::run(issuers.clone(), stop.clone()));
        let refused_max = settings.issuer.refused_tokens_max;
        let refused = RefusedTokens::new(store.clone(), refused_max);
        tokio::spawn(refused.clone().run(stop.clone()));
        let sign_in = SignIn {
            store: store.clone(),
            hashing: hashing.clone(),
            sealing: sealing.clone(),
            issuers,
            refused: refused.clone(),
            lifetime_max: settings.session_lifetime_max,
        };
        let code_check = CodeCheck::new(store.clone(), sealing.clone());
        let feed = PolicyFeed::new(
            store.clone(),
            tail.clone(),
            verifiers(&store, sealing, (&sign_in, &code_check), settings),
            settings.feed.clone(),
            stop.clone(),
        );
        let idle_max = settings.feed.session_idle_max;
        tokio::spawn(idle::run(store.clone(), idle_max, stop.clone()));
        tokio::spawn(outlived::run(store.clone(), stop.clone()));
        if let Some(operated) = &settings.operated {
            operated.started(Parts {
                store: store.clone(),
                tail: tail.clone(),
                hashing: hashing.clone(),
                keys: keys.clone(),
                watches: feed.watches(),
                standing: looked_at(settings, &stop),
                stop: stop.clone(),
            });
        }
        let api = Arc::new(Api {
            applied: Applied::new(store.clone(), tail.clone()),
            asking: Asking::new(store.clone(), tail),
            store,
            hashing,
            keys: keys.clone(),
            sign_in,
            code_check,
            guards: settings.guards,
            audit_watches: Arc::new(Semaphore::new(AUDIT_WATCHES_MAX)),
            stop,
        });
        let calls = settings.operated.as_ref().map(Operated::calls);
        let calls = calls.unwrap_or_default();
        let routes = api::routes(&api).add_service(PolicyFeedServiceServer::new(feed));
        Ok(Self {
            guard: GuardLayer::new(keys, settings.spans.clone(), calls),
            routes: with_reflection_and_health(merge(routes, beside)).await,
            refused,
            _reading: Arc::new(reading.drop_guard()),
        })
    }

    /// Answers one call, as it does over a listener.
    pub async fn answer(&self, call: Request<Body>) -> Response<Body> {
        let mut guarded = self.guard.layer(self.routes.clone());
        let ready = guarded.ready().await;
        let Ok(answer) = match ready {
            Ok(guarded) => guarded.call(call).await,
            Err(never) => match never {},
        };
        answer
    }
}

/// Serves a [`Replica`] of these on `listener` until `stop` is cancelled. Then watches
/// end, calls under way finish, and after
/// [`stop_time_max`](Settings::stop_time_max) the rest is cut.
///
/// # Errors
///
/// See [`ServeError`]; all but the last before anything is served.
pub async fn serve(
    settings: Settings,
    listener: TcpListener,
    beside: Routes,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let replica = Replica::start(&settings, beside, stop.clone()).await?;
    let serving = server(&settings)?
        .concurrency_limit_per_connection(settings.calls_per_connection_max)
        .max_concurrent_streams(u32::try_from(settings.calls_per_connection_max).ok())
        .http2_keepalive_interval(Some(KEEPALIVE))
        .layer(replica.guard.clone())
        .add_routes(replica.routes.clone())
        .serve_with_incoming_shutdown(
            incoming(
                TcpIncoming::from(listener).with_nodelay(Some(true)),
                settings.connections_max,
            ),
            stop.clone().cancelled_owned(),
        );
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return Ok(ended?),
        () = stop.cancelled() => {}
    }
    let ended = timeout(settings.stop_time_max, serving).await;
    // Of calls that ended since they were told to.
    let written = timeout(LAST_WRITE_TIME_MAX, replica.refused.write_all());
    if written.await.is_err() {
        tracing::warn!("the last refused tokens are not written");
    }
    if let Ok(ended) = ended {
        return Ok(ended?);
    }
    tracing::warn!("calls that did not end in time were cut");
    Ok(())
}

impl Settings {
    /// Whether a replica would start on these, as far as that can be said without
    /// the database and a listener.
    ///
    /// # Errors
    ///
    /// [`ServeError`] names the settings that do not do.
    pub fn check(&self) -> Result<(), ServeError> {
        self.issuer.check()?;
        server(self).map(drop)
    }
}

/// How the database stands, looked at for operators until told to stop.
fn looked_at(settings: &Settings, stop: &CancellationToken) -> watch::Receiver<Standing> {
    let (seen, standing) = watch::channel(Standing::default());
    let (url, store) = (settings.database_url.clone(), settings.store.clone());
    tokio::spawn(operators::run(url, store, seen, stop.clone()));
    standing
}

/// What serves, over TLS where it is to.
fn server(settings: &Settings) -> Result<Server, ServeError> {
    let server = Server::builder();
    match &settings.tls {
        None => Ok(server),
        Some(tls) => server.tls_config(by(tls)).map_err(ServeError::Tls),
    }
}

/// How TLS is spoken. A certificate is asked of clients and not demanded: who shows
/// none has an API key.
fn by(settings: &TlsSettings) -> ServerTlsConfig {
    let identity = Identity::from_pem(&settings.certificate, &*settings.key);
    let tls = ServerTlsConfig::new()
        .identity(identity)
        .timeout(HANDSHAKE_TIME_MAX);
    match &settings.client_authority {
        None => tls,
        Some(authority) => tls
            .client_ca_root(Certificate::from_pem(authority))
            .client_auth_optional(true),
    }
}

/// What judges, for nodes, what clients show.
fn verifiers(
    store: &Store,
    sealing: Sealing,
    (sign_in, code_check): (&SignIn, &CodeCheck),
    settings: &Settings,
) -> Verifiers {
    Verifiers {
        sign_in: sign_in.clone(),
        room_code: RoomCodeCheck {
            store: store.clone(),
            sealing,
        },
        code: code_check.clone(),
        hooks: Hooks::new(settings.hook.clone()),
        tickets: Tickets::new(store.clone()),
        kicks: Kicks::new(store.clone()),
    }
}

/// Hashing that knows what passwords were hashed at so far.
async fn hashing(store: &Store, settings: &Settings) -> Result<Hashing, ServeError> {
    let kept = store
        .snapshot(|c| async move { Ok::<_, StoreError>(users::password_costs(c).await?) }.boxed())
        .await?;
    Hashing::new(&settings.hashing, &kept).map_err(|error| ServeError::Hashing(error.to_string()))
}

fn merge(routes: Routes, beside: Routes) -> Routes {
    routes
        .into_axum_router()
        // Both answer what nobody serves; one of them is enough.
        .merge(beside.into_axum_router().reset_fallback())
        .into()
}

async fn with_reflection_and_health(routes: Routes) -> Routes {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter
        .set_serving::<PolicyFeedServiceServer<PolicyFeed>>()
        .await;
    let reflection =
        || Reflection::configure().register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET);
    routes
        .add_service(health)
        .add_service(
            reflection()
                .build_v1()
                .expect("the descriptors are our own"),
        )
        .add_service(
            reflection()
                .build_v1alpha()
                .expect("the descriptors are our own"),
        )
}
