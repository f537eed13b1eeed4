//! An identity provider: keys, what they sign, and a place where they are
//! published. Owns no promise.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::BASE64URL_NOPAD;
use porthouse_api::control::v1 as wire;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tonic::Status;

use crate::world::World;

/// What tokens have as `iss`.
pub(crate) const ISSUER: &str = "https://id.example";

/// A key of an issuer.
pub(crate) struct SigningKey {
    id: String,
    pair: Ed25519KeyPair,
}

impl SigningKey {
    /// The key that this byte gives, called so.
    pub(crate) fn new(seed: u8, id: &str) -> Self {
        Self {
            id: id.to_owned(),
            pair: Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key"),
        }
    }

    /// Its public half.
    pub(crate) fn public(&self) -> Value {
        let x = BASE64URL_NOPAD.encode(self.pair.public_key().as_ref());
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.id, "use": "sig", "x": x })
    }

    /// A token for this subject that holds for a while.
    pub(crate) fn token(&self, subject: &str) -> String {
        self.token_with(subject, &json!({}))
    }

    /// The same with these claims over its own.
    pub(crate) fn token_with(&self, subject: &str, more: &Value) -> String {
        let now = now();
        let mut claims = json!({
            "iss": ISSUER, "aud": "porthouse", "sub": subject, "iat": now, "exp": now + 300,
        });
        for (claim, value) in more.as_object().expect("claims") {
            claims[claim] = value.clone();
        }
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let header = json!({ "alg": "EdDSA", "kid": self.id });
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = self.pair.sign(signed.as_bytes());
        format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }
}

/// Now, in seconds.
#[expect(clippy::disallowed_methods, reason = "the tests' one clock")]
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}

/// The set of these keys.
pub(crate) fn key_set(keys: &[&SigningKey]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| key.public()).collect();
    json!({ "keys": keys }).to_string()
}

/// An issuer with these keys, which makes users.
pub(crate) fn issuer(keys: &[&SigningKey]) -> wire::Issuer {
    wire::Issuer {
        issuer: ISSUER.into(),
        audiences: vec!["porthouse".into()],
        jwks: key_set(keys),
        creates_users: true,
        ..wire::Issuer::default()
    }
}

impl World {
    /// Trusts an issuer.
    pub(crate) async fn trust(&self, id: &str, issuer: wire::Issuer) -> wire::CreateIssuerResponse {
        let request = wire::CreateIssuerRequest {
            issuer_id: id.to_owned(),
            issuer: Some(issuer),
            validate_only: false,
        };
        let made = self.admin().issuers().create_issuer(request).await;
        made.expect("trusted").into_inner()
    }

    /// Signs in by a token.
    pub(crate) async fn show(&self, jwt: &str) -> Result<wire::CreateSessionResponse, Status> {
        let request = wire::CreateSessionRequest {
            jwt: jwt.to_owned(),
            ..Default::default()
        };
        let opened = self.admin().sessions().create_session(request).await;
        opened.map(tonic::Response::into_inner)
    }

    /// Whether a session is live.
    pub(crate) async fn lives(&self, opened: &wire::CreateSessionResponse) -> bool {
        let session = opened.session.clone().expect("a session");
        let get = wire::GetSessionRequest { name: session.name };
        self.admin().sessions().get_session(get).await.is_ok()
    }
}

/// A place where keys are published, which counts how often it is asked.
#[derive(Clone)]
pub(crate) struct Published {
    keys: Arc<Mutex<Option<String>>>,
    asked: Arc<AtomicUsize>,
    pub(crate) url: String,
}

impl Published {
    /// Publishes these keys.
    pub(crate) async fn new(keys: String) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let published = Self {
            keys: Arc::new(Mutex::new(Some(keys))),
            asked: Arc::default(),
            url: format!("http://{address}/keys"),
        };
        tokio::spawn(published.clone().serve(listener));
        published
    }

    async fn serve(self, listener: TcpListener) {
        loop {
            let (mut stream, _) = listener.accept().await.expect("somebody");
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked).await;
            self.asked.fetch_add(1, Ordering::SeqCst);
            let keys = self.keys.lock().expect("not poisoned").clone();
            let answer = match keys {
                Some(keys) => {
                    let length = keys.len();
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{keys}")
                }
                None => "HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n".to_owned(),
            };
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    }

    /// Publishes others from now on; `None`: it does not answer.
    pub(crate) fn publish(&self, keys: Option<String>) {
        *self.keys.lock().expect("not poisoned") = keys;
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        let mut looks = tokio::time::interval(Duration::from_millis(50));
        while !holds().await {
            looks.tick().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), waiting).await;
    assert!(waited.is_ok(), "{what} in time");
}
