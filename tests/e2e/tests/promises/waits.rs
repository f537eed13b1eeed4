//! Whoever gives wrong passwords is told how long to wait, as long as it is: on a socket, at a
//! room's door and on a page.

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
                 SELECT 'door ' || id, 'network 127.0.0.1', 120, now() FROM rooms",
        )
        .await;

    let mut socket = Multiplexed::open(node.ws, None).await;
    let fields = json!({"username": "ada", "password": PASSWORD});
    let busy = socket.ask("auth", fields.clone()).await;
    assert_eq!(busy["code"], 4209, "{busy}");
    assert!(LEFT_MS.contains(&left_ms(&busy)), "{busy}");

    let page = post(node.ws, &fields).await;
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

fn left_ms(told: &Value) -> u64 {
    assert_eq!(told["retry"], "after", "{told}");
    told["retry_after_ms"].as_u64().expect("a wait")
}

async fn post(ws: SocketAddr, body: &Value) -> Answer {
    let mut wire = Wire::connect(ws).await;
    let body = body.to_string();
    let request = format!(
        "POST /-/session HTTP/1.1\r\nHost: {ws}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    wire.send(request.as_bytes()).await;
    wire.answer().await
}
