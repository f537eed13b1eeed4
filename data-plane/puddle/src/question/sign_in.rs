//! What somebody signs in by, and how that ends. Owns the types; decides nothing,
//! and shows no secret.

use core::time::Duration;
use std::sync::Arc;

use porthouse_model::{Revision, Session, TokenHash, UnixTime, Username};

use super::Secret;

/// What somebody signs in by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignInBy {
    /// A name and a password.
    Password {
        /// Who.
        username: Username,
        /// By this password.
        password: Secret,
    },
    /// The token (JWT) of an identity provider.
    Jwt(Secret),
    /// A code, after the password was right.
    Code {
        /// What waits for it.
        challenge: Secret,
        /// Of the second factor, or a recovery code.
        code: Secret,
    },
    /// A ticket, at the upgrade it is for.
    Ticket(Box<ShownTicket>),
}

/// A ticket as it was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownTicket {
    /// Its hash.
    pub ticket: TokenHash,
    /// The page's origin, where a browser gave one.
    pub origin: Option<Box<str>>,
    /// The path, in its one form: `/`, `/{room}`, or `/@{address}`.
    pub path: String,
    /// What tells this upgrade from every other: as the key it came with is
    /// answered.
    pub upgrade: Box<[u8]>,
}

/// How a sign-in ended.
#[derive(Clone, Debug)]
pub enum SignInVerdict {
    /// A session was opened.
    Right {
        /// The session.
        session: Arc<Session>,
        /// The hash of its token.
        token: TokenHash,
        /// The snapshot it was read from.
        revision: Revision,
    },
    /// The password was right, and a code is needed too.
    CodeNeeded {
        /// What goes on with it.
        challenge: Secret,
        /// Until when.
        expires: UnixTime,
    },
    /// Unknown user or wrong password; or a wrong code, and the challenge still
    /// stands.
    Wrong,
    /// The challenge stands no more.
    Gone,
    /// Too many attempts; not before so long.
    Later(Duration),
}
