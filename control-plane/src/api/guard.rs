//! What stands before every call: a key that may make it, a deadline, and one
//! language of errors. Knows no call by its content.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::identity::scope::access;

use super::error::ApiError;
use super::keys::Keys;

/// How long a call may take until its answer begins.
const CALL_TIME_MAX: Duration = Duration::from_secs(30);
/// The same for the calls that wait on purpose, which bound themselves.
const WAIT_TIME_MAX: Duration = Duration::from_secs(75);

/// Puts the guard before a service.
#[derive(Clone)]
pub(crate) struct GuardLayer {
    keys: Keys,
}

impl GuardLayer {
    pub(crate) fn new(keys: Keys) -> Self {
        Self { keys }
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard {
            keys: self.keys.clone(),
            inner,
        }
    }
}

/// A service behind the guard.
#[derive(Clone)]
pub(crate) struct Guard<S> {
    keys: Keys,
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
        let time_max = time_max(request.uri().path());
        let answer = answer(self.keys.clone(), inner, request);
        Box::pin(async move {
            match tokio::time::timeout(time_max, answer).await {
                Ok(answer) => answer,
                Err(_) => Ok(refuse(ApiError::DeadlineExceeded)),
            }
        })
    }
}

async fn answer<S>(
    keys: Keys,
    mut inner: S,
    request: Request<Body>,
) -> Result<Response<Body>, Infallible>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    if let Err(error) = keys
        .admit(access(request.uri().path()), request.headers())
        .await
    {
        return Ok(refuse(error));
    }
    let answer = inner.call(request).await?;
    Ok(misnamed(answer.headers()).map_or(answer, refuse))
}

fn refuse(error: ApiError) -> Response<Body> {
    Status::from(error).into_http()
}

fn time_max(path: &str) -> Duration {
    if path == "/porthouse.control.v1.PolicyService/WaitApplied" {
        WAIT_TIME_MAX
    } else {
        CALL_TIME_MAX
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

    fn headers(status: Status) -> HeaderMap {
        status.into_http::<Body>().headers().clone()
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
