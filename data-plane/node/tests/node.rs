//! A whole node on loopback, its control plane played by the smallest server of
//! node.v1 that keeps it fresh: no room and no session exists, one API key does.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use porthouse_api::live::v1 as live;
use porthouse_api::live::v1::live_service_client::LiveServiceClient;
use porthouse_api::node::v1;
use porthouse_api::node::v1::policy_feed_service_server::{
    PolicyFeedService, PolicyFeedServiceServer,
};
use porthouse_model::{Credential, CredentialKind};
use porthouse_node::{ApiKeySecret, Node, Settings, StartError, TransientMakers};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{interval, timeout};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tonic::transport::Endpoint;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const WAIT_MAX: Duration = Duration::from_secs(20);
/// Sockets are told to go in its first half.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(2);
const PUDDLES: usize = 2;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

#[tokio::test]
async fn sockets_on_two_puddles_talk_raw() {
    let house = House::start().await;
    let mut sockets = house.sockets_on_each_puddle("lobby").await;
    let (first, others) = sockets.split_first_mut().expect("one on each puddle");
    for message in [Message::text("hello"), Message::binary(vec![0, 255, 7])] {
        first.send(message.clone()).await.expect("it is connected");
        for other in &mut *others {
            assert_eq!(next(other).await, message);
        }
    }
    house
        .node
        .shutdown(DRAIN_TIME_MAX)
        .await
        .expect("it drains");
}

#[tokio::test]
async fn a_backend_publishes_lists_and_kicks() {
    let mut house = House::start().await;
    let mut sockets = house.sockets_on_each_puddle("lobby").await;
    let publish = live::PublishRequest {
        room: "rooms/lobby".to_owned(),
        message: Some(live::publish_request::Message::Text("news".to_owned())),
        ..Default::default()
    };
    let published = house
        .live
        .publish(house.authorised(publish))
        .await
        .expect("it is live");
    assert_eq!(published.into_inner().receivers, sockets.len() as u64);
    for socket in &mut sockets {
        assert_eq!(next(socket).await, Message::text("news"));
    }

    let rooms = house.authorised(live::ListRoomsRequest::default());
    let rooms = house
        .live
        .list_rooms(rooms)
        .await
        .expect("rooms are listed")
        .into_inner()
        .rooms;
    assert_eq!(rooms.len(), 1);
    assert_eq!(
        (rooms[0].name.as_str(), rooms[0].persistent),
        ("rooms/lobby", false)
    );
    assert_eq!(rooms[0].sockets, sockets.len() as u64);

    let client = house.listed("lobby").await[0].client.clone();
    let kick = house.authorised(live::KickRequest {
        client,
        ..Default::default()
    });
    let kicked = house
        .live
        .kick(kick)
        .await
        .expect("it is there")
        .into_inner();
    assert_eq!(kicked.sockets, 1);
    assert_eq!(house.listed("lobby").await.len(), sockets.len() - 1);
}

#[tokio::test]
async fn who_has_no_key_may_not_call() {
    let mut house = House::start().await;
    let bare = house
        .live
        .list_rooms(live::ListRoomsRequest::default())
        .await;
    assert_eq!(
        bare.expect_err("there is no key").code(),
        Code::Unauthenticated
    );
    let stranger = Credential::new(CredentialKind::ApiKey, [9; 32]);
    let stranger = with_key(live::ListRoomsRequest::default(), &stranger);
    let refused = house.live.list_rooms(stranger).await;
    assert_eq!(
        refused.expect_err("the key is unknown").code(),
        Code::Unauthenticated
    );
}

#[tokio::test]
async fn a_node_says_whether_it_lives_and_is_ready() {
    let house = House::start().await;
    assert!(
        get(house.node.ws_addr(), "/-/live")
            .await
            .starts_with("HTTP/1.1 200 ")
    );
    let ready = async {
        while !get(house.node.ws_addr(), "/-/ready")
            .await
            .starts_with("HTTP/1.1 200 ")
        {
            tokio::task::yield_now().await;
        }
    };
    timeout(WAIT_MAX, ready)
        .await
        .expect("it hears the control plane");
}

