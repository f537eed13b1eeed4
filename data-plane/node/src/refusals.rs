//! The last refusals of what the node answers beside its puddles, backends' calls
//! and its own routes, so that each can be explained by its id for a while.
//! Refuses nothing; each puddle keeps its own.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use porthouse_model::{RefusalId, Revision, RoomName};
use porthouse_puddle::{Cause, REFUSALS_KEPT_MAX, Recall, Recalled};
use porthouse_rules::Sight;

use crate::clock::Clock;

/// The refusals that are kept.
#[derive(Debug)]
pub(crate) struct Refusals {
    kept: Mutex<Recall>,
    /// The revision that every puddle has applied.
    applied: AtomicU64,
}

impl Refusals {
    pub(crate) const fn new() -> Self {
        Self {
            kept: Mutex::new(Recall::new(REFUSALS_KEPT_MAX)),
            applied: AtomicU64::new(0),
        }
    }

    /// Names a refusal, of something in a room or in none.
    pub(crate) fn keep(
        &self,
        cause: Cause,
        room: Option<&RoomName>,
        address: Option<IpAddr>,
    ) -> RefusalId {
        let id = RefusalId(rand::random());
        let recalled = Recalled {
            id,
            cause,
            room: room.cloned(),
            user: None,
            by: None,
            revision: Revision(self.applied.load(Ordering::Relaxed)),
            sight: Sight {
                address,
                wall: Some(Clock::wall()),
                ..Sight::default()
            },
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.keep(recalled);
        id
    }

    /// That one, if it is kept still.
    pub(crate) fn find(&self, id: RefusalId) -> Option<Recalled> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.find(id).cloned()
    }

    /// Every puddle has applied this.
    pub(crate) fn applied(&self, revision: Revision) {
        self.applied.store(revision.0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use porthouse_model::Refused;

    use super::*;

    #[test]
    fn what_the_node_refuses_is_kept_by_its_id_and_forgotten_after_enough_others() {
        let refusals = Refusals::new();
        refusals.applied(Revision(7));
        let room: RoomName = "lobby".parse().expect("a name");
        let cause = Cause::Refused(Refused::TextRefused);
        let id = refusals.keep(cause, Some(&room), None);
        let found = refusals.find(id).expect("it is kept");
        assert_eq!(
            (found.cause, found.room, found.revision),
            (cause, Some(room), Revision(7))
        );
        for _ in 0..REFUSALS_KEPT_MAX {
            refusals.keep(cause, None, None);
        }
        assert_eq!(refusals.find(id), None);
    }
}
