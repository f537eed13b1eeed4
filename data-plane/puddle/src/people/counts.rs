//! How many sockets may be in one room, and how many of one client: the one
//! place where that is decided, whichever puddle holds them.
//!
//! Owns a place for each socket that is in or about to be. Never puts anybody
//! out itself: it says who must go.

use std::collections::{BTreeMap, BTreeSet};

use porthouse_model::{ClientId, ClientSockets, ConnectionRules, Refused, Surplus};

use crate::input::{PuddleId, SocketId};

/// A socket, wherever on the node it is.
pub(crate) type At = (PuddleId, SocketId);

/// How many there may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// In the room; `None`: any number.
    pub sockets_max: Option<u32>,
    /// Of one client.
    pub per_client: Option<ClientSockets>,
}

impl Limits {
    /// A room's limits.
    pub(crate) const fn of(rules: &ConnectionRules) -> Self {
        Self {
            sockets_max: rules.sockets_max,
            per_client: rules.sockets_per_client,
        }
    }

    /// Whether there are any.
    pub(crate) const fn are_set(self) -> bool {
        self.sockets_max.is_some() || self.per_client.is_some()
    }
}

/// What becomes of a socket that asks for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has one.
    Placed,
    /// It has one once this other has gone, which must go, if it was not told.
    After(At),
    /// There is none.
    Refused(Refused),
}

/// Who must go because there may be fewer now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Surplusage {
    /// Whoever must go.
    pub socket: At,
    /// Why.
    pub refused: Refused,
}

/// The places of one room.
#[derive(Debug, Default)]
pub(crate) struct Places {
    limits: Limits,
    held: BTreeMap<At, Place>,
    /// Those of each client, in the order in which they came.
    clients: BTreeMap<ClientId, BTreeSet<(u64, At)>>,
    /// All, in the same order.
    order: BTreeSet<(u64, At)>,
    /// Who must go, and who waits for that, if anybody does.
    going: BTreeMap<At, Option<At>>,
    /// The same from the other side.
    waiting: BTreeMap<At, At>,
    next: u64,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    number: u64,
    client: ClientId,
}

impl Places {
    /// A socket asks for a place; one that has it already has it. Whoever must
    /// go keeps theirs until they have gone.
    pub(crate) fn ask(&mut self, socket: At, client: ClientId) -> Verdict {
        if self.held.contains_key(&socket) {
            let before = self.waiting.get(&socket).copied();
            return before.map_or(Verdict::Placed, Verdict::After);
        }
        let oldest = match self.oldest_of(client) {
            Ok(oldest) => oldest,
            Err(refused) => return Verdict::Refused(refused),
        };
        if oldest.is_none() && self.is_full() {
            return Verdict::Refused(Refused::RoomFull);
        }
        self.hold(socket, client);
        match oldest {
            Some(oldest) => {
                self.going.insert(oldest, Some(socket));
                self.waiting.insert(socket, oldest);
                Verdict::After(oldest)
            }
            None => Verdict::Placed,
        }
    }

    /// A socket that was let in before this began: it has its place whatever
    /// the limits say.
    pub(crate) fn claim(&mut self, socket: At, client: ClientId) {
        if !self.held.contains_key(&socket) {
            self.hold(socket, client);
        }
    }

    /// A socket is not there any more, or does not come. Answers who has a place
    /// by that.
    pub(crate) fn give_back(&mut self, socket: At) -> Option<At> {
        let place = self.held.remove(&socket)?;
        self.order.remove(&(place.number, socket));
        if let Some(of_client) = self.clients.get_mut(&place.client) {
            of_client.remove(&(place.number, socket));
            if of_client.is_empty() {
                self.clients.remove(&place.client);
            }
        }
        let heir = self.going.remove(&socket).flatten();
        if let Some(heir) = heir {
            self.waiting.remove(&heir);
        }
        let Some(goer) = self.waiting.remove(&socket) else {
            return heir;
        };
        // It had waited itself: whoever waited for it waits on.
        self.going.insert(goer, heir);
        if let Some(heir) = heir {
            self.waiting.insert(heir, goer);
        }
        None
    }