#[tokio::test]
async fn a_node_that_drains_sends_its_sockets_elsewhere() {
    let house = House::start().await;
    let mut sockets = house.sockets_on_each_puddle("lobby").await;
    let drained = tokio::spawn(house.node.shutdown(DRAIN_TIME_MAX));
    for socket in &mut sockets {
        let Message::Close(Some(close)) = next(socket).await else {
            panic!("no close frame")
        };
        assert_eq!(u16::from(close.code), 1012);
        while let Some(Ok(_)) = socket.next().await {}
    }
    drained.await.expect("no panic").expect("it drains");
}

#[tokio::test]
async fn a_call_that_never_ends_does_not_keep_a_node_that_stops() {
    let house = House::start().await;
    let grpc = house.node.grpc_addr().expect("it was asked for");
    let channel = Endpoint::from_shared(format!("http://{grpc}")).expect("an address");
    let channel = channel.connect().await.expect("it is served");
    let watch = HealthCheckRequest::default();
    let watch = HealthClient::new(channel).watch(watch).await;
    let mut watch = watch.expect("health is open to all").into_inner();
    watch.message().await.expect("how it stands");
    timeout(WAIT_MAX, house.node.shutdown(DRAIN_TIME_MAX))
        .await
        .expect("it stops")
        .expect("it drains");
    assert!(!matches!(watch.message().await, Ok(Some(_))));
}

#[tokio::test]
async fn an_address_in_use_is_named_with_its_setting() {
    let house = House::start().await;
    let settings = settings("second", house.node.ws_addr(), house.control);
    let error = Node::start(&settings).expect_err("the address is in use");
    assert!(matches!(
        error,
        StartError::Listen {
            setting: "listen",
            ..
        }
    ));
    assert!(
        error
            .to_string()
            .contains(&house.node.ws_addr().to_string())
    );
}

struct House {
    node: Node,
    control: SocketAddr,
    live: LiveServiceClient<tonic::transport::Channel>,
}

impl House {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let control = listener.local_addr().expect("it is bound");
        let service = PolicyFeedServiceServer::new(Control);
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        let any_port = "127.0.0.1:0".parse().expect("an address");
        let node = Node::start(&settings("first", any_port, control)).expect("it starts");
        let grpc = node.grpc_addr().expect("it was asked for");
        let live = LiveServiceClient::connect(format!("http://{grpc}")).await;
        Self {
            node,
            control,
            live: live.expect("it is served"),
        }
    }

    /// Connects until every puddle has a socket in the room.
    async fn sockets_on_each_puddle(&self, room: &str) -> Vec<Socket> {
        let mut sockets = Vec::new();
        let all = async {
            loop {
                let address = format!("ws://{}/{room}", self.node.ws_addr());
                if let Ok((socket, _)) = connect_async(address).await {
                    sockets.push(socket);
                }
                let listed = self.listed(room).await;
                let on = |puddle| listed.iter().any(|socket| socket.puddle == puddle);
                if listed.len() == sockets.len() && on(0) && on(1) {
                    return;
                }
            }
        };
        timeout(WAIT_MAX, all)
            .await
            .expect("the kernel spreads connections");
        sockets
    }

    async fn listed(&self, room: &str) -> Vec<live::LiveSocket> {
        let request = live::ListSocketsRequest {
            room: format!("rooms/{room}"),
            page_size: 1_000,
            ..Default::default()
        };
        match self
            .live
            .clone()
            .list_sockets(self.authorised(request))
            .await
        {
            Ok(listed) => listed.into_inner().sockets,
            Err(status) if status.code() == Code::NotFound => Vec::new(),
            Err(status) => panic!("{status:?}"),
        }
    }

    #[expect(
        clippy::unused_self,
        reason = "reads as what it is: a call to this house"
    )]
    fn authorised<T>(&self, message: T) -> Request<T> {
        with_key(message, &key())
    }
}

fn settings(name: &str, listen: SocketAddr, control: SocketAddr) -> Settings {
    let key = ApiKeySecret::new(key().reveal());
    let name = name.parse().expect("a node's name");
    Settings {
        grpc: Some("127.0.0.1:0".parse().expect("an address")),
        puddles: PUDDLES,
        transient_makers: TransientMakers::Anyone,
        ..Settings::new(name, listen, format!("http://{control}"), key)
    }
}

fn key() -> Credential {
    Credential::new(CredentialKind::ApiKey, [7; 32])
}

fn with_key<T>(message: T, key: &Credential) -> Request<T> {
    let mut request = Request::new(message);
    let bearer = format!("Bearer {}", key.reveal()).parse().expect("ASCII");
    request.metadata_mut().insert("authorization", bearer);
    request
}

