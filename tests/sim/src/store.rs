//! A model of the store that keeps durable rooms: a stream whose records have places that grow, of
//! which each room has some, and each of them an end by its age. What it said it has, it has
//! whatever happens to it; what it has not said yet, it may have lost when it begins again. Knows
//! neither puddles nor moments by itself.

use std::collections::BTreeMap;

use porthouse_puddle::{FromStore, Mark, Record, StoreRequest, StoredRoom, ToStore};

use crate::chance::Chance;
use crate::queue::{Nanos, SECONDS};

/// The store.
#[derive(Debug)]
pub(crate) struct Store {
    rooms: BTreeMap<StoredRoom, Vec<Row>>,
    pub(crate) chance: Chance,
    /// Nothing is done, and everything fails.
    pub(crate) is_away: bool,
    /// What is said to be there may be lost for a second more: a planted bug.
    pub(crate) says_so_early: bool,
    asked: Vec<Option<Asked>>,
    /// How often each puddle has begun anew: nobody hears what one before it asked.
    lives: BTreeMap<u8, u32>,
}

#[derive(Debug)]
struct Row {
    record: Record,
    since: Nanos,
    ends: Option<Nanos>,
    /// Somebody knows that it is there.
    is_known: bool,
}

/// Something that was asked, until it is answered.
#[derive(Debug)]
struct Asked {
    puddle: u8,
    life: u32,
    request: StoreRequest,
    room: StoredRoom,
    state: State,
}

#[derive(Debug)]
enum State {
    /// It has not come yet. Nobody waits for it any more, if it is `late`.
    Comes { what: ToStore, late: bool },
    /// It was done, and this is on its way.
    Done(FromStore),
}

/// What comes to a puddle.
pub(crate) type Answer = (u8, StoreRequest, FromStore);

impl Store {
    /// One that has nothing.
    pub(crate) const fn new(chance: Chance) -> Self {
        Self {
            rooms: BTreeMap::new(),
            chance,
            is_away: false,
            says_so_early: false,
            asked: Vec::new(),
            lives: BTreeMap::new(),
        }
    }

    /// A puddle asks something, by this number from here on.
    pub(crate) fn ask(
        &mut self,
        puddle: u8,
        (request, room, what): (StoreRequest, StoredRoom, ToStore),
    ) -> u32 {
        let life = self.life(puddle);
        let state = State::Comes { what, late: false };
        self.asked.push(Some(Asked {
            puddle,
            life,
            request,
            room,
            state,
        }));
        u32::try_from(self.asked.len() - 1).expect("fewer than 2^32 requests")
    }

    /// A puddle began anew.
    pub(crate) fn begins_anew(&mut self, puddle: u8) {
        *self.lives.entry(puddle).or_default() += 1;
    }

    /// Nobody waits for this any more: what is answered now is that it failed, and it comes
    /// nevertheless.
    pub(crate) fn gives_up(&mut self, number: u32) -> Option<Answer> {
        let asked = self.asked[at(number)].as_mut()?;
        let (puddle, request, life) = (asked.puddle, asked.request, asked.life);
        let State::Comes { late, .. } = &mut asked.state else {
            return None;
        };
        *late = true;
        (life == self.life(puddle)).then_some((puddle, request, FromStore::Failed))
    }

    /// Who waits for this.
    pub(crate) fn asker(&self, number: u32) -> Option<u8> {
        self.asked[at(number)].as_ref().map(|asked| asked.puddle)
    }

    /// Something that was asked comes to the store. Answers whether it is answered.
    pub(crate) fn come(&mut self, number: u32, now: Nanos) -> bool {
        let Some(asked) = self.asked[at(number)].take() else {
            return false;
        };
        let State::Comes { what, late } = asked.state else {
            unreachable!("it comes once")
        };
        let done = if self.is_away {
            FromStore::Failed
        } else {
            self.act(&asked.room, what, now)
        };
        if late {
            return false;
        }
        let state = State::Done(done);
        self.asked[at(number)] = Some(Asked { state, ..asked });
        true
    }

    /// An answer comes to who asked, or is `lost` on its way.
    pub(crate) fn answer(&mut self, number: u32, lost: bool) -> Option<Answer> {
        let asked = self.asked[at(number)].take()?;
        let (puddle, request) = (asked.puddle, asked.request);
        let State::Done(done) = asked.state else {
            unreachable!("it has come")
        };
        if asked.life != self.life(puddle) {
            return None;
        }
        if lost {
            return Some((puddle, request, FromStore::Failed));
        }
        if let FromStore::Appended(mark) = done {
            let rows = self.rooms.get_mut(&asked.room).into_iter().flatten();
            rows.filter(|row| row.record.mark == mark)
                .for_each(|row| row.is_known = true);
        }
        Some((puddle, request, done))
    }

