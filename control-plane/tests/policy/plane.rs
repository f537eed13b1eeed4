//! A control plane over a Postgres of its own, and those who talk to it: a
//! backend, and nodes that obey the protocol as long as a test lets them.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use porthouse_api::control::v1 as control;
use porthouse_api::control::v1::block_service_client::BlockServiceClient;
use porthouse_api::control::v1::device_token_service_client::DeviceTokenServiceClient;
use porthouse_api::control::v1::endpoint_service_client::EndpointServiceClient;
use porthouse_api::control::v1::policy_service_client::PolicyServiceClient;
use porthouse_api::control::v1::room_door_service_client::RoomDoorServiceClient;
use porthouse_api::control::v1::room_service_client::RoomServiceClient;
use porthouse_api::control::v1::room_template_service_client::RoomTemplateServiceClient;
use porthouse_api::control::v1::second_factor_service_client::SecondFactorServiceClient;
use porthouse_api::control::v1::session_service_client::SessionServiceClient;
use porthouse_api::control::v1::user_service_client::UserServiceClient;
use porthouse_api::node::v1::policy_feed_service_client::PolicyFeedServiceClient;
use porthouse_api::node::v1::resolve_key::Key;
use porthouse_api::node::v1::resolved::Found;
use porthouse_api::node::v1::watch_request::Message as Word;
use porthouse_api::node::v1::watch_response::Message;
use porthouse_api::node::v1::{
    Change, Position, ResolveKey, ResolveRequest, WatchAlive, WatchApplied, WatchRequest,
    WatchResponse, WatchStart,
};
use porthouse_control::{HashingSettings, PasswordCost, PrivateAddresses, SealingKeys, Settings};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::metadata::MetadataValue;
use tonic::service::interceptor::InterceptedService;
use tonic::service::{Interceptor, Routes};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};

use crate::cluster::Cluster;

/// How long anything that must happen may take.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Sends a key with each call.
#[derive(Clone)]
pub(crate) struct WithKey(MetadataValue<tonic::metadata::Ascii>);

impl Interceptor for WithKey {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("authorization", self.0.clone());
        Ok(request)
    }
}

pub(crate) type Keyed = InterceptedService<Channel, WithKey>;

/// A running control plane.
pub(crate) struct Plane {
    pub(crate) cluster: Cluster,
    admin: String,
    node: String,
    address: SocketAddr,
    replicas: Vec<(DropGuard, JoinHandle<()>)>,
}

impl Plane {
    /// Starts one replica over a new database.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// The same with other settings.
    pub(crate) async fn start_with(change: impl Fn(&mut Settings)) -> Self {
        let cluster = Cluster::start().await;
        let url = cluster.url();
        porthouse_control::migrate(&url)
            .await
            .expect("the database is migrated");
        let admin = porthouse_control::init(&url).await.expect("a first key");
        let node = porthouse_control::issue_api_key(&url, "nodes", &["node"]).await;
        let mut plane = Self {
            cluster,
            admin,
            node: node.expect("a key for nodes"),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            replicas: Vec::new(),
        };
        let mut settings = settings(plane.cluster.url());
        change(&mut settings);
        plane.address = plane.add_replica_with(settings).await;
        plane
    }

    /// Starts another replica over the same database.
    pub(crate) async fn add_replica(&mut self) -> SocketAddr {
        self.add_replica_with(settings(self.cluster.url())).await
    }

