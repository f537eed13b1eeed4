//! A replica on a database of its own, and clients that call it.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use porthouse_api::control::v1 as wire;
use porthouse_control::{HashingSettings, PasswordCost, SealingKeys, ServeError, Settings};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_types::{ErrorDetails, StatusExt};
use wire::api_key_service_client::ApiKeyServiceClient;
use wire::audit_service_client::AuditServiceClient;
use wire::block_service_client::BlockServiceClient;
use wire::device_token_service_client::DeviceTokenServiceClient;
use wire::endpoint_service_client::EndpointServiceClient;
use wire::guard_service_client::GuardServiceClient;
use wire::issuer_service_client::IssuerServiceClient;
use wire::member_group_service_client::MemberGroupServiceClient;
use wire::member_service_client::MemberServiceClient;
use wire::node_service_client::NodeServiceClient;
use wire::policy_service_client::PolicyServiceClient;
use wire::room_door_service_client::RoomDoorServiceClient;
use wire::room_service_client::RoomServiceClient;
use wire::room_template_service_client::RoomTemplateServiceClient;
use wire::session_service_client::SessionServiceClient;
use wire::user_service_client::UserServiceClient;

use crate::cluster::Cluster;

/// A running replica.
pub(crate) struct World {
    stop: CancellationToken,
    replica: JoinHandle<Result<(), ServeError>>,
    admin_key: String,
    pub(crate) channel: Channel,
    settings: Settings,
    cluster: Cluster,
}

impl World {
    /// Starts one whose passwords cost next to nothing to check.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// The same, told more.
    pub(crate) async fn start_with(tell: impl FnOnce(&mut Settings)) -> Self {
        let cluster = Cluster::start().await;
        let url = cluster.url();
        porthouse_control::migrate(&url)
            .await
            .expect("a new database");
        let admin_key = porthouse_control::init(&url).await.expect("a first key");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let mut settings = Settings {
            hashing: cheap(),
            sealing_keys: Some(Arc::new(sealing_keys())),
            ..Settings::new(url)
        };
        tell(&mut settings);
        let (kept, beside) = (settings.clone(), Routes::default());
        let serving = porthouse_control::serve(settings, listener, beside, stop.clone());
        Self {
            stop,
            replica: tokio::spawn(serving),
            admin_key,
            channel: channel(address),
            settings: kept,
            cluster,
        }
    }

    /// Calls with the first key to another replica over the same database, which ends
    /// with what is answered beside.
    pub(crate) async fn beside(&self) -> (Caller, DropGuard) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let (settings, beside) = (self.settings.clone(), Routes::default());
        let serving = porthouse_control::serve(settings, listener, beside, stop.clone());
        tokio::spawn(serving);
        let bearer = Bearer(self.admin_key.clone());
        let caller = Caller(InterceptedService::new(channel(address), bearer));
        (caller, stop.drop_guard())
    }

    /// Does something to the database behind the control plane's back.
    pub(crate) async fn execute(&self, sql: &str) {
        let done = self.connect().await.batch_execute(sql).await;
        done.expect("it is done");
    }

    /// A connection to the database that goes around the control plane.
    pub(crate) async fn connect(&self) -> tokio_postgres::Client {
        self.cluster.connect().await
    }

    /// Tells the replica to stop; returns once it has.
    pub(crate) async fn stop(&mut self) {
        self.stop.cancel();
        let ended = (&mut self.replica).await.expect("it ends");
        ended.expect("it served");
    }

    /// Calls with the first key, which may do everything.
    pub(crate) fn admin(&self) -> Caller {
        self.with_key(&self.admin_key)
    }

    /// Calls with this key.
    pub(crate) fn with_key(&self, key: &str) -> Caller {
        Caller(InterceptedService::new(
            self.channel.clone(),
            Bearer(key.to_owned()),
        ))
    }

    /// Makes a key with these scopes.
    pub(crate) async fn key(&self, scopes: &[&str]) -> wire::CreateApiKeyResponse {
        let api_key = wire::ApiKey {
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
            ..wire::ApiKey::default()
        };
        let request = wire::CreateApiKeyRequest {
            api_key: Some(api_key),
            ..Default::default()
        };
        self.admin()
            .keys()
            .create_api_key(request)
            .await
            .expect("a key")
            .into_inner()
    }

    /// Makes a user with this password, or none.
    pub(crate) async fn user(&self, name: &str, password: &str) -> wire::CreateUserResponse {
        let request = wire::CreateUserRequest {
            user_id: name.to_owned(),
            password: password.to_owned(),
            ..wire::CreateUserRequest::default()
        };
        self.admin()
            .users()
            .create_user(request)
            .await
            .expect("a user")
            .into_inner()
    }

    /// Makes a public room.
    pub(crate) async fn room(&self, name: &str) -> wire::CreateRoomResponse {
        let request = wire::CreateRoomRequest {
            room_id: name.to_owned(),
            ..wire::CreateRoomRequest::default()
        };
        self.admin()
            .rooms()
            .create_room(request)
            .await
            .expect("a room")
            .into_inner()
    }

    /// The audit events of an action.
    pub(crate) async fn audited(&self, action: &str) -> Vec<wire::AuditEvent> {
        let request = wire::ListAuditEventsRequest {
            filter: format!("action = \"{action}\""),
            ..wire::ListAuditEventsRequest::default()
        };
        let mut audit = AuditServiceClient::new(self.admin().0);
        let listed = audit.list_audit_events(request).await;
        listed.expect("a page").into_inner().audit_events
    }

    /// Signs a user in.
    pub(crate) async fn sign_in(
        &self,
        name: &str,
        password: &str,
    ) -> Result<wire::CreateSessionResponse, Status> {
        let request = wire::CreateSessionRequest {
            username: name.to_owned(),
            password: password.to_owned(),
            ..Default::default()
        };
        self.admin()
            .sessions()
            .create_session(request)
            .await
            .map(tonic::Response::into_inner)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
        self.replica.abort();
    }
}

