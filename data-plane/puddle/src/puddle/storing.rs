//! Homes of durable rooms and the store: what a home asks goes out, what the
//! store answers comes back, and who waited is told.
//!
//! Owns the requests under way. What is asked, and what comes of it, is in
//! `home/storing.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use porthouse_model::{Refused, RoomName};

use super::Puddle;
use super::forgetting::Forgetting;
use super::line::Line;
use super::ordering::published;
use crate::bridge::{FromStore, StoreRequest, StoredRoom, ToStore};
use crate::home::{
    By, Deferred, Done, FromHome, Moment, Outcome, Said, Stand, Step, Unsaid, Wanted,
};
use crate::input::{Command, OrderId, Publish};
use crate::output::{Output, Reply};

/// What this puddle has asked of the store.
#[derive(Debug, Default)]
pub(super) struct Storing {
    asked: u64,
    pub under_way: BTreeMap<StoreRequest, Asked>,
    /// How many of them read.
    reading: usize,
    /// Rooms whose homes wait for their turn.
    ready: Line,
    /// Rooms that wait to be read.
    unread: Line,
    /// What the store is still to forget.
    pub forgetting: Forgetting,
}

/// What was asked.
#[derive(Debug)]
pub(super) struct Asked {
    /// About which room.
    pub stored: StoredRoom,
    /// For which room's home; `None`: for nobody.
    home: Option<RoomName>,
    /// Whether it reads.
    reads: bool,
}

impl Puddle {
    /// A home may have something to ask of the store.
    pub(super) fn store_of(&mut self, room: &RoomName) {
        if !self.storing.ready.contains(room) {
            let may_read = self.storing.unread.is_empty() && self.may_read();
            self.step_of(room, may_read);
        }
    }

    fn may_read(&self) -> bool {
        self.storing.reading < self.settings.store.reads_max
    }

    fn may_ask_store(&self) -> bool {
        self.storing.under_way.len() < self.settings.store.requests_max
    }

    fn step_of(&mut self, room: &RoomName, may_read: bool) {
        if self.waits_to_forget(room) {
            return;
        }
        let moment = self.both_clocks();
        while self.may_ask_store() {
            let request = StoreRequest(self.storing.asked + 1);
            let step = self.homes.with(room, |home, allowance| {
                home.step(request, may_read, moment, allowance)
            });
            match step {
                None | Some(Step::Nothing) => return,
                Some(Step::Wait(wanted)) => return self.storing.unread.join(room, wanted),
                Some(Step::Done(done)) => self.done_at(room, done),
                Some(Step::Ask(stored, what)) => {
                    return self.ask_store(Some(room.clone()), stored, what);
                }
            }
        }
        self.storing.ready.join(room, Wanted::Asked);
    }

    fn ask_store(&mut self, home: Option<RoomName>, room: StoredRoom, what: ToStore) {
        self.storing.asked += 1;
        let request = StoreRequest(self.storing.asked);
        let reads = matches!(what, ToStore::Read { .. });
        self.storing.reading += usize::from(reads);
        let asked = Asked {
            stored: room.clone(),
            home,
            reads,
        };
        self.storing.under_way.insert(request, asked);
        self.outputs.push(Output::Bridge {
            request,
            room,
            what,
        });
    }

    /// The store answers.
    pub(super) fn bridged(&mut self, request: StoreRequest, answer: FromStore) {
        let Some(asked) = self.storing.under_way.remove(&request) else {
            return;
        };
        self.storing.reading -= usize::from(asked.reads);
        if let FromStore::Appended(mark) = answer {
            self.storing.forgetting.appended(&asked.stored, mark);
        }
        match asked.home {
            Some(room) => {
                let moment = self.both_clocks();
                let done = self.homes.with(&room, |home, allowance| {
                    home.told(request, answer, moment, allowance)
                });
                for done in done.into_iter().flatten() {
                    self.done_at(&room, done);
                }
                self.home_deserted(&room);
                self.storing.ready.join(&room, Wanted::Asked);
            }
            None => self.forgotten(asked.stored, &answer),
        }
        self.keep_storing();
    }

    /// What can go to the store now goes there.
    pub(super) fn keep_storing(&mut self) {
        for (room, done) in self.homes.take_undone() {
            self.done_at(&room, done);
        }
        while self.may_ask_store() {
            if let Some((deleted, what)) = self.next_to_forget() {
                self.ask_store(None, deleted, what);
            } else if let Some(room) = self.storing.ready.next() {
                self.store_of(&room);
            } else if self.may_read()
                && let Some(room) = self.storing.unread.next()
            {
                self.step_of(&room, true);
            } else {
                return;
            }
        }
    }

