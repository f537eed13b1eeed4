//! Requests to the control plane. Each ends with exactly one event, answered or
//! not. Keeps no answer.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use porthouse_api::node::v1::policy_feed_service_client::PolicyFeedServiceClient;
use porthouse_api::node::{BadMessage, MESSAGE_BYTES_MAX, RULES_KNOWN, v1};
use porthouse_model::{PasswordVersion, PolicyKey, Revision};
use porthouse_process::spans::{self, Tracer};
use porthouse_puddle::{Event, Pass, Proof, RequestId, Secret, Snapshot, Verdict, Verification};
use tonic::Status;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};

use super::step;
use crate::error::StartError;
use crate::settings::{ApiKeySecret, Settings};

/// How long a connection may take to be made.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);
/// How often a connection is asked whether it lives, and how long it may take to
/// say so.
const KEEPALIVE: Duration = Duration::from_secs(2);
/// Requests under way to one replica; more wait for their turn.
const CONCURRENT_MAX: usize = 256;
/// How long to wait when the control plane names no time.
const LATER: Duration = Duration::from_secs(5);

pub(crate) type Feed = PolicyFeedServiceClient<Channel>;

/// The replicas of the control plane, and which of them is asked.
#[derive(Debug)]
pub(crate) struct Replicas {
    channels: Vec<Channel>,
    current: AtomicUsize,
    /// `None`: the connection's certificate is the key.
    authorization: Option<AsciiMetadataValue>,
    request_time_max: Duration,
    spans: Tracer,
}

impl Replicas {
    /// Knows them; connects to none yet. Must be called inside a runtime.
    pub(crate) fn new(
        settings: &Settings,
        request_time_max: Duration,
    ) -> Result<Arc<Self>, StartError> {
        let (endpoints, authorization) = asking(settings)?;
        let channels = endpoints.iter().map(Endpoint::connect_lazy).collect();
        let current = AtomicUsize::new(0);
        Ok(Arc::new(Self {
            channels,
            current,
            authorization,
            request_time_max,
            spans: settings.spans.clone(),
        }))
    }

    /// What takes spans of requests.
    pub(crate) const fn spans(&self) -> &Tracer {
        &self.spans
    }

    /// From here on another one is asked, where there is one.
    pub(crate) fn go_on(&self) {
        self.current.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn feed(&self) -> Feed {
        let current = self.current.load(Ordering::Relaxed);
        let channel = self.channels[current % self.channels.len()].clone();
        PolicyFeedServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// A call in the node's name.
    pub(crate) fn call<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        if let Some(authorization) = self.authorization.clone() {
            let metadata = request.metadata_mut();
            metadata.insert("authorization", authorization);
        }
        let cause = spans::traceparent().and_then(|cause| cause.parse().ok());
        if let Some(cause) = cause {
            request.metadata_mut().insert("traceparent", cause);
        }
        request
    }

    /// The same, answered within a time.
    pub(crate) fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = self.call(message);
        request.set_timeout(self.request_time_max);
        request
    }

    /// How these stand, in one snapshot.
    pub(crate) async fn resolve(
        &self,
        request: RequestId,
        keys: Vec<PolicyKey>,
        min_revision: Revision,
    ) -> Event {
        let message = v1::ResolveRequest {
            min_revision: wire(min_revision),
            keys: keys.iter().map(Into::into).collect(),
            rules_known: RULES_KNOWN,
        };
        let answer = self.feed().resolve(self.request(message)).await;
        Event::Resolved {
            request,
            found: heard("resolve", answer, snapshot),
        }
    }

    /// Whether this passes a step of a room's entry.
    pub(crate) async fn verify(&self, request: RequestId, what: Verification) -> Event {
        let verdict = match &what.proof {
            Proof::Password(password) => self.verify_password(&what, password).await,
            Proof::SecondFactor(_) | Proof::RoomCode(_) | Proof::Hook { .. } => {
                self.verify_step(&what).await
            }
        };
        Event::Verified { request, verdict }
    }

    async fn verify_step(&self, what: &Verification) -> Option<Verdict> {
        let message = step::question(what)?;
        let answer = self.feed().verify_step(self.request(message)).await;
        heard("verify", answer, |answer| {
            step::verdict(&what.proof, &answer)
        })
    }

    async fn verify_password(&self, what: &Verification, password: &Secret) -> Option<Verdict> {
        let message = v1::VerifyRoomPasswordRequest {
            room_id: what.room.as_bytes().to_vec(),
            password: password.expose().to_owned(),
            client_id: what.client.as_bytes().to_vec(),
            address: what.address.to_string(),
        };
        let answer = self
            .feed()
            .verify_room_password(self.request(message))
            .await;
        heard("verify", answer, password_verdict)
    }
}

