//! A home and the store of its room: what is asked of it next, and what comes of
//! the answers. Owns nothing: what waits is in `durable`.

use core::time::Duration;
use std::sync::Arc;

use porthouse_model::{Keep, Refused, Time};

use super::asking::{Said, Saying, Stand, Unsaid};
use super::durable::{By, Deferred, Doing, Done, Durable, Entry, Moment, Step, Taken};
use super::keys::Claim;
use super::placed::Placed;
use super::record::Written;
use super::taking::{Asker, Outcome};
use super::{Allowance, Home, stored_as};
use crate::bridge::{FromStore, Mark, StoreRequest, StoredRoom, ToStore};
use crate::hop::RoomMessage;
use crate::input::{OrderId, PuddleId, SocketId};
use crate::room::Governed;
use crate::seed::Chance;

/// How often a message is tried before its sender is told to try again.
const ATTEMPTS_MAX: u8 = 3;
/// How long the store keeps the latest message of a room that a template makes:
/// nobody deletes such a room, and there may be any number.
const TEMPLATED_LATEST_TIME: Duration = Duration::from_hours(30 * 24);

impl Home {
    /// Whether its history survives the node.
    pub(crate) const fn is_durable(&self) -> bool {
        self.durable.is_some()
    }

    /// Whose rules it goes by.
    pub(crate) const fn governed(&self) -> &Governed {
        &self.governed
    }

    /// As what the store knows it, where its history survives the node.
    pub(crate) fn stored(&self) -> Option<&StoredRoom> {
        self.durable.as_ref().map(|durable| &durable.room)
    }

    /// The store is not asked now: whoever waits is told that it was not done.
    pub(crate) fn give_up(&mut self) {
        if let Some(durable) = self.durable.as_mut().filter(|all| all.under_way.is_none()) {
            self.undone.append(&mut durable.give_up());
        }
    }

    /// Whether it must be read before anything is answered.
    pub(crate) fn is_unread(&self) -> bool {
        self.durable
            .as_ref()
            .is_some_and(|durable| !durable.was_read)
    }

    /// Its history is to survive the node from here on, or not any more. It
    /// begins anew with that; who waits is told to try again.
    pub(crate) fn regard_store(&mut self, chance: &mut Chance) {
        let stored = stored_as(&self.governed, &self.name);
        if self.durable.as_ref().map(|durable| &durable.room) == stored.as_ref() {
            return;
        }
        if let (None, Some(durable)) = (&stored, &self.durable)
            && self.governed.verified_as() == Some(durable.room.id)
            && durable.last != Mark::default()
        {
            let forget = Done::Forget(durable.room.clone(), durable.last);
            self.undone.push(forget);
        }
        self.leave_store();
        self.begin_anew(chance);
        self.durable = stored.map(|room| Box::new(Durable::new(room)));
    }

    /// A puddle began anew: nobody there waits for the store any more.
    pub(super) fn abandoned_by(&mut self, puddle: PuddleId) {
        if let Some(durable) = &mut self.durable {
            durable.abandoned_by(puddle);
        }
    }

    /// What waits for the store does not any more.
    pub(crate) fn leave_store(&mut self) {
        if let Some(mut durable) = self.durable.take() {
            self.undone.append(&mut durable.leave());
        }
    }

    /// It waits until the store was read.
    pub(crate) fn defer(&mut self, deferred: Deferred, allowance: &Allowance) -> Result<(), Done> {
        let durable = self.durable.as_mut();
        let durable = durable.expect("only a durable room is waited for");
        durable.defer(deferred, allowance)
    }

    /// Nobody waits in the door any more by this socket.
    pub(crate) fn undefer_arrival(&mut self, puddle: PuddleId, socket: SocketId) {
        if let Some(durable) = &mut self.durable {
            durable.undefer_arrival(puddle, socket);
        }
    }

