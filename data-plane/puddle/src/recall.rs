//! The last refusals of a puddle, so that each can be explained by its id for a
//! while. Owns how many are kept; a flood of refusals only makes them shorter
//! kept.

use std::collections::VecDeque;

use porthouse_model::{CloseCode, RefusalId, Refused, Revision, RoomName, SessionId, UserId};
use porthouse_rules::{Sight, remedy};

/// Refusals that a puddle keeps, and the node beside its puddles; one more takes
/// the place of the oldest.
pub const REFUSALS_KEPT_MAX: usize = 512;

/// What refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A reason of the table.
    Refused(Refused),
    /// A request was not what it must be, or came when it may not.
    Request {
        /// What was broken, by name.
        rule: &'static str,
        /// What is needed, for a person.
        needed: &'static str,
    },
}

/// By what somebody came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A session.
    Session(SessionId),
    /// A device token.
    DeviceToken(SessionId),
}

/// A refusal, as it was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recalled {
    /// Its name.
    pub id: RefusalId,
    /// What refused.
    pub cause: Cause,
    /// In which room, or at its door; `None`: in none.
    pub room: Option<RoomName>,
    /// To which user, unless anonymous.
    pub user: Option<UserId>,
    /// By what they came; `None`: by nothing that was known.
    pub by: Option<By>,
    /// The policy's revision that was applied; 0: none so far.
    pub revision: Revision,
    /// What was there.
    pub sight: Sight,
}

impl Cause {
    /// The rule or setting, by name.
    #[must_use]
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Refused(refused) => refused.rule(),
            Self::Request { rule, .. } => rule,
        }
    }

    /// What it needs, for a person.
    #[must_use]
    pub const fn needed(self) -> &'static str {
        match self {
            Self::Refused(refused) => refused.needed(),
            Self::Request { needed, .. } => needed,
        }
    }

    /// What a socket is told with that ends by it.
    #[must_use]
    pub const fn code(self) -> Option<CloseCode> {
        match self {
            Self::Refused(refused) => Some(refused.code()),
            Self::Request { .. } => None,
        }
    }

    /// What to change, for who may change it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Refused(refused) => remedy(refused),
            Self::Request { .. } => {
                "have the client send what is needed (docs/protocol.md); of what a request held \
                 nothing is kept, since it may hold secrets"
            }
        }
    }
}

impl Recalled {
    /// What was there, for a person.
    #[must_use]
    pub fn found(&self) -> String {
        match self.cause {
            Cause::Refused(refused) => self.sight.found(refused),
            Cause::Request { rule, .. } => {
                let from = self.sight.address;
                let from = from.map(|address| format!(" from the address {address}"));
                format!("a request{} that {rule} refuses", from.unwrap_or_default())
            }
        }
    }
}

/// The refusals that are kept, the oldest first.
#[derive(Debug)]
pub struct Recall {
    kept: VecDeque<Recalled>,
    refusals_max: usize,
}

impl Recall {
    /// Keeps so many.
    #[must_use]
    pub const fn new(refusals_max: usize) -> Self {
        Self {
            kept: VecDeque::new(),
            refusals_max,
        }
    }

    /// Keeps one more, and forgets the oldest where there is no place.
    pub fn keep(&mut self, recalled: Recalled) {
        if self.kept.len() >= self.refusals_max {
            self.kept.pop_front();
        }
        self.kept.push_back(recalled);
    }

    /// That one, if it is kept still.
    #[must_use]
    pub fn find(&self, id: RefusalId) -> Option<&Recalled> {
        self.kept.iter().rev().find(|recalled| recalled.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(id: u64) -> Recalled {
        Recalled {
            id: RefusalId(id),
            cause: Cause::Refused(Refused::Stale),
            room: None,
            user: None,
            by: None,
            revision: Revision(1),
            sight: Sight::default(),
        }
    }

    #[test]
    fn a_flood_of_refusals_takes_no_more_room() {
        let mut recall = Recall::new(3);
        for id in 0..10 {
            recall.keep(refusal(id));
        }
        assert_eq!(recall.kept.len(), 3);
        assert_eq!(recall.find(RefusalId(6)), None);
        assert_eq!(recall.find(RefusalId(7)), Some(&refusal(7)));
    }
}
