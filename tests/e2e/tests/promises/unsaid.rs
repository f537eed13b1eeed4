//! No secret is said (P20): a whole life of every kind of secret, with processes
//! that log all they can and a Postgres that logs each statement with what was
//! bound to it. All of that, the metrics and every refusal that a client got is
//! searched, raw and in each form a secret could be written in.
//!
//! Codes of six digits are not searched for: they would be found by chance. What
//! they are made from is.

use std::net::SocketAddr;

use porthouse_api::control::v1::{
    CreateRoomRequest, CreateRoomTemplateRequest, CreateSessionRequest, CreateTicketRequest,
    CreateUserSessionRequest, HistoryRules, ListApiKeysRequest, ListRoomsRequest, Room, RoomRules,
    RotateApiKeyRequest, SetRoomCodeRequest, SetRoomHookRequest, SetRoomTemplatePasswordRequest,
};
use porthouse_e2e::backend::{Backend, SignedIn};
use porthouse_e2e::multiplexed::Multiplexed;
use porthouse_e2e::planes::{Node, Planes};
use porthouse_e2e::provider::Provider;
use porthouse_e2e::raw::Raw;
use porthouse_e2e::wire::Wire;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::issuers;
use crate::shapes::{keeping_last, with_rules};
use crate::two_factors::code_now;

const ROOM_PASSWORD: &str = "sesame: open, please!";
const NEARLY: &str = "sesame: open, pleased";

/// All that clients and operators were told, to be searched at the end.
#[derive(Default)]
struct Heard(Vec<String>);

impl Heard {
    #[expect(clippy::needless_pass_by_value, reason = "what was told is told once")]
    fn keep(&mut self, told: impl ToString) {
        self.0.push(told.to_string());
    }
}

/// Sends a request and hears all that comes back.
async fn http(
    heard: &mut Heard,
    ws: SocketAddr,
    line: &str,
    headers: &[String],
    body: &str,
) -> String {
    let mut wire = Wire::connect(ws).await;
    let more: String = headers
        .iter()
        .flat_map(|header| [header.as_str(), "\r\n"])
        .collect();
    let length = body.len();
    let request =
        format!("{line} HTTP/1.1\r\nHost: {ws}\r\n{more}Content-Length: {length}\r\n\r\n{body}");
    wire.send(request.as_bytes()).await;
    let answer = wire.answer().await;
    let cookie = answer.header("set-cookie").unwrap_or_default().to_owned();
    heard.keep(format!("{} {}", answer.status, answer.body));
    cookie
}

/// Passwords and codes, right and wrong, on sockets and at pages.
async fn sign_in(
    planes: &Planes,
    backend: &Backend,
    ws: SocketAddr,
    heard: &mut Heard,
) -> SignedIn {
    let ada = backend.signed_in_user("ada").await;
    let factor = backend.enrol("ada", code_now).await;
    let wrong = planes
        .secrets()
        .keep("a wrong password", "the passwort of ada");
    let right = "the password of ada";
    let mut socket = Multiplexed::open(ws, None).await;
    for password in [wrong.as_str(), right] {
        let fields = json!({"username": "ada", "password": password});
        heard.keep(socket.ask("auth", fields).await);
    }
    for code in &factor.recovery_codes[..2] {
        heard.keep(socket.ask("auth", json!({ "code": code })).await);
    }
    let json_body = ["Content-Type: application/json".to_owned()];
    let by_page = json!({"username": "ada", "password": wrong}).to_string();
    http(heard, ws, "POST /-/session", &json_body, &by_page).await;
    let bob = backend.signed_in_user("bob").await;
    let by_page = json!({"username": "bob", "password": "the password of bob"}).to_string();
    let cookie = http(heard, ws, "POST /-/session", &json_body, &by_page).await;
    let token = cookie.split(['=', ';']).nth(1).expect("a cookie");
    let token = planes.secrets().keep("a cookie's token", token);
    let own = [
        format!("Cookie: __Host-porthouse={token}"),
        format!("Origin: http://{ws}"),
        "Content-Type: application/json".to_owned(),
    ];
    http(heard, ws, "POST /hall", &own, "{}").await;
    let foreign = [own[0].clone(), "Origin: https://evil.example".to_owned()];
    http(heard, ws, "POST /hall", &foreign, "{}").await;
    http(heard, ws, "DELETE /-/session", &own[..2], "").await;
    backend.revoke(&ada.session).await;
    bob
}

