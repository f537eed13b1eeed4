//! Who is there, as those who look are told: no change is left out, joins and leaves of one client
//! alternate, and when everything has been quiet it is true (P14). Knows who looks, and is told
//! who is inside.

use std::collections::BTreeMap;

use super::hash::Table;
use super::line::Seen;
use super::violation::{Violation, broken};

/// What all who look have been told.
#[derive(Debug, Default)]
pub(crate) struct Views {
    views: BTreeMap<(u32, u32), View>,
    /// By socket and request: after which client was asked.
    asked: Table<(u32, u64), Option<u128>>,
}

/// What one socket has been told of one room.
#[derive(Debug)]
struct View {
    seq: u64,
    count: u64,
    /// Who is there; `None`: not any more.
    clients: BTreeMap<u128, Option<Seen>>,
    /// Up to whom all are known.
    known: Known,
}

/// Of how many clients it was told whether they are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    /// Of those up to this one.
    UpTo(u128),
    All,
}

/// Some of those who are there, as they are told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page<'a> {
    pub(crate) id: Option<u64>,
    pub(crate) seq: u64,
    pub(crate) count: u64,
    pub(crate) present: Option<&'a [Seen]>,
    pub(crate) more: bool,
}

/// What has changed, as it is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch<'a> {
    pub(crate) seq: u64,
    pub(crate) count: u64,
    pub(crate) joined: &'a [Seen],
    pub(crate) left: &'a [u128],
    pub(crate) updated: &'a [Seen],
}

/// Who is inside a room: sockets by client, and sockets of clients that nobody can name.
#[derive(Debug, Default)]
pub(crate) struct Inside {
    pub(crate) clients: BTreeMap<u128, (u32, u32)>,
    pub(crate) nameless: u64,
}

impl Views {
    /// A socket asks who is there.
    pub(crate) fn ask(&mut self, socket: u32, id: u64, after: Option<u128>) {
        self.asked.insert((socket, id), after);
    }

    /// It is told.
    pub(crate) fn page(
        &mut self,
        (socket, room): (u32, u32),
        page: Page<'_>,
    ) -> Result<(), Violation> {
        let id = page.id.and_then(|id| self.asked.remove(&(socket, id)));
        let Some(after) = id else {
            return broken("P14", format!("socket {socket} got {page:?} unasked"));
        };
        let view = self.views.entry((socket, room));
        let view = view.or_insert_with(|| View::new(page));
        if view.seq != page.seq {
            let before = view.seq;
            return broken(
                "P14",
                format!(
                    "socket {socket} is told of {room} as of {}, after {before}",
                    page.seq
                ),
            );
        }
        let Some(present) = page.present else {
            *view = View::new(page);
            return Ok(());
        };
        let known = match present.last() {
            Some(last) if page.more => Known::UpTo(last.client),
            Some(_) | None => Known::All,
        };
        let grows = present.is_sorted_by(|one, other| one.client < other.client);
        let first = present.first().map(|seen| seen.client);
        if !grows
            || first
                .zip(after)
                .is_some_and(|(first, after)| first <= after)
        {
            return broken(
                "P14",
                format!("socket {socket} is told {page:?} after {after:?}"),
            );
        }
        if after.is_none() {
            view.agrees(present, known).map_err(|why| Violation {
                promise: "P14",
                seen: format!("socket {socket} in {room}: {why}"),
            })?;
        }
        view.take(present, after, known);
        Ok(())
    }

    /// Something has changed.
    pub(crate) fn change(
        &mut self,
        (socket, room): (u32, u32),
        batch: Batch<'_>,
    ) -> Result<(), Violation> {
        let Some(view) = self.views.get_mut(&(socket, room)) else {
            return broken(
                "P14",
                format!("socket {socket} got {batch:?} and never looked"),
            );
        };
        if batch.seq != view.seq + 1 {
            return broken(
                "P14",
                format!(
                    "socket {socket} is told {} of {room} after {}",
                    batch.seq, view.seq
                ),
            );
        }
        (view.seq, view.count) = (batch.seq, batch.count);
        view.change(batch).map_err(|why| Violation {
            promise: "P14",
            seen: format!("socket {socket} in {room}: {why}, in {batch:?}"),
        })
    }

