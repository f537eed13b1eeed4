//! What operators are shown of the control plane: that it counts what it does, that it
//! says whether it is of use, and that nobody else is shown any of it.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::time::Duration;

use porthouse_api::control::v1::{CreateSessionRequest, GetUserRequest, Room};
use porthouse_e2e::backend::Backend;
use porthouse_e2e::house::Ground;
use porthouse_e2e::planes::Planes;
use porthouse_e2e::wait::within;
use porthouse_e2e::wire::{Answer, Wire};
use tokio::time::interval;
use tonic::Code;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::Request;

const ASKED: [&str; 2] = ["--operators", "127.0.0.1:0"];

async fn get(address: SocketAddr, path: &str) -> Answer {
    let mut wire = Wire::connect(address).await;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    wire.send(request.as_bytes()).await;
    wire.answer().await
}

/// What one series stands at, named with its labels; `None`: it is not there.
async fn figure(operators: SocketAddr, series: &str) -> Option<u64> {
    let metrics = get(operators, "/metrics").await.body;
    let mut lines = metrics.lines();
    let line = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|number| number.parse().expect("a whole number"))
}

/// Waits until a series is at this.
async fn comes_to(operators: SocketAddr, series: &str, wanted: u64) {
    let asking = async {
        let mut ask = interval(Duration::from_millis(50));
        while figure(operators, series).await != Some(wanted) {
            ask.tick().await;
        }
    };
    within(series, asking).await;
}

/// Waits until `/ready` answers this status, and says this.
async fn says(operators: SocketAddr, status: u16, wanted: &str) -> String {
    let asking = async {
        let mut ask = interval(Duration::from_millis(50));
        loop {
            ask.tick().await;
            let answer = get(operators, "/ready").await;
            if answer.status == status && answer.body.contains(wanted) {
                return answer.body;
            }
        }
    };
    within(wanted, asking).await
}

#[tokio::test]
async fn a_replica_shows_operators_what_it_counts_and_nobody_else() {
    let planes = Planes::found().await;
    let replica = planes.replica_with(None, &ASKED, &[]).await;
    let operators = replica.operators.expect("it listens for them");
    says(
        operators,
        200,
        "ready\ndatabase: answers\nmigrations: applied\nlog: followed\n",
    )
    .await;
    assert_eq!(get(operators, "/live").await.status, 200);
    let node = planes.node("alpha", &replica, &[]).await;
    let backend = planes.backend(&replica);
    backend.signed_in_user("bellatrix").await;
    let revision = backend.make_room("quarterdeck", Room::default()).await;
    backend.applied(revision).await;
    let revision = u64::try_from(revision).expect("a revision");

    let user = |name: &str| GetUserRequest {
        name: format!("users/{name}"),
    };
    let missing = backend.users().get_user(user("nobody")).await;
    assert_eq!(missing.expect_err("there is none").code(), Code::NotFound);
    let stranger = backend
        .with_key(None)
        .users()
        .get_user(user("bellatrix"))
        .await;
    assert_eq!(stranger.expect_err("no key").code(), Code::Unauthenticated);
    locked_out(&backend).await;

    let call = |method: &str, code: &str| {
        let method = format!("porthouse.control.v1.{method}");
        format!("porthouse_control_calls_total{{method=\"{method}\",code=\"{code}\"}}")
    };
    for (series, count) in [
        (call("UserService/GetUser", "NOT_FOUND"), 1),
        (call("UserService/GetUser", "UNAUTHENTICATED"), 1),
        (call("RoomService/CreateRoom", "OK"), 1),
        ("porthouse_control_watches".to_owned(), 1),
        ("porthouse_control_nodes".to_owned(), 1),
        ("porthouse_control_revision_read".to_owned(), revision),
        ("porthouse_control_revision_written".to_owned(), revision),
        ("porthouse_control_revision_applied".to_owned(), revision),
        ("porthouse_control_lockouts_total".to_owned(), 1),
        ("porthouse_control_hashing_running".to_owned(), 0),
        ("porthouse_control_ready".to_owned(), 1),
    ] {
        comes_to(operators, &series, count).await;
    }
    let room = "{method=\"porthouse.control.v1.RoomService/CreateRoom\"}";
    let took = format!("porthouse_control_call_seconds_count{room}");
    assert_eq!(figure(operators, &took).await, Some(1));
    let audited = figure(operators, "porthouse_control_audit_entries").await;
    assert!(audited >= Some(3), "{audited:?}");

    let metrics = get(operators, "/metrics").await.body;
    for private in ["quarterdeck", "bellatrix", "203.0.113", "alpha"] {
        assert!(!metrics.contains(private), "{private} is shown");
    }
    let found = planes.secrets().found_in(&metrics);
    assert_eq!(found, [""; 0], "is shown");
    public_shows_nothing(&planes, replica.grpc, node.ws).await;
    planes.close(node, vec![replica], Vec::new()).await;
}

