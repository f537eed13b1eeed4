//! The one table from what can go wrong with a call of live.v1 to a gRPC status
//! with its details (google.rpc): what to do about it.

use std::collections::HashMap;
use std::fmt::Display;
use std::time::Duration;

use http::HeaderMap;
use porthouse_model::{RefusalId, Refused, Retry};
use porthouse_puddle::CallResult;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

const DOMAIN: &str = "porthouse";
/// When to ask again what had no place or no answer.
const RETRY: Duration = Duration::from_secs(1);

/// What a result that is not the one asked for means.
pub(super) fn of(result: &CallResult) -> Status {
    refused(result, None)
}

/// The same of a refusal that is kept by this id.
pub(super) fn refused(result: &CallResult, id: Option<RefusalId>) -> Status {
    match result {
        CallResult::NotLive => detailed(
            Code::NotFound,
            "no socket of this node is in a room of that name".to_owned(),
            reason("NOT_LIVE"),
        ),
        CallResult::Refused(refused) => of_refusal(*refused, id),
        CallResult::TooMany => too_many_calls(),
        CallResult::Unavailable => no_answer(),
        CallResult::Key(_)
        | CallResult::Published { .. }
        | CallResult::Placed { .. }
        | CallResult::Purged { .. }
        | CallResult::Rooms { .. }
        | CallResult::Sockets { .. }
        | CallResult::Present(_)
        | CallResult::Waiting(_)
        | CallResult::Recalled(_)
        | CallResult::Foreseen(_)
        | CallResult::Moved(_)
        | CallResult::Decided { .. }
        | CallResult::Kicked { .. } => {
            Status::internal("the answer to another call; this is a fault of ours")
        }
    }
}

/// As many calls as may be are under way.
pub(super) fn too_many_calls() -> Status {
    let message = "as many calls as may be are under way: ask again";
    again(Code::ResourceExhausted, message, "TOO_MANY_CALLS", RETRY)
}

/// As many backends follow rooms as may.
pub(super) fn too_many_streams() -> Status {
    let message = "as many subscriptions are open as the setting `subscriptions_max` lets be";
    again(
        Code::ResourceExhausted,
        message,
        "TOO_MANY_SUBSCRIPTIONS",
        RETRY,
    )
}

/// Nobody answered in time.
pub(super) fn no_answer() -> Status {
    let message = "no answer in time: ask again";
    again(Code::Unavailable, message, "NO_ANSWER", RETRY)
}

/// The node ends.
pub(super) fn going_away() -> Status {
    let message = "the node goes away: subscribe at another, or again";
    again(Code::Unavailable, message, "GOING_AWAY", RETRY)
}

fn of_refusal(refused: Refused, id: Option<RefusalId>) -> Status {
    let message = format!(
        "refused by the rule {}: needed is {}",
        refused.rule(),
        refused.needed()
    );
    let mut metadata = HashMap::from([("rule".to_owned(), refused.rule().to_owned())]);
    metadata.extend(id.map(|id| ("refusal_id".to_owned(), id.to_string())));
    let mut details = ErrorDetails::with_error_info("REFUSED", DOMAIN, metadata);
    let code = match refused.retry() {
        Retry::Never | Retry::Authenticate | Retry::Elsewhere => Code::InvalidArgument,
        Retry::AfterMs(ms) => {
            details.set_retry_info(Some(Duration::from_millis(u64::from(ms))));
            Code::ResourceExhausted
        }
    };
    detailed(code, message, details)
}

/// Nobody of that id waits to be let in.
pub(super) fn nobody_waits() -> Status {
    detailed(
        Code::NotFound,
        "no client of that id waits to be let in to the room on this node".to_owned(),
        reason("NOT_WAITING"),
    )
}

/// No socket of the client is in the room.
pub(super) fn nobody_inside() -> Status {
    detailed(
        Code::NotFound,
        "no socket of the client is in the room on this node".to_owned(),
        reason("NOT_INSIDE"),
    )
}

/// Nobody is known by the call's key, or it has none.
pub(super) fn unauthenticated() -> Status {
    let message =
        "an API key that is not revoked or expired is needed, as `authorization: Bearer phk_…`";
    detailed(Code::Unauthenticated, message.to_owned(), reason("API_KEY"))
}