    /// Nothing more is told.
    pub(crate) fn end(&mut self, socket: u32, room: u32) {
        self.views.remove(&(socket, room));
    }

    /// Everything has been quiet for long: what was told is so.
    pub(crate) fn are_true(&self, inside: impl Fn(u32) -> Option<Inside>) -> Result<(), Violation> {
        let mut rooms: BTreeMap<u32, Option<Inside>> = BTreeMap::new();
        for (&(socket, room), view) in &self.views {
            let truth = rooms.entry(room).or_insert_with(|| inside(room));
            if let Some(truth) = truth
                && let Err(why) = view.is_true(truth)
            {
                return broken("P14", format!("socket {socket} in {room}: {why}"));
            }
        }
        Ok(())
    }
}

impl View {
    /// Of nobody it is known yet.
    fn new(page: Page<'_>) -> Self {
        Self {
            seq: page.seq,
            count: page.count,
            clients: BTreeMap::new(),
            known: Known::UpTo(0),
        }
    }

    /// A page in the place of what was known of these clients.
    fn take(&mut self, present: &[Seen], after: Option<u128>, known: Known) {
        let within = |client: u128| {
            after.is_none_or(|after| client > after)
                && match known {
                    Known::UpTo(last) => client <= last,
                    Known::All => true,
                }
        };
        self.clients.retain(|client, _| !within(*client));
        let seen = present.iter().map(|seen| (seen.client, Some(*seen)));
        self.clients.extend(seen);
        // A page out of turn makes nothing known that was not.
        let follows = match (self.known, after) {
            (_, None) | (Known::All, _) => true,
            (Known::UpTo(last), Some(after)) => after <= last,
        };
        if follows {
            self.known = self.known.max(known);
        }
    }

    /// What is told anew was told before.
    fn agrees(&self, present: &[Seen], known: Known) -> Result<(), String> {
        let both = match self.known.min(known) {
            Known::All => u128::MAX,
            Known::UpTo(last) => last,
        };
        let told = self.clients.range(..=both);
        let told = told.filter_map(|(_, seen)| seen.as_ref());
        let now = present.iter().take_while(|seen| seen.client <= both);
        if told.eq(now) {
            return Ok(());
        }
        Err(format!(
            "is told {present:?}, and was told {:?}",
            self.clients
        ))
    }

    fn is_known(&self, client: u128) -> bool {
        match self.known {
            Known::UpTo(last) => client <= last || self.clients.contains_key(&client),
            Known::All => true,
        }
    }

    fn is_there(&self, client: u128) -> bool {
        self.clients.get(&client).is_some_and(Option::is_some)
    }

    fn change(&mut self, batch: Batch<'_>) -> Result<(), String> {
        for seen in batch.joined {
            if self.is_there(seen.client) {
                return Err(format!("{} joins and is there", seen.client));
            }
            self.clients.insert(seen.client, Some(*seen));
        }
        for seen in batch.updated {
            if self.is_known(seen.client) && !self.is_there(seen.client) {
                return Err(format!("{} changes and is not there", seen.client));
            }
            self.clients.insert(seen.client, Some(*seen));
        }
        for &client in batch.left {
            if self.is_known(client) && !self.is_there(client) {
                return Err(format!("{client} leaves and is not there"));
            }
            self.clients.insert(client, None);
        }
        let there = self.clients.values().flatten().count();
        if self.known == Known::All && u64::try_from(there) != Ok(batch.count) {
            return Err(format!("{there} are there and {} are counted", batch.count));
        }
        Ok(())
    }

    fn is_true(&self, truth: &Inside) -> Result<(), String> {
        let named = u64::try_from(truth.clients.len()).expect("a count");
        if self.count != named + truth.nameless {
            let count = self.count;
            return Err(format!("{count} are counted, inside are {truth:?}"));
        }
        for (&client, &(raw, multiplexed)) in &truth.clients {
            let seen = self.clients.get(&client).and_then(Option::as_ref);
            let is_so = |seen: &Seen| (seen.raw, seen.multiplexed) == (raw, multiplexed);
            if self.is_known(client) && !seen.is_some_and(is_so) {
                return Err(format!(
                    "{client} is seen as {seen:?}, inside with {raw} raw and {multiplexed} others"
                ));
            }
        }
        Ok(())
    }
}