/// The least that Argon2 has.
fn cheap() -> HashingSettings {
    HashingSettings {
        cost: PasswordCost {
            memory_kib: 8,
            passes: 1,
            lanes: 1,
        },
        running_max: NonZeroUsize::MIN,
        waiting_max: 64,
    }
}

/// One key, of zeros.
fn sealing_keys() -> SealingKeys {
    let zeros = format!("test {}=", "A".repeat(43));
    SealingKeys::parse(&zeros).expect("a key")
}

fn channel(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}"))
        .expect("an address")
        .connect_lazy()
}

/// Adds a key to each call.
#[derive(Clone)]
pub(crate) struct Bearer(String);

impl tonic::service::Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let value = format!("Bearer {}", self.0).parse().expect("a header");
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    }
}

type Guarded = InterceptedService<Channel, Bearer>;

/// Somebody with a key.
pub(crate) struct Caller(Guarded);

impl Caller {
    pub(crate) fn users(&self) -> UserServiceClient<Guarded> {
        UserServiceClient::new(self.0.clone())
    }

    pub(crate) fn sessions(&self) -> SessionServiceClient<Guarded> {
        SessionServiceClient::new(self.0.clone())
    }

    pub(crate) fn member_groups(&self) -> MemberGroupServiceClient<Guarded> {
        MemberGroupServiceClient::new(self.0.clone())
    }

    pub(crate) fn device_tokens(&self) -> DeviceTokenServiceClient<Guarded> {
        DeviceTokenServiceClient::new(self.0.clone())
    }

    pub(crate) fn rooms(&self) -> RoomServiceClient<Guarded> {
        RoomServiceClient::new(self.0.clone())
    }

    pub(crate) fn members(&self) -> MemberServiceClient<Guarded> {
        MemberServiceClient::new(self.0.clone())
    }

    pub(crate) fn blocks(&self) -> BlockServiceClient<Guarded> {
        BlockServiceClient::new(self.0.clone())
    }

    pub(crate) fn doors(&self) -> RoomDoorServiceClient<Guarded> {
        RoomDoorServiceClient::new(self.0.clone())
    }

    pub(crate) fn room_templates(&self) -> RoomTemplateServiceClient<Guarded> {
        RoomTemplateServiceClient::new(self.0.clone())
    }

    pub(crate) fn guards(&self) -> GuardServiceClient<Guarded> {
        GuardServiceClient::new(self.0.clone())
    }

    pub(crate) fn endpoints(&self) -> EndpointServiceClient<Guarded> {
        EndpointServiceClient::new(self.0.clone())
    }

    pub(crate) fn issuers(&self) -> IssuerServiceClient<Guarded> {
        IssuerServiceClient::new(self.0.clone())
    }

    pub(crate) fn audit(&self) -> AuditServiceClient<Guarded> {
        AuditServiceClient::new(self.0.clone())
    }

    pub(crate) fn keys(&self) -> ApiKeyServiceClient<Guarded> {
        ApiKeyServiceClient::new(self.0.clone())
    }

    pub(crate) fn nodes(&self) -> NodeServiceClient<Guarded> {
        NodeServiceClient::new(self.0.clone())
    }

    pub(crate) fn policy(&self) -> PolicyServiceClient<Guarded> {
        PolicyServiceClient::new(self.0.clone())
    }
}

/// The mask of these paths.
pub(crate) fn mask(paths: &[&str]) -> prost_types::FieldMask {
    let paths = paths.iter().map(|&path| path.to_owned()).collect();
    prost_types::FieldMask { paths }
}

/// The reason of a refusal, for programs.
pub(crate) fn reason(status: &Status) -> String {
    details(status)
        .error_info()
        .map(|info| info.reason.clone())
        .unwrap_or_default()
}

/// The field that a refusal names.
pub(crate) fn field(status: &Status) -> String {
    let details = details(status);
    let request = details.bad_request().expect("a violation");
    request.field_violations[0].field.clone()
}

pub(crate) fn details(status: &Status) -> ErrorDetails {
    status.get_error_details()
}

/// The time that comes after this span.
#[expect(clippy::disallowed_methods, reason = "the tests' one clock")]
pub(crate) fn from_now(span: Duration) -> prost_types::Timestamp {
    (SystemTime::now() + span).into()
}