    /// Something that waited for the store does not any more.
    pub(super) fn done_at(&mut self, room: &RoomName, done: Done) {
        match done {
            Done::Said(by, outcome) => self.stored(room, by, outcome),
            Done::Purged(order, purged) => {
                let reply = match purged {
                    Ok(messages) => Reply::Purged {
                        messages: Some(messages),
                    },
                    Err(refused) => Reply::Refused(refused),
                };
                self.outputs.push(Output::Reply { order, reply });
            }
            Done::Again(Deferred::Asked(from, asked)) => self.home_asked(from, *asked),
            Done::Again(Deferred::Ordered(order, command)) => self.ordered(order, command),
            Done::Refused(Deferred::Asked(from, asked)) => {
                self.refuse_asked(from, *asked, Refused::StoreAway);
            }
            Done::Refused(Deferred::Ordered(order, _)) => {
                let reply = Reply::Refused(Refused::StoreAway);
                self.outputs.push(Output::Reply { order, reply });
            }
            Done::Forget(stored, through) => self.forget_through(stored, through),
            Done::Begun(stand) => self.tell_all(room, &Said::Stands(stand)),
        }
    }

    /// A message is in the store, or will not be: who is inside hears it, and who
    /// said it is told.
    fn stored(&mut self, room: &RoomName, by: By, outcome: Outcome) {
        let receivers = match &outcome {
            Outcome::Placed(placed) => self.spread(room, placed),
            Outcome::Known(_) | Outcome::Unsaid(_) => 0,
        };
        match by {
            By::Nobody => {}
            By::Socket {
                puddle,
                socket,
                ask,
            } => {
                let is_kept = match &outcome {
                    Outcome::Placed(placed) => {
                        let home = self.homes.get_mut(room);
                        home.is_some_and(|home| !home.keeps_hollow(placed))
                    }
                    Outcome::Known(_) | Outcome::Unsaid(_) => true,
                };
                let what = outcome.stored(socket, is_kept);
                let room = room.clone();
                if ask != 0 || matches!(what, Said::Unsaid(..)) {
                    self.tell_puddle(puddle, FromHome { room, ask, what });
                }
            }
            By::Backend(order) => {
                let reply = match outcome {
                    Outcome::Placed(placed) => {
                        let Stand { epoch, offset } = placed.stand;
                        Reply::Placed {
                            receivers,
                            epoch,
                            offset,
                        }
                    }
                    Outcome::Unsaid(Unsaid::Refused(refused)) => Reply::Refused(refused),
                    Outcome::Known(_) | Outcome::Unsaid(Unsaid::TooManyKeys) => {
                        unreachable!("a backend's message has no key")
                    }
                };
                self.outputs.push(Output::Reply { order, reply });
            }
        }
    }

    /// A backend's message into a durable room, whose home is here. Replied to
    /// once it is stored.
    pub(super) fn publish_durably(&mut self, order: OrderId, said: &Arc<Publish>) {
        let chance = &mut self.chance;
        let (by, now) = (By::Backend(order), self.now);
        let queued = self.homes.with(&said.room, |home, allowance| {
            if home.is_unread() {
                let command = Command::Publish(Arc::clone(said));
                return home.defer(Deferred::Ordered(order, command), allowance);
            }
            published(said, home.governed())
                .and_then(|message| home.take_published(now).map(|()| message))
                .and_then(|message| home.enqueue(by, Arc::new(message), None, chance, allowance))
                .map_err(|refused| Done::Said(by, Outcome::Unsaid(Unsaid::Refused(refused))))
        });
        self.counters.messages += u64::from(matches!(queued, Some(Ok(()))));
        self.queued(&said.room, queued);
    }

    /// A backend's purge of a durable room. Replied to once the store has
    /// forgotten, too.
    pub(super) fn purge_durably(&mut self, order: OrderId, room: &RoomName, through: u64) {
        let queued = self.homes.with(room, |home, allowance| {
            if home.is_unread() {
                let room = room.clone();
                let command = Command::Purge { room, through };
                return home.defer(Deferred::Ordered(order, command), allowance);
            }
            home.purge_durably(through, order, allowance)
                .map_err(|refused| Done::Purged(order, Err(refused)))
        });
        self.queued(room, queued);
    }

    pub(super) fn queued(&mut self, room: &RoomName, queued: Option<Result<(), Done>>) {
        match queued {
            Some(Err(done)) => self.done_at(room, done),
            Some(Ok(())) => self.store_of(room),
            None => unreachable!("the room's home was looked at"),
        }
    }

    fn both_clocks(&self) -> Moment {
        Moment {
            now: self.now,
            wall: self.wall_now().unwrap_or_default(),
        }
    }
}
