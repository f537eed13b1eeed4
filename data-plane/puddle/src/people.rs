//! The people of one room, as the room's home puddle keeps them: who is there,
//! how many may be, and who owns a transient room.
//!
//! Owns what is one per room and concerns sockets on every puddle. Never sees a
//! message and never touches a socket: puddles report, and do what it says.

mod devices;
mod presence;
mod counts;
mod ownership;
mod owner_rules;

use std::collections::BTreeMap;
use std::sync::Arc;

use porthouse_model::{ClientId, PresenceRules, Refused, RoomRules, Shown, Time};

use crate::home::{Guest, Guests, Known};
use crate::hop::Puddles;
use crate::input::PuddleId;
pub(crate) use counts::{At, Limits};
use counts::{Places, Surplusage, Verdict};
pub(crate) use devices::Devices;
pub use owner_rules::OwnerRule;
pub(crate) use owner_rules::{OwnerRuleFault, wish};
pub(crate) use ownership::Owned;
pub use ownership::RoomLife;
use ownership::{Follows, Ownership};
use presence::Presence;
pub(crate) use presence::{Batch, Page, Present};

/// Something puddles are told of a room's people.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    /// To one who waits: come in. With the ask that is answered by it.
    Placed(PuddleId, u64, Guest),
    /// To one who is inside, or waits to be: go.
    Go(At, Refused),
    /// To those who look: this has changed.
    Batch(Puddles, Arc<Batch>),
    /// To all: the room has another owner.
    Owned,
    /// To all: the room is over.
    Ended(Refused),
}

/// Somebody in a room's door.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// When.
    pub now: Time,
    /// At which puddle.
    pub from: PuddleId,
    /// What is answered, if not at once.
    pub ask: u64,
    /// Who.
    pub guest: Guest,
}

/// How a transient room comes to be owned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Making {
    /// How long it lives, if it is made by this.
    pub life: RoomLife,
    /// Who owns it already, as the asker knows.
    pub claim: Option<Owned>,
    /// By when a claimed owner must have shown up.
    pub until: Time,
}

/// Where somebody in the door stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placing {
    /// In.
    Placed,
    /// In once another has gone: [`Say::Placed`] tells when.
    Later,
}

/// The people of one room.
#[derive(Debug)]
pub(crate) struct People {
    limits: Limits,
    places: Places,
    presence: Option<Presence>,
    ownership: Option<Ownership>,
    /// Puddles on which somebody looks at presence.
    watching: Puddles,
    /// Who has a place once another has gone, and their asks.
    waiting: BTreeMap<At, (u64, Guest)>,
    /// Of those, who has one now, until they are inside.
    placed: Vec<(PuddleId, Guest)>,
    ended: bool,
    says: Vec<Say>,
}

impl People {
    /// Nobody is there, and nothing is ruled yet.
    pub(crate) fn new() -> Self {
        Self {
            limits: Limits::default(),
            places: Places::default(),
            presence: None,
            ownership: None,
            watching: Puddles::default(),
            waiting: BTreeMap::new(),
            placed: Vec::new(),
            ended: false,
            says: Vec::new(),
        }
    }

    /// The room's rules are these now, and these are inside.
    pub(crate) fn rule<'a>(
        &mut self,
        rules: &RoomRules,
        guests: impl Iterator<Item = (At, &'a Known)> + Clone,
    ) {
        let limits = Limits::of(&rules.connection);
        if limits != self.limits {
            self.limit(limits, guests.clone());
        }
        let shown = self.presence.as_ref().map_or(Shown::Off, Presence::shown);
        match &mut self.presence {
            None if rules.presence.shown == Shown::Off => {}
            Some(presence) if rules.presence.shown == shown => {
                presence.rule(rules.presence);
            }
            Some(_) | None => {
                // Who looked asks again.
                self.watching = Puddles::default();
                self.presence = presence(rules.presence);
                for (at, guest) in guests {
                    if !self.waiting.contains_key(&at) {
                        self.show(at.0, guest);
                    }
                }
            }
        }
    }

