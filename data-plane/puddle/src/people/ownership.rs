//! Who owns a transient room, and whether it goes on without them.
//!
//! Owns the owner's succession, one decision for all puddles. Never knows what an
//! owner may do; who is inside is kept by the room's home.

use std::collections::VecDeque;

use porthouse_model::{ClientId, Refused, Time};

use crate::home::Guests;

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
    /// Clients in the order in which they came, with their places. Some of them have gone
    /// since; the first has not.
    order: VecDeque<(u64, ClientId)>,
    /// The owner is known from others only, and must show up by then.
    awaited_until: Option<Time>,
}

impl Ownership {
    /// Somebody has made the room, and is about to be in it by then.
    pub(crate) fn made(owned: Owned, awaited_until: Time, guests: &Guests) -> Self {
        Self {
            owned,
            order: guests.in_order().into(),
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

    /// A client came in, with its first socket.
    pub(crate) fn arrive(&mut self, client: ClientId, since: u64) {
        self.order.push_back((since, client));
        if client == self.owned.owner {
            self.awaited_until = None;
        }
    }

    /// Clients have gone, with their last sockets; these are inside.
    pub(crate) fn depart(&mut self, guests: &Guests) -> Follows {
        self.forget_gone(guests);
        self.follows(guests)
    }

    /// By when an owner that is only known from others must have shown up.
    pub(crate) const fn due(&self) -> Option<Time> {
        self.awaited_until
    }

    /// An owner that did not show up by then is not there.
    pub(crate) fn settle(&mut self, now: Time, guests: &Guests) -> Follows {
        if self.awaited_until.is_none_or(|until| until > now) {
            return Follows::Nothing;
        }
        self.awaited_until = None;
        self.follows(guests)
    }

    /// The owner hands the room to somebody inside.
    ///
    /// # Errors
    ///
    /// [`Refused::RulesRefused`]: only the owner may. [`Refused::JoinRefused`]:
    /// the other is not inside.
    pub(crate) fn pass(
        &mut self,
        by: ClientId,
        to: ClientId,
        guests: &Guests,
    ) -> Result<Owned, Refused> {
        if by != self.owned.owner {
            return Err(Refused::RulesRefused);
        }
        if guests.since(to).is_none() {
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

    /// Whoever is first is there, and half of the others are, of more than a few.
    fn forget_gone(&mut self, guests: &Guests) {
        let is_there = |(since, client): &(u64, ClientId)| guests.since(*client) == Some(*since);
        if self.order.len() > 2 * guests.clients() + GONE_MAX {
            self.order.retain(is_there);
        }
        while self.order.front().is_some_and(|first| !is_there(first)) {
            self.order.pop_front();
        }
    }

    /// Every invariant.
    pub(crate) fn check(&self, guests: &Guests) {
        let there = |(since, client): &&(u64, ClientId)| guests.since(*client) == Some(*since);
        let known = self.order.iter().filter(there).count();
        assert_eq!(known, guests.clients(), "who is inside is in the order");
    }

    fn follows(&mut self, guests: &Guests) -> Follows {
        if self.awaited_until.is_some() || guests.since(self.owned.owner).is_some() {
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
