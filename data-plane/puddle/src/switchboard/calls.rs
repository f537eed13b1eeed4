//! Backends' calls under way: what is ordered of which puddle, and how the
//! replies become one answer. Owns each call until it is completed, once.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use porthouse_model::{ClientId, RoomName, Time, TokenHash};

use super::SwitchboardSettings;
use super::action::{CallResult, ToPuddle};
use super::event::{Call, CallId};
use super::merge::Merge;
use crate::home::home_of;
use crate::input::{Command, OrderId, PuddleId, SocketId};
use crate::output::Reply;
use crate::waiting::Decision;

/// All calls of a node.
#[derive(Debug)]
pub(super) struct Calls {
    calls: BTreeMap<CallId, Pending>,
    orders: BTreeMap<OrderId, CallId>,
    keys: BTreeMap<TokenHash, BTreeSet<CallId>>,
    until: BTreeSet<(Time, CallId)>,
    /// Those that wait for nobody any more.
    ready: Vec<CallId>,
    next_order: u64,
    puddles: u8,
    calls_max: usize,
    page_max: usize,
    time_max: Duration,
}

#[derive(Debug)]
struct Pending {
    until: Time,
    waits: Waits,
}

/// What a call waits for.
#[derive(Debug)]
enum Waits {
    Key(TokenHash),
    Orders {
        order: OrderId,
        awaited: BTreeSet<PuddleId>,
        merge: Merge,
    },
}

/// Something to tell a puddle for a call.
pub(super) type Told = (PuddleId, ToPuddle);

