//! Owners' backends: what they are told, and that nobody enters by one that does
//! not say so.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use porthouse_api::control::v1 as control;
use porthouse_api::hook::v1::hook_service_server::{HookService, HookServiceServer};
use porthouse_api::hook::v1::{AdmitRequest, AdmitResponse, Decision};
use porthouse_api::node::v1::verify_step_request::Proof;
use porthouse_api::node::v1::{HookProof, StepVerdict, VerifyStepRequest, VerifyStepResponse};
use porthouse_control::{HookSettings, PrivateAddresses};
use porthouse_model::RoomId;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};

use crate::plane::{Plane, settings};

/// What a backend does with a question.
#[derive(Clone, Copy)]
enum Manner {
    Admits,
    Refuses,
    Undecided,
    Fails,
    NeverAnswers,
    TalksTooMuch,
}

/// What a backend was asked, and the secret it was shown.
type Question = (AdmitRequest, Option<String>);

/// An owner's backend, and what it was asked.
#[derive(Clone)]
struct Backend {
    manner: Manner,
    asked: Arc<Mutex<Vec<Question>>>,
}

#[tonic::async_trait]
impl HookService for Backend {
    async fn admit(
        &self,
        request: Request<AdmitRequest>,
    ) -> Result<Response<AdmitResponse>, Status> {
        let shown = request.metadata().get("authorization");
        let shown = shown.and_then(|value| value.to_str().ok().map(str::to_owned));
        let asked = (request.into_inner(), shown);
        self.asked.lock().expect("not poisoned").push(asked);
        let answer = |decision: Decision, reason: String| {
            Ok(Response::new(AdmitResponse {
                decision: decision.into(),
                reason,
            }))
        };
        match self.manner {
            Manner::Admits => answer(Decision::Admit, String::new()),
            Manner::Refuses => answer(Decision::Refuse, "not on Sundays".into()),
            Manner::Undecided => answer(Decision::Unspecified, String::new()),
            Manner::Fails => Err(Status::internal("a bug of the owner's")),
            Manner::NeverAnswers => std::future::pending().await,
            Manner::TalksTooMuch => answer(Decision::Admit, "x".repeat(64 * 1024)),
        }
    }
}

