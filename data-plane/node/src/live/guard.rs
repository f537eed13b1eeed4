//! What stands before every call of live.v1: a key that may make it, asked for
//! before anything of the message is read, and a deadline. Knows no call by its
//! content.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use porthouse_api::call_named;
use porthouse_api::live::v1::live_service_server::{LiveServiceServer, SERVICE_NAME};
use porthouse_model::{Credential, CredentialKind, TokenHash};
use porthouse_process::spans::{self, call};
use porthouse_puddle::{Call, CallResult};
use tokio::time::{Instant, timeout_at};
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::server::NamedService;
use tonic::{Code, Status};
use tower::Service;

use super::subscribing::ByKey;
use super::{Live, status};

/// Scopes that open live.v1.
const SCOPES: [&str; 2] = ["admin", "live"];
/// How long a call may take until its answer begins.
const CALL_TIME_MAX: Duration = Duration::from_secs(30);

/// live.v1 behind the guard, at any number of gRPC servers; all copies are one.
#[derive(Clone, Debug)]
pub struct GuardedLive<S = LiveServiceServer<Live>> {
    live: Live,
    inner: S,
}

impl<S> GuardedLive<S> {
    /// Puts the guard, which asks `live` about keys, before a service.
    pub(crate) const fn new(live: Live, inner: S) -> Self {
        Self { live, inner }
    }
}

impl<S> NamedService for GuardedLive<S> {
    const NAME: &'static str = SERVICE_NAME;
}

impl<S> Service<Request<Body>> for GuardedLive<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The service that was ready is the one to call; its clone may not be.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let live = self.live.clone();
        let mut request = request;
        let until = Instant::now() + CALL_TIME_MAX;
        Box::pin(async move {
            let key = match timeout_at(until, live.authorise(request.headers())).await {
                Ok(Ok(key)) => key,
                Ok(Err(status)) => return Ok(status.into_http()),
                Err(_) => return Ok(status::too_late().into_http()),
            };
            let name = call_named(request.uri().path());
            let span = call::begun(&live.spans, &request, name);
            request.extensions_mut().insert(ByKey(key));
            // Within its span, so that a call that takes too long has its status there.
            let answer = timeout_at(until, inner.call(request));
            let answer = match spans::within(span.span(), answer).await {
                Ok(answer) => {
                    let answer = answer?;
                    let renamed = status::misnamed(answer.headers());
                    renamed.map_or(answer, Status::into_http)
                }
                Err(_) => status::too_late().into_http(),
            };
            span.answered(answer.headers());
            Ok(answer)
        })
    }
}

impl Live {
    /// Lets in whose key has a scope.
    async fn authorise(&self, headers: &HeaderMap) -> Result<TokenHash, Status> {
        let key = bearer(headers).ok_or_else(status::unauthenticated)?;
        let key = Credential::parse(CredentialKind::ApiKey, key)
            .map_err(|_| status::unauthenticated())?;
        let hash = key.hash();
        self.may(hash).await.map(|()| hash)
    }

    /// Whether a key still opens live.v1. While too many ask, it is as before.
    pub(super) async fn still_may(&self, hash: TokenHash) -> Result<(), Status> {
        match self.may(hash).await {
            Err(status) if status.code() == Code::ResourceExhausted => Ok(()),
            may => may,
        }
    }

    async fn may(&self, hash: TokenHash) -> Result<(), Status> {
        let result = self.call(Call::Key { hash }).await;
        let CallResult::Key(key) = result else {
            return Err(status::of(&result));
        };
        let key = key.ok_or_else(status::unauthenticated)?;
        let fits = |scope: &String| SCOPES.contains(&scope.as_str());
        if key.scopes.iter().any(fits) {
            Ok(())
        } else {
            Err(status::scope_missing())
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get("authorization")?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn nothing_of_a_message_is_read_before_its_key_is_known() {
        let never = tower::service_fn(|_: Request<Body>| async {
            unreachable!("the message would be read here")
        });
        let (calls, _called) = mpsc::channel(1);
        let mut guarded = GuardedLive::new(Live::new(calls, 1, 1), never);
        for key in [None, Some("Bearer phk_none"), Some("Basic eDp5")] {
            let mut request = Request::new(Body::empty());
            if let Some(key) = key {
                let key = key.parse().expect("ASCII");
                request.headers_mut().insert("authorization", key);
            }
            let Ok(answer) = guarded.call(request).await;
            assert_eq!(answer.headers()["grpc-status"], "16", "{key:?}");
        }
    }
}