/// Shows wrong passwords until one is not looked at.
async fn locked_out(backend: &Backend) {
    for _ in 0..20 {
        let wrong = CreateSessionRequest {
            username: "bellatrix".to_owned(),
            password: "never her password".to_owned(),
            client_address: "203.0.113.7".to_owned(),
            ..CreateSessionRequest::default()
        };
        let refused = backend.sessions().create_session(wrong).await;
        if refused.expect_err("wrong").code() == Code::ResourceExhausted {
            break;
        }
    }
}

/// Neither listener that others reach answers what operators ask.
async fn public_shows_nothing(planes: &Planes, grpc: SocketAddr, ws: SocketAddr) {
    for public in [grpc, ws] {
        for path in ["/metrics", "/ready", "/live"] {
            let mut wire = Wire::connect(public).await;
            let request = format!("GET {path} HTTP/1.1\r\nHost: {public}\r\n\r\n");
            wire.send(request.as_bytes()).await;
            let said = String::from_utf8_lossy(&wire.rest().await).into_owned();
            assert!(!said.contains("porthouse_"), "{public}{path}: {said}");
            assert!(!said.contains(" 200 "), "{public}{path}: {said}");
        }
    }
    // As gRPC goes, and with the key that may do everything.
    let mut channel = planes.backend_at(grpc).channel();
    let ready = poll_fn(|context| channel.poll_ready(context));
    within("a channel", ready).await.expect("it connects");
    let request = Request::get(format!("http://{grpc}/metrics"));
    let request = request.body(Body::empty()).expect("a request");
    let answer = within("an answer", channel.call(request)).await;
    let answer = answer.expect("it answers");
    assert_ne!(answer.headers()["grpc-status"], "0");
}

#[tokio::test]
async fn a_replica_says_whether_its_database_answers_is_migrated_and_is_followed() {
    let planes = Planes::found().await;
    let replica = planes.replica_with(None, &ASKED, &[]).await;
    let operators = replica.operators.expect("it listens for them");
    says(operators, 200, "migrations: applied\n").await;
    planes
        .sql("UPDATE __diesel_schema_migrations SET version = '9' || version")
        .await;
    let said = says(
        operators,
        503,
        "migrations: some of this version are missing",
    )
    .await;
    assert!(said.starts_with("not ready\n"), "{said}");
    assert!(said.contains("\nlog: followed\n"), "{said}");
    planes
        .sql("UPDATE __diesel_schema_migrations SET version = substr(version, 2)")
        .await;
    says(operators, 200, "migrations: applied\n").await;

    planes.shut_database().await;
    let said = says(operators, 503, "\nlog: not read for ").await;
    assert!(said.contains("\ndatabase: has not answered for "), "{said}");
    assert_eq!(figure(operators, "porthouse_control_ready").await, Some(0));
    let written = figure(operators, "porthouse_control_revision_written").await;
    assert_eq!(written, None, "what nobody knows is told");
    assert_eq!(get(operators, "/live").await.status, 200);
    planes.open_database().await;
    says(operators, 200, "\nlog: followed\n").await;
    planes.close_replicas(vec![replica]).await;
}

#[tokio::test]
async fn every_metric_of_the_control_plane_is_in_the_document_and_no_other() {
    let planes = Planes::found().await;
    let replica = planes.replica_with(None, &ASKED, &[]).await;
    let operators = replica.operators.expect("it listens for them");
    says(operators, 200, "ready\n").await;
    planes
        .backend(&replica)
        .make_room("hall", Room::default())
        .await;
    let metrics = get(operators, "/metrics").await.body;
    let parts = ["_sum", "_count", "_bucket"];
    let told: BTreeSet<&str> = metrics
        .lines()
        .filter_map(|line| line.split(['{', ' ']).next())
        .filter(|name| name.starts_with("porthouse_control_"))
        .map(|name| {
            let part = parts.iter().find_map(|part| name.strip_suffix(part));
            part.unwrap_or(name)
        })
        .collect();
    let document = include_str!("../../../../docs/operating.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
    let written: BTreeSet<&str> = rows
        .filter_map(|row| row.split('`').next())
        .filter(|name| name.starts_with("porthouse_control_"))
        .collect();
    assert_eq!(told, written);
    planes.close_replicas(vec![replica]).await;
}

#[tokio::test]
async fn a_house_shows_both_planes_at_one_address() {
    let ground = Ground::new(None);
    let house = ground.house_with(&ASKED).await;
    let operators = house.operators().expect("it listens for them");
    let said = says(operators, 200, "ready\ndatabase: answers").await;
    assert!(said.ends_with("followed\nready\n"), "{said}");
    let metrics = get(operators, "/metrics").await.body;
    for line in [
        "porthouse_build_info{plane=\"control\",version=",
        "porthouse_build_info{plane=\"node\",node=\"dev\",version=",
        "porthouse_control_ready 1\n",
        "porthouse_ready 1\n",
        "porthouse_connections{puddle=\"1\"} ",
        "\nprocess_open_fds ",
    ] {
        assert_eq!(metrics.matches(line).count(), 1, "{line}: {metrics}");
    }
    house.close().await;
}