    /// Starts another replica, which runs like this.
    pub(crate) async fn add_replica_with(&mut self, settings: Settings) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        let served = tokio::spawn(async move {
            let served =
                porthouse_control::serve(settings, listener, Routes::default(), stop).await;
            served.expect("the replica serves");
        });
        self.replicas.push((guard, served));
        address
    }

    /// Tells the last replica to stop, and answers when it has.
    pub(crate) fn stop(&mut self) -> JoinHandle<()> {
        let (guard, served) = self.replicas.pop().expect("a replica");
        drop(guard);
        served
    }

    /// Asks this replica from now on.
    pub(crate) const fn turn_to(&mut self, address: SocketAddr) {
        self.address = address;
    }

    /// Where the first replica is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What an admin's call shows.
    pub(crate) fn admin_key(&self) -> String {
        format!("Bearer {}", self.admin)
    }

    /// The same of nodes.
    pub(crate) fn node_key(&self) -> String {
        format!("Bearer {}", self.node)
    }

    /// To whatever a backend may ask.
    pub(crate) fn admin_channel(&self) -> Keyed {
        channel(self.address, &self.admin)
    }

    /// The same, of this replica.
    pub(crate) fn admin_channel_at(&self, address: SocketAddr) -> Keyed {
        channel(address, &self.admin)
    }

    pub(crate) fn rooms(&self) -> RoomServiceClient<Keyed> {
        RoomServiceClient::new(self.admin_channel())
    }

    pub(crate) fn blocks(&self) -> BlockServiceClient<Keyed> {
        BlockServiceClient::new(self.admin_channel())
    }

    pub(crate) fn room_templates(&self) -> RoomTemplateServiceClient<Keyed> {
        RoomTemplateServiceClient::new(self.admin_channel())
    }

    pub(crate) fn device_tokens(&self) -> DeviceTokenServiceClient<Keyed> {
        DeviceTokenServiceClient::new(self.admin_channel())
    }

    pub(crate) fn endpoints(&self) -> EndpointServiceClient<Keyed> {
        EndpointServiceClient::new(self.admin_channel())
    }

    pub(crate) fn users(&self) -> UserServiceClient<Keyed> {
        self.users_at(self.address)
    }

    pub(crate) fn users_at(&self, address: SocketAddr) -> UserServiceClient<Keyed> {
        UserServiceClient::new(channel(address, &self.admin))
    }

    pub(crate) fn second_factors(&self) -> SecondFactorServiceClient<Keyed> {
        self.second_factors_at(self.address)
    }

    pub(crate) fn second_factors_at(
        &self,
        address: SocketAddr,
    ) -> SecondFactorServiceClient<Keyed> {
        SecondFactorServiceClient::new(channel(address, &self.admin))
    }

    pub(crate) fn doors(&self) -> RoomDoorServiceClient<Keyed> {
        RoomDoorServiceClient::new(self.admin_channel())
    }

    /// What nodes are told that a room asks, in order.
    pub(crate) async fn steps(&self, name: &str) -> Vec<String> {
        let request = ResolveRequest {
            rules_known: porthouse_api::node::RULES_KNOWN,
            min_revision: 0,
            keys: vec![ResolveKey {
                key: Some(Key::RoomName(name.to_owned())),
            }],
        };
        let answer = self.feed().resolve(request).await.expect("an answer");
        let Some(Found::Room(room)) = answer.into_inner().resolved.remove(0).found else {
            return Vec::new();
        };
        let steps = room.rules.expect("rules").steps.into_iter();
        steps
            .map(|step| format!("{:?}", step.kind.expect("a step")))
            .collect()
    }

    pub(crate) fn sessions(&self) -> SessionServiceClient<Keyed> {
        self.sessions_at(self.address)
    }

    pub(crate) fn sessions_at(&self, address: SocketAddr) -> SessionServiceClient<Keyed> {
        SessionServiceClient::new(channel(address, &self.admin))
    }

    /// With a key of these scopes.
    pub(crate) async fn keyed(&self, scopes: &[&str]) -> Keyed {
        let key = porthouse_control::issue_api_key(&self.cluster.url(), "", scopes).await;
        channel(self.address, &key.expect("a key"))
    }

    pub(crate) fn policy(&self) -> PolicyServiceClient<Keyed> {
        self.policy_at(self.address)
    }

    pub(crate) fn policy_at(&self, address: SocketAddr) -> PolicyServiceClient<Keyed> {
        PolicyServiceClient::new(channel(address, &self.admin))
    }

    pub(crate) fn feed(&self) -> PolicyFeedServiceClient<Keyed> {
        self.feed_at(self.address)
    }

    pub(crate) fn feed_at(&self, address: SocketAddr) -> PolicyFeedServiceClient<Keyed> {
        PolicyFeedServiceClient::new(channel(address, &self.node))
    }

    /// Makes a room and answers the revision.
    pub(crate) async fn create_room(&self, name: &str) -> i64 {
        let request = control::CreateRoomRequest {
            room_id: name.to_owned(),
            ..control::CreateRoomRequest::default()
        };
        let created = self
            .rooms()
            .create_room(request)
            .await
            .expect("a room is made");
        created.into_inner().revision
    }

    /// Asks whether a revision is applied.
    pub(crate) async fn wait_applied(
        &self,
        revision: i64,
        wait: Duration,
    ) -> Result<control::WaitAppliedResponse, Status> {
        wait_applied(self.policy(), revision, wait).await
    }
}

fn channel(address: SocketAddr, key: &str) -> Keyed {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    let key = format!("Bearer {key}").parse().expect("a header");
    InterceptedService::new(endpoint.connect_lazy(), WithKey(key))
}

/// Asks a replica whether a revision is applied.
pub(crate) async fn wait_applied(
    mut policy: PolicyServiceClient<Keyed>,
    revision: i64,
    wait: Duration,
) -> Result<control::WaitAppliedResponse, Status> {
    let wait = prost_types::Duration::try_from(wait).expect("a short time");
    let request = control::WaitAppliedRequest {
        revision,
        timeout: Some(wait),
    };
    Ok(policy.wait_applied(request).await?.into_inner())
}

/// Keys of these names, the same each time.
pub(crate) fn sealing_keys(names: &[&str]) -> SealingKeys {
    let key = |name: &&str| BASE64.encode(&Sha256::digest(name));
    let lines: Vec<_> = names
        .iter()
        .map(|name| format!("{name} {}", key(name)))
        .collect();
    SealingKeys::parse(&lines.join("\n")).expect("keys")
}

