//! What stands before every call: a key that may make it, a deadline, and one
//! language of errors. Knows no call by its content.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{Extensions, HeaderMap, Request, Response};
use porthouse_api::call_named;
use porthouse_model::TokenHash;
use porthouse_process::spans::call::CallSpan;
use porthouse_process::spans::{self, Tracer, call as called};
use tokio::time::{Instant, timeout_at};
use tonic::Status;
use tonic::body::Body;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tower::{Layer, Service};

use crate::identity::certificate;
use crate::identity::scope::access;
use crate::operators::calls::Calls;

use super::call::Call;
use super::error::ApiError;
use super::keys::Keys;

/// How long a call may take until its answer begins.
const CALL_TIME_MAX: Duration = Duration::from_secs(30);
/// The same for the calls that wait on purpose, which bound themselves.
const WAIT_TIME_MAX: Duration = Duration::from_secs(75);

/// Tonic ends a call at its caller's deadline too, and would call it `CANCELLED`.
const AHEAD_OF_TONIC: Duration = Duration::from_millis(5);

/// Puts the guard before a service.
#[derive(Clone)]
pub(crate) struct GuardLayer {
    keys: Keys,
    spans: Tracer,
    calls: Arc<Calls>,
}

impl GuardLayer {
    pub(crate) fn new(keys: Keys, spans: Tracer, calls: Arc<Calls>) -> Self {
        Self { keys, spans, calls }
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard {
            keys: self.keys.clone(),
            spans: self.spans.clone(),
            calls: Arc::clone(&self.calls),
            inner,
        }
    }
}

/// A service behind the guard.
#[derive(Clone)]
pub(crate) struct Guard<S> {
    keys: Keys,
    spans: Tracer,
    calls: Arc<Calls>,
    inner: S,
}

impl<S> Service<Request<Body>> for Guard<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The service that was ready is the one to call; its clone may not be.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let until = Instant::now() + time_max(request.uri().path(), request.headers());
        let under_way = self.calls.begun(request.uri().path());
        let answer = answer(
            (self.keys.clone(), self.spans.clone()),
            inner,
            request,
            until,
        );
        Box::pin(async move {
            let answer = answer.await?;
            under_way.answered(called::status(answer.headers()));
            Ok(answer)
        })
    }
}

async fn answer<S>(
    (keys, spans): (Keys, Tracer),
    mut inner: S,
    mut request: Request<Body>,
    until: Instant,
) -> Result<Response<Body>, Infallible>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let needed = access(request.uri().path());
    let shown = shown(request.extensions());
    let admitted = keys.admit(needed, request.headers(), shown);
    let Ok(admitted) = timeout_at(until, admitted).await else {
        return Ok(refuse(ApiError::DeadlineExceeded));
    };
    let mut span = None;
    match admitted {
        Ok(Some(key)) => {
            let name = call_named(request.uri().path());
            span = Some(called::begun(&spans, &request, name));
            request.extensions_mut().insert(key);
        }
        // What anybody may ask leaves no span.
        Ok(None) => {}
        Err(refused) => {
            if let Some(key) = refused.key {
                request.extensions_mut().insert(key);
                keys.note_refusal(call(&request).event(refused.error.reason()));
            }
            return Ok(refuse(refused.error));
        }
    }
    let call = call(&request);
    // Within its span, so that a call that takes too long has its status there.
    let answered = timeout_at(until, call.answered(inner.call(request)));
    let part_of = span.as_ref().and_then(CallSpan::span);
    let answer = match spans::within(part_of, answered).await {
        Ok(answer) => {
            let answer = answer?;
            misnamed(answer.headers()).map_or(answer, refuse)
        }
        Err(_) => refuse(ApiError::DeadlineExceeded),
    };
    if let Some(span) = span {
        span.answered(answer.headers());
    }
    Ok(answer)
}

/// The key that the connection's own certificate is, which TLS has verified.
fn shown(extensions: &Extensions) -> Option<TokenHash> {
    let connection = extensions.get::<TlsConnectInfo<TcpConnectInfo>>()?;
    let chain = connection.peer_certs()?;
    chain.first().map(|own| certificate::key_of(own))
}

