//! What can go wrong between the store and its database, said as what the caller
//! can do about it. Never carries a value that was written or read.

use diesel::result::{DatabaseErrorKind, Error};

use super::guarded::Broken;

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The database cannot be reached, or no connection came free in time. Retry
    /// later. A write may have been made all the same if its connection broke at
    /// the commit.
    #[error("the database is not available")]
    Unavailable,
    /// Another transaction was in the way: deadlock, lock wait, statement time.
    /// Nothing was written. Retry.
    #[error("another write was in the way")]
    Contended,
    /// A row with this key is there; named by the constraint.
    #[error("already there ({0})")]
    Taken(String),
    /// A row that this one refers to is not there; named by the constraint.
    #[error("what it refers to is not there ({0})")]
    Missing(String),
    /// No such row.
    #[error("not there")]
    NotFound,
    /// The write would change more than one revision may carry.
    #[error("a single write may change at most {items_max} things that nodes obey")]
    TooMuch {
        /// The most it may be.
        items_max: usize,
    },
    /// What nodes would be told of the write is longer than they take.
    #[error("what nodes are told of a single write is at most {bytes_max} bytes")]
    TooLong {
        /// The most it may be.
        bytes_max: usize,
    },
    /// The write would break a guard. Nothing was written.
    #[error("{0}")]
    GuardBroken(Box<Broken>),
    /// A row says what this version has no meaning for, or the log's hashes do
    /// not match. Needs a person.
    #[error("the database holds what cannot be read: {0}")]
    Corrupt(&'static str),
    /// Notifications do not arrive through this connection.
    #[error(
        "LISTEN does not work through the configured database URL (DATABASE_URL, `database_url`): \
         it must lead to Postgres itself or to a pooler in session mode, not in transaction mode"
    )]
    Pooled,
    /// A bug: a statement the database refuses.
    #[error("the database refused a statement: {0}")]
    Refused(String),
}

#[expect(clippy::wildcard_enum_match_arm, reason = "diesel's enums grow")]
impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => Self::NotFound,
            Error::DatabaseError(kind, information) => {
                let constraint = || information.constraint_name().unwrap_or_default().to_owned();
                match kind {
                    DatabaseErrorKind::UniqueViolation => Self::Taken(constraint()),
                    DatabaseErrorKind::ForeignKeyViolation => Self::Missing(constraint()),
                    DatabaseErrorKind::SerializationFailure => Self::Contended,
                    DatabaseErrorKind::UnableToSendCommand
                    | DatabaseErrorKind::ClosedConnection => Self::Unavailable,
                    _ => by_message(information.message()),
                }
            }
            Error::BrokenTransactionManager => Self::Unavailable,
            other => Self::Refused(other.to_string()),
        }
    }
}

/// Diesel does not hand out the SQLSTATE of these, so they are told by the text
/// that Postgres gives them, which the store's connections ask for in English.
fn by_message(message: &str) -> StoreError {
    const CONTENDED: [&str; 3] = [
        "deadlock detected",
        "canceling statement due to lock timeout",
        "canceling statement due to statement timeout",
    ];
    const UNAVAILABLE: [&str; 6] = [
        "terminating connection",
        "the database system is",
        "sorry, too many clients already",
        "remaining connection slots are reserved",
        "cannot execute",
        "canceling statement due to user request",
    ];
    if CONTENDED.iter().any(|start| message.starts_with(start)) {
        StoreError::Contended
    } else if UNAVAILABLE.iter().any(|start| message.starts_with(start)) {
        StoreError::Unavailable
    } else {
        StoreError::Refused(message.to_owned())
    }
}