/// Tokens, tickets and what is wrong with them, in headers and in the URL.
async fn tokens(
    planes: &Planes,
    backend: &Backend,
    ws: SocketAddr,
    bob: &SignedIn,
    heard: &mut Heard,
) {
    let secrets = planes.secrets();
    let mut raw = Raw::enter(ws, "hall", Some(&bob.token)).await;
    raw.say(Message::text("hello")).await;
    let request = CreateTicketRequest {
        session: bob.session.clone(),
        origin: String::new(),
        path: "/hall".to_owned(),
    };
    let ticket = backend.sessions().create_ticket(request).await;
    let ticket = secrets.keep("a ticket", &ticket.expect("a ticket").into_inner().ticket);
    for path in [
        format!("/hall?ticket={ticket}"),
        format!("/yard?ticket={ticket}"),
    ] {
        let (_, answer) = Wire::upgrade(ws, &path, &[]).await;
        heard.keep(answer.body);
    }
    let token = &bob.token;
    for path in [
        format!("/hall?token={token}"),
        format!("/{token}"),
        format!("/hall?x={token}"),
        format!("//{token}@x/hall"),
    ] {
        let (_, answer) = Wire::upgrade(ws, &path, &[]).await;
        assert!(answer.status >= 400, "{}", answer.body);
        heard.keep(answer.body);
    }
    let two = [
        format!("Authorization: Bearer {token}"),
        "Sec-WebSocket-Protocol: porthouse.plain, porthouse.bearer.phs_another".to_owned(),
    ];
    let two: Vec<&str> = two.iter().map(String::as_str).collect();
    let (_, answer) = Wire::upgrade(ws, "/hall", &two).await;
    heard.keep(format!("{:?} {}", answer.headers, answer.body));
    let offer = format!("Sec-WebSocket-Protocol: porthouse.plain, porthouse.bearer.{token}");
    let (_, answer) = Wire::upgrade(ws, "/hall", &[&offer]).await;
    heard.keep(format!("{:?}", answer.headers));
    let (_, device) = backend.make_device("bob", &["hall"]).await;
    let mut device = Multiplexed::open(ws, Some(&device)).await;
    heard.keep(device.event("authenticated").await);
    let mut sibling = Multiplexed::open_as(ws, "porthouse.sibling.v1", None).await;
    let bind = sibling.event("bind").await;
    let secret = secrets.keep("a sibling's secret", bind["secret"].as_str().expect("one"));
    for _ in 0..2 {
        let offer = format!("Sec-WebSocket-Protocol: porthouse.raw.v1, porthouse.bind.{secret}");
        let (_, answer) = Wire::upgrade(ws, "/hall", &[&offer]).await;
        heard.keep(format!("{:?} {}", answer.headers, answer.body));
    }
}

/// A room's password, its code, and a token to come back by.
async fn rooms(planes: &Planes, backend: &Backend, ws: SocketAddr, heard: &mut Heard) {
    let secrets = planes.secrets();
    backend.make_room("cave", Room::default()).await;
    let revision = backend.set_room_password("cave", ROOM_PASSWORD).await;
    backend.applied(revision).await;
    let mut client = Multiplexed::open(ws, None).await;
    heard.keep(client.ask("join", json!({"room": "cave"})).await);
    for password in [&*secrets.keep("a wrong password", NEARLY), ROOM_PASSWORD] {
        let answer = json!({"room": "cave", "password": password});
        heard.keep(client.ask("answer", answer).await);
    }
    let request = SetRoomCodeRequest {
        room: "rooms/cave".to_owned(),
        ..Default::default()
    };
    let set = backend.doors().set_room_code(request).await;
    let set = set.expect("a code").into_inner();
    secrets.keep("a room's code secret", &set.secret);

    let kept = with_rules(RoomRules {
        history: Some(HistoryRules { ..keeping_last(10) }),
        ..Default::default()
    });
    let revision = backend.make_room("ledger", kept).await;
    backend.applied(revision).await;
    let mut client = Multiplexed::open(ws, None).await;
    let admitted = client.ask("join", json!({"room": "ledger"})).await;
    let resume = admitted["resume"].as_str().expect("a token");
    let resume = secrets.keep("a token to come back by", resume);
    drop(client);
    for offset in [0, 0] {
        let mut client = Multiplexed::open(ws, None).await;
        let join = json!({"room": "ledger", "resume": resume, "offset": offset});
        let mut told = client.ask("join", join).await;
        if let Some(next) = told["resume"].as_str() {
            secrets.keep("a token to come back by", next);
        }
        told["resume"] = Value::Null;
        heard.keep(told);
    }
}

