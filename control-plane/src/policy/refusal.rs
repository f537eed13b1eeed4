//! What a node is told when it does not get what it asked for, once for all its
//! calls. Never says what the database said.

use std::time::Duration;

use porthouse_api::node::BadMessage;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::store::StoreError;

/// When to ask again for what cannot be had now.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Why a node does not get what it asked for.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The request breaks the protocol; asking again is no use.
    Bad(&'static str),
    /// The position is not in the log: open without one and resolve anew.
    Resync,
    /// The watch ends; open it again from the position it had come to.
    Reopen(&'static str),
    /// The key that the call came with was deleted or has expired.
    KeyGone,
    /// As much of this is going on as may.
    Busy(&'static str),
    /// This replica cannot tell now: ask again, or another one.
    Unavailable(&'static str),
    /// A bug, or a database that cannot be read.
    Internal,
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Bad(what) => Self::invalid_argument(what),
            Refusal::Resync => Self::out_of_range(
                "the position is not in the log: open a watch without one and resolve anew",
            ),
            Refusal::Reopen(why) => Self::aborted(why),
            Refusal::KeyGone => {
                Self::unauthenticated("the API key was revoked or has expired: use another one")
            }
            Refusal::Busy(what) => later(Code::ResourceExhausted, what),
            Refusal::Unavailable(why) => later(Code::Unavailable, why),
            Refusal::Internal => Self::internal("the control plane could not do it; see its log"),
        }
    }
}

/// A status that says when to ask again.
fn later(code: Code, why: &str) -> Status {
    Status::with_error_details(code, why, ErrorDetails::with_retry_info(Some(RETRY_DELAY)))
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable | StoreError::Contended => {
                Self::Unavailable("the database does not answer; ask again")
            }
            StoreError::TooMuch { .. } => Self::Busy("there are as many nodes as may be"),
            StoreError::Taken(_)
            | StoreError::TooLong { .. }
            | StoreError::Missing(_)
            | StoreError::NotFound
            | StoreError::GuardBroken(_)
            | StoreError::Corrupt(_)
            | StoreError::Pooled
            | StoreError::Refused(_) => {
                tracing::error!(%error, "a node's call failed");
                Self::Internal
            }
        }
    }
}

impl From<diesel::result::Error> for Refusal {
    fn from(error: diesel::result::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl From<BadMessage> for Refusal {
    fn from(bad: BadMessage) -> Self {
        Self::Bad(bad.field)
    }
}
