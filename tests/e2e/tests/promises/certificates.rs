//! A node that is known by its certificate, and shows no key: it asks the control plane
//! over TLS, and another's certificate is refused by its name.

use std::error::Error as _;
use std::net::SocketAddr;
use std::time::Duration;

use porthouse_api::control::v1::api_key_service_client::ApiKeyServiceClient;
use porthouse_api::control::v1::room_service_client::RoomServiceClient;
use porthouse_api::control::v1::{
    ApiKey, CreateApiKeyRequest, CreateApiKeyResponse, DeleteApiKeyRequest, ListRoomsRequest, Room,
};
use porthouse_api::live::v1::PublishRequest;
use porthouse_api::live::v1::live_service_client::LiveServiceClient;
use porthouse_api::live::v1::publish_request::Message as Said;
use porthouse_e2e::authority::{Authority, Certificate};
use porthouse_e2e::backend::Backend;
use porthouse_e2e::planes::{Planes, Replica};
use porthouse_e2e::raw::Raw;
use tokio_tungstenite::tungstenite::Message;
use tonic::transport::{self, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// How long a call may take that nobody answers.
const CALL_TIME_MAX: Duration = Duration::from_secs(10);

/// A replica that speaks TLS and trusts an authority for its clients.
async fn replica(planes: &Planes, authority: &Authority) -> Replica {
    let own = authority.sign("control");
    keep(planes, &own);
    let file = |path: &std::path::Path| path.to_str().expect("our own name").to_owned();
    let variables = [
        ("PORTHOUSE_TLS_CERTIFICATE_FILE", file(&own.certificate)),
        ("PORTHOUSE_TLS_KEY_FILE", file(&own.key)),
        (
            "PORTHOUSE_TLS_CLIENT_AUTHORITY_FILE",
            file(&authority.file()),
        ),
    ];
    let variables = variables.each_ref().map(|(name, value)| (*name, &**value));
    planes.replica_with(None, &[], &variables).await
}

/// No line of a certificate's key may be said.
fn keep(planes: &Planes, certificate: &Certificate) {
    let pem = certificate.key_pem();
    for line in pem.lines().filter(|line| !line.starts_with("-----")) {
        planes.secrets().keep("a certificate's key", line);
    }
}

/// Makes a certificate a key.
async fn key_of(
    backend: &Backend,
    certificate: String,
    scope: &str,
) -> Result<CreateApiKeyResponse, Status> {
    let request = CreateApiKeyRequest {
        api_key: Some(ApiKey {
            scopes: vec![scope.to_owned()],
            ..ApiKey::default()
        }),
        certificate,
    };
    let made = backend.api_keys().create_api_key(request).await;
    made.map(tonic::Response::into_inner)
}

/// A connection by TLS, with a certificate or none.
fn connection(at: SocketAddr, authority: &Authority, shows: Option<&Certificate>) -> Channel {
    let pem = std::fs::read(authority.file()).expect("it was written");
    let tls = ClientTlsConfig::new().ca_certificate(transport::Certificate::from_pem(pem));
    let tls = match shows {
        None => tls,
        Some(own) => tls.identity(Identity::from_pem(own.pem(), own.key_pem())),
    };
    let endpoint = Endpoint::from_shared(format!("https://{at}")).expect("an address");
    let endpoint = endpoint.timeout(CALL_TIME_MAX).tls_config(tls);
    endpoint.expect("certificates").connect_lazy()
}

async fn list_rooms(channel: Channel) -> Result<(), Status> {
    let mut rooms = RoomServiceClient::new(channel);
    rooms
        .list_rooms(ListRoomsRequest::default())
        .await
        .map(drop)
}

fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().map(|info| info.reason.clone());
    info.unwrap_or_default()
}

