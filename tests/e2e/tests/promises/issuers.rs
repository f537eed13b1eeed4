//! Somebody whom a real identity provider signs in: by its keys as they come and go,
//! and not a moment after the provider is trusted no more.

use std::time::Duration;

use porthouse_api::control::v1 as control;
use porthouse_e2e::backend::Backend;
use porthouse_e2e::multiplexed::Multiplexed;
use porthouse_e2e::planes::{Node, Planes, Replica};
use porthouse_e2e::provider::Provider;
use porthouse_e2e::raw::Raw;
use porthouse_e2e::wait::within;
use porthouse_e2e::wire::{Answer, Wire};
use serde_json::{Value, json};

const SESSION_ENDED: u16 = 4101;

/// All of it, one after the other: each part stands on the one before.
#[tokio::test]
async fn whom_a_provider_signs_in_stays_as_long_as_its_key_and_no_longer() {
    let provider = Provider::start().await;
    let planes = Planes::found().await;
    let replica = replica(&planes).await;
    let backend = planes.backend(&replica);
    let node = planes.node("alpha", &replica, &[]).await;
    backend.make_room("team", control::Room::default()).await;
    trust(&backend, &provider).await;

    // By control.v1, over a key that was never seen before.
    let ada = backend_session(&planes, &backend, &provider, "ada").await;
    let mut ada = Raw::enter(node.ws, "team", Some(&ada)).await;

    // A new key signs in without a restart, on a socket.
    provider.keys(&["ec-2", "rsa-1"]).await;
    let mut bob = Multiplexed::open(node.ws, None).await;
    let jwt = token(&planes, &provider, "bob").await;
    let signed_in = within("the new key", signed_in(&mut bob, &jwt)).await;
    assert_eq!(signed_in["username"], "acme.bob");
    bob.join("team").await;
    ada.say("hello").await;
    assert_eq!(bob.message("team").await.into_data(), "hello");

    // The old key is gone: who came by it is put out, and nobody else.
    provider.keys(&["ec-2"]).await;
    assert_eq!(ada.closed().await.code, SESSION_ENDED);
    assert_eq!(bob.ask("ping", json!({})).await["op"], "pong");

    // A third, at a page.
    provider.keys(&["ed-3", "ec-2"]).await;
    let carol = page_session(&planes, &provider, &node).await;
    let mut carol = Raw::enter(node.ws, "team", Some(&carol)).await;
    let nobody = at_page(&node, &json!({ "jwt": "a.b.c" })).await;
    assert_eq!(
        (nobody.status, &nobody.json()["rule"]),
        (401, &json!("sign_in"))
    );

    // The provider is trusted no more: all whom it signed in are out.
    let jwt = token(&planes, &provider, "ada").await;
    let request = control::DeleteIssuerRequest {
        name: "issuers/acme".into(),
        ..Default::default()
    };
    let deleted = backend.issuers().delete_issuer(request).await;
    backend
        .applied(deleted.expect("gone").into_inner().revision)
        .await;
    assert_eq!(carol.closed().await.code, SESSION_ENDED);
    assert_eq!(bob.closed().await.code, SESSION_ENDED);
    let late = at_page(&node, &json!({ "jwt": jwt })).await;
    assert_eq!(late.status, 401, "{}", late.body);
    planes.close(node, vec![replica], Vec::new()).await;
}

/// Signs in on a socket. The first time may come too soon after keys were fetched for
/// them to be fetched again.
async fn signed_in(socket: &mut Multiplexed, jwt: &str) -> Value {
    let mut tries = tokio::time::interval(Duration::from_millis(150));
    loop {
        tries.tick().await;
        let told = socket.ask("auth", json!({ "jwt": jwt })).await;
        if told["op"] == "authenticated" {
            return told;
        }
        assert_eq!(told["rule"], "sign_in", "{told}");
    }
}

/// A replica that trusts the provider's certificate, and fetches keys often.
async fn replica(planes: &Planes) -> Replica {
    let flags = [
        ["--issuer-private-addresses", "allow"],
        ["--issuer-keys-refresh-ms", "1000"],
        ["--issuer-keys-fetch-every-min-ms", "100"],
    ];
    let authority = Provider::authority();
    let authority = authority.to_str().expect("a path in UTF-8");
    let variables = [("SSL_CERT_FILE", authority)];
    planes
        .replica_with(None, flags.as_flattened(), &variables)
        .await
}

pub(crate) async fn trust(backend: &Backend, provider: &Provider) {
    let request = control::CreateIssuerRequest {
        issuer_id: "acme".into(),
        issuer: Some(control::Issuer {
            issuer: provider.issuer.clone(),
            audiences: vec!["porthouse".into()],
            jwks_uri: provider.jwks_uri(),
            claim_mapping: Some(control::ClaimMapping {
                username: "preferred_username".into(),
                display_name: "name".into(),
                ..control::ClaimMapping::default()
            }),
            creates_users: true,
            ..control::Issuer::default()
        }),
        validate_only: false,
    };
    backend
        .issuers()
        .create_issuer(request)
        .await
        .expect("trusted");
}

/// A token of the provider's, which nothing may say.
pub(crate) async fn token(planes: &Planes, provider: &Provider, subject: &str) -> String {
    let jwt = provider.token(subject).await;
    planes.secrets().keep("an identity provider's token", &jwt)
}

async fn backend_session(
    planes: &Planes,
    backend: &Backend,
    provider: &Provider,
    subject: &str,
) -> String {
    let request = control::CreateSessionRequest {
        jwt: token(planes, provider, subject).await,
        ..control::CreateSessionRequest::default()
    };
    let opened = backend.sessions().create_session(request).await;
    let opened = opened.expect("signed in").into_inner();
    let session = opened.session.expect("a session");
    assert_eq!(session.user, format!("users/acme.{subject}"));
    assert_eq!(session.issuer, "issuers/acme");
    planes.secrets().keep("a session's token", &opened.token)
}

/// Carol's session, as a page's cookie has it.
async fn page_session(planes: &Planes, provider: &Provider, node: &Node) -> String {
    let jwt = token(planes, provider, "carol").await;
    let asking = async {
        let mut tries = tokio::time::interval(Duration::from_millis(150));
        loop {
            tries.tick().await;
            let answer = at_page(node, &json!({ "jwt": jwt })).await;
            if answer.status != 401 {
                return answer;
            }
        }
    };
    let signed_in = within("the newest key", asking).await;
    assert_eq!(signed_in.status, 200, "{}", signed_in.body);
    assert_eq!(signed_in.json()["username"], "acme.carol");
    let cookie = signed_in.header("set-cookie").expect("a cookie");
    let cookie = cookie
        .split(';')
        .next()
        .and_then(|pair| pair.split_once('='));
    let (_, token) = cookie.expect("a pair");
    planes.secrets().keep("a session's token", token)
}

async fn at_page(node: &Node, body: &Value) -> Answer {
    let (ws, body) = (node.ws, body.to_string());
    let mut wire = Wire::connect(ws).await;
    let length = body.len();
    let request = format!(
        "POST /-/session HTTP/1.1\r\nHost: {ws}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    wire.send(request.as_bytes()).await;
    wire.answer().await
}
