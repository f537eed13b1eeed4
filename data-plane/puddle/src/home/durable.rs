//! A room whose history survives the node: what is said there is put in its
//! place once the store has it, and the store is read when the home begins.
//!
//! Owns what waits for the store, and what is known of what it has. One thing a
//! room is under way there at a time, and every append names the record it comes
//! after: whatever went wrong before, reading again says what came of it, and
//! two who write never both do.

use std::collections::VecDeque;
use std::sync::Arc;

use porthouse_model::{Keep, Refused, RoomName, Time, UnixTime};

use super::Allowance;
use super::asking::{Ask, Stand, ToHome, Unsaid};
use super::placed::Placed;
use super::shelf::{KEPT_BYTES, Retention, cost};
use super::taking::Outcome;
use crate::bridge::{Mark, StoreRequest, StoredRoom, ToStore};
use crate::hop::RoomMessage;
use crate::input::{Command, OrderId, PuddleId, SocketId};
use crate::room::Governed;

/// The store keeps so many more than it must before it is told to forget some.
const SLACK_MIN: usize = 16;

/// So many are kept for their keys' sake, at least.
const KEYED_MIN: usize = 1_000;

/// As what the store knows a room, if its history is to survive the node.
pub(crate) fn stored_as(governed: &Governed, name: &RoomName) -> Option<StoredRoom> {
    let history = &governed.rules().source().history;
    let id = governed.verified_as()?;
    (history.durable && history.keep != Keep::None).then(|| StoredRoom {
        id,
        name: name.clone(),
    })
}

/// What is known of a room in the store, and what waits for it.
#[derive(Debug)]
pub(crate) struct Durable {
    pub room: StoredRoom,
    /// What the store has is known, as far as anybody can.
    pub(super) is_read: bool,
    /// It was known before: what it has more now is news to those inside.
    pub(super) was_read: bool,
    /// It could not be read, and nobody has asked for anything since.
    pub(super) was_in_vain: bool,
    /// The room's last record.
    pub(super) last: Mark,
    /// The records that are kept, as far as they are known.
    pub(super) places: VecDeque<Place>,
    pub(super) places_bytes: usize,
    /// It is not looked before this offset what the store may forget.
    trim_from: u64,
    pub(super) queue: VecDeque<Entry>,
    pub(super) deferred: VecDeque<Deferred>,
    /// What the two hold.
    pub(super) bytes: usize,
    pub(super) under_way: Option<(StoreRequest, Doing)>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    offset: u64,
    mark: Mark,
    pub(super) bytes: usize,
}

/// Something that is done once all before it is.
#[derive(Debug)]
pub(super) enum Entry {
    Say(Taken),
    Purge { through: u64, order: OrderId },
}

/// A message that was judged, and is not in the store yet.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) by: By,
    pub(super) message: Arc<RoomMessage>,
    pub(super) key: Option<Arc<str>>,
    pub(super) token: u64,
    pub(super) attempts: u8,
}

/// Who waits to hear what came of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By {
    /// A socket, by this ask of its puddle's; 0: it wants no receipt.
    Socket {
        puddle: PuddleId,
        socket: SocketId,
        ask: u64,
    },
    /// A backend.
    Backend(OrderId),
    /// Nobody any more.
    Nobody,
}

/// Something that waits until the store was read.
#[derive(Debug)]
pub(crate) enum Deferred {
    /// This was asked.
    Asked(PuddleId, Box<ToHome>),
    /// A backend ordered this.
    Ordered(OrderId, Command),
}

#[derive(Debug)]
pub(super) enum Doing {
    Reading,
    Appending(Arc<Placed>),
    Forgetting {
        through: u64,
        purge: Option<(OrderId, u64)>,
    },
}

/// What came of something that waited for the store.
#[derive(Debug)]
pub(crate) enum Done {
    /// A message.
    Said(By, Outcome),
    /// A backend's purge: so many messages are gone.
    Purged(OrderId, Result<u64, Refused>),
    /// It is asked again, now that the store was read.
    Again(Deferred),
    /// The store cannot be read.
    Refused(Deferred),
    /// The room's offsets are others than before.
    Begun(Stand),
    /// Its history is not to survive any more: the store forgets it up to here.
    Forget(StoredRoom, Mark),
}

/// How much a room that is to be read is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wanted {
    /// Somebody waits for an answer.
    Asked,
    /// Only by those who are inside anyhow.
    Inside,
}

/// What a home does next about the store.
#[derive(Debug)]
pub(crate) enum Step {
    /// Nothing.
    Nothing,
    /// It reads, once it is its turn.
    Wait(Wanted),
    /// It is done without.
    Done(Done),
    /// It asks this.
    Ask(StoredRoom, ToStore),
}

/// Both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub now: Time,
    pub wall: UnixTime,
}