/// How the replicas run unless a test says otherwise.
pub(crate) fn settings(url: String) -> Settings {
    let mut settings = Settings::new(url);
    settings.sealing_keys = Some(Arc::new(sealing_keys(&["test"])));
    settings.hook.private_addresses = PrivateAddresses::Allow;
    settings.hashing = HashingSettings {
        cost: PasswordCost {
            memory_kib: 64,
            passes: 1,
            lanes: 1,
        },
        running_max: NonZeroUsize::MIN,
        waiting_max: 4,
    };
    settings
}

/// A node, as far as the feed can tell.
pub(crate) struct Node {
    words: mpsc::Sender<WatchRequest>,
    frames: Streaming<WatchResponse>,
    alive: JoinHandle<()>,
    /// How far it has been told the log.
    pub(crate) at: Position,
}

/// What a node says when it opens a watch.
pub(crate) fn start(name: &str, incarnation: u8, from: Option<Position>) -> WatchStart {
    WatchStart {
        node: name.to_owned(),
        incarnation: vec![incarnation; 16],
        from,
        rules_known: porthouse_api::node::RULES_KNOWN,
        ..WatchStart::default()
    }
}

impl Node {
    /// Opens a watch at the head.
    pub(crate) async fn watch(plane: &Plane, name: &str) -> Self {
        Self::open(plane.feed(), start(name, 1, None))
            .await
            .expect("the watch opens")
    }

    /// Opens a watch, and is alive from then on.
    pub(crate) async fn open(
        mut feed: PolicyFeedServiceClient<Keyed>,
        start: WatchStart,
    ) -> Result<Self, Status> {
        let deliver_max = start.deliver_max;
        let from = start.from.clone();
        let (words, requests) = mpsc::channel(16);
        say(&words, Word::Start(start)).await;
        let mut frames = feed
            .watch(ReceiverStream::new(requests))
            .await?
            .into_inner();
        let Some(Message::Opened(opened)) = next(&mut frames).await? else {
            return Err(Status::internal("the first frame is `opened`"));
        };
        let alive = tokio::spawn(live(words.clone(), deliver_max));
        let at = from.or(opened.head).unwrap_or_default();
        Ok(Self {
            words,
            frames,
            alive,
            at,
        })
    }

    /// Says nothing from now on, and keeps the stream.
    pub(crate) fn fall_silent(&self) {
        self.alive.abort();
    }

    pub(crate) async fn say(&self, word: Word) {
        say(&self.words, word).await;
    }

    /// Acknowledges a revision.
    pub(crate) async fn applied(&self, revision: i64) {
        self.say(Word::Applied(WatchApplied {
            revision,
            deliver_max: None,
        }))
        .await;
    }

    /// The next frame.
    pub(crate) async fn frame(&mut self) -> Result<Option<Message>, Status> {
        next(&mut self.frames).await
    }

    /// The next change, whose number and hash must follow the one before.
    pub(crate) async fn change(&mut self) -> Result<Change, Status> {
        loop {
            match self.frame().await? {
                Some(Message::Change(change)) => {
                    let mut hash = Sha256::new();
                    hash.update(&self.at.chain);
                    hash.update(&change.payload);
                    assert_eq!(
                        change.revision,
                        self.at.revision + 1,
                        "no revision is missing"
                    );
                    assert_eq!(change.chain[..], hash.finalize()[..], "the chain holds");
                    self.at = position(&change);
                    return Ok(change);
                }
                Some(Message::Progress(_)) => {}
                other => return Err(Status::internal(format!("not a change: {other:?}"))),
            }
        }
    }

    /// The next progress; changes before it are passed over.
    pub(crate) async fn progress(&mut self) -> Result<Position, Status> {
        loop {
            match self.frame().await? {
                Some(Message::Progress(progress)) => {
                    return Ok(progress.head.unwrap_or_default());
                }
                Some(Message::Change(_)) => {}
                other => return Err(Status::internal(format!("no progress: {other:?}"))),
            }
        }
    }

    /// How the watch ends.
    pub(crate) async fn end(&mut self) -> Code {
        loop {
            match self.frame().await {
                Ok(Some(_)) => {}
                Ok(None) => return Code::Ok,
                Err(status) => return status.code(),
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.alive.abort();
    }
}

pub(crate) fn position(change: &Change) -> Position {
    Position {
        revision: change.revision,
        chain: change.chain.to_vec(),
    }
}

async fn live(words: mpsc::Sender<WatchRequest>, deliver_max: Option<prost_types::Duration>) {
    loop {
        say(
            &words,
            Word::Alive(WatchAlive {
                sockets: 1,
                deliver_max,
            }),
        )
        .await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn say(words: &mpsc::Sender<WatchRequest>, word: Word) {
    // The stream may have ended.
    let _ = words
        .send(WatchRequest {
            message: Some(word),
        })
        .await;
}

async fn next(frames: &mut Streaming<WatchResponse>) -> Result<Option<Message>, Status> {
    let frame = timeout(SOON, frames.message())
        .await
        .expect("a frame comes in time");
    Ok(frame?.map(|frame| frame.message.expect("a frame says something")))
}
