//! What a backend asks: control.v1 and live.v1 under one API key.
//!
//! Owns the few steps that most tests begin with (a room, a user, a session, a
//! wait until all nodes have applied a revision). Never hides an answer that a
//! test is about: those call the generated clients.

use std::collections::BTreeMap;
use std::sync::Arc;

use porthouse_api::control::v1 as control;
use porthouse_api::control::v1::api_key_service_client::ApiKeyServiceClient;
use porthouse_api::control::v1::block_service_client::BlockServiceClient;
use porthouse_api::control::v1::device_token_service_client::DeviceTokenServiceClient;
use porthouse_api::control::v1::endpoint_service_client::EndpointServiceClient;
use porthouse_api::control::v1::issuer_service_client::IssuerServiceClient;
use porthouse_api::control::v1::member_group_service_client::MemberGroupServiceClient;
use porthouse_api::control::v1::member_service_client::MemberServiceClient;
use porthouse_api::control::v1::node_service_client::NodeServiceClient;
use porthouse_api::control::v1::policy_service_client::PolicyServiceClient;
use porthouse_api::control::v1::room_door_service_client::RoomDoorServiceClient;
use porthouse_api::control::v1::room_service_client::RoomServiceClient;
use porthouse_api::control::v1::room_template_service_client::RoomTemplateServiceClient;
use porthouse_api::control::v1::second_factor_service_client::SecondFactorServiceClient;
use porthouse_api::control::v1::session_service_client::SessionServiceClient;
use porthouse_api::control::v1::user_service_client::UserServiceClient;
use porthouse_api::live::v1 as live;
use porthouse_api::live::v1::live_service_client::LiveServiceClient;
use porthouse_api::node::v1::policy_feed_service_client::PolicyFeedServiceClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::secrets::Secrets;

/// A connection whose every call shows a key.
pub type Keyed = InterceptedService<Channel, Key>;

/// Shows an API key, or none.
#[derive(Clone, Debug)]
pub struct Key(Option<MetadataValue<Ascii>>);

impl Interceptor for Key {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(key) = &self.0 {
            request.metadata_mut().insert("authorization", key.clone());
        }
        Ok(request)
    }
}

/// A backend with an API key.
#[derive(Clone, Debug)]
pub struct Backend {
    channel: Channel,
    key: Key,
    secrets: Arc<Secrets>,
}

/// Somebody signed in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// `sessions/{session}`.
    pub session: String,
    /// What opens a node's door.
    pub token: String,
}

/// Somebody's second factor.
#[derive(Clone, Debug)]
pub struct Enrolled {
    /// In base32, as an app is given it.
    pub secret: String,
    /// Each good once.
    pub recovery_codes: Vec<String>,
}