    /// Nobody looks any more on this puddle.
    pub(crate) fn undefer_looks(&mut self, puddle: PuddleId) {
        if let Some(durable) = &mut self.durable {
            durable.undefer_looks(puddle);
        }
    }

    /// Somebody says something that is to be stored. A key that was given before
    /// is charged to no rate; what it stands for is said in its turn.
    pub(crate) fn take_durably(
        &mut self,
        asker: Asker,
        saying: Saying,
        chance: &mut Chance,
        allowance: &Allowance,
    ) -> Result<(), Unsaid> {
        let Saying {
            message,
            speaker,
            key,
            waits,
            rated,
        } = saying;
        let client = message.from;
        let known = match (client, &key) {
            (Some(client), Some(key)) => self.look(client, key, asker.now, allowance),
            (Some(_) | None, _) => Claim::New,
        };
        if known == Claim::New
            && let Some(client) = client
        {
            let rates = self.governed.rules().source().messages.rates;
            let pace = allowance.pace(waits);
            let spent = self.spent.take(&rates, (client, rated), asker.now, pace);
            spent.map_err(Unsaid::Refused)?;
        }
        let by = By::Socket {
            puddle: asker.from,
            socket: speaker,
            ask: asker.ask,
        };
        self.enqueue(by, message, key, chance, allowance)
            .map_err(Unsaid::Refused)
    }

    /// A message waits for its turn.
    pub(crate) fn enqueue(
        &mut self,
        by: By,
        message: Arc<RoomMessage>,
        key: Option<Arc<str>>,
        chance: &mut Chance,
        allowance: &Allowance,
    ) -> Result<(), Refused> {
        let entry = Entry::Say(Taken {
            by,
            message,
            key,
            token: chance.next(),
            attempts: 0,
        });
        let durable = self.durable.as_mut().expect("only a durable room stores");
        durable.queue(entry, allowance)
    }

    /// A purge waits for its turn.
    pub(crate) fn purge_durably(
        &mut self,
        through: u64,
        order: OrderId,
        allowance: &Allowance,
    ) -> Result<(), Refused> {
        let durable = self.durable.as_mut().expect("only a durable room stores");
        durable.queue(Entry::Purge { through, order }, allowance)
    }

    /// What it does next about the store, if it asks by this name.
    pub(crate) fn step(
        &mut self,
        request: StoreRequest,
        may_read: bool,
        moment: Moment,
        allowance: &Allowance,
    ) -> Step {
        let Some(durable) = self.durable.as_mut().filter(|all| all.under_way.is_none()) else {
            return Step::Nothing;
        };
        if !durable.is_read {
            if durable.was_in_vain || !durable.is_busy() {
                return Step::Nothing;
            }
            if !may_read {
                return Step::Wait(durable.wanted());
            }
            durable.under_way = Some((request, Doing::Reading));
            let bytes_max = allowance.room_history_bytes_max.saturating_mul(2);
            return Step::Ask(durable.room.clone(), ToStore::Read { bytes_max });
        }
        if let Some(through) = self.surplus(moment.now, allowance) {
            return self.forget_stored(request, through, None);
        }
        match self.durable.as_ref().and_then(|all| all.queue.front()) {
            None => Step::Nothing,
            Some(Entry::Purge { through, order }) => {
                let (through, order) = (*through, *order);
                let messages = self.purge(through);
                self.forget_stored(request, through, Some((order, messages)))
            }
            Some(Entry::Say(_)) => self.append(request, moment, allowance),
        }
    }

    /// Up to which offset the store may forget: what the rules do not keep, and
    /// no key is remembered for, unless that is so much that it could not be read
    /// again.
    fn surplus(&mut self, now: Time, allowance: &Allowance) -> Option<u64> {
        self.keys.forget(now, allowance.key_time_max);
        let retention = self.retention();
        let bytes_max = allowance.room_history_bytes_max;
        let durable = self.durable.as_mut()?;
        let through = durable.surplus(&retention, bytes_max)?;
        let is_far_too_much = durable.is_far_too_much(&retention, bytes_max);
        let keyed = self.keys.first_offset().filter(|_| !is_far_too_much);
        let keyed = keyed.unwrap_or(u64::MAX);
        let latest = self.latest.as_ref().map_or(u64::MAX, |last| last.offset());
        let through = through.min(keyed - 1).min(latest - 1);
        durable.mark_of(through).map(|_| through)
    }

