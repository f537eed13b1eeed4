//! Spans of gRPC calls that are answered, in the words of OpenTelemetry
//! ([semantic conventions](https://opentelemetry.io/docs/specs/semconv/rpc/grpc/), as they
//! are stable).
//! Knows no call by its content.

use tonic::Code;
use tonic::codegen::http::{HeaderMap, Request};

use super::{Kind, Span, Tracer, Value};

/// What a call is named that nobody serves, so that no caller makes names.
const OTHER: &str = "_OTHER";

/// The span of a call until its answer begins. Dropped before that, it was given up.
#[derive(Debug)]
pub struct CallSpan(Option<Span>);

impl CallSpan {
    /// For what is part of it.
    #[must_use]
    pub const fn span(&self) -> Option<&Span> {
        self.0.as_ref()
    }

    /// Its answer has begun: a stream goes on after its span.
    pub fn answered(mut self, headers: &HeaderMap) {
        if let Some(mut span) = self.0.take() {
            ended(&mut span, status(headers));
        }
    }
}

impl Drop for CallSpan {
    fn drop(&mut self) {
        if let Some(span) = &mut self.0 {
            ended(span, Code::Cancelled);
        }
    }
}

/// The span of a call, of this name where there is such a call: a part of its caller's,
/// where it says so (`traceparent`). To be asked for once it is known that the caller
/// may call, or anybody could fill a collector.
#[must_use]
pub fn begun<B>(tracer: &Tracer, request: &Request<B>, call: Option<&'static str>) -> CallSpan {
    if !tracer.is_on() {
        return CallSpan(None);
    }
    let caller = request.headers().get("traceparent");
    let caller = caller.and_then(|caller| caller.to_str().ok());
    let name = call.unwrap_or(OTHER);
    let mut span = tracer.answer(caller, name, Kind::Server);
    if let Some(span) = &mut span {
        names(span, name);
    }
    CallSpan(span)
}

/// Says which call it is, its service in front.
pub fn names(span: &mut Span, method: impl Into<Value>) {
    span.say("rpc.system.name", "grpc");
    span.say("rpc.method", method);
}

fn ended(span: &mut Span, code: Code) {
    span.say("rpc.response.status_code", name(code));
    // A refusal is the caller's affair; these are the server's.
    if matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    ) {
        span.fail(name(code));
    }
}

/// How the call ended, as far as its answer's head says it.
#[must_use]
pub fn status(headers: &HeaderMap) -> Code {
    let status = headers.get("grpc-status");
    status.map_or(Code::Ok, |status| Code::from_bytes(status.as_bytes()))
}

/// A status, as gRPC's own documents write it.
#[must_use]
pub const fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::Receiver;

    use super::super::Ended;
    use super::super::tests::tracer;
    use super::*;

    fn said(call: Option<&'static str>, status: Option<&'static str>) -> Ended {
        let (tracer, mut ended): (_, Receiver<Ended>) = tracer("1", 1);
        let request = Request::get("/made.up/Name").body(()).expect("a request");
        let span = begun(&tracer, &request, call);
        let mut headers = HeaderMap::new();
        if let Some(status) = status {
            headers.insert("grpc-status", status.parse().expect("ASCII"));
        }
        span.answered(&headers);
        ended.try_recv().expect("a span")
    }

    const GET: Option<&str> = Some("porthouse.a.v1.A/Get");
    const STATUS: &str = "rpc.response.status_code";

    #[test]
    fn a_call_is_named_and_its_status_told() {
        let span = said(GET, None);
        assert_eq!(span.name, "porthouse.a.v1.A/Get");
        assert!(!span.failed);
        let last = |span: &Ended| span.attributes.last().cloned();
        assert_eq!(last(&span), Some((STATUS, "OK".into())));
        let refused = said(GET, Some("7"));
        assert!(!refused.failed);
        assert_eq!(last(&refused), Some((STATUS, "PERMISSION_DENIED".into())));
        let failed = said(GET, Some("13"));
        assert!(failed.failed);
        assert_eq!(last(&failed), Some(("error.type", "INTERNAL".into())));
    }

    #[test]
    fn what_nobody_serves_has_no_name_of_its_callers_choice() {
        let span = said(None, Some("12"));
        assert_eq!(span.name, OTHER);
        let made_up = |value: &Value| format!("{value:?}").contains("made.up");
        assert!(!span.attributes.iter().any(|(_, value)| made_up(value)));
    }

    #[test]
    fn a_call_that_is_given_up_is_told_so() {
        let (tracer, mut ended): (_, Receiver<Ended>) = tracer("1", 1);
        let request = Request::get("/").body(()).expect("a request");
        drop(begun(&tracer, &request, GET));
        let span = ended.try_recv().expect("a span");
        let last = span.attributes.last().cloned();
        assert_eq!(last, Some((STATUS, "CANCELLED".into())));
    }
}
