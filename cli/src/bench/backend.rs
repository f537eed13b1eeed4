//! What a benchmark asks of a control plane: users and sessions that come and go,
//! and a room that echoes. What it makes it removes.

use anyhow::{Context as _, ensure};
use porthouse_api::control::v1 as control;
use porthouse_api::control::v1::policy_service_client::PolicyServiceClient;
use porthouse_api::control::v1::room_template_service_client::RoomTemplateServiceClient;
use porthouse_api::control::v1::session_service_client::SessionServiceClient;
use porthouse_api::control::v1::user_service_client::UserServiceClient;
use tokio::runtime::Handle;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use uuid::Uuid;

use super::place::Place;
use crate::secret::{Given, Named};

/// How long all nodes may take to apply what was written, in seconds.
const APPLIED_SECONDS_MAX: i64 = 30;

/// The control plane of a server that is not private.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// The server's control plane; of several the first is asked
    #[arg(
        long,
        value_name = "URL",
        env = "PORTHOUSE_CONTROL",
        value_delimiter = ',',
        value_parser = crate::node::replica
    )]
    #[arg(default_value = "http://127.0.0.1:7440")]
    control: Vec<String>,
    #[command(flatten)]
    api_key: Given<ApiKey>,
}

struct ApiKey;

impl Named for ApiKey {
    const NAME: &'static str = "api_key";
    const FILE: &'static str = "api_key_file";
    const VARIABLES: [&'static str; 2] = ["PORTHOUSE_API_KEY", "PORTHOUSE_API_KEY_FILE"];
    const HELP: [&'static str; 2] = [
        "An API key with the scope `admin`, for what a benchmark makes",
        "Read that API key from a file, not from PORTHOUSE_API_KEY",
    ];
}

impl Arguments {
    /// The backend of a place; none: no key was given.
    pub(super) fn of(&self, place: &Place) -> anyhow::Result<Option<Backend>> {
        if let Some(private) = place.backend() {
            return private.map(Some);
        }
        let Some(key) = self.api_key.secret()? else {
            return Ok(None);
        };
        let control = self.control.first().context("no control plane is named")?;
        Backend::new(control, key.reveal()).map(Some)
    }
}

/// Shows the key.
#[derive(Clone)]
struct Key(MetadataValue<Ascii>);

impl Interceptor for Key {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// A caller of control.v1 with an API key.
#[derive(Clone)]
pub(super) struct Backend {
    channel: Channel,
    key: Key,
}

type Keyed = InterceptedService<Channel, Key>;

impl Backend {
    /// Calls this control plane by this key.
    pub(super) fn new(control: &str, key: &str) -> anyhow::Result<Self> {
        // A channel belongs to the runtime that it is made on.
        let _runtime = Handle::current().enter();
        let mut key: MetadataValue<Ascii> = format!("Bearer {key}")
            .parse()
            .context("the API key is none")?;
        key.set_sensitive(true);
        Ok(Self {
            channel: Endpoint::from_shared(control.to_owned())?.connect_lazy(),
            key: Key(key),
        })
    }

    fn users(&self) -> UserServiceClient<Keyed> {
        UserServiceClient::with_interceptor(self.channel.clone(), self.key.clone())
    }

    fn sessions(&self) -> SessionServiceClient<Keyed> {
        SessionServiceClient::with_interceptor(self.channel.clone(), self.key.clone())
    }

    fn templates(&self) -> RoomTemplateServiceClient<Keyed> {
        RoomTemplateServiceClient::with_interceptor(self.channel.clone(), self.key.clone())
    }

    fn policy(&self) -> PolicyServiceClient<Keyed> {
        PolicyServiceClient::with_interceptor(self.channel.clone(), self.key.clone())
    }

    /// Makes a user; answers its password.
    pub(super) async fn make_user(&self, user_id: &str) -> anyhow::Result<String> {
        let password = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let request = control::CreateUserRequest {
            user_id: user_id.to_owned(),
            password: password.clone(),
            ..Default::default()
        };
        let made = self.users().create_user(request).await;
        made.with_context(|| format!("the user {user_id} is not made"))?;
        Ok(password)
    }

    /// Removes a user, and with it its sessions.
    pub(super) async fn remove_user(&self, user_id: &str) -> anyhow::Result<()> {
        let request = control::DeleteUserRequest {
            name: format!("users/{user_id}"),
            ..Default::default()
        };
        let removed = self.users().delete_user(request).await;
        removed.with_context(|| format!("the user {user_id} is not removed"))?;
        Ok(())
    }

    /// Opens a session; answers its token.
    pub(super) async fn sign_in(&self, user_id: &str, password: &str) -> anyhow::Result<String> {
        let request = control::CreateSessionRequest {
            username: user_id.to_owned(),
            password: password.to_owned(),
            ..Default::default()
        };
        let opened = self.sessions().create_session(request).await;
        Ok(opened
            .context("a session is not opened")?
            .into_inner()
            .token)
    }

    /// Ends all sessions of a user, in one commit; answers its revision.
    pub(super) async fn revoke_all(&self, user_id: &str) -> anyhow::Result<i64> {
        let request = control::RevokeAllSessionsRequest {
            user: format!("users/{user_id}"),
        };
        let revoked = self.sessions().revoke_all_sessions(request).await;
        let revoked = revoked.context("the sessions are not revoked")?;
        Ok(revoked.into_inner().revision)
    }

    /// Has all rooms whose names begin so return what is said to who says it.
    pub(super) async fn make_echo(&self, beginning: &str) -> anyhow::Result<()> {
        let rules = control::RoomRules {
            broadcast: Some(control::BroadcastRules {
                echo: Some(true),
                ..Default::default()
            }),
            ..Default::default()
        };
        let request = control::CreateRoomTemplateRequest {
            room_template_id: format!("{beginning}*"),
            room_template: Some(control::RoomTemplate {
                rules: Some(rules),
                ..Default::default()
            }),
            ..Default::default()
        };
        let made = self.templates().create_room_template(request).await;
        let revision = made
            .context("rooms that echo are not made")?
            .into_inner()
            .revision;
        self.applied(revision).await
    }

    /// Ends that.
    pub(super) async fn remove_echo(&self, beginning: &str) -> anyhow::Result<()> {
        let request = control::DeleteRoomTemplateRequest {
            name: format!("roomTemplates/{beginning}*"),
            ..Default::default()
        };
        let removed = self.templates().delete_room_template(request).await;
        removed.context("rooms that echo are not removed")?;
        Ok(())
    }

    async fn applied(&self, revision: i64) -> anyhow::Result<()> {
        let request = control::WaitAppliedRequest {
            revision,
            timeout: Some(prost_types::Duration {
                seconds: APPLIED_SECONDS_MAX,
                nanos: 0,
            }),
        };
        let answer = self.policy().wait_applied(request).await?.into_inner();
        ensure!(
            answer.applied,
            "not every node has applied revision {revision}"
        );
        Ok(())
    }
}
