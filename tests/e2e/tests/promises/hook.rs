//! A room's owner's backend decides at the door, over each wire form, and nothing
//! of its secret is said. Never asks a client anything.

use porthouse_api::control::v1::{Room, SetRoomHookRequest, SetRoomHookResponse};
use porthouse_api::hook::v1::hook_service_server::{HookService, HookServiceServer};
use porthouse_api::hook::v1::{AdmitRequest, AdmitResponse, Decision};
use porthouse_e2e::entry::{Entry, Form};
use porthouse_e2e::house::House;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

#[tokio::test]
async fn an_owners_backend_decides_and_one_that_is_gone_lets_nobody_in() {
    let house = House::start().await;
    house.backend().make_room("club", Room::default()).await;
    let shown = house.secrets().keep("a hook's secret", "knock-knock-knock");
    let url = UsersOnly::start(format!("Bearer {shown}")).await;
    set_hook(&house, &url, &shown).await;
    let ada = house.backend().signed_in_user("ada").await;
    let mut inside = Vec::new();
    for form in Form::ALL {
        let token = Some(&*ada.token);
        let (mut member, admitted) = Entry::knock(house.ws(), form, "club", token).await;
        assert_eq!(admitted["op"], "admitted", "{admitted}");
        member.start().await;
        inside.push(member);
        let (_stranger, refused) = Entry::knock(house.ws(), form, "club", None).await;
        assert_eq!(refused["op"], "refused", "{refused}");
        let why = (&refused["code"], &refused["rule"]);
        assert_eq!(why, (&json!(4011), &json!("entry.hook")));
    }
    inside[0].say("who asked for us?").await;
    let heard = inside[1].message().await;
    assert_eq!(heard.to_string(), "who asked for us?");

    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let gone = nobody.local_addr().expect("an address");
    drop(nobody);
    set_hook(&house, &format!("http://{gone}"), &shown).await;
    for form in Form::ALL {
        let (_late, away) = Entry::knock(house.ws(), form, "club", Some(&ada.token)).await;
        assert_eq!(away["op"], "refused", "{away}");
        let why = (&away["code"], &away["rule"]);
        assert_eq!(why, (&json!(4215), &json!("entry.hook")));
    }
    drop(inside);
    house.close().await;
}

async fn set_hook(house: &House, url: &str, secret: &str) {
    let request = SetRoomHookRequest {
        room: "rooms/club".into(),
        url: url.to_owned(),
        deadline: None,
        secret: secret.to_owned(),
        etag: String::new(),
        ..Default::default()
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