/// The key is for something else.
pub(super) fn scope_missing() -> Status {
    let message = "the API key needs the scope `live`";
    detailed(Code::PermissionDenied, message.to_owned(), reason("SCOPE"))
}

/// The call took longer than a call may.
pub(super) fn too_late() -> Status {
    let message = "the call took longer than a call may: ask again";
    detailed(
        Code::DeadlineExceeded,
        message.to_owned(),
        reason("TOO_LATE"),
    )
}

/// What tonic says of a request that it cannot read, in our own words: one too long is
/// `OUT_OF_RANGE` to it, one that is no message `INTERNAL`. Both come as headers, for no
/// answer has begun.
pub(super) fn misnamed(headers: &HeaderMap) -> Option<Status> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let (code, message) = (header("grpc-status")?, header("grpc-message")?);
    match code {
        "11" if message.contains("decoded%20message%20length%20too%20large") => {
            let message = "the request is longer than a request may be";
            let details = reason("REQUEST_TOO_LARGE");
            Some(detailed(
                Code::ResourceExhausted,
                message.to_owned(),
                details,
            ))
        }
        "13" if message.starts_with("failed%20to%20decode%20Protobuf") => {
            let message = "the request is not a message of this method";
            let details = reason("REQUEST_MALFORMED");
            Some(detailed(Code::InvalidArgument, message.to_owned(), details))
        }
        _ => None,
    }
}

/// A field of the request is not what it must be.
pub(super) fn bad_field(field: &'static str, rule: &dyn Display) -> Status {
    let details = ErrorDetails::with_bad_request_violation(field, rule.to_string());
    detailed(Code::InvalidArgument, format!("`{field}`: {rule}"), details)
}

fn again(code: Code, message: &str, why: &str, delay: Duration) -> Status {
    let mut details = reason(why);
    details.set_retry_info(Some(delay));
    detailed(code, message.to_owned(), details)
}

fn reason(reason: &str) -> ErrorDetails {
    ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new())
}

fn detailed(code: Code, message: String, details: ErrorDetails) -> Status {
    Status::with_error_details(code, message, details)
}

#[cfg(test)]
mod tests {
    use tonic::body::Body;

    use super::*;

    #[test]
    fn a_refusal_by_a_rule_names_it() {
        let status = of(&CallResult::Refused(Refused::TextRefused));
        assert_eq!(status.code(), Code::InvalidArgument);
        let info = status.get_details_error_info().expect("it is detailed");
        assert_eq!(info.metadata["rule"], "messages.text");
        assert!(!info.metadata.contains_key("refusal_id"));
        let id = Some(RefusalId(0xab));
        let status = refused(&CallResult::Refused(Refused::Busy), id);
        let info = status.get_details_error_info().expect("it is detailed");
        assert_eq!(info.metadata["refusal_id"], "00000000000000ab");
    }

    #[test]
    fn what_passes_says_when_to_ask_again() {
        for result in [
            CallResult::Refused(Refused::Busy),
            CallResult::TooMany,
            CallResult::Unavailable,
        ] {
            let status = of(&result);
            assert!(matches!(
                status.code(),
                Code::ResourceExhausted | Code::Unavailable
            ));
            let retry = status.get_details_retry_info().expect("it is detailed");
            assert!(retry.retry_delay.is_some());
        }
    }

    #[test]
    fn statuses_of_tonics_own_are_renamed_and_ours_are_not() {
        let renamed = |code, message: &str| {
            let answer = Status::new(code, message).into_http::<Body>();
            misnamed(answer.headers()).map(|status| status.code())
        };
        let long = "Error, decoded message length too large: found 9 bytes, the limit is: 4 bytes";
        assert_eq!(
            renamed(Code::OutOfRange, long),
            Some(Code::ResourceExhausted)
        );
        let none = "failed to decode Protobuf message: invalid wire type";
        assert_eq!(renamed(Code::Internal, none), Some(Code::InvalidArgument));
        assert_eq!(renamed(Code::Internal, "a fault of ours"), None);
        assert_eq!(renamed(Code::NotFound, "no such room"), None);
    }

    #[test]
    fn a_bad_field_is_named() {
        let status = bad_field("room", &"a room is named `rooms/{room}`");
        let bad = status.get_details_bad_request().expect("it is detailed");
        assert_eq!(bad.field_violations[0].field, "room");
    }
}
