//! A home and the people of its room: who gets a place, who owns it, and when
//! something about them is due. Owns when each home is looked at again; what is
//! decided is in `people`.

use porthouse_model::{Act, ClientId, Refused, Revision, RoomName, Time};
use porthouse_rules::{Rules, Standing};

use super::asking::OwnerAct;
use super::away::Absence;
use super::{Allowance, Gone, Guest, Home, Homes, Known, Said};
use crate::input::{PuddleId, SocketId};
use crate::people::{Arrival, Making, Owned, Placing, Say, wish};
use crate::room::{Governed, Transient};
use crate::settings::Settings;

impl Homes {
    /// What puddles are to be told of a room's people, after something happened
    /// to them.
    pub(crate) fn stir(&mut self, room: &RoomName) -> Vec<Say> {
        let Some(home) = self.homes.get_mut(room) else {
            return Vec::new();
        };
        let due = home.people.due();
        if due != home.alarm {
            if let Some(before) = std::mem::replace(&mut home.alarm, due) {
                self.alarms.remove(&(before, room.clone()));
            }
            if let Some(due) = due {
                self.alarms.insert((due, room.clone()));
            }
        }
        let says = home.people.says();
        let owner = home.people.owned().map(|owned| owned.owner);
        self.note_owner(room, owner);
        says
    }

    /// Who owns rooms now, or does no more, since this was asked last.
    pub(crate) fn take_owners(&mut self) -> Vec<(RoomName, ClientId, bool)> {
        std::mem::take(&mut self.owners)
    }

    /// The rooms that somebody owns, in order.
    pub(crate) fn owned_rooms(&self) -> impl Iterator<Item = (RoomName, ClientId)> {
        let owned = self.owned.iter();
        owned.map(|(room, owner)| (room.clone(), *owner))
    }

    fn note_owner(&mut self, room: &RoomName, owner: Option<ClientId>) {
        let before = self.owned.get(room).copied();
        if before == owner {
            return;
        }
        if let Some(before) = before {
            self.owners.push((room.clone(), before, false));
            self.owned.remove(room);
        }
        if let Some(owner) = owner {
            self.owners.push((room.clone(), owner, true));
            self.owned.insert(room.clone(), owner);
        }
    }

    /// The next room whose people something is due for; it is done.
    pub(crate) fn due(&mut self, now: Time, entries_max: usize) -> Option<RoomName> {
        let (at, room) = self.alarms.first()?;
        if *at > now {
            return None;
        }
        let room = room.clone();
        let home = self.homes.get_mut(&room);
        let home = home.expect("an alarm is of a home that is there");
        home.people.settle(now, entries_max, &home.guests);
        Some(room)
    }

    /// A home is forgotten, and all that was due there.
    pub(super) fn disarm(&mut self, room: &RoomName) {
        self.note_owner(room, None);
        if let Some(home) = self.homes.get_mut(room)
            && let Some(alarm) = home.alarm.take()
        {
            self.alarms.remove(&(alarm, room.clone()));
        }
    }

    /// Whether one more owned room may be made here.
    pub(super) fn may_make(&self, governed: &Governed) -> bool {
        match governed {
            Governed::Transient(Transient { life: Some(_), .. }) => {
                self.owned.len() < self.owned_max
            }
            Governed::Transient(_) | Governed::Persistent(_) | Governed::Templated(_) => true,
        }
    }
}

impl Home {
    /// Somebody in the door asks for a place. Nothing is said yet where another
    /// must go first.
    pub(crate) fn place(
        &mut self,
        arrival: Arrival,
        claim: Option<Owned>,
        settings: &Settings,
        allowance: &Allowance,
    ) -> Option<Said> {
        self.own(&arrival.guest, claim, arrival.now, settings);
        let (now, from, guest) = (arrival.now, arrival.from, arrival.guest.clone());
        match self.people.arrive(arrival) {
            Ok(Placing::Placed) => Some(self.arrive(from, guest, now, allowance)),
            Ok(Placing::Later) => None,
            Err(refused) => Some(Said::Refused(refused)),
        }
    }

    /// Somebody is inside, and was before this home began, or before it had to
    /// know.
    pub(crate) fn here(
        &mut self,
        now: Time,
        from: PuddleId,
        guest: Guest,
        claim: Option<Owned>,
        settings: &Settings,
    ) -> Said {
        if self.guests.get(from, guest.socket).is_none() {
            self.own(&guest, claim, now, settings);
            self.people
                .here((from, guest.socket), &guest.clone().known());
            self.count_in(from, guest);
        }
        Said::Stands(self.stand())
    }