    fn forget_stored(
        &mut self,
        request: StoreRequest,
        through: u64,
        purge: Option<(OrderId, u64)>,
    ) -> Step {
        let durable = self.durable.as_mut().expect("it was looked at");
        if let Some(mark) = durable.mark_of(through) {
            durable.under_way = Some((request, Doing::Forgetting { through, purge }));
            return Step::Ask(durable.room.clone(), ToStore::Forget { through: mark });
        }
        durable.unqueue();
        let (order, messages) = purge.expect("what is surplus has a mark");
        Step::Done(Done::Purged(order, Ok(messages)))
    }

    /// The first in the queue is stored, unless its key says that it was.
    fn append(&mut self, request: StoreRequest, moment: Moment, allowance: &Allowance) -> Step {
        let durable = self.durable.as_mut().expect("it was looked at");
        let Some(Entry::Say(first)) = durable.queue.front_mut() else {
            unreachable!("it was looked at")
        };
        first.attempts += 1;
        let (by, token, attempt) = (first.by, first.token, first.attempts);
        let (message, key) = (Arc::clone(&first.message), first.key.clone());
        let claim = match (message.from, &key) {
            (Some(client), Some(key)) => self.look(client, key, moment.now, allowance),
            (Some(_) | None, _) => Claim::New,
        };
        let unsaid = match claim {
            Claim::New if attempt > ATTEMPTS_MAX => Unsaid::Refused(Refused::StoreAway),
            Claim::New => {
                let lasts = self.lasts(allowance.key_time_max);
                let to_store = self.record(moment, (by, token), (message, key), lasts);
                return self.ask_store(request, to_store);
            }
            Claim::Known(offset) => return self.done(by, Outcome::Known(offset)),
            Claim::Expired => Unsaid::Refused(Refused::KeyExpired),
            Claim::Full => Unsaid::TooManyKeys,
        };
        self.done(by, Outcome::Unsaid(unsaid))
    }

    /// The first in the queue is done.
    fn done(&mut self, by: By, outcome: Outcome) -> Step {
        let durable = self.durable.as_mut().expect("it was looked at");
        durable.unqueue();
        Step::Done(Done::Said(by, outcome))
    }

    /// A message in its place, and its record.
    fn record(
        &self,
        moment: Moment,
        (by, token): (By, u64),
        (message, key): (Arc<RoomMessage>, Option<Arc<str>>),
        lasts: Option<Duration>,
    ) -> (Arc<Placed>, ToStore) {
        let placed = Arc::new(Placed {
            message,
            stand: Stand {
                epoch: self.epoch,
                offset: self.offset + 1,
            },
            speaker: match by {
                By::Socket { puddle, socket, .. } => Some((puddle, socket)),
                By::Backend(_) | By::Nobody => None,
            },
        });
        let hollow = self.keeps_hollow(&placed);
        let said = &placed.message;
        let written = Written {
            stand: placed.stand,
            at: moment.wall,
            token,
            from: said.from,
            key,
            kind: said.kind,
            to: said.to.clone(),
            except: said.except.clone(),
            hollow,
            payload: if hollow {
                Box::default()
            } else {
                said.payload.clone()
            },
        };
        let durable = self.durable.as_ref().expect("it was looked at");
        let append = ToStore::Append {
            after: durable.last,
            record: written.encode(),
            lasts,
        };
        (placed, append)
    }

