//! Spans of gRPC calls that are answered, in the words of OpenTelemetry
//! ([semantic conventions](https://opentelemetry.io/docs/specs/semconv/rpc/grpc/), as they
//! are stable).
//! Knows no call by its content.

use tonic::Code;
use tonic::codegen::http::{HeaderMap, Request};

use super::{Kind, Span, Tracer, Value};

/// The longest name of a call that is a span's; no call of ours has a longer one.
const NAME_BYTES_MAX: usize = 128;

/// The span of a call: a part of its caller's, where it says so (`traceparent`). To be
/// asked for once it is known that the caller may call, or anybody could fill a
/// collector.
#[must_use]
pub fn begun<B>(tracer: &Tracer, request: &Request<B>) -> Option<Span> {
    if !tracer.is_on() {
        return None;
    }
    let path = request.uri().path().strip_prefix('/')?;
    if path.len() > NAME_BYTES_MAX || !path.contains('/') {
        return None;
    }
    let caller = request.headers().get("traceparent");
    let caller = caller.and_then(|caller| caller.to_str().ok());
    let mut span = tracer.answer(caller, path.to_owned(), Kind::Server)?;
    names(&mut span, path.to_owned());
    Some(span)
}

/// Says which call it is, its service in front.
pub fn names(span: &mut Span, method: impl Into<Value>) {
    span.say("rpc.system.name", "grpc");
    span.say("rpc.method", method);
}

/// How the call ended, or that its answer has begun: a stream goes on after its span.
pub fn answered(span: &mut Span, headers: &HeaderMap) {
    let code = status(headers);
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

    fn ended(path: &str, status: Option<&'static str>) -> Option<Ended> {
        let (tracer, mut ended): (_, Receiver<Ended>) = tracer("1", 1);
        let request = Request::get(path).body(()).expect("a request");
        let mut span = begun(&tracer, &request)?;
        let mut headers = HeaderMap::new();
        if let Some(status) = status {
            headers.insert("grpc-status", status.parse().expect("ASCII"));
        }
        answered(&mut span, &headers);
        drop(span);
        ended.try_recv().ok()
    }

    #[test]
    fn a_call_is_named_and_its_status_told() {
        let span = ended("/porthouse.a.v1.A/Get", None).expect("a span");
        assert_eq!(span.name, "porthouse.a.v1.A/Get");
        assert!(!span.failed);
        let said = |span: &Ended| span.attributes.last().cloned();
        let status = "rpc.response.status_code";
        assert_eq!(said(&span), Some((status, "OK".into())));
        let refused = ended("/a/B", Some("7")).expect("a span");
        assert!(!refused.failed);
        assert_eq!(said(&refused), Some((status, "PERMISSION_DENIED".into())));
        let failed = ended("/a/B", Some("13")).expect("a span");
        assert!(failed.failed);
        assert_eq!(said(&failed), Some(("error.type", "INTERNAL".into())));
    }

    #[test]
    fn what_has_no_name_of_a_call_has_no_span() {
        let long = format!("/a/{}", "b".repeat(NAME_BYTES_MAX));
        assert!(ended(&long, None).is_none() && ended("/a", None).is_none());
    }
}
