//! Who owns a transient room, and whether it goes on without them.
//!
//! Owns the order in which clients came and the owner's succession, one decision
//! for all puddles. Never knows what an owner may do.

use std::collections::{BTreeMap, VecDeque};

use porthouse_model::{ClientId, Refused, Time};

use super::devices::Whereabouts;
use crate::input::PuddleId;
use crate::output::WireForm;

/// So many who have gone are kept in the order of those who came, beside as many as are
/// there.
const GONE_MAX: usize = 16;

/// How long a transient room lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoomLife {
    /// As long as its owner is in it.
    Peer,
    /// As long as anybody is: the one who has been there longest is its next
    /// owner.
    Peerless,
}

/// Who owns a room, as puddles are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owned {
    /// How long it lives.
    pub life: RoomLife,
    /// The owner.
    pub owner: ClientId,
    /// Grows with each owner, so that what comes late is told apart.
    pub epoch: u64,
}

/// What follows when somebody has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follows {
    /// Nothing.
    Nothing,
    /// The room has another owner.
    Passed(Owned),
    /// The room ends, and those inside are told why.
    Ended(Refused),
    /// Nobody is inside.
    Empty,
}

/// The ownership of one transient room.
#[derive(Debug)]
pub(crate) struct Ownership {
    owned: Owned,
    inside: BTreeMap<ClientId, Inside>,
    /// The same in the order in which they came. Some of them have gone since; the
    /// first has not.
    order: VecDeque<(u64, ClientId)>,
    next: u64,
    /// The owner is known from others only, and must show up by then.
    awaited_until: Option<Time>,
}

#[derive(Debug, Default)]
struct Inside {
    since: u64,
    here: Whereabouts,
}

impl Ownership {
    /// Somebody has made the room, and is about to be in it by then.
    pub(crate) fn made(owned: Owned, awaited_until: Time) -> Self {
        Self {
            owned,
            inside: BTreeMap::new(),
            order: VecDeque::new(),
            next: 0,
            awaited_until: Some(awaited_until),
        }
    }

    /// Who owns it.
    pub(crate) const fn owned(&self) -> Owned {
        self.owned
    }

    /// A puddle that knew the room before this began says who owns it. The
    /// newest word counts. Answers whether this one was news.
    pub(crate) fn claim(&mut self, owned: Owned) -> bool {
        let newer = owned.epoch > self.owned.epoch;
        if newer {
            self.owned = owned;
        }
        newer
    }

    /// A client's socket came in.
    pub(crate) fn arrive(&mut self, puddle: PuddleId, client: ClientId, form: WireForm) {
        let inside = self.inside.entry(client).or_default();
        if inside.here.is_empty() {
            inside.since = self.next;
            self.order.push_back((self.next, client));
            self.next += 1;
        }
        inside.here.add(puddle, form);
        if client == self.owned.owner {
            self.awaited_until = None;
        }
    }

    /// A client's socket went.
    pub(crate) fn depart(&mut self, puddle: PuddleId, client: ClientId, form: WireForm) -> Follows {
        if let Some(inside) = self.inside.get_mut(&client) {
            inside.here.remove(puddle, form);
            self.departed(client);
        }
        self.follows()
    }

    /// A puddle is gone with all its sockets.
    pub(crate) fn lose(&mut self, puddle: PuddleId) -> Follows {
        let losing = self.inside.iter_mut();
        let lost: Vec<_> = losing
            .filter_map(|(client, inside)| inside.here.lose(puddle).then_some(*client))
            .collect();
        for client in lost {
            self.departed(client);
        }
        self.follows()
    }

    /// By when an owner that is only known from others must have shown up.
    pub(crate) const fn due(&self) -> Option<Time> {
        self.awaited_until
    }

    /// An owner that did not show up by then is not there.
    pub(crate) fn settle(&mut self, now: Time) -> Follows {
        if self.awaited_until.is_none_or(|until| until > now) {
            return Follows::Nothing;
        }
        self.awaited_until = None;
        self.follows()
    }

    /// The owner hands the room to somebody inside.
    ///
    /// # Errors
    ///
    /// [`Refused::RulesRefused`]: only the owner may. [`Refused::JoinRefused`]:
    /// the other is not inside.
    pub(crate) fn pass(&mut self, by: ClientId, to: ClientId) -> Result<Owned, Refused> {
        if by != self.owned.owner {
            return Err(Refused::RulesRefused);
        }
        if !self.inside.contains_key(&to) {
            return Err(Refused::JoinRefused);
        }
        if to != by {
            self.succeed(to);
        }
        Ok(self.owned)
    }

    /// The owner has changed the room's rules: a new epoch of the same owner.
    ///
    /// # Errors
    ///
    /// [`Refused::RulesRefused`]: only the owner may.
    pub(crate) fn ruled_by(&mut self, by: ClientId) -> Result<(), Refused> {
        if by != self.owned.owner {
            return Err(Refused::RulesRefused);
        }
        self.succeed(by);
        Ok(())
    }

    fn departed(&mut self, client: ClientId) {
        if let Some(inside) = self.inside.get(&client)
            && inside.here.is_empty()
        {
            self.inside.remove(&client);
            self.forget_gone();
        }
    }

    /// Whoever is first is there, and half of the others are, of more than a few.
    fn forget_gone(&mut self) {
        let inside = &self.inside;
        let is_there = |(since, client): &(u64, ClientId)| {
            let known = inside.get(client);
            known.is_some_and(|known| known.since == *since)
        };
        if self.order.len() > 2 * inside.len() + GONE_MAX {
            self.order.retain(is_there);
        }
        while self.order.front().is_some_and(|first| !is_there(first)) {
            self.order.pop_front();
        }
    }

    fn follows(&mut self) -> Follows {
        if self.awaited_until.is_some() || self.inside.contains_key(&self.owned.owner) {
            return Follows::Nothing;
        }
        let Some(&(_, next)) = self.order.front() else {
            return Follows::Empty;
        };
        match self.owned.life {
            RoomLife::Peer => Follows::Ended(Refused::OwnerLeft),
            RoomLife::Peerless => {
                self.succeed(next);
                Follows::Passed(self.owned)
            }
        }
    }

    fn succeed(&mut self, owner: ClientId) {
        self.owned.owner = owner;
        self.owned.epoch += 1;
    }
}

#[cfg(test)]
#[path = "ownership/tests.rs"]
mod tests;