    /// Somebody is about to come in.
    ///
    /// # Errors
    ///
    /// There is no place for them.
    pub(crate) fn arrive(&mut self, arrival: Arrival) -> Result<Placing, Refused> {
        let Arrival {
            from, ask, guest, ..
        } = arrival;
        if self.ended {
            return Err(Refused::Busy);
        }
        let at = (from, guest.socket);
        if self.limits.are_set() && !guest.posts {
            match self.places.ask(at, guest.client) {
                Verdict::Placed => {}
                Verdict::Refused(refused) => return Err(refused),
                Verdict::After(goer) => {
                    self.says.push(Say::Go(goer, Refused::Replaced));
                    self.waiting.insert(at, (ask, guest));
                    return Ok(Placing::Later);
                }
            }
        }
        self.show(from, &guest.known());
        Ok(Placing::Placed)
    }

    /// Somebody has been inside before this began. Whoever is one too many goes.
    pub(crate) fn here(&mut self, at: At, guest: &Known) {
        if self.limits.are_set() {
            self.places.claim(at, guest.client);
            let surplus = self.places.limit(self.limits);
            self.send_away(surplus);
        }
        self.show(at.0, guest);
    }

    /// A client is inside, with its first socket.
    pub(crate) fn arrived(&mut self, client: ClientId, since: u64) {
        if let Some(ownership) = &mut self.ownership {
            ownership.arrive(client, since);
        }
    }

    /// Who waited for another to go and has a place now; they are inside from here on.
    pub(crate) fn take_placed(&mut self) -> Vec<(PuddleId, Guest)> {
        std::mem::take(&mut self.placed)
    }

    /// Somebody has gone; these are inside.
    pub(crate) fn departed(&mut self, guests: &Guests) {
        if let Some(ownership) = &mut self.ownership {
            let follows = ownership.depart(guests);
            self.follow(follows);
        }
    }

    /// The room is made by somebody in its door, or its owner is heard of.
    pub(crate) fn own(&mut self, by: ClientId, making: Making, guests: &Guests) {
        match (&mut self.ownership, making.claim) {
            (Some(ownership), Some(claim)) => {
                if ownership.claim(claim) {
                    self.says.push(Say::Owned);
                }
            }
            (Some(_), None) => {}
            (None, claim) => {
                let owned = claim.unwrap_or(Owned {
                    life: making.life,
                    owner: by,
                    epoch: 1,
                });
                self.ownership = Some(Ownership::made(owned, making.until, guests));
            }
        }
    }

    /// Nobody owns the room any more.
    pub(crate) fn disown(&mut self) {
        self.ownership = None;
    }

    /// Who owns it, where it is transient.
    pub(crate) fn owned(&self) -> Option<Owned> {
        self.ownership.as_ref().map(Ownership::owned)
    }

    /// The owner hands the room on.
    ///
    /// # Errors
    ///
    /// Only the owner may, and only to somebody inside.
    pub(crate) fn pass(
        &mut self,
        by: ClientId,
        to: ClientId,
        guests: &Guests,
    ) -> Result<(), Refused> {
        let ownership = self.ownership.as_mut().ok_or(Refused::RulesRefused)?;
        let before = ownership.owned();
        if ownership.pass(by, to, guests)? != before {
            self.says.push(Say::Owned);
        }
        Ok(())
    }

    /// The owner has changed the rules, which everybody is told.
    ///
    /// # Errors
    ///
    /// Only the owner may.
    pub(crate) fn ruled_by(&mut self, by: ClientId) -> Result<(), Refused> {
        let ownership = self.ownership.as_mut().ok_or(Refused::RulesRefused)?;
        ownership.ruled_by(by)?;
        self.says.push(Say::Owned);
        Ok(())
    }

    /// A socket goes, for the one that goes on from where it was.
    pub(crate) fn send_off(&mut self, socket: At, refused: Refused) {
        self.says.push(Say::Go(socket, refused));
    }

    /// Somebody has gone, or does not come: [`Self::take_placed`] and then
    /// [`Self::departed`] tell what follows.
    pub(crate) fn depart(&mut self, now: Time, at: At, guest: Option<&Known>) {
        let (puddle, _) = at;
        self.waiting.remove(&at);
        if let Some(heir) = self.places.give_back(at) {
            self.placed(heir);
        }
        if let Some(guest) = guest.filter(|guest| !guest.posts)
            && let Some(presence) = &mut self.presence
        {
            presence.depart(now, puddle, guest.client, guest.form);
        }
    }