/// A hook's secret, shown to a backend that is gone, and a template's password and code.
async fn doors(planes: &Planes, backend: &Backend, ws: SocketAddr, heard: &mut Heard) {
    let secrets = planes.secrets();
    backend.make_room("club", Room::default()).await;
    let request = SetRoomHookRequest {
        room: "rooms/club".to_owned(),
        // Nobody listens there.
        url: "http://127.0.0.1:9".to_owned(),
        secret: secrets.keep("a hook's secret", "what-the-club-is-shown"),
        ..Default::default()
    };
    let set = backend.doors().set_room_hook(request).await;
    let set = set.expect("a hook").into_inner();
    heard.keep(format!("{:?}", set.door));
    backend.applied(set.revision).await;
    let (_, answer) = Wire::upgrade(ws, "/club", &[]).await;
    heard.keep(format!("{:?} {}", answer.headers, answer.body));

    let template = CreateRoomTemplateRequest {
        room_template_id: "vault-*".to_owned(),
        ..Default::default()
    };
    let made = backend
        .room_templates()
        .create_room_template(template)
        .await;
    heard.keep(format!("{:?}", made.expect("a template")));
    let right = secrets.keep("a template's password", "the vaults are open");
    let request = SetRoomTemplatePasswordRequest {
        name: "roomTemplates/vault-*".to_owned(),
        password: right.clone(),
        ..Default::default()
    };
    let set = backend
        .room_templates()
        .set_room_template_password(request)
        .await;
    backend
        .applied(set.expect("set").into_inner().revision)
        .await;
    let mut client = Multiplexed::open(ws, None).await;
    heard.keep(client.ask("join", json!({"room": "vault-1"})).await);
    let wrong = secrets.keep("a wrong password", "the vaults are closed");
    for password in [wrong, right] {
        let answer = json!({"room": "vault-1", "password": password});
        heard.keep(client.ask("answer", answer).await);
    }
    let request = SetRoomCodeRequest {
        room: "roomTemplates/vault-*".to_owned(),
        ..Default::default()
    };
    let set = backend.doors().set_room_code(request).await;
    secrets.keep(
        "a template's code secret",
        &set.expect("a code").into_inner().secret,
    );
}

/// The mark of a device, right, and wrong in its last characters.
async fn marks(planes: &Planes, backend: &Backend, heard: &mut Heard) {
    let secrets = planes.secrets();
    backend.make_user("dora", "the password of dora").await;
    let mut mark = String::new();
    for wrong in [false, false, true] {
        if wrong {
            let other = format!("{}AAAA", &mark[..mark.len() - 4]);
            mark = secrets.keep("a wrong mark", &other);
        }
        let request = CreateSessionRequest {
            username: "dora".to_owned(),
            password: "the password of dora".to_owned(),
            device_mark: mark.clone(),
            ..Default::default()
        };
        match backend.sessions().create_session(request).await {
            Ok(opened) => {
                let opened = opened.into_inner();
                secrets.keep("a session's token", &opened.token);
                if !opened.device_mark.is_empty() {
                    mark = secrets.keep("a device's mark", &opened.device_mark);
                }
            }
            Err(refused) => heard.keep(format!("{refused:?}")),
        }
        assert!(mark.starts_with("phd_"), "it is marked");
    }
}