    /// A puddle is gone with all its sockets. Answers who has a place by that.
    pub(crate) fn lose(&mut self, puddle: PuddleId) -> Vec<At> {
        let lost = self.held.keys().filter(|(at, _)| *at == puddle);
        let lost: Vec<At> = lost.copied().collect();
        let heirs: Vec<At> = lost
            .into_iter()
            .filter_map(|socket| self.give_back(socket))
            .collect();
        heirs.into_iter().filter(|(at, _)| *at != puddle).collect()
    }

    /// The limits are these now. Answers who must go for them: of a client by
    /// its rule, of the room those who came last.
    pub(crate) fn limit(&mut self, limits: Limits) -> Vec<Surplusage> {
        self.limits = limits;
        let mut surplus = Vec::new();
        if let Some(per_client) = limits.per_client {
            for of_client in self.clients.values() {
                surplus.extend(self.surplus_of(of_client, per_client));
            }
        }
        let goers = surplus.iter().map(|one| (one.socket, None));
        self.going.extend(goers);
        let over = self.over();
        let newest = self.order.iter().rev().map(|(_, socket)| *socket);
        let out = newest.filter(|socket| !self.going.contains_key(socket));
        let out: Vec<At> = out.take(over).collect();
        for socket in out {
            self.going.insert(socket, None);
            let refused = Refused::RoomFull;
            surplus.push(Surplusage { socket, refused });
        }
        surplus
    }

    /// A client's sockets past its limit: its rule says which.
    fn surplus_of(&self, of_client: &BTreeSet<(u64, At)>, limit: ClientSockets) -> Vec<Surplusage> {
        let sockets = of_client.iter().map(|(_, socket)| *socket);
        let stays = sockets.filter(|socket| !self.going.contains_key(socket));
        let mut stays: Vec<At> = stays.collect();
        let over = stays.len().saturating_sub(limit.sockets_max as usize);
        let refused = match limit.surplus {
            Surplus::Newest => {
                stays.reverse();
                Refused::ClientFull
            }
            Surplus::Oldest => Refused::Replaced,
        };
        let out = stays.into_iter().take(over);
        out.map(|socket| Surplusage { socket, refused }).collect()
    }

    /// How many there are past the room's limit.
    fn over(&self) -> usize {
        let stay = self.held.len() - self.going.len();
        let max = self.limits.sockets_max;
        max.map_or(0, |max| stay.saturating_sub(max as usize))
    }

    /// Whoever waits for another's place takes none beside it.
    fn is_full(&self) -> bool {
        let taken = self.held.len() - self.waiting.len();
        let max = self.limits.sockets_max;
        max.is_some_and(|max| taken >= max as usize)
    }

    /// The socket that goes for one more of this client, if one must.
    fn oldest_of(&self, client: ClientId) -> Result<Option<At>, Refused> {
        let (Some(limit), Some(of_client)) = (self.limits.per_client, self.clients.get(&client))
        else {
            return Ok(None);
        };
        let awaited = |socket: &At| matches!(self.going.get(socket), Some(Some(_)));
        let keeps = |(_, socket): &&(u64, At)| !awaited(socket);
        if of_client.iter().filter(keeps).count() < limit.sockets_max as usize {
            return Ok(None);
        }
        match limit.surplus {
            Surplus::Newest => Err(Refused::ClientFull),
            Surplus::Oldest => {
                let oldest = of_client.iter().find(keeps);
                Ok(Some(oldest.expect("at least one may be inside").1))
            }
        }
    }

    fn hold(&mut self, socket: At, client: ClientId) {
        let number = self.next;
        self.next += 1;
        self.held.insert(socket, Place { number, client });
        self.order.insert((number, socket));
        let of_client = self.clients.entry(client).or_default();
        of_client.insert((number, socket));
    }
}

#[cfg(test)]
#[path = "counts/tests.rs"]
mod tests;