/// How replicas are connected to, and the key that is sent to them. Connects to none.
pub(crate) fn asking(
    settings: &Settings,
) -> Result<(Vec<Endpoint>, Option<AsciiMetadataValue>), StartError> {
    let endpoints = settings.control_planes.iter().map(|address| {
        let endpoint = Endpoint::from_shared(address.clone());
        let endpoint = endpoint.map_err(|_| StartError::ControlPlane(address.clone()))?;
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIME_MAX)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE)
            .concurrency_limit(CONCURRENT_MAX);
        let endpoint = settings.control_tls.applied(endpoint);
        endpoint.map_err(StartError::ControlTls)
    });
    let endpoints: Vec<_> = endpoints.collect::<Result<_, StartError>>()?;
    if endpoints.is_empty() {
        return Err(StartError::NoControlPlane);
    }
    let authorization = settings.api_key.as_ref().map(bearer).transpose()?;
    Ok((endpoints, authorization))
}

/// How the key is sent.
fn bearer(key: &ApiKeySecret) -> Result<AsciiMetadataValue, StartError> {
    let bearer = format!("Bearer {}", key.expose());
    let mut bearer: AsciiMetadataValue = bearer.parse().map_err(|_| StartError::ApiKey)?;
    bearer.set_sensitive(true);
    Ok(bearer)
}

/// What a status says, and what it came of: of a connection that is not made, why.
pub(super) fn why(status: &Status) -> String {
    let mut said = status.message().to_owned();
    let mut source = status.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
        source = error.source();
    }
    said
}

/// What was answered, if it was, in the model's words.
pub(super) fn heard<W, T>(
    what: &'static str,
    answer: Result<tonic::Response<W>, Status>,
    translate: impl FnOnce(W) -> Result<T, BadMessage>,
) -> Option<T> {
    match answer {
        Ok(answer) => translate(answer.into_inner())
            .inspect_err(|error| tracing::error!(what, %error, "the answer means nothing"))
            .ok(),
        Err(status) => {
            let (code, message) = (status.code(), why(&status));
            tracing::warn!(what, ?code, message, "the control plane did not answer");
            None
        }
    }
}

fn snapshot(answer: v1::ResolveResponse) -> Result<Snapshot, BadMessage> {
    let found = answer.resolved.into_iter().map(TryInto::try_into);
    Ok(Snapshot {
        revision: revision(answer.revision)?,
        found: found.collect::<Result<_, _>>()?,
    })
}

fn password_verdict(answer: v1::VerifyRoomPasswordResponse) -> Result<Verdict, BadMessage> {
    match answer.verdict() {
        v1::Verdict::Right => Ok(Verdict::Right(Pass::Password(PasswordVersion(
            answer.password_version,
        )))),
        v1::Verdict::Wrong => Ok(Verdict::Wrong),
        v1::Verdict::Gone => Ok(Verdict::Gone),
        v1::Verdict::Later => Ok(Verdict::Later(delay(answer.retry_delay))),
        v1::Verdict::Unspecified => Err(BadMessage { field: "verdict" }),
    }
}

pub(super) fn delay(span: Option<prost_types::Duration>) -> Duration {
    span.and_then(|span| Duration::try_from(span).ok())
        .unwrap_or(LATER)
}

/// A revision from the wire.
pub(crate) fn revision(number: i64) -> Result<Revision, BadMessage> {
    u64::try_from(number)
        .map(Revision)
        .map_err(|_| BadMessage { field: "revision" })
}

/// A revision for the wire.
pub(crate) fn wire(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_that_is_none_is_no_answer() {
        let answer = v1::VerifyRoomPasswordResponse::default();
        assert_eq!(
            password_verdict(answer),
            Err(BadMessage { field: "verdict" })
        );
    }

    #[test]
    fn a_right_password_is_right_for_its_version() {
        let answer = v1::VerifyRoomPasswordResponse {
            verdict: v1::Verdict::Right.into(),
            password_version: 3,
            ..Default::default()
        };
        assert_eq!(
            password_verdict(answer),
            Ok(Verdict::Right(Pass::Password(PasswordVersion(3))))
        );
    }

    #[test]
    fn later_without_a_time_is_a_while() {
        let answer = v1::VerifyRoomPasswordResponse {
            verdict: v1::Verdict::Later.into(),
            ..Default::default()
        };
        assert_eq!(password_verdict(answer), Ok(Verdict::Later(LATER)));
    }
}
