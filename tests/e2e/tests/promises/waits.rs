//! Whoever gives wrong passwords is told how long to wait, as long as it is: on a socket, at a
//! room's door and on a page. Where a user has signed in before, strangers' wrong passwords keep
//! nobody waiting.

use std::net::SocketAddr;

use porthouse_api::control::v1::Room;
use porthouse_e2e::multiplexed::Multiplexed;
use porthouse_e2e::planes::Planes;
use porthouse_e2e::wire::{Answer, Wire};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";
/// How long is left of a quarter of an hour that has just begun.
const LEFT_MS: std::ops::RangeInclusive<u64> = 840_000..=900_000;

#[tokio::test]
async fn whoever_is_to_wait_is_told_how_long() {
    let planes = Planes::found().await;
    let replica = planes.replica(None).await;
    let node = planes.node("alpha", &replica, &[]).await;
    let backend = planes.backend(&replica);
    backend.make_user("ada", PASSWORD).await;
    backend.make_room("vault", Room::default()).await;
    backend.set_room_password("vault", "open sesame").await;
    // As if as many had been wrong, from anywhere and at the door.
    planes
        .sql(
            "INSERT INTO sign_in_wrongs VALUES ('user ada', 'everywhere', 120, now());
             INSERT INTO sign_in_wrongs
                 SELECT 'door ' || id, 'network 127.0.0.0/24', 120, now() FROM rooms",
        )
        .await;

    let mut socket = Multiplexed::open(node.ws, None).await;
    let fields = json!({"username": "ada", "password": PASSWORD});
    let busy = socket.ask("auth", fields.clone()).await;
    assert_eq!(busy["code"], 4209, "{busy}");
    assert!(LEFT_MS.contains(&left_ms(&busy)), "{busy}");

    let page = post(node.ws, &[], &fields).await;
    assert_eq!(page.status, 429, "{}", page.body);
    let left = left_ms(&page.json());
    assert!(LEFT_MS.contains(&left), "{}", page.body);
    let header = page.header("retry-after").expect("a header");
    assert_eq!(header, left.div_ceil(1_000).to_string());

    let asked = socket.ask("join", json!({"room": "vault"})).await;
    assert_eq!(asked["step"], "password", "{asked}");
    let answer = json!({"room": "vault", "password": "open sesame"});
    let door = socket.ask("answer", answer).await;
    assert_eq!(door["code"], 4208, "{door}");
    assert!(LEFT_MS.contains(&left_ms(&door)), "{door}");
    drop(socket);
    planes.close(node, vec![replica], Vec::new()).await;
}

/// As if very many had tried the user's password, from anywhere.
const SPRAYED: &str = "INSERT INTO sign_in_wrongs VALUES ('user ada', 'everywhere', 120, now())
    ON CONFLICT (target, source) DO UPDATE SET wrong_count = 120, wrong_time = now()";

#[tokio::test]
async fn where_a_user_has_signed_in_before_strangers_keep_nobody_waiting() {
    let planes = Planes::found().await;
    let replica = planes.replica(None).await;
    let node = planes.node("alpha", &replica, &[]).await;
    planes.backend(&replica).make_user("ada", PASSWORD).await;
    let by_password = json!({"username": "ada", "password": PASSWORD});

    let page = post(node.ws, &[], &by_password).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let cookie = device_cookie(&page);
    planes.secrets().keep(
        "a browser's mark",
        cookie.split_once('=').expect("a pair").1,
    );
    let mut socket = Multiplexed::open(node.ws, None).await;
    let wanted = json!({"username": "ada", "password": PASSWORD, "device_mark": ""});
    let signed_in = socket.ask("auth", wanted.clone()).await;
    let mark = signed_in["device_mark"]
        .as_str()
        .expect("a mark")
        .to_owned();
    planes.secrets().keep("a client's mark", &mark);

    planes.sql(SPRAYED).await;
    let stranger = post(node.ws, &[], &by_password).await;
    assert_eq!(stranger.status, 429, "{}", stranger.body);
    let shown = format!("Cookie: theme=dark; {cookie}");
    let known = post(node.ws, &[&shown], &by_password).await;
    assert_eq!(known.status, 200, "{}", known.body);
    let cookies = known.headers("set-cookie");
    assert_eq!(cookies.len(), 1, "it has a mark: {cookies:?}");

    let mut unknown = Multiplexed::open(node.ws, None).await;
    let waits = unknown.ask("auth", wanted).await;
    assert_eq!(waits["code"], 4209, "{waits}");
    let mut known = Multiplexed::open(node.ws, None).await;
    let shown = json!({"username": "ada", "password": PASSWORD, "device_mark": mark});
    let enters = known.ask("auth", shown).await;
    assert_eq!(enters["op"], "authenticated", "{enters}");
    assert_eq!(enters["device_mark"], Value::Null, "it has one");

    // Who keeps no mark is given none: else it would push out those that are kept.
    let kept = planes.postgres().await;
    let kept = kept.query_one("SELECT count(*) FROM devices", &[]).await;
    assert_eq!(kept.expect("a count").get::<_, i64>(0), 2);
    drop((socket, unknown, known));
    planes.close(node, vec![replica], Vec::new()).await;
}

/// The device's cookie, as a browser sends it back.
fn device_cookie(answer: &Answer) -> String {
    let cookies = answer.headers("set-cookie");
    let device = cookies
        .iter()
        .find(|cookie| cookie.starts_with("__Host-porthouse-device=phd_"));
    let device = device.expect("a mark");
    for part in [
        "; Path=/;",
        "; Secure",
        "; HttpOnly",
        "; SameSite=Lax",
        "; Max-Age=31536000",
    ] {
        assert!(device.contains(part), "{part}");
    }
    device.split(';').next().expect("a pair").to_owned()
}

fn left_ms(told: &Value) -> u64 {
    assert_eq!(told["retry"], "after", "{told}");
    told["retry_after_ms"].as_u64().expect("a wait")
}

async fn post(ws: SocketAddr, lines: &[&str], body: &Value) -> Answer {
    let mut wire = Wire::connect(ws).await;
    let body = body.to_string();
    let lines: String = lines.iter().flat_map(|line| [*line, "\r\n"]).collect();
    let request = format!(
        "POST /-/session HTTP/1.1\r\nHost: {ws}\r\nContent-Type: application/json\r\n\
         {lines}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    wire.send(request.as_bytes()).await;
    wire.answer().await
}
