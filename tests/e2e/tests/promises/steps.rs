//! A room's own code and its owner's backend are asked at the door, over
//! `porthouse.v1`, and nothing of their secrets is said. Never sets a password.

use porthouse_api::control::v1::{
    Room, SetRoomCodeRequest, SetRoomHookRequest, SetRoomHookResponse,
};
use porthouse_api::hook::v1::hook_service_server::{HookService, HookServiceServer};
use porthouse_api::hook::v1::{AdmitRequest, AdmitResponse, Decision};
use porthouse_e2e::house::House;
use porthouse_e2e::multiplexed::Multiplexed;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use totp_rs::{Builder, Secret, Totp};

#[tokio::test]
async fn a_rooms_code_is_asked_for_and_opens_once_a_user() {
    let house = House::start().await;
    house.backend().make_room("vault", Room::default()).await;
    let app = set_code(&house).await;
    let ada = house.backend().signed_in_user("ada").await;
    let mut first = Multiplexed::open(house.ws(), Some(&ada.token)).await;
    first.event("authenticated").await;
    let challenge = first.ask("join", json!({"room": "vault"})).await;
    assert_eq!(challenge["op"], "challenge", "{challenge}");
    assert_eq!(challenge["step"], "room_code");
    let wrong = json!({"room": "vault", "code": "12345"});
    let again = first.ask("answer", wrong).await;
    assert_eq!(again["attempts_left"], 2, "{again}");
    let right = || json!({"room": "vault", "code": app.generate_current().to_string()});
    let code = right();
    let admitted = first.ask("answer", code.clone()).await;
    assert_eq!(admitted["op"], "admitted", "{admitted}");

    let mut second = Multiplexed::open(house.ws(), Some(&ada.token)).await;
    second.event("authenticated").await;
    second.ask("join", json!({"room": "vault"})).await;
    let replayed = second.ask("answer", code).await;
    assert_eq!(replayed["op"], "challenge", "{replayed}");

    let mut other = house.multiplexed().await;
    other.ask("join", json!({"room": "vault"})).await;
    let admitted = other.ask("answer", right()).await;
    assert_eq!(admitted["op"], "admitted", "another may use it: {admitted}");
    drop((first, second, other));
    house.close().await;
}

async fn set_code(house: &House) -> Totp {
    let request = SetRoomCodeRequest {
        room: "rooms/vault".into(),
        etag: String::new(),
    };
    let set = house.backend().doors().set_room_code(request).await;
    let set = set.expect("a code").into_inner();
    house.backend().applied(set.revision).await;
    let secret = house.secrets().keep("a room's code secret", &set.secret);
    let secret = Secret::try_from_base32(secret).expect("base32");
    Builder::new().with_secret(secret).build_noncompliant()
}

#[tokio::test]
async fn an_owners_backend_decides_and_one_that_is_gone_lets_nobody_in() {
    let house = House::start().await;
    house.backend().make_room("club", Room::default()).await;
    let shown = house.secrets().keep("a hook's secret", "knock-knock-knock");
    let url = UsersOnly::start(format!("Bearer {shown}")).await;
    set_hook(&house, &url, &shown).await;
    let ada = house.backend().signed_in_user("ada").await;
    let mut member = Multiplexed::open(house.ws(), Some(&ada.token)).await;
    member.event("authenticated").await;
    member.join("club").await;

    let mut stranger = house.multiplexed().await;
    let refused = stranger.ask("join", json!({"room": "club"})).await;
    assert_eq!(refused["op"], "refused", "{refused}");
    assert_eq!(refused["rule"], "entry.hook");
    assert_eq!(refused["retry"], "never");

    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let gone = nobody.local_addr().expect("an address");
    drop(nobody);
    set_hook(&house, &format!("http://{gone}"), &shown).await;
    let mut late = Multiplexed::open(house.ws(), Some(&ada.token)).await;
    late.event("authenticated").await;
    let away = late.ask("join", json!({"room": "club"})).await;
    assert_eq!(away["op"], "refused", "{away}");
    assert_eq!(
        (&away["code"], &away["retry"]),
        (&json!(4215), &json!("after"))
    );
    drop((member, stranger, late));
    house.close().await;
}

async fn set_hook(house: &House, url: &str, secret: &str) {
    let request = SetRoomHookRequest {
        room: "rooms/club".into(),
        url: url.to_owned(),
        deadline: None,
        secret: secret.to_owned(),
        etag: String::new(),
    };
    let set = house.backend().doors().set_room_hook(request).await;
    let set: SetRoomHookResponse = set.expect("a hook").into_inner();
    house.backend().applied(set.revision).await;
}

/// A backend that lets users in, and answers nobody who does not show this.
struct UsersOnly {
    authorization: String,
}

impl UsersOnly {
    async fn start(authorization: String) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let serving = Server::builder()
            .add_service(HookServiceServer::new(Self { authorization }))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(serving);
        url
    }
}

#[tonic::async_trait]
impl HookService for UsersOnly {
    async fn admit(
        &self,
        request: Request<AdmitRequest>,
    ) -> Result<Response<AdmitResponse>, Status> {
        let shown = request.metadata().get("authorization");
        if shown.is_none_or(|shown| shown != self.authorization.as_str()) {
            return Err(Status::unauthenticated("not the control plane"));
        }
        let decision = if request.into_inner().user.is_empty() {
            Decision::Refuse
        } else {
            Decision::Admit
        };
        Ok(Response::new(AdmitResponse {
            decision: decision.into(),
            reason: String::new(),
        }))
    }
}