#[tokio::test]
async fn a_certificate_that_is_a_key_is_one_and_no_other_is() {
    let planes = Planes::found().await;
    let plain = planes.replica(None).await;
    let backend = planes.backend(&plain);
    let authority = Authority::new("ours");
    let tls = replica(&planes, &authority).await;
    let known = authority.sign("rooms-keeper");
    keep(&planes, &known);
    let made = key_of(&backend, known.pem(), "rooms").await.expect("a key");
    let key = made.api_key.expect("a key");
    assert!(made.secret.is_empty());
    assert_eq!(key.certificate_sha256.len(), 64);
    let again = key_of(&backend, known.pem(), "node").await;
    assert_eq!(again.expect_err("it is one").code(), Code::AlreadyExists);

    let by = |shows| connection(tls.grpc, &authority, shows);
    list_rooms(by(Some(&known))).await.expect("it may");
    let mut keys = ApiKeyServiceClient::new(by(Some(&known)));
    let narrow = keys.create_api_key(CreateApiKeyRequest::default()).await;
    assert_eq!(reason(&narrow.expect_err("no scope")), "SCOPE_MISSING");
    // Of the authority, and no key: it is named.
    let stranger = authority.sign("stranger");
    let refused = list_rooms(by(Some(&stranger))).await.expect_err("no key");
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(reason(&refused), "CERTIFICATE_UNKNOWN");
    assert!(refused.message().contains("SHA-256"), "{refused}");
    // Who shows none has a key, or nothing.
    let nobody = list_rooms(by(None)).await.expect_err("no key");
    assert_eq!(reason(&nobody), "API_KEY_MISSING");
    // Of another authority: it does not come in at all, and is told by TLS, if it hears
    // that before the connection is gone.
    let theirs = Authority::new("theirs");
    let foreign = theirs.sign("rooms-keeper");
    let cut = list_rooms(by(Some(&foreign))).await.expect_err("foreign");
    assert_eq!(reason(&cut), "", "nobody has answered: {cut:?}");
    // What a server answers comes of no other error.
    assert!(cut.source().is_some(), "nobody has answered: {cut:?}");

    let delete = DeleteApiKeyRequest { name: key.name };
    let mut keys = backend.api_keys();
    keys.delete_api_key(delete).await.expect("deleted");
    let ended = async {
        while list_rooms(by(Some(&known))).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let ended = tokio::time::timeout(CALL_TIME_MAX, ended).await;
    ended.expect("a key that was deleted ends");
    planes.close_replicas(vec![plain, tls]).await;
}

#[tokio::test]
async fn backends_ask_a_node_over_tls_and_in_no_other_way() {
    let planes = Planes::found().await;
    let replica = planes.replica(None).await;
    let backend = planes.backend(&replica);
    let authority = Authority::new("ours");
    let own = authority.sign("alpha");
    let file = |path: &std::path::Path| path.to_str().expect("our own name").to_owned();
    let (certificate, key) = (file(&own.certificate), file(&own.key));
    let flags = [
        "--tls-certificate-file",
        &certificate,
        "--tls-key-file",
        &key,
    ];
    let node = planes.node("alpha", &replica, &flags).await;
    backend.make_room("hall", Room::default()).await;
    let mut socket = Raw::enter(node.ws, "hall", None).await;
    let secret = backend.make_key(&["live"]).await;
    let publish = |channel| {
        let mut request = tonic::Request::new(PublishRequest {
            room: "rooms/hall".to_owned(),
            message: Some(Said::Text("over TLS".to_owned())),
            ..PublishRequest::default()
        });
        let bearer = format!("Bearer {secret}").parse().expect("a header");
        request.metadata_mut().insert("authorization", bearer);
        async move { LiveServiceClient::new(channel).publish(request).await }
    };
    publish(connection(node.grpc, &authority, None))
        .await
        .expect("told");
    assert_eq!(socket.next().await, Message::text("over TLS"));
    // Another authority's word is not taken for it, and nobody is heard without TLS.
    let theirs = Authority::new("theirs");
    let cut = publish(connection(node.grpc, &theirs, None)).await;
    cut.expect_err("not whom it asked");
    let plain = Endpoint::from_shared(format!("http://{}", node.grpc)).expect("an address");
    let plain = plain.timeout(CALL_TIME_MAX).connect_lazy();
    publish(plain).await.expect_err("it speaks TLS alone");
    drop(socket);
    planes.close(node, vec![replica], vec![]).await;
}

#[tokio::test]
async fn a_node_is_known_by_its_certificate_and_says_why_another_is_refused() {
    let planes = Planes::found().await;
    let plain = planes.replica(None).await;
    let backend = planes.backend(&plain);
    let authority = Authority::new("ours");
    let tls = replica(&planes, &authority).await;
    let known = authority.sign("alpha");
    keep(&planes, &known);
    key_of(&backend, known.pem(), "node").await.expect("a key");
    backend.make_room("hall", Room::default()).await;
    let by = (known.certificate.as_path(), known.key.as_path());
    let node = planes
        .node_by_certificate("alpha", &tls, (&authority.file(), by))
        .await;
    let mut socket = Raw::enter(node.ws, "hall", None).await;
    socket.say("here").await;
    let revision = backend.make_room("den", Room::default()).await;
    backend.applied(revision).await;

    let stranger = authority.sign("beta");
    let theirs = Authority::new("theirs");
    let foreign = theirs.sign("gamma");
    for (shown, says) in [
        (stranger, "no API key is the client certificate"),
        (foreign, "transport error"),
    ] {
        keep(&planes, &shown);
        let by = (shown.certificate.as_path(), shown.key.as_path());
        let said = planes
            .node_that_says("other", &tls, (&authority.file(), by), says)
            .await;
        assert!(!said.is_empty());
    }
    planes.close(node, vec![plain, tls], Vec::new()).await;
}