/// Keys of backends, right, too small and wrong.
async fn keys(planes: &Planes, backend: &Backend, heard: &mut Heard) {
    let small = backend.make_key(&["live"]).await;
    let request = CreateRoomRequest {
        room_id: "mine".to_owned(),
        ..Default::default()
    };
    let small_key = backend.with_key(Some(&small));
    let refused = small_key.rooms().create_room(request).await;
    heard.keep(format!("{:?}", refused.expect_err("too small a key")));
    let wrong = small.replace(&small[small.len() - 4..], "AAAA");
    let wrong = planes.secrets().keep("a wrong key", &wrong);
    let refused = backend
        .with_key(Some(&wrong))
        .rooms()
        .list_rooms(ListRoomsRequest::default())
        .await;
    heard.keep(format!("{:?}", refused.expect_err("no key")));
    let listed = backend
        .api_keys()
        .list_api_keys(ListApiKeysRequest::default())
        .await;
    let listed = listed.expect("listed").into_inner();
    heard.keep(format!("{listed:?}"));
    let name = listed.api_keys.last().expect("one").name.clone();
    let request = RotateApiKeyRequest {
        name,
        ..Default::default()
    };
    if let Ok(rotated) = backend.api_keys().rotate_api_key(request).await {
        let secret = rotated.into_inner().secret;
        planes.secrets().keep("a rotated key", &secret);
    }
    let request = CreateUserSessionRequest {
        user: "users/bob".to_owned(),
        ..Default::default()
    };
    let impersonates = backend.make_key(&["impersonate"]).await;
    let backend = backend.with_key(Some(&impersonates));
    let opened = backend.sessions().create_user_session(request).await;
    let opened = opened.expect("a session").into_inner();
    planes.secrets().keep("a session's token", &opened.token);
}

/// What operators are told.
async fn metrics(node: &Node, heard: &mut Heard) {
    let operators = node.operators.expect("it listens for them");
    let mut wire = Wire::connect(operators).await;
    wire.send(format!("GET /metrics HTTP/1.1\r\nHost: {operators}\r\n\r\n").as_bytes())
        .await;
    let answer = wire.answer().await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(!answer.body.is_empty(), "there are figures");
    heard.keep(answer.body);
}

#[tokio::test]
async fn no_secret_of_a_whole_life_is_said_anywhere() {
    let provider = Provider::start().await;
    let planes = Planes::found().await;
    planes.log_statements().await;
    let key = planes.secrets_key().await;
    let authority = Provider::authority();
    let authority = authority.to_str().expect("a path in UTF-8");
    let flags = ["--issuer-private-addresses", "allow"];
    let variables = [
        ("SSL_CERT_FILE", authority),
        ("PORTHOUSE_SECRETS_KEY", &key),
    ];
    let replica = planes.replica_with(None, &flags, &variables).await;
    let backend = planes.backend(&replica);
    let place = porthouse_e2e::house::place();
    let resume_keys = place.path().join("resume-keys");
    std::fs::write(&resume_keys, planes.secrets_key().await).expect("a file");
    let flags = [
        "--operators",
        "127.0.0.1:0",
        "--transient-rooms",
        "anyone",
        "--resume-key-file",
        resume_keys.to_str().expect("a path in UTF-8"),
    ];
    let node = planes.node("alpha", &replica, &flags).await;
    let (ws, mut heard) = (node.ws, Heard::default());

    let bob = sign_in(&planes, &backend, ws, &mut heard).await;
    tokens(&planes, &backend, ws, &bob, &mut heard).await;
    rooms(&planes, &backend, ws, &mut heard).await;
    doors(&planes, &backend, ws, &mut heard).await;
    marks(&planes, &backend, &mut heard).await;
    keys(&planes, &backend, &mut heard).await;
    issuers::trust(&backend, &provider).await;
    let jwt = issuers::token(&planes, &provider, "carol").await;
    let mut client = Multiplexed::open(ws, None).await;
    let broken = planes.secrets().keep("a broken token", &format!("{jwt}A"));
    for token in [&broken, &jwt] {
        heard.keep(client.ask("auth", json!({ "jwt": token })).await);
    }
    metrics(&node, &mut heard).await;
    drop(client);

    let found = planes.secrets().found_in(&heard.0.join("\n"));
    assert_eq!(found, [""; 0], "was told to a client or an operator");
    let statements = planes.postgres_log();
    for written in [
        "INSERT INTO \"sessions\"",
        "arameters: $1 = ",
        "UPDATE \"rooms\"",
    ] {
        assert!(statements.contains(written), "{written}: not all is logged");
    }
    planes.close(node, vec![replica], Vec::new()).await;
}
