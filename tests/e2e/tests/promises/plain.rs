//! What a shell can do: `curl` says and hears a room over plain HTTP, under the
//! same rules as every socket, and goes where an address leads.

use std::process::Stdio;
use std::time::Duration;

use porthouse_api::control::v1::{
    CreateEndpointRequest, DeleteEndpointRequest, Endpoint, MessageRules,
};
use porthouse_api::live::v1::{LiveSocket, WireForm};
use porthouse_e2e::house::House;
use porthouse_e2e::raw::Raw;
use porthouse_e2e::wait::within;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio_tungstenite::tungstenite::Message;

use crate::shapes::with_messages;

/// What `curl` prints: the body, then the status on a line of its own.
pub(crate) async fn curl(house: &House, path: &str, arguments: &[&str]) -> (String, u16) {
    let url = format!("http://{}{path}", house.ws());
    let mut command = Command::new("curl");
    command
        .args(["-sS", "-w", "%{http_code}"])
        .args(arguments)
        .arg(url);
    let output = within("curl", command.output())
        .await
        .expect("curl is installed");
    let text = String::from_utf8(output.stdout).expect("JSON and a status");
    let (body, status) = text.split_at(text.len() - 3);
    (body.to_owned(), status.parse().expect("a status"))
}

/// A room heard by `curl -N`.
pub(crate) struct Heard {
    lines: Lines<BufReader<ChildStdout>>,
    _curl: Child,
}

impl Heard {
    /// Starts it, and waits until it is inside.
    pub(crate) async fn start(house: &House, path: &str, arguments: &[&str]) -> Self {
        let mut curl = Command::new("curl")
            .args(["-isSN", "-H", "Accept: text/event-stream"])
            .args(arguments)
            .arg(format!("http://{}{path}", house.ws()))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("curl is installed");
        let out = curl.stdout.take().expect("it is piped");
        let stream = Self {
            lines: BufReader::new(out).lines(),
            _curl: curl,
        };
        let room = path.trim_start_matches('/');
        let inside = async {
            let mut look = tokio::time::interval(Duration::from_millis(20));
            let streams = |socket: &LiveSocket| socket.wire_form() == WireForm::EventStream;
            while !house.backend().sockets_in(room).await.iter().any(streams) {
                look.tick().await;
            }
        };
        within("a stream in the room", inside).await;
        stream
    }

    /// What comes before the first event; curl shows it with that.
    pub(crate) async fn head(&mut self) -> Vec<String> {
        self.event().await
    }

    /// The next event, line by line; empty at the end.
    pub(crate) async fn event(&mut self) -> Vec<String> {
        let mut event = Vec::new();
        loop {
            let line = within("an event", self.lines.next_line()).await;
            match line.expect("a stream") {
                None => return event,
                Some(line) if line.is_empty() && !event.is_empty() => return event,
                Some(line) if line.is_empty() || line.starts_with(':') => {}
                Some(line) => event.push(line),
            }
        }
    }
}

const TEXT: [&str; 2] = ["-H", "Content-Type: text/plain"];

pub(crate) fn saying(text: &'static str) -> Vec<&'static str> {
    [&TEXT[..], &["--data-binary", text]].concat()
}

#[tokio::test]
async fn curl_says_and_hears_a_room() {
    let house = House::start().await;
    let mut raw = Raw::enter(house.ws(), "lobby", None).await;
    let mut heard = Heard::start(&house, "/lobby", &[]).await;
    let (body, status) = curl(&house, "/lobby", &saying("x\nevent: admin")).await;
    assert_eq!(status, 202);
    assert_eq!(body, "{\"room\":\"lobby\",\"level\":\"accepted\"}\n");
    assert_eq!(raw.next().await, Message::text("x\nevent: admin"));
    let status_line = heard.head().await;
    assert_eq!(status_line[0], "HTTP/1.1 200 OK", "{status_line:?}");
    let event = heard.event().await;
    assert_eq!(event, ["event: message", "data: x", "data: event: admin"]);
    raw.say(Message::binary(vec![0, 255])).await;
    assert_eq!(heard.event().await, ["event: binary", "data: AP8="]);
    drop((raw, heard));
    house.close().await;
}

#[tokio::test]
async fn a_refusal_by_curl_says_what_is_needed() {
    let house = House::start().await;
    let backend = house.backend();
    let short = with_messages(MessageRules {
        bytes_max: Some(10),
        ..MessageRules::default()
    });
    let revision = backend.make_room("short", short).await;
    backend.applied(revision).await;
    let (body, status) = curl(&house, "/short", &saying("more than ten bytes")).await;
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &body["rule"]), (413, &"messages.bytes_max".into()));
    assert_eq!(curl(&house, "/short", &saying("ten bytes.")).await.1, 202);
    house.close().await;
}

#[tokio::test]
async fn an_address_is_handed_out_and_withdrawn() {
    let house = House::start().await;
    let backend = house.backend();
    let ada = backend.signed_in_user("ada").await;
    let request = CreateEndpointRequest {
        endpoint: Some(Endpoint {
            rooms: vec!["rooms/lobby".to_owned()],
            ..Endpoint::default()
        }),
        ..CreateEndpointRequest::default()
    };
    let made = backend.endpoints().create_endpoint(request).await;
    let made = made.expect("an endpoint").into_inner();
    let name = made.endpoint.expect("an endpoint").name;
    let path = name.strip_prefix("endpoints/").expect("an address");
    backend.applied(made.revision).await;
    let mut raw = Raw::enter(house.ws(), path, None).await;
    let posted = curl(&house, "/lobby", &saying("hello")).await;
    assert_eq!(posted.1, 202);
    assert_eq!(raw.next().await, Message::text("hello"));

    // A user's freeport is the user's alone.
    let bearer = format!("Authorization: Bearer {}", ada.token);
    let hers = [&saying("to myself")[..], &["-H", &bearer]].concat();
    assert_eq!(curl(&house, "/@ada", &hers).await.1, 202);
    assert_eq!(curl(&house, "/@ada", &saying("from nobody")).await.1, 401);
    assert_eq!(curl(&house, "/@nobody", &saying("hello")).await.1, 404);

    let delete = DeleteEndpointRequest {
        name: name.clone(),
        etag: String::new(),
    };
    let gone = backend.endpoints().delete_endpoint(delete).await;
    backend
        .applied(gone.expect("there").into_inner().revision)
        .await;
    assert_eq!(raw.closed().await.code, 4017);
    let late = curl(&house, &format!("/{path}"), &saying("hello")).await;
    assert_eq!(late.1, 404);
    house.close().await;
}