async fn next(socket: &mut Socket) -> Message {
    let message = timeout(WAIT_MAX, socket.next())
        .await
        .expect("a message in time");
    message
        .expect("the connection is open")
        .expect("the connection is sound")
}

/// The status line.
async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it is connected");
    let mut lines = BufReader::new(stream).lines();
    let status = timeout(WAIT_MAX, lines.next_line())
        .await
        .expect("an answer in time");
    status.expect("it is text").expect("it is not empty")
}

struct Control;

#[tonic::async_trait]
impl PolicyFeedService for Control {
    type WatchStream = ReceiverStream<Result<v1::WatchResponse, Status>>;

    async fn watch(
        &self,
        request: Request<Streaming<v1::WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        use v1::watch_response::Message;
        let mut said = request.into_inner();
        let (tell, told) = mpsc::channel(4);
        tokio::spawn(async move {
            let head = Some(v1::Position::default());
            let opened = Message::Opened(v1::WatchOpened { head: head.clone() });
            let progress = Message::Progress(v1::WatchProgress { head });
            let mut tick = interval(Duration::from_millis(200));
            let mut next = opened;
            while tell
                .send(Ok(v1::WatchResponse {
                    message: Some(next),
                }))
                .await
                .is_ok()
            {
                next = progress.clone();
                tokio::select! {
                    said = said.message() => if !matches!(said, Ok(Some(_))) { return },
                    _ = tick.tick() => {}
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(told)))
    }

    async fn resolve(
        &self,
        request: Request<v1::ResolveRequest>,
    ) -> Result<Response<v1::ResolveResponse>, Status> {
        use v1::resolve_key::Key;
        let known = key().hash().as_bytes().to_vec();
        let resolved = request.into_inner().keys.into_iter().map(|asked| {
            let found = matches!(asked.key, Some(Key::ApiKeySha256(hash)) if hash == known);
            let key = v1::ApiKey {
                id: vec![1; 16],
                scopes: vec!["live".to_owned()],
                ..Default::default()
            };
            v1::Resolved {
                found: found.then_some(v1::resolved::Found::ApiKey(key)),
            }
        });
        Ok(Response::new(v1::ResolveResponse {
            revision: 0,
            resolved: resolved.collect(),
        }))
    }

    async fn verify_room_password(
        &self,
        _: Request<v1::VerifyRoomPasswordRequest>,
    ) -> Result<Response<v1::VerifyRoomPasswordResponse>, Status> {
        Err(Status::unimplemented("no room has a password"))
    }

    async fn verify_step(
        &self,
        _: Request<v1::VerifyStepRequest>,
    ) -> Result<Response<v1::VerifyStepResponse>, Status> {
        Err(Status::unimplemented("no room asks anything"))
    }

    async fn open_session(
        &self,
        _: Request<v1::OpenSessionRequest>,
    ) -> Result<Response<v1::OpenSessionResponse>, Status> {
        Err(Status::unimplemented("there is no user"))
    }

    async fn make_ticket(
        &self,
        _: Request<v1::MakeTicketRequest>,
    ) -> Result<Response<v1::MakeTicketResponse>, Status> {
        Err(Status::unimplemented("there is no session"))
    }

    async fn redeem_ticket(
        &self,
        _: Request<v1::RedeemTicketRequest>,
    ) -> Result<Response<v1::RedeemTicketResponse>, Status> {
        Err(Status::unimplemented("there is no ticket"))
    }

    async fn keep_out(
        &self,
        _: Request<v1::KeepOutRequest>,
    ) -> Result<Response<v1::KeepOutResponse>, Status> {
        Err(Status::unimplemented("there is no user"))
    }

    async fn find_deleted_rooms(
        &self,
        _: Request<v1::FindDeletedRoomsRequest>,
    ) -> Result<Response<v1::FindDeletedRoomsResponse>, Status> {
        Err(Status::unimplemented("there is no store"))
    }

    async fn close_session(
        &self,
        _: Request<v1::CloseSessionRequest>,
    ) -> Result<Response<v1::CloseSessionResponse>, Status> {
        Err(Status::unimplemented("there is no user"))
    }

    async fn complete_session(
        &self,
        _: Request<v1::CompleteSessionRequest>,
    ) -> Result<Response<v1::CompleteSessionResponse>, Status> {
        Err(Status::unimplemented("there is no user"))
    }
}