impl Durable {
    pub(crate) fn new(room: StoredRoom) -> Self {
        Self {
            room,
            is_read: false,
            was_read: false,
            was_in_vain: false,
            last: Mark::default(),
            places: VecDeque::new(),
            places_bytes: 0,
            trim_from: 0,
            queue: VecDeque::new(),
            deferred: VecDeque::new(),
            bytes: 0,
            under_way: None,
        }
    }

    /// Whether anything waits for the store.
    pub(crate) fn is_busy(&self) -> bool {
        self.under_way.is_some() || !self.queue.is_empty() || !self.deferred.is_empty()
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How much it is waited for.
    pub(super) fn wanted(&self) -> Wanted {
        if self.queue.is_empty() && self.deferred.iter().all(Deferred::is_inside) {
            Wanted::Inside
        } else {
            Wanted::Asked
        }
    }

    /// Whether so many bytes more may wait. A room may hold as much as is left for
    /// all others: however many hold all they may, some is left for one more.
    pub(super) fn has_room(&self, bytes: usize, allowance: &Allowance) -> Result<(), Refused> {
        let waits = self.queue.len() + self.deferred.len();
        let bytes = self.bytes.saturating_add(bytes);
        if waits >= allowance.store_waits_max || bytes > allowance.store_bytes_left {
            return Err(Refused::StoreAway);
        }
        Ok(())
    }

    pub(super) fn queue(&mut self, entry: Entry, allowance: &Allowance) -> Result<(), Refused> {
        self.has_room(entry.bytes(), allowance)?;
        self.bytes += entry.bytes();
        self.queue.push_back(entry);
        self.was_in_vain = false;
        Ok(())
    }

    pub(super) fn defer(&mut self, deferred: Deferred, allowance: &Allowance) -> Result<(), Done> {
        if self.has_room(deferred.bytes(), allowance).is_err() {
            return Err(Done::Refused(deferred));
        }
        self.bytes += deferred.bytes();
        self.deferred.push_back(deferred);
        self.was_in_vain = false;
        Ok(())
    }

    pub(super) fn unqueue(&mut self) -> Option<Entry> {
        let entry = self.queue.pop_front()?;
        self.bytes -= entry.bytes();
        Some(entry)
    }

    /// The store cannot be read: whoever waits is told that it was not done. Who
    /// is inside already waits on.
    pub(super) fn give_up(&mut self) -> Vec<Done> {
        self.was_in_vain = true;
        let queued = self.queue.drain(..).map(Entry::refused);
        let (inside, deferred) = std::mem::take(&mut self.deferred)
            .into_iter()
            .partition::<VecDeque<_>, _>(Deferred::is_inside);
        self.deferred = inside;
        self.bytes = self.deferred.iter().map(Deferred::bytes).sum();
        queued
            .chain(deferred.into_iter().map(Done::Refused))
            .collect()
    }

    /// The store is not asked any more: nothing is stored, and what was asked is
    /// asked again.
    pub(super) fn leave(&mut self) -> Vec<Done> {
        self.bytes = 0;
        let queued = self.queue.drain(..).map(Entry::refused);
        let deferred = self.deferred.drain(..).map(Done::Again);
        queued.chain(deferred).collect()
    }

    /// A puddle began anew: what it had asked, nobody waits for.
    pub(crate) fn abandoned_by(&mut self, puddle: PuddleId) {
        self.undefer(|of, _| of == puddle);
        for entry in &mut self.queue {
            if let Entry::Say(taken) = entry
                && let By::Socket { puddle: of, .. } = taken.by
                && of == puddle
            {
                taken.by = By::Nobody;
            }
        }
    }

    /// A socket has left before it was welcome.
    pub(crate) fn undefer_arrival(&mut self, puddle: PuddleId, socket: SocketId) {
        self.undefer(|of, what| match what {
            Ask::Arrive(guest) | Ask::Here(guest) => of == puddle && guest.socket == socket,
            Ask::Depart { .. }
            | Ask::Send(_)
            | Ask::Claim { .. }
            | Ask::Unclaim { .. }
            | Ask::Read { .. }
            | Ask::Look(_)
            | Ask::LookAway
            | Ask::Own { .. } => false,
        });
    }

    /// A puddle does not look any more.
    pub(crate) fn undefer_looks(&mut self, puddle: PuddleId) {
        self.undefer(|of, what| of == puddle && matches!(what, Ask::Look(_)));
    }

    fn undefer(&mut self, gone: impl Fn(PuddleId, &Ask) -> bool) {
        self.deferred.retain(|deferred| match deferred {
            Deferred::Asked(of, asked) => !gone(*of, &asked.what),
            Deferred::Ordered(..) => true,
        });
        let queued: usize = self.queue.iter().map(Entry::bytes).sum();
        let deferred: usize = self.deferred.iter().map(Deferred::bytes).sum();
        self.bytes = queued + deferred;
    }

    pub(super) fn remember(&mut self, placed: &Placed, mark: Mark) {
        let bytes = cost(placed);
        self.places_bytes += bytes;
        self.places.push_back(Place {
            offset: placed.offset(),
            mark,
            bytes,
        });
        self.last = mark;
    }

    /// The last record up to an offset.
    pub(super) fn mark_of(&self, through: u64) -> Option<Mark> {
        let after = self.places.partition_point(|place| place.offset <= through);
        Some(self.places[after.checked_sub(1)?].mark)
    }

    pub(super) fn forget(&mut self, through: u64) {
        while let Some(first) = self.places.front()
            && first.offset <= through
        {
            self.places_bytes -= first.bytes;
            self.places.pop_front();
        }
    }

    /// Whether the store keeps so much that keys do not count any more.
    pub(super) fn is_far_too_much(&self, retention: &Retention, bytes_max: usize) -> bool {
        let kept_max = retention.messages_max.saturating_mul(2);
        self.places.len() > kept_max.max(KEYED_MIN)
            || self.places_bytes > bytes_max.saturating_mul(2)
    }

    /// Up to which offset the store keeps more than it must.
    pub(super) fn surplus(&mut self, retention: &Retention, bytes_max: usize) -> Option<u64> {
        let newest = self.places.back()?.offset;
        let kept_max = retention.messages_max.max(1).min(bytes_max / KEPT_BYTES);
        let slack = (kept_max / 8).max(SLACK_MIN);
        if newest < self.trim_from {
            return None;
        }
        let is_full = self.places.len() > kept_max + slack
            || self.places_bytes > bytes_max.saturating_add(bytes_max / 8);
        if !is_full {
            return None;
        }
        self.trim_from = newest + slack as u64;
        let (mut count, mut bytes, mut through) = (self.places.len(), self.places_bytes, None);
        for place in &self.places {
            if count <= kept_max && bytes <= bytes_max {
                break;
            }
            count -= 1;
            bytes -= place.bytes;
            through = Some(place.offset);
        }
        through
    }

    pub(crate) fn check(&self) {
        let bytes: usize = self.places.iter().map(|place| place.bytes).sum();
        assert_eq!(bytes, self.places_bytes, "records are counted");
        let queued: usize = self.queue.iter().map(Entry::bytes).sum();
        let deferred: usize = self.deferred.iter().map(Deferred::bytes).sum();
        assert_eq!(queued + deferred, self.bytes, "what waits is counted");
        assert!(
            self.places
                .iter()
                .is_sorted_by_key(|place| (place.offset, place.mark)),
            "records are in order"
        );
        assert!(
            self.is_read || !matches!(self.under_way, Some((_, Doing::Appending(_)))),
            "nothing is added to what was not read"
        );
    }
}

impl Done {
    /// The home is forgotten: what was to be asked again is refused.
    pub(super) fn refused(self) -> Self {
        match self {
            Self::Again(deferred) => Self::Refused(deferred),
            other @ (Self::Said(..)
            | Self::Purged(..)
            | Self::Refused(_)
            | Self::Begun(_)
            | Self::Forget(..)) => other,
        }
    }
}

impl Entry {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Say(taken) => KEPT_BYTES + taken.message.payload.len(),
            Self::Purge { .. } => KEPT_BYTES,
        }
    }

    /// The store does not do it now.
    pub(super) fn refused(self) -> Done {
        self.done(Refused::StoreAway)
    }

    /// It is not done, and this says why.
    pub(super) fn done(self, refused: Refused) -> Done {
        match self {
            Self::Say(taken) => Done::Said(taken.by, Outcome::Unsaid(Unsaid::Refused(refused))),
            Self::Purge { order, .. } => Done::Purged(order, Err(refused)),
        }
    }
}

impl Deferred {
    /// Whether it is of somebody who is inside, and waits for no answer.
    fn is_inside(&self) -> bool {
        match self {
            Self::Asked(_, asked) => matches!(asked.what, Ask::Here(_)),
            Self::Ordered(..) => false,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let payload = match self {
            Self::Asked(_, asked) => usize::try_from(asked.bytes()).unwrap_or(usize::MAX),
            Self::Ordered(_, Command::Publish(publish)) => publish.payload.len(),
            Self::Ordered(
                _,
                Command::Purge { .. }
                | Command::ListRooms { .. }
                | Command::ListSockets { .. }
                | Command::ListPresent { .. }
                | Command::Move { .. }
                | Command::ListWaiting { .. }
                | Command::DecideWaiting { .. }
                | Command::Recall(_)
                | Command::Foresee(_)
                | Command::Kick { .. },
            ) => 0,
        };
        KEPT_BYTES.saturating_add(payload)
    }
}