    /// It begins again: all that is under way fails, and what nobody knows of may be lost.
    pub(crate) fn restart(&mut self, now: Nanos) {
        let (early, chance) = (self.says_so_early, &mut self.chance);
        for rows in self.rooms.values_mut() {
            let mut is_lost = |row: &Row| {
                if early {
                    row.since + SECONDS > now
                } else {
                    !row.is_known && chance.one_in(2)
                }
            };
            while rows.last().is_some_and(&mut is_lost) {
                rows.pop();
            }
        }
        for asked in &mut self.asked {
            let Some(Asked { state, .. }) = asked else {
                continue;
            };
            match state {
                State::Done(done) => *done = FromStore::Failed,
                State::Comes { late: true, .. } if self.chance.one_in(2) => *asked = None,
                State::Comes { .. } => {}
            }
        }
    }

    fn life(&self, puddle: u8) -> u32 {
        self.lives.get(&puddle).copied().unwrap_or_default()
    }

    fn act(&mut self, room: &StoredRoom, what: ToStore, now: Nanos) -> FromStore {
        let newest = |rows: &Vec<Row>| rows.last().map(|row| row.record.mark);
        let next = self.rooms.values().filter_map(newest).max();
        let next = Mark(next.unwrap_or_default().0 + 1);
        let rows = self.rooms.entry(room.clone()).or_default();
        rows.retain(|row| row.ends.is_none_or(|ends| ends > now));
        let last = newest(rows).unwrap_or_default();
        match what {
            ToStore::Read { bytes_max } => FromStore::Read(read(rows, bytes_max)),
            ToStore::Append { after, .. } if last > after => FromStore::Overtaken,
            ToStore::Append { record, lasts, .. } => {
                let nanos = |span: core::time::Duration| u64::try_from(span.as_nanos()).ok();
                let lasts = lasts.map(|span| nanos(span).unwrap_or(u64::MAX));
                rows.push(Row {
                    record: Record {
                        mark: next,
                        bytes: record,
                    },
                    since: now,
                    ends: lasts.map(|lasts| now.saturating_add(lasts.max(SECONDS))),
                    is_known: false,
                });
                FromStore::Appended(next)
            }
            ToStore::Forget { through } => {
                rows.retain(|row| row.record.mark > through);
                FromStore::Forgotten
            }
            ToStore::ForgetRoom => {
                rows.clear();
                FromStore::Forgotten
            }
        }
    }
}

/// The newest that are no more bytes; who reads them knows of them.
fn read(rows: &mut [Row], bytes_max: usize) -> Vec<Record> {
    let mut bytes: usize = rows.iter().map(|row| row.record.bytes.len()).sum();
    let mut first = 0;
    while bytes > bytes_max && rows.len() - first > 1 {
        bytes -= rows[first].record.bytes.len();
        first += 1;
    }
    let newest = rows[first..].iter_mut().map(|row| {
        row.is_known = true;
        row.record.clone()
    });
    newest.collect()
}

fn at(number: u32) -> usize {
    usize::try_from(number).expect("an index")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> StoredRoom {
        StoredRoom {
            id: porthouse_model::RoomId::from_bytes([1; 16]),
            name: "vault".parse().expect("a name"),
        }
    }

    fn append(after: u64) -> ToStore {
        ToStore::Append {
            after: Mark(after),
            record: Box::new([7]),
            lasts: None,
        }
    }

    /// Asked, done and answered at once.
    fn ask(store: &mut Store, what: ToStore) -> FromStore {
        let number = store.ask(0, (StoreRequest(1), room(), what));
        assert!(store.come(number, 0));
        store.answer(number, false).expect("it is answered").2
    }

    fn records(store: &mut Store) -> usize {
        let answer = ask(store, ToStore::Read { bytes_max: 100 });
        let FromStore::Read(records) = answer else {
            panic!("{answer:?}")
        };
        records.len()
    }

    #[test]
    fn of_two_who_come_after_the_same_record_one_is_overtaken() {
        let mut store = Store::new(Chance::new(1));
        assert_eq!(ask(&mut store, append(0)), FromStore::Appended(Mark(1)));
        assert_eq!(ask(&mut store, append(0)), FromStore::Overtaken);
        assert_eq!(ask(&mut store, append(1)), FromStore::Appended(Mark(2)));
    }

    #[test]
    fn what_was_said_to_be_there_survives_and_what_was_not_may_be_lost() {
        let mut lost = 0;
        for seed in 0..16 {
            let mut store = Store::new(Chance::new(seed));
            ask(&mut store, append(0));
            let number = store.ask(0, (StoreRequest(2), room(), append(1)));
            assert!(store.come(number, 0));
            store.restart(0);
            let (_, _, answer) = store.answer(number, false).expect("it is answered");
            assert_eq!(answer, FromStore::Failed);
            lost += 2 - records(&mut store);
        }
        assert!((1..16).contains(&lost), "{lost} of 16 were lost");
    }

    #[test]
    fn nobody_hears_what_a_puddle_before_it_asked() {
        let mut store = Store::new(Chance::new(1));
        let number = store.ask(0, (StoreRequest(1), room(), append(0)));
        store.begins_anew(0);
        assert!(store.come(number, 0));
        assert_eq!(store.answer(number, false), None);
        assert_eq!(records(&mut store), 1);
    }
}
