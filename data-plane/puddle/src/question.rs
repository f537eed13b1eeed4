//! What only the control plane can answer, and the answers. Owns the types;
//! decides nothing.

mod sign_in;
mod verification;

use core::fmt;
use core::net::IpAddr;
use std::sync::Arc;

use porthouse_model::{ApiKey, Block, Endpoint, Member, PolicyKey, Revision, Session};

pub use sign_in::{DeviceMark, ShownTicket, SignInBy, SignInVerdict};
pub use verification::{Pass, Proof, Verdict, Verification};

use crate::policy::{RoomPolicy, TemplatePolicy};

/// Names a question of one puddle until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuestionId(pub u64);

/// A question.
#[derive(Clone, Debug)]
pub enum Question {
    /// How does this stand?
    Resolve {
        /// What.
        key: PolicyKey,
        /// The answer must be at least this new.
        min_revision: Revision,
    },
    /// Does this pass a step of a room's entry?
    Verify(Box<Verification>),
    /// Sign somebody in.
    SignIn {
        /// By what.
        by: SignInBy,
        /// From where.
        address: IpAddr,
    },
}

/// An answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// To `Resolve`.
    Resolved {
        /// The snapshot the answer was read from.
        revision: Revision,
        /// What was found.
        known: Known,
    },
    /// To `Verify`.
    Verified(Verdict),
    /// To `SignIn`.
    SignIn(SignInVerdict),
    /// The control plane could not be asked.
    Unavailable,
}

/// How something stands.
#[derive(Clone, Debug)]
pub enum Known {
    /// A persistent room, its rules compiled.
    Room(Arc<RoomPolicy>),
    /// No room of that name, but a template that covers it, its rules compiled.
    Templated(Arc<TemplatePolicy>),
    /// A live session.
    Session(Arc<Session>),
    /// A membership.
    Member(Member),
    /// A user's block.
    Block(Block),
    /// An API key.
    ApiKey(Arc<ApiKey>),
    /// An endpoint.
    Endpoint(Arc<Endpoint>),
    /// There is no such thing.
    Absent,
}

/// Text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text from being shown.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, to be verified.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