    /// A puddle has nobody in the room any more: the same.
    pub(crate) fn lose(&mut self, now: Time, puddle: PuddleId) {
        self.waiting.retain(|(at, _), _| *at != puddle);
        self.watching.remove(puddle);
        for heir in self.places.lose(puddle) {
            self.placed(heir);
        }
        if let Some(presence) = &mut self.presence {
            presence.lose(now, puddle);
        }
    }

    /// Some of those who are there, for a puddle that is told of all changes
    /// from here on; nothing where nothing is shown.
    pub(crate) fn look(
        &mut self,
        puddle: PuddleId,
        after: Option<ClientId>,
        entries_max: usize,
    ) -> Option<Page> {
        let page = self.page(after, entries_max)?;
        self.watching.insert(puddle);
        Some(page)
    }

    /// Nobody on a puddle looks any more.
    pub(crate) const fn look_away(&mut self, puddle: PuddleId) {
        self.watching.remove(puddle);
    }

    /// Some of those who are there; nothing where nothing is shown.
    pub(crate) fn page(&self, after: Option<ClientId>, entries_max: usize) -> Option<Page> {
        let presence = self.presence.as_ref()?;
        Some(presence.page(after, entries_max))
    }

    /// When [`Self::settle`] has something to do.
    pub(crate) fn due(&self) -> Option<Time> {
        let presence = self.presence.as_ref().and_then(Presence::due);
        let owner = self.ownership.as_ref().and_then(Ownership::due);
        presence.into_iter().chain(owner).min()
    }

    /// Does what is due.
    pub(crate) fn settle(&mut self, now: Time, entries_max: usize, guests: &Guests) {
        if let Some(ownership) = &mut self.ownership {
            let follows = ownership.settle(now, guests);
            self.follow(follows);
        }
        if let Some(presence) = &mut self.presence
            && let Some(batch) = presence.batch(now, entries_max)
            && !self.watching.is_empty()
        {
            self.says.push(Say::Batch(self.watching, Arc::new(batch)));
        }
    }

    /// What puddles are to be told, in order.
    pub(crate) fn says(&mut self) -> Vec<Say> {
        std::mem::take(&mut self.says)
    }

    fn limit<'a>(&mut self, limits: Limits, guests: impl Iterator<Item = (At, &'a Known)>) {
        let were_set = self.limits.are_set();
        self.limits = limits;
        if !limits.are_set() {
            self.places = Places::default();
            for (at, waits) in std::mem::take(&mut self.waiting) {
                self.let_in(at.0, waits);
            }
            return;
        }
        if !were_set {
            for (at, guest) in guests.filter(|(_, guest)| !guest.posts) {
                self.places.claim(at, guest.client);
            }
        }
        let surplus = self.places.limit(limits);
        self.send_away(surplus);
    }

    fn send_away(&mut self, surplus: Vec<Surplusage>) {
        let says = surplus.into_iter();
        self.says
            .extend(says.map(|one| Say::Go(one.socket, one.refused)));
    }

    /// Whoever waited for another to go comes in.
    fn placed(&mut self, at: At) {
        if let Some(waits) = self.waiting.remove(&at) {
            self.let_in(at.0, waits);
        }
    }

    fn let_in(&mut self, puddle: PuddleId, (ask, guest): (u64, Guest)) {
        self.show(puddle, &guest.clone().known());
        self.placed.push((puddle, guest.clone()));
        self.says.push(Say::Placed(puddle, ask, guest));
    }

    /// Every invariant.
    pub(crate) fn check(&self, guests: &Guests) {
        assert!(self.placed.is_empty(), "who has a place is inside");
        if let Some(ownership) = &self.ownership {
            ownership.check(guests);
        }
    }

    fn show(&mut self, puddle: PuddleId, guest: &Known) {
        if let Some(presence) = self.presence.as_mut().filter(|_| !guest.posts) {
            let username = guest.username.clone();
            presence.arrive(puddle, guest.client, username, guest.form);
        }
    }

    fn follow(&mut self, follows: Follows) {
        match follows {
            Follows::Nothing | Follows::Empty => {}
            Follows::Passed(_) => self.says.push(Say::Owned),
            Follows::Ended(refused) => {
                self.ended = true;
                self.ownership = None;
                self.says.push(Say::Ended(refused));
            }
        }
    }
}

fn presence(rules: PresenceRules) -> Option<Presence> {
    match rules.shown {
        Shown::Off => None,
        Shown::Counts | Shown::Identities => Some(Presence::new(rules)),
    }
}