    /// Somebody has gone, or does not come in. What waited for who did not come
    /// in after all still waits.
    pub(crate) fn depart(
        &mut self,
        now: Time,
        from: PuddleId,
        (socket, how): (SocketId, Gone),
        as_of: Revision,
        allowance: &Allowance,
    ) {
        let guest = self.guests.get(from, socket).cloned();
        self.people.depart(now, (from, socket), guest.as_ref());
        // Whoever waited for the place is there first: an owner whose newer socket takes it
        // has not left.
        self.let_placed_in();
        if let Some(gone) = self.guests.remove(from, socket) {
            self.left(&gone, (how, as_of), now, allowance);
        } else if let Some(absence) = guest.and_then(|guest| still_waits(&guest, how)) {
            self.hand_back(absence, allowance);
        }
        self.people.departed(&self.guests);
        self.part((from, socket), how, as_of, now);
    }

    /// Somebody is inside from here on, if they were not before.
    pub(super) fn count_in(&mut self, from: PuddleId, guest: Guest) {
        let client = guest.client;
        if let Some(since) = self.guests.add(from, guest) {
            self.people.arrived(client, since);
        }
    }

    fn let_placed_in(&mut self) {
        for (puddle, guest) in self.people.take_placed() {
            self.count_in(puddle, guest);
        }
    }

    /// A puddle has nobody inside any more.
    pub(crate) fn lose(&mut self, now: Time, puddle: PuddleId, allowance: &Allowance) {
        self.people.lose(now, puddle);
        self.let_placed_in();
        for gone in self.guests.gone_with(puddle) {
            self.left(&gone, (Gone::Cut, self.touched), now, allowance);
        }
        self.people.departed(&self.guests);
        self.strands.lose(puddle, now);
    }

    /// The owner of a transient room acts.
    pub(crate) fn act(&mut self, by: ClientId, act: &OwnerAct, settings: &Settings) -> Said {
        let acted = match act {
            OwnerAct::Pass(to) => self.people.pass(by, *to, &self.guests),
            OwnerAct::Rule(payload) => {
                if let Err(refused) = self.may_rule(by) {
                    return Said::Refused(refused);
                }
                let now = self.governed.rules().source();
                let bounds = &settings.transient_rules;
                match wish(payload, now, bounds, &settings.owner_rules) {
                    Ok(rules) => self.rule(by, rules),
                    Err(fault) => return Said::Unruly(fault),
                }
            }
        };
        match (acted, self.transient()) {
            (Ok(()), Some(transient)) => Said::Done(transient),
            (Ok(()), None) => Said::Refused(Refused::RulesRefused),
            (Err(refused), _) => Said::Refused(refused),
        }
    }

    fn may_rule(&self, by: ClientId) -> Result<(), Refused> {
        let owns = self.people.owned().is_some_and(|owned| owned.owner == by);
        let acts = self.governed.rules().acts(Standing::Owner);
        if owns && acts.has(Act::ChangeRules) {
            Ok(())
        } else {
            Err(Refused::RulesRefused)
        }
    }

    fn rule(&mut self, by: ClientId, rules: Rules) -> Result<(), Refused> {
        self.people.ruled_by(by)?;
        if let Governed::Transient(transient) = &mut self.governed {
            transient.rules = rules.into();
            self.ruling.times += 1;
        }
        self.regard();
        Ok(())
    }

    /// The people go by the rules that hold now.
    pub(super) fn regard(&mut self) {
        let rules = self.governed.rules().source();
        self.people.rule(rules, self.guests.iter());
        self.let_placed_in();
    }

    /// How it is governed, where it is transient.
    pub(crate) fn transient(&self) -> Option<Transient> {
        match &self.governed {
            Governed::Persistent(_) | Governed::Templated(_) => None,
            Governed::Transient(transient) => Some(Transient {
                owned: self.people.owned(),
                ..transient.clone()
            }),
        }
    }

    fn own(&mut self, by: &Guest, claim: Option<Owned>, now: Time, settings: &Settings) {
        if let Governed::Transient(Transient {
            life: Some(life), ..
        }) = &self.governed
        {
            let life = by.makes.unwrap_or(*life);
            let until = now + settings.owner_silent_time_max;
            let making = Making { life, claim, until };
            self.people.own(by.client, making, &self.guests);
        }
    }
}

/// What still waits for somebody who did not come in, whoever else of them is
/// there.
fn still_waits(guest: &Known, how: Gone) -> Option<(ClientId, Absence)> {
    match how {
        Gone::Outside => {
            let waited = guest.waited.as_deref();
            waited.map(|absence| (guest.client, *absence))
        }
        Gone::Cut | Gone::Left | Gone::PutOut => None,
    }
}
