//! A node that is told of hosts for endpoints (`--endpoint-hosts`) leads each such
//! host to its endpoint, however the host is written, and no other host anywhere
//! but to its own rooms. Needs no name service: the host is what `Host` says.

use std::net::SocketAddr;

use porthouse_api::control::v1::{CreateEndpointRequest, DeleteEndpointRequest, Endpoint, Room};
use porthouse_e2e::planes::Planes;
use porthouse_e2e::raw::Raw;
use porthouse_e2e::wire::{Answer, Wire};
use tokio_tungstenite::tungstenite::Message;

const TEXT: u8 = 0x81;
const HOST: &str = "alice.rooms.example";

/// Asks for an upgrade of a host at a path.
async fn ask(ws: SocketAddr, host: &str, path: &str, more: &str) -> (Wire, Answer) {
    let mut wire = Wire::connect(ws).await;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    );
    wire.send(request.as_bytes()).await;
    let answer = wire.answer().await;
    (wire, answer)
}

async fn is_refused(ws: SocketAddr, host: &str, path: &str, status: u16, rule: &str) {
    let (_, answer) = ask(ws, host, path, "").await;
    assert_eq!(answer.status, status, "{host} {path}: {}", answer.body);
    assert_eq!(answer.json()["rule"], rule, "{host} {path}");
}

#[tokio::test]
async fn a_host_leads_to_its_endpoint_however_it_is_written_and_no_other_does() {
    let planes = Planes::found().await;
    let replica = planes.replica(None).await;
    let backend = planes.backend(&replica);
    let flags = ["--endpoint-hosts", ".rooms.example"];
    let node = planes.node("alpha", &replica, &flags).await;
    let ws = node.ws;
    backend.make_room("hall", Room::default()).await;
    let request = CreateEndpointRequest {
        endpoint_id: HOST.to_owned(),
        endpoint: Some(Endpoint {
            rooms: vec!["rooms/hall".to_owned()],
            ..Default::default()
        }),
        ..Default::default()
    };
    let made = backend.endpoints().create_endpoint(request).await;
    let made = made.expect("an endpoint").into_inner();
    backend.applied(made.revision).await;
    let mut witness = Raw::enter(ws, "hall", None).await;

    for host in [
        HOST,
        "alice.rooms.example:4000",
        "ALICE.Rooms.Example",
        "alice.rooms.example.",
        "Alice.rooms.example.:443",
    ] {
        let (mut wire, answer) = ask(ws, host, "/", "").await;
        assert_eq!(answer.status, 101, "{host}: {}", answer.body);
        wire.send_frame(TEXT, host.as_bytes()).await;
        assert_eq!(witness.next().await, Message::text(host));
    }
    // Its rooms are at its root alone; a room's own path is the node's, on any host.
    let (mut wire, answer) = ask(ws, HOST, "/hall", "").await;
    assert_eq!(answer.status, 101, "{}", answer.body);
    wire.send_frame(TEXT, b"by path").await;
    assert_eq!(witness.next().await, Message::text("by path"));

    is_refused(ws, "bob.rooms.example", "/", 404, "endpoint").await;
    is_refused(ws, "-.rooms.example", "/", 404, "endpoint").await;
    is_refused(ws, "a..rooms.example", "/", 404, "endpoint").await;
    is_refused(ws, "alice.rooms.example\u{e4}", "/", 400, "http.host").await;
    is_refused(ws, "alice.rooms.example/", "/", 400, "http.host").await;
    // These are the node's own: a lobby, which is not raw.
    for own in [
        "rooms.example",
        "alice.rooms.example.org",
        "alicerooms.example",
        "127.0.0.1",
        "[::1]:80",
    ] {
        is_refused(ws, own, "/", 400, "subprotocol").await;
    }
    // What somebody on the way claims is not read, nor what differs from the target.
    let claimed = format!("X-Forwarded-Host: {HOST}\r\nForwarded: host={HOST}\r\n");
    let (_, answer) = ask(ws, "127.0.0.1", "/", &claimed).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    let (_, answer) = ask(ws, HOST, "/", "Host: bob.rooms.example\r\n").await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    is_refused(ws, HOST, "http://bob.rooms.example/", 400, "http.host").await;
    let (_, answer) = ask(ws, HOST, &format!("http://{HOST}/"), "").await;
    assert_eq!(answer.status, 101, "{}", answer.body);

    let delete = DeleteEndpointRequest {
        name: format!("endpoints/{HOST}"),
        ..Default::default()
    };
    let gone = backend.endpoints().delete_endpoint(delete).await;
    let gone = gone.expect("it is withdrawn").into_inner();
    backend.applied(gone.revision).await;
    is_refused(ws, HOST, "/", 404, "endpoint").await;
    drop(witness);
    planes.close(node, vec![replica], Vec::new()).await;
}

#[tokio::test]
async fn a_suffix_that_is_none_is_refused_at_the_start() {
    use porthouse_e2e::program::{Process, Stream, command};
    for suffix in ["rooms.example", ".", "", ".rooms example", ".RÄUME.example"] {
        let node = command(["node", "--endpoint-hosts", suffix]);
        let mut process = Process::start("porthouse node", node, None);
        let status = process.exit().await;
        assert!(!status.success(), "{suffix:?} was taken");
        let said = process.output(Stream::Err);
        assert!(said.contains("endpoint"), "{suffix:?}: {said}");
    }
}