impl Calls {
    pub(super) const fn new(settings: &SwitchboardSettings) -> Self {
        Self {
            calls: BTreeMap::new(),
            orders: BTreeMap::new(),
            keys: BTreeMap::new(),
            until: BTreeSet::new(),
            ready: Vec::new(),
            next_order: 0,
            puddles: settings.puddles,
            calls_max: settings.calls_max,
            page_max: settings.page_max,
            time_max: settings.call_time_max,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.calls.len() >= self.calls_max
    }

    /// A call waits for an API key.
    pub(super) fn wait_for_key(&mut self, now: Time, call: CallId, hash: TokenHash) {
        self.keys.entry(hash).or_default().insert(call);
        self.begin(now, call, Waits::Key(hash));
    }

    /// Who waited for an API key, and waits no more.
    pub(super) fn key_known(&mut self, hash: &TokenHash) -> Vec<CallId> {
        let calls: Vec<_> = self.keys.get(hash).into_iter().flatten().copied().collect();
        for call in &calls {
            self.drop_call(*call);
        }
        calls
    }

    /// Begins a call that puddles must answer. Answers what to tell them.
    pub(super) fn order(&mut self, now: Time, call: CallId, what: Call) -> Vec<Told> {
        let order = OrderId(self.next_order);
        self.next_order += 1;
        let (merge, commands) = self.commands(what);
        let awaited: BTreeSet<_> = commands.iter().map(|(puddle, _)| *puddle).collect();
        if awaited.is_empty() {
            self.ready.push(call);
        }
        self.orders.insert(order, call);
        self.begin(
            now,
            call,
            Waits::Orders {
                order,
                awaited,
                merge,
            },
        );
        let told = commands.into_iter();
        told.map(|(puddle, command)| (puddle, ToPuddle::Ordered { order, command }))
            .collect()
    }

    /// A puddle replies. Late and foreign replies are nothing.
    pub(super) fn replied(&mut self, puddle: PuddleId, order: OrderId, reply: Reply) {
        let Some(call) = self.orders.get(&order) else {
            return;
        };
        let pending = self
            .calls
            .get_mut(call)
            .expect("an order is of a call under way");
        if let Waits::Orders { awaited, merge, .. } = &mut pending.waits
            && awaited.remove(&puddle)
        {
            merge.add(puddle, reply);
            if awaited.is_empty() {
                self.ready.push(*call);
            }
        }
    }

    /// A puddle will not reply to what it was ordered.
    pub(super) fn forget(&mut self, puddle: PuddleId) {
        for (call, pending) in &mut self.calls {
            if let Waits::Orders { awaited, .. } = &mut pending.waits
                && awaited.remove(&puddle)
                && awaited.is_empty()
            {
                self.ready.push(*call);
            }
        }
    }

    /// The calls that are complete or have waited for too long, with their
    /// results.
    pub(super) fn completed(&mut self, now: Time) -> Vec<(CallId, CallResult)> {
        let mut completed = Vec::new();
        for call in std::mem::take(&mut self.ready) {
            if let Some(Waits::Orders { merge, .. }) = self.end(call) {
                completed.push((call, merge.result()));
            }
        }
        while let Some(&(until, call)) = self.until.first()
            && until <= now
        {
            self.end(call);
            completed.push((call, CallResult::Unavailable));
        }
        completed
    }

    /// Nobody waits for it any more.
    pub(super) fn drop_call(&mut self, call: CallId) {
        self.end(call);
    }

    fn end(&mut self, call: CallId) -> Option<Waits> {
        let pending = self.calls.remove(&call)?;
        self.until.remove(&(pending.until, call));
        match &pending.waits {
            Waits::Orders { order, .. } => {
                self.orders.remove(order);
            }
            Waits::Key(hash) => {
                if let Some(calls) = self.keys.get_mut(hash) {
                    calls.remove(&call);
                    if calls.is_empty() {
                        self.keys.remove(hash);
                    }
                }
            }
        }
        Some(pending.waits)
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.until.first().map(|(until, _)| *until)
    }

    pub(super) fn check(&self) {
        assert!(self.calls.len() <= self.calls_max);
        assert_eq!(self.calls.len(), self.until.len());
        let waiting = self.keys.values().map(BTreeSet::len).sum::<usize>();
        assert_eq!(
            self.calls.len(),
            self.orders.len() + waiting,
            "a call waits for one thing"
        );
    }

    fn begin(&mut self, now: Time, call: CallId, waits: Waits) {
        let until = now + self.time_max;
        self.until.insert((until, call));
        let other = self.calls.insert(call, Pending { until, waits });
        assert!(other.is_none(), "a call's name is given once");
    }

    fn commands(&self, what: Call) -> (Merge, Vec<(PuddleId, Command)>) {
        match what {
            Call::Key { .. } => unreachable!("no puddle is asked for an API key"),
            Call::Publish(publish) => (Merge::publish(), self.all(&Command::Publish(publish))),
            Call::Purge { room, through } => {
                let home = self.home(&room);
                let command = Command::Purge { room, through };
                (Merge::purge(), vec![(home, command)])
            }
            Call::Move { client, from, to } => {
                let command = Command::Move { client, from, to };
                (Merge::moved(), self.all(&command))
            }
            Call::Foresee(item) => (Merge::foreseen(), self.all(&Command::Foresee(item))),
            Call::Recall(id) => (Merge::recalled(), self.all(&Command::Recall(id))),
            Call::ListWaiting { room } => {
                let home = self.home(&room);
                (
                    Merge::waiting(),
                    vec![(home, Command::ListWaiting { room })],
                )
            }
            Call::DecideWaiting {
                room,
                client,
                decision,
            } => (
                Merge::decided(),
                self.decide_waiting(room, client, decision),
            ),
            Call::Kick {
                client,
                room,
                block,
            } => {
                let kick = Command::Kick {
                    client,
                    room,
                    block,
                };
                (Merge::kick(), self.all(&kick))
            }
            Call::ListRooms { after, rooms_max } => {
                let rooms_max = rooms_max.min(self.page_max);
                // One more than the page tells whether there are more.
                let command = Command::ListRooms {
                    after,
                    rooms_max: rooms_max + 1,
                };
                (Merge::rooms(rooms_max), self.all(&command))
            }
            Call::ListPresent {
                room,
                after,
                clients_max,
            } => {
                let home = self.home(&room);
                let command = Command::ListPresent {
                    room,
                    after,
                    clients_max: clients_max.min(self.page_max),
                };
                (Merge::present(), vec![(home, command)])
            }
            Call::ListSockets {
                room,
                after,
                sockets_max,
            } => self.list_sockets(&room, after, sockets_max.min(self.page_max)),
        }
    }

    fn decide_waiting(
        &self,
        room: RoomName,
        client: ClientId,
        decision: Decision,
    ) -> Vec<(PuddleId, Command)> {
        let home = self.home(&room);
        let decide = Command::DecideWaiting {
            room,
            client,
            decision,
        };
        vec![(home, decide)]
    }

    fn home(&self, room: &RoomName) -> PuddleId {
        home_of(room, self.puddles)
    }

    fn list_sockets(
        &self,
        room: &RoomName,
        after: Option<(PuddleId, SocketId)>,
        sockets_max: usize,
    ) -> (Merge, Vec<(PuddleId, Command)>) {
        let first = after.map_or(0, |(puddle, _)| puddle.0);
        let commands = (first..self.puddles).map(PuddleId).map(|puddle| {
            let after = after
                .filter(|(of, _)| *of == puddle)
                .map(|(_, socket)| socket);
            let room = room.clone();
            (
                puddle,
                Command::ListSockets {
                    room,
                    after,
                    sockets_max: sockets_max + 1,
                },
            )
        });
        (Merge::sockets(sockets_max), commands.collect())
    }

    fn all(&self, command: &Command) -> Vec<(PuddleId, Command)> {
        (0..self.puddles)
            .map(|puddle| (PuddleId(puddle), command.clone()))
            .collect()
    }
}
