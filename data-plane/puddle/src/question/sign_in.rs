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
        /// On which device.
        device: DeviceMark,
    },
    /// The token (JWT) of an identity provider.
    Jwt(Secret),
    /// A code, after the password was right.
    Code {
        /// What waits for it.
        challenge: Secret,
        /// Of the second factor, or a recovery code.
        code: Secret,
        /// On which device.
        device: DeviceMark,
    },
    /// A ticket, at the upgrade it is for.
    Ticket(Box<ShownTicket>),
}

impl SignInBy {
    /// The device that it is done on.
    #[must_use]
    pub const fn device(&self) -> DeviceMark {
        match self {
            Self::Password { device, .. } | Self::Code { device, .. } => *device,
            Self::Jwt(_) | Self::Ticket(_) => DeviceMark::Unkept,
        }
    }
}

/// The mark of a device on which somebody has signed in: it is known by it again, so that
/// the wrong passwords of others keep it waiting no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceMark {
    /// It keeps none, so it is given none.
    #[default]
    Unkept,
    /// It has none, and keeps one that it is given.
    Wanted,
    /// The hash of the one that it has.
    Shown(TokenHash),
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
        /// A new mark for the device, to be handed to it.
        device_mark: Option<Secret>,
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