    fn ask_store(
        &mut self,
        request: StoreRequest,
        (placed, append): (Arc<Placed>, ToStore),
    ) -> Step {
        let durable = self.durable.as_mut().expect("it was looked at");
        durable.under_way = Some((request, Doing::Appending(placed)));
        Step::Ask(durable.room.clone(), append)
    }

    /// Whether only the fact of a message is kept.
    pub(crate) fn keeps_hollow(&self, placed: &Placed) -> bool {
        placed.is_directed() && !self.governed.rules().source().history.directed
    }

    /// How long a record is kept: as the rules say, and for as long as its key is
    /// remembered. The latest message has no age, but where a template makes
    /// rooms of any name.
    fn lasts(&self, key_time_max: Duration) -> Option<Duration> {
        let history = &self.governed.rules().source().history;
        match (history.keep, &self.governed) {
            (Keep::Latest, Governed::Templated(_)) => Some(TEMPLATED_LATEST_TIME),
            (Keep::Latest, Governed::Persistent(_) | Governed::Transient(_)) => None,
            (Keep::None | Keep::Last { .. }, _) => {
                Some(self.retention().age_max.max(key_time_max * 2))
            }
        }
    }

    /// The store answers.
    pub(crate) fn told(
        &mut self,
        request: StoreRequest,
        answer: FromStore,
        moment: Moment,
        allowance: &Allowance,
    ) -> Vec<Done> {
        let Some(durable) = self.durable.as_mut() else {
            return Vec::new();
        };
        let asked = durable.under_way.take_if(|(asked, _)| *asked == request);
        match (asked.map(|(_, doing)| doing), answer) {
            (Some(Doing::Reading), FromStore::Read(records)) => {
                self.read_store(records, moment, allowance)
            }
            (Some(Doing::Reading), _) => durable.give_up(),
            (Some(Doing::Appending(placed)), FromStore::Appended(mark)) => {
                vec![self.appended(placed, mark, moment.now)]
            }
            (Some(Doing::Forgetting { through, purge }), FromStore::Forgotten) => {
                durable.forget(through);
                purge.map_or_else(Vec::new, |(order, messages)| {
                    durable.unqueue();
                    vec![Done::Purged(order, Ok(messages))]
                })
            }
            (Some(Doing::Forgetting { purge: Some(_), .. }), _) => {
                durable.unqueue().map(Entry::refused).into_iter().collect()
            }
            (Some(Doing::Appending(_)), FromStore::TooLong) => {
                let refused = durable
                    .unqueue()
                    .map(|entry| entry.done(Refused::MessageTooLong));
                refused.into_iter().collect()
            }
            // Whether it is there, or what is there instead, is read.
            (Some(Doing::Appending(_)), _) => {
                durable.is_read = false;
                Vec::new()
            }
            (None | Some(Doing::Forgetting { purge: None, .. }), _) => Vec::new(),
        }
    }

    /// The first in the queue is in the store.
    fn appended(&mut self, placed: Arc<Placed>, mark: Mark, now: Time) -> Done {
        let durable = self.durable.as_mut().expect("it was told");
        let Some(Entry::Say(taken)) = durable.unqueue() else {
            unreachable!("the first in the queue was stored")
        };
        durable.remember(&placed, mark);
        if let (Some(client), Some(key)) = (placed.message.from, &taken.key) {
            self.keys.claim(client, key, Some(placed.offset()), now);
        }
        self.keep(now, &placed);
        Done::Said(taken.by, Outcome::Placed(placed))
    }
}

impl Outcome {
    /// What whoever said it is told, where it was said in a durable room.
    pub(crate) fn stored(&self, speaker: SocketId, kept: bool) -> Said {
        match self {
            Self::Placed(placed) if kept => Said::Stored(Some(placed.offset())),
            Self::Placed(placed) => Said::Taken(Some(placed.offset())),
            Self::Known(offset) => Said::Stored(*offset),
            Self::Unsaid(why) => Said::Unsaid(speaker, *why),
        }
    }
}