impl Backend {
    async fn start(manner: Manner) -> (Self, String) {
        let backend = Self {
            manner,
            asked: Arc::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let service = HookServiceServer::new(backend.clone());
        let serving = Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(serving);
        (backend, url)
    }

    fn asked(&self) -> Vec<Question> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

async fn room(plane: &Plane) -> RoomId {
    plane.create_room("lobby").await;
    let room = control::GetRoomRequest {
        name: "rooms/lobby".into(),
    };
    let room = plane.rooms().get_room(room).await.expect("a room");
    let room = room.into_inner().room.expect("the room");
    room.uid.parse().expect("an identity")
}

fn hook(url: &str) -> control::SetRoomHookRequest {
    control::SetRoomHookRequest {
        room: "rooms/lobby".into(),
        url: url.to_owned(),
        deadline: Some(prost_types::Duration {
            seconds: 0,
            nanos: 500_000_000,
        }),
        secret: "s3cret".into(),
        etag: String::new(),
        ..Default::default()
    }
}

async fn set(plane: &Plane, url: &str) {
    plane
        .doors()
        .set_room_hook(hook(url))
        .await
        .expect("a hook");
}

fn question(room: RoomId) -> VerifyStepRequest {
    VerifyStepRequest {
        room_id: room.as_bytes().to_vec(),
        client_id: vec![7; 16],
        session_id: Vec::new(),
        address: "192.0.2.1".into(),
        proof: Some(Proof::Hook(HookProof {
            origin: "https://a.example".into(),
        })),
        room_name: "lobby".into(),
    }
}

async fn ask(plane: &Plane, room: RoomId) -> VerifyStepResponse {
    let asked = plane.feed().verify_step(question(room)).await;
    asked.expect("a verdict").into_inner()
}

#[tokio::test]
async fn a_backend_is_told_who_comes_and_decides() {
    let plane = Plane::start().await;
    let room = room(&plane).await;
    let (admits, url) = Backend::start(Manner::Admits).await;
    set(&plane, &url).await;
    let asked = ask(&plane, room).await;
    assert_eq!((asked.verdict(), asked.version), (StepVerdict::Right, 1));
    let (told, shown) = admits.asked().remove(0);
    assert_eq!(shown.as_deref(), Some("Bearer s3cret"));
    assert_eq!(told.room, "rooms/lobby");
    assert_eq!((told.user.as_str(), told.client_id), ("", vec![7; 16]));
    assert_eq!(told.address, "192.0.2.1");
    assert_eq!(told.origin, "https://a.example");
    assert!(told.time.is_some());

    let (_, url) = Backend::start(Manner::Refuses).await;
    set(&plane, &url).await;
    assert_eq!(ask(&plane, room).await.verdict(), StepVerdict::Refused);
    assert_eq!(plane.steps("lobby").await, ["HookVersion(2)"]);
}

#[tokio::test]
async fn a_templates_backend_is_told_which_of_its_rooms_somebody_comes_to() {
    let plane = Plane::start().await;
    let request = control::CreateRoomTemplateRequest {
        room_template_id: "chat:*".into(),
        ..Default::default()
    };
    let made = plane.room_templates().create_room_template(request).await;
    let made = made.expect("a template").into_inner().room_template;
    let uid = made.expect("the template").uid;
    let template: RoomId = uid.parse().expect("an identity");
    let (admits, url) = Backend::start(Manner::Admits).await;
    let of_template = control::SetRoomHookRequest {
        room: "roomTemplates/chat:*".into(),
        ..hook(&url)
    };
    let set = plane.doors().set_room_hook(of_template).await;
    set.expect("a hook");
    let before = |room: &str| VerifyStepRequest {
        room_name: room.to_owned(),
        ..question(template)
    };
    let asked = plane.feed().verify_step(before("chat:a")).await;
    let asked = asked.expect("a verdict").into_inner();
    assert_eq!((asked.verdict(), asked.version), (StepVerdict::Right, 1));
    assert_eq!(admits.asked().remove(0).0.room, "rooms/chat:a");
    // Of a room that it does not cover, and from a node that does not say.
    for room in ["lobby", ""] {
        let refused = plane.feed().verify_step(before(room)).await;
        let refused = refused.expect_err("not its room");
        assert_eq!(refused.code(), Code::InvalidArgument, "{room}");
    }
    assert_eq!(admits.asked().len(), 1);
}

#[tokio::test]
async fn whoever_does_not_say_yes_lets_nobody_in() {
    let plane = Plane::start().await;
    let room = room(&plane).await;
    for manner in [Manner::Undecided, Manner::Fails, Manner::TalksTooMuch] {
        let (backend, url) = Backend::start(manner).await;
        set(&plane, &url).await;
        assert_eq!(ask(&plane, room).await.verdict(), StepVerdict::Away);
        assert_eq!(backend.asked().len(), 1, "it is asked once");
    }
    // One that takes the connection and says nothing, and one that is not there.
    let mute = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let silent = mute.local_addr().expect("an address");
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let closed = gone.local_addr().expect("an address");
    drop(gone);
    let (_, never) = Backend::start(Manner::NeverAnswers).await;
    let urls = [
        format!("http://{silent}"),
        format!("http://{closed}"),
        format!("https://{silent}"),
        "http://no-such-host.invalid:80".to_owned(),
        never,
    ];
    for url in urls {
        set(&plane, &url).await;
        let began = Instant::now();
        let asked = ask(&plane, room).await.verdict();
        assert_eq!(asked, StepVerdict::Away, "{url}");
        assert!(began.elapsed() < Duration::from_secs(5), "{url}");
    }
}

#[tokio::test]
async fn a_backend_at_a_private_address_is_not_connected_to_unless_it_may_be() {
    let mut plane = Plane::start().await;
    let room = room(&plane).await;
    let mut strict = settings(plane.cluster.url());
    strict.hook = HookSettings::default();
    assert_eq!(strict.hook.private_addresses, PrivateAddresses::Refuse);
    let replica = plane.add_replica_with(strict).await;
    let (backend, url) = Backend::start(Manner::Admits).await;
    let port = url.rsplit(':').next().expect("a port");
    let hosts = ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"];
    for host in hosts {
        set(&plane, &format!("http://{host}:{port}")).await;
        let asked = plane.feed_at(replica).verify_step(question(room)).await;
        let asked = asked.expect("a verdict").into_inner();
        assert_eq!(asked.verdict(), StepVerdict::Away, "{host}");
    }
    assert!(backend.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_slow_is_asked_so_often_at_once_and_the_rest_come_later() {
    let mut plane = Plane::start().await;
    let room = room(&plane).await;
    let mut small = settings(plane.cluster.url());
    small.hook.asked_per_room_max = 2;
    let replica: SocketAddr = plane.add_replica_with(small).await;
    let (_, url) = Backend::start(Manner::NeverAnswers).await;
    set(&plane, &url).await;
    let mut asking = JoinSet::new();
    for _ in 0..6 {
        let mut feed = plane.feed_at(replica);
        asking.spawn(async move {
            let asked = feed.verify_step(question(room)).await;
            asked.expect("a verdict").into_inner().verdict()
        });
    }
    let verdicts = asking.join_all().await;
    let count = |wanted| {
        verdicts
            .iter()
            .filter(|verdict| **verdict == wanted)
            .count()
    };
    assert!(count(StepVerdict::Away) >= 2, "{verdicts:?}");
    assert!(count(StepVerdict::Later) >= 1, "{verdicts:?}");
    assert_eq!(count(StepVerdict::Away) + count(StepVerdict::Later), 6);
}

#[tokio::test]
async fn what_cannot_be_a_hook_is_refused_when_it_is_written() {
    let plane = Plane::start().await;
    room(&plane).await;
    let good = || hook("http://a.example:80");
    let deadline = |seconds, nanos| control::SetRoomHookRequest {
        deadline: Some(prost_types::Duration { seconds, nanos }),
        ..good()
    };
    let secret = |secret: &str| control::SetRoomHookRequest {
        secret: secret.to_owned(),
        ..good()
    };
    for (bad, field) in [
        (hook("http://a.example/path"), "url"),
        (hook("http://u:p@a.example"), "url"),
        (hook("file:///etc/passwd"), "url"),
        (deadline(9, 0), "deadline"),
        (deadline(0, 1), "deadline"),
        (deadline(-1, 0), "deadline"),
        (secret("a b"), "secret"),
        (secret(&"x".repeat(1025)), "secret"),
    ] {
        let refused = plane.doors().set_room_hook(bad).await.expect_err(field);
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(
            refused.message().starts_with(field),
            "{}",
            refused.message()
        );
    }
    let door = plane.doors().set_room_hook(good()).await.expect("a hook");
    let door = door.into_inner().door.expect("the door");
    assert!(door.hook_secret_set && door.hook_url == "http://a.example:80");
    let clear = control::ClearRoomHookRequest {
        room: "rooms/lobby".into(),
        etag: door.etag,
    };
    let cleared = plane.doors().clear_room_hook(clear).await.expect("cleared");
    let door = cleared.into_inner().door.expect("the door");
    assert!(!door.hook_secret_set && door.hook_url.is_empty());
    assert!(plane.steps("lobby").await.is_empty());
}