/// Declares how the client of a service is had.
macro_rules! services {
    ($($(#[$doc:meta])* $name:ident: $client:ident),* $(,)?) => {
        impl Backend {
            $($(#[$doc])*
            #[must_use]
            pub fn $name(&self) -> $client<Keyed> {
                $client::with_interceptor(self.channel.clone(), self.key.clone())
            })*
        }
    };
}

services! {
    /// Calls `UserService`.
    users: UserServiceClient,
    /// Calls `SessionService`.
    sessions: SessionServiceClient,
    /// Calls `IssuerService`.
    issuers: IssuerServiceClient,
    /// Calls `DeviceTokenService`.
    device_tokens: DeviceTokenServiceClient,
    /// Calls `SecondFactorService`.
    second_factors: SecondFactorServiceClient,
    /// Calls `RoomDoorService`.
    doors: RoomDoorServiceClient,
    /// Calls `RoomService`.
    rooms: RoomServiceClient,
    /// Calls `EndpointService`.
    endpoints: EndpointServiceClient,
    /// Calls `RoomTemplateService`.
    room_templates: RoomTemplateServiceClient,
    /// Calls `MemberService`.
    members: MemberServiceClient,
    /// Calls `MemberGroupService`.
    member_groups: MemberGroupServiceClient,
    /// Calls `BlockService`.
    blocks: BlockServiceClient,
    /// Calls `ApiKeyService`.
    api_keys: ApiKeyServiceClient,
    /// Calls `NodeService`.
    nodes: NodeServiceClient,
    /// Calls `PolicyService`.
    policy: PolicyServiceClient,
    /// Calls `LiveService`.
    live: LiveServiceClient,
    /// Calls `PolicyFeedService`, as nodes do.
    feed: PolicyFeedServiceClient,
}

impl Backend {
    /// A backend that calls `address` and shows `key`, if it has one. Connects
    /// with the first call, and again when a connection is lost.
    ///
    /// # Panics
    /// When the address is none.
    #[must_use]
    pub fn new(address: &str, key: Option<&str>, secrets: Arc<Secrets>) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}"));
        let bearer = |key: &str| format!("Bearer {key}").parse().expect("keys are ASCII");
        Self {
            channel: endpoint.expect("an address").connect_lazy(),
            key: Key(key.map(bearer)),
            secrets,
        }
    }

    /// The same backend with another key, or none.
    #[must_use]
    pub fn with_key(&self, key: Option<&str>) -> Self {
        let bearer = |key: &str| format!("Bearer {key}").parse().expect("keys are ASCII");
        Self {
            key: Key(key.map(bearer)),
            ..self.clone()
        }
    }

    /// The connection, for services that are not ours.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Makes a room and answers the revision.
    ///
    /// # Panics
    /// When it is refused, as all calls below.
    pub async fn make_room(&self, room_id: &str, room: control::Room) -> i64 {
        let request = control::CreateRoomRequest {
            room_id: room_id.to_owned(),
            room: Some(room),
            ..Default::default()
        };
        let made = self.rooms().create_room(request).await;
        made.expect("a room is made").into_inner().revision
    }

    /// Changes a room's rules; `paths` names the fields, as the mask has them.
    pub async fn change_room(&self, room_id: &str, room: control::Room, paths: &[&str]) -> i64 {
        let request = control::UpdateRoomRequest {
            room: Some(control::Room {
                name: format!("rooms/{room_id}"),
                ..room
            }),
            update_mask: Some(prost_types::FieldMask {
                paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            }),
            ..Default::default()
        };
        let changed = self.rooms().update_room(request).await;
        changed.expect("the room is changed").into_inner().revision
    }

    /// Sets a room's password.
    pub async fn set_room_password(&self, room_id: &str, password: &str) -> i64 {
        let request = control::SetRoomPasswordRequest {
            name: format!("rooms/{room_id}"),
            password: self.secrets.keep("a room's password", password),
            ..Default::default()
        };
        let set = self.rooms().set_room_password(request).await;
        set.expect("the password is set").into_inner().revision
    }

    /// Makes a user with a password.
    pub async fn make_user(&self, user_id: &str, password: &str) -> i64 {
        let request = control::CreateUserRequest {
            user_id: user_id.to_owned(),
            password: self.secrets.keep("a user's password", password),
            ..Default::default()
        };
        let made = self.users().create_user(request).await;
        made.expect("a user is made").into_inner().revision
    }

    /// Makes a user a member of a room.
    pub async fn make_member(&self, room_id: &str, user_id: &str) -> i64 {
        self.make_member_until(room_id, user_id, None).await
    }

    /// The same until that time, if one is said.
    pub async fn make_member_until(
        &self,
        room_id: &str,
        user_id: &str,
        expire_time: Option<prost_types::Timestamp>,
    ) -> i64 {
        let request = control::CreateMemberRequest {
            parent: format!("rooms/{room_id}"),
            user_id: user_id.to_owned(),
            member: Some(control::Member {
                expire_time,
                ..Default::default()
            }),
            ..Default::default()
        };
        let made = self.members().create_member(request).await;
        made.expect("a member is made").into_inner().revision
    }

    /// Signs a user in.
    pub async fn sign_in(&self, username: &str, password: &str) -> SignedIn {
        let request = control::CreateSessionRequest {
            username: username.to_owned(),
            password: password.to_owned(),
            ..Default::default()
        };
        let answer = self.sessions().create_session(request).await;
        let answer = answer.expect("a session is opened").into_inner();
        SignedIn {
            session: answer.session.expect("it is answered").name,
            token: self.secrets.keep("a session's token", &answer.token),
        }
    }

    /// Makes a user and signs it in.
    pub async fn signed_in_user(&self, user_id: &str) -> SignedIn {
        let password = format!("the password of {user_id}");
        self.make_user(user_id, &password).await;
        self.sign_in(user_id, &password).await
    }

    /// Gives a user a second factor; answers its secret in base32 and its recovery
    /// codes.
    pub async fn enrol(&self, user_id: &str, code: impl Fn(&str) -> String) -> Enrolled {
        let user = format!("users/{user_id}");
        let asked = control::BeginTotpRequest { user: user.clone() };
        let begun = self.second_factors().begin_totp(asked).await;
        let secret = begun.expect("it begins").into_inner().secret;
        let secret = self.secrets.keep("a second factor's secret", &secret);
        let confirm = control::ConfirmTotpRequest {
            user,
            code: code(&secret),
        };
        let confirmed = self.second_factors().confirm_totp(confirm).await;
        let codes = confirmed.expect("it is right").into_inner().recovery_codes;
        let keep = |code: &String| self.secrets.keep("a recovery code", code);
        Enrolled {
            recovery_codes: codes.iter().map(keep).collect(),
            secret,
        }
    }

    /// Makes a device token for these rooms; answers its name and secret.
    pub async fn make_device(&self, owner: &str, rooms: &[&str]) -> (String, String) {
        let request = control::CreateDeviceTokenRequest {
            device_token: Some(control::DeviceToken {
                owner: format!("users/{owner}"),
                display_name: "Thermometer".to_owned(),
                rooms: rooms.iter().map(|room| format!("rooms/{room}")).collect(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let made = self.device_tokens().create_device_token(request).await;
        let made = made.expect("a device token is made").into_inner();
        let secret = self.secrets.keep("a device token", &made.secret);
        (made.device_token.expect("it is answered").name, secret)
    }

    /// Ends a session.
    pub async fn revoke(&self, session: &str) -> i64 {
        let request = control::RevokeSessionRequest {
            name: session.to_owned(),
        };
        let revoked = self.sessions().revoke_session(request).await;
        revoked.expect("the session ends").into_inner().revision
    }

    /// Makes an API key with some scopes.
    pub async fn make_key(&self, scopes: &[&str]) -> String {
        let request = control::CreateApiKeyRequest {
            api_key: Some(control::ApiKey {
                display_name: format!("for {}", scopes.join(" and ")),
                scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let made = self.api_keys().create_api_key(request).await;
        let secret = made.expect("a key is made").into_inner().secret;
        self.secrets.keep("an API key", &secret)
    }

    /// Asks whether every node has applied a revision, for so many seconds.
    pub async fn wait_applied(&self, revision: i64, seconds: i64) -> control::WaitAppliedResponse {
        let request = control::WaitAppliedRequest {
            revision,
            timeout: Some(prost_types::Duration { seconds, nanos: 0 }),
        };
        let answer = self.policy().wait_applied(request).await;
        answer.expect("it answers").into_inner()
    }

    /// Waits until every node has applied a revision.
    pub async fn applied(&self, revision: i64) {
        let answer = self.wait_applied(revision, 30).await;
        assert!(answer.applied, "not applied: {:?}", answer.pending);
    }

    /// The sockets that are in a room; none if nobody ever came.
    pub async fn sockets_in(&self, room_id: &str) -> Vec<live::LiveSocket> {
        let request = live::ListSocketsRequest {
            room: format!("rooms/{room_id}"),
            page_size: 1_000,
            ..Default::default()
        };
        match self.live().list_sockets(request).await {
            Ok(listed) => listed.into_inner().sockets,
            Err(status) if status.code() == Code::NotFound => Vec::new(),
            Err(status) => panic!("sockets are not listed: {status:?}"),
        }
    }

    /// How many sockets of a room each puddle holds; one without any is absent.
    pub async fn sockets_by_puddle(&self, room_id: &str) -> BTreeMap<u32, usize> {
        let mut puddles = BTreeMap::new();
        for socket in self.sockets_in(room_id).await {
            *puddles.entry(socket.puddle).or_default() += 1;
        }
        puddles
    }
}
