//! What the store has of a room becomes what its home knows: at its beginning,
//! and whenever it is not known what came of something. Owns nothing.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use porthouse_model::{ClientId, Time};

use super::asking::Stand;
use super::durable::{By, Done, Entry, Moment};
use super::keys::Claim;
use super::placed::Placed;
use super::record::Written;
use super::taking::Outcome;
use super::{Allowance, Home};
use crate::bridge::{Mark, Record};
use crate::hop::RoomMessage;

impl Home {
    /// What the store has is known. Who is inside hears what is news; what waits
    /// goes on.
    pub(super) fn read_store(
        &mut self,
        records: Vec<Record>,
        moment: Moment,
        allowance: &Allowance,
    ) -> Vec<Done> {
        let last = records.last().map(|record| record.mark);
        let run = last_run(records);
        let durable = self.durable.as_mut().expect("it was told");
        let was_read = std::mem::replace(&mut durable.was_read, true);
        durable.was_in_vain = false;
        (durable.is_read, durable.last) = (true, last.unwrap_or_default());
        (durable.places, durable.places_bytes) = (VecDeque::new(), 0);
        let mut done = Vec::new();
        let same = |(_, first): &(Mark, Written)| first.stand.epoch == self.epoch;
        let goes_on = was_read && run.first().is_none_or(same);
        if let Some((_, first)) = run.first()
            && goes_on
            && first.stand.offset > self.offset + 1
        {
            // What came between is nowhere any more.
            self.shelf.purge(first.stand.offset - 1);
        }
        if let Some((_, first)) = run.first().filter(|_| !goes_on) {
            let Stand { epoch, offset } = first.stand;
            self.begin_with(epoch, offset - 1);
            if was_read {
                let last = run.last().map_or(offset, |(_, last)| last.stand.offset);
                done.push(Done::Begun(Stand {
                    epoch,
                    offset: last,
                }));
            }
        }
        let mut keys_left = allowance.keys_left;
        for (mark, written) in run {
            done.extend(self.restore(mark, written, moment, goes_on, allowance, &mut keys_left));
        }
        let durable = self.durable.as_mut().expect("it was told");
        let deferred = std::mem::take(&mut durable.deferred);
        durable.bytes = durable.queue.iter().map(Entry::bytes).sum();
        done.extend(deferred.into_iter().map(Done::Again));
        done
    }

    /// One record that is in the store; what is said of it, if it is `news`.
    fn restore(
        &mut self,
        mark: Mark,
        written: Written,
        moment: Moment,
        news: bool,
        allowance: &Allowance,
        keys_left: &mut usize,
    ) -> Option<Done> {
        let (token, key, at) = (written.token, written.key.clone(), written.at);
        let age = moment.wall.since(at);
        let hollow = written.hollow;
        let mut placed = self.placed_again(written);
        let durable = self.durable.as_mut().expect("it was told");
        durable.remember(&placed, mark);
        if placed.offset() <= self.offset {
            return None;
        }
        let mut by = By::Nobody;
        if let Some(Entry::Say(taken)) = durable.queue.front()
            && taken.token == token
        {
            // The store has it, whatever was heard of it. Its bytes are not in
            // the record where only the fact is kept.
            by = taken.by;
            let speaker = match by {
                By::Socket { puddle, socket, .. } => Some((puddle, socket)),
                By::Backend(_) | By::Nobody => None,
            };
            placed = Arc::new(Placed {
                message: Arc::clone(&taken.message),
                stand: placed.stand,
                speaker,
            });
            durable.unqueue();
        }
        if let (Some(client), Some(key)) = (placed.message.from, key)
            && *keys_left > 0
            && self.recall(client, &key, placed.offset(), (moment.now, age), allowance)
        {
            *keys_left -= 1;
        }
        self.keep_again((moment.now, age), &placed, hollow);
        // Whoever is inside heard nothing of one of which only the fact is left.
        let said = news && (!hollow || !matches!(by, By::Nobody));
        said.then(|| Done::Said(by, Outcome::Placed(placed)))
    }

    /// Remembers a key that was given before. Answers whether it does.
    fn recall(
        &mut self,
        client: ClientId,
        key: &str,
        offset: u64,
        (now, age): (Time, Duration),
        allowance: &Allowance,
    ) -> bool {
        let window = allowance.key_time_max;
        let is_old = age > window * 2;
        let known = self.keys.look(client, key, now, window) != Claim::New;
        if is_old || known || self.keys.of(client) >= allowance.keys_per_client_max {
            return false;
        }
        let age = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
        let at = Time::from_nanos(now.as_nanos().saturating_sub(age));
        self.keys.claim(client, key, Some(offset), at);
        true
    }

    fn placed_again(&self, written: Written) -> Arc<Placed> {
        Arc::new(Placed {
            message: Arc::new(RoomMessage {
                room: self.name.clone(),
                room_id: self.governed.id(),
                from: written.from,
                kind: written.kind,
                payload: written.payload,
                to: written.to,
                except: written.except,
            }),
            stand: written.stand,
            speaker: None,
        })
    }
}

/// The messages that end what is stored, none missing among them: what is before
/// a hole cannot be told from what is whole.
fn last_run(records: Vec<Record>) -> Vec<(Mark, Written)> {
    let mut run: Vec<(Mark, Written)> = Vec::new();
    for record in records {
        let Some(written) = Written::decode(&record.bytes) else {
            run.clear();
            continue;
        };
        let follows = run.last().is_some_and(|(_, before)| {
            let Stand { epoch, offset } = before.stand;
            written.stand
                == Stand {
                    epoch,
                    offset: offset + 1,
                }
        });
        if !follows {
            run.clear();
        }
        run.push((record.mark, written));
    }
    run
}