fn call(request: &Request<Body>) -> Call {
    let (path, headers) = (request.uri().path(), request.headers());
    Call::new(path, headers, request.extensions())
}

fn refuse(error: ApiError) -> Response<Body> {
    Status::from(error).into_http()
}

/// How long this call may take: no longer than its caller waits.
fn time_max(path: &str, headers: &HeaderMap) -> Duration {
    let most = if path == "/porthouse.control.v1.PolicyService/WaitApplied" {
        WAIT_TIME_MAX
    } else {
        CALL_TIME_MAX
    };
    asked(headers).map_or(most, |asked| asked.saturating_sub(AHEAD_OF_TONIC).min(most))
}

/// How long the caller waits: a number of at most 8 digits and a unit.
fn asked(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u32 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    let of = |unit: Duration| unit.saturating_mul(number);
    match unit {
        "H" => Some(of(Duration::from_hours(1))),
        "M" => Some(of(Duration::from_mins(1))),
        "S" => Some(of(Duration::from_secs(1))),
        "m" => Some(of(Duration::from_millis(1))),
        "u" => Some(of(Duration::from_micros(1))),
        "n" => Some(of(Duration::from_nanos(1))),
        _ => None,
    }
}

/// What tonic says of a request that it cannot read, in our own words: a request
/// too long is `OUT_OF_RANGE` to it, one that is no message `INTERNAL`. Both come as
/// headers, for no answer has begun.
fn misnamed(headers: &HeaderMap) -> Option<ApiError> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let (code, message) = (header("grpc-status")?, header("grpc-message")?);
    match code {
        "11" if message.contains("decoded%20message%20length%20too%20large") => {
            Some(ApiError::TooLarge)
        }
        "13" if message.starts_with("failed%20to%20decode%20Protobuf") => Some(ApiError::Malformed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, StoreSettings};

    fn headers(status: Status) -> HeaderMap {
        status.into_http::<Body>().headers().clone()
    }

    #[tokio::test]
    async fn a_call_past_its_callers_deadline_is_told_so() {
        let store = Store::new("host=/nowhere", &StoreSettings::default()).expect("lazy");
        let never = tower::service_fn(|_: Request<Body>| std::future::pending());
        let (keys, spans) = (Keys::new(store), Tracer::default());
        let mut guarded = GuardLayer::new(keys, spans, Arc::default()).layer(never);
        let request = Request::get("/grpc.health.v1.Health/Check")
            .header("grpc-timeout", "20m")
            .body(Body::empty())
            .expect("a request");
        let Ok(answer) = guarded.call(request).await;
        assert_eq!(answer.headers()["grpc-status"], "4");
    }

    #[test]
    fn a_deadline_is_read_in_every_unit_and_bounded() {
        let headers = |text: &str| {
            let value = http::HeaderValue::from_bytes(text.as_bytes()).expect("a header");
            HeaderMap::from_iter([(http::HeaderName::from_static("grpc-timeout"), value)])
        };
        let most = |text| time_max("/any", &headers(text));
        assert_eq!(most("2S"), Duration::from_millis(1995));
        assert_eq!(most("1n"), Duration::ZERO);
        assert_eq!(most("99999999H"), CALL_TIME_MAX);
        for text in ["", "S", "1", "1s", "-1S", "999999999S", "é"] {
            assert_eq!(asked(&headers(text)), None, "{text}");
        }
    }

    #[test]
    fn statuses_of_tonics_own_are_renamed_and_ours_are_not() {
        let long = "Error, decoded message length too large: found 9 bytes, the limit is: 8 bytes";
        assert_eq!(
            misnamed(&headers(Status::out_of_range(long))),
            Some(ApiError::TooLarge)
        );
        let bad = "failed to decode Protobuf message: invalid wire type";
        assert_eq!(
            misnamed(&headers(Status::internal(bad))),
            Some(ApiError::Malformed)
        );
        assert_eq!(misnamed(&headers(Status::out_of_range("compacted"))), None);
        assert_eq!(misnamed(&headers(ApiError::Internal.into())), None);
    }
}
