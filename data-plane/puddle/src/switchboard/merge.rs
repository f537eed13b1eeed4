//! Many puddles' replies as one answer. Owns what has come so far; never waits.

use std::collections::BTreeMap;

use porthouse_model::{Refused, RoomName};

use super::action::CallResult;
use crate::input::PuddleId;
use crate::output::{
    Foreseen, ListedPresent, ListedRoom, ListedSocket, ListedWaiting, MovedSocket, Reply,
};
use crate::recall::Recalled;

/// What has come so far.
#[derive(Debug)]
pub(super) enum Merge {
    Publish {
        receivers: Option<u64>,
        refused: Option<Refused>,
        /// Those who get it if the room's home takes it.
        counted: u64,
        /// Its place, where the home took it.
        place: Option<(u64, u64)>,
    },
    Purge {
        messages: Option<u64>,
        refused: Option<Refused>,
    },
    Rooms {
        rooms: BTreeMap<RoomName, ListedRoom>,
        rooms_max: usize,
    },
    Sockets {
        sockets: BTreeMap<PuddleId, Vec<ListedSocket>>,
        sockets_max: usize,
    },
    Present(Option<ListedPresent>),
    Moved(BTreeMap<PuddleId, Vec<MovedSocket>>),
    Waiting(Vec<ListedWaiting>),
    Recalled(Option<Box<Recalled>>),
    Foreseen(Foreseen),
    Decided {
        sockets: u64,
    },
    Kick {
        sockets: u64,
    },
}

impl Merge {
    pub(super) const fn publish() -> Self {
        Self::Publish {
            receivers: None,
            refused: None,
            counted: 0,
            place: None,
        }
    }

    pub(super) const fn purge() -> Self {
        Self::Purge {
            messages: None,
            refused: None,
        }
    }

    pub(super) const fn rooms(rooms_max: usize) -> Self {
        Self::Rooms {
            rooms: BTreeMap::new(),
            rooms_max,
        }
    }

    pub(super) const fn sockets(sockets_max: usize) -> Self {
        Self::Sockets {
            sockets: BTreeMap::new(),
            sockets_max,
        }
    }

    pub(super) const fn present() -> Self {
        Self::Present(None)
    }

    pub(super) const fn moved() -> Self {
        Self::Moved(BTreeMap::new())
    }

    pub(super) const fn waiting() -> Self {
        Self::Waiting(Vec::new())
    }

    pub(super) const fn recalled() -> Self {
        Self::Recalled(None)
    }

    pub(super) fn foreseen() -> Self {
        Self::Foreseen(Foreseen::default())
    }

    pub(super) const fn decided() -> Self {
        Self::Decided { sockets: 0 }
    }

    pub(super) const fn kick() -> Self {
        Self::Kick { sockets: 0 }
    }

    /// Adds a puddle's reply.
    pub(super) fn add(&mut self, puddle: PuddleId, reply: Reply) {
        match (self, reply) {
            (Self::Publish { receivers, .. }, Reply::Published { receivers: more }) => {
                if let Some(more) = more {
                    *receivers = Some(receivers.unwrap_or(0) + more);
                }
            }
            (
                Self::Publish { counted, place, .. },
                Reply::Placed {
                    receivers,
                    epoch,
                    offset,
                },
            ) => {
                *counted += receivers;
                *place = Some((epoch, offset));
            }
            (Self::Publish { counted, .. }, Reply::Counted { receivers }) => *counted += receivers,
            (Self::Purge { messages, .. }, Reply::Purged { messages: purged }) => {
                *messages = purged;
            }
            (Self::Publish { refused, .. } | Self::Purge { refused, .. }, Reply::Refused(why)) => {
                *refused = Some(why);
            }
            (Self::Rooms { rooms, .. }, Reply::Rooms(more)) => {
                for room in more {
                    add_room(rooms, room);
                }
            }
            (Self::Sockets { sockets, .. }, Reply::Sockets(more)) => {
                sockets.insert(puddle, more);
            }
            (Self::Present(present), Reply::Present(listed)) => *present = listed,
            (Self::Moved(moved), Reply::Moved(more)) => {
                moved.insert(puddle, more);
            }
            (Self::Waiting(waiting), Reply::Waiting(listed)) => *waiting = listed,
            (Self::Foreseen(all), Reply::Foreseen(more)) => {
                all.leaving += more.leaving;
                all.asked += more.asked;
                all.unsure += more.unsure;
            }
            (Self::Recalled(found), Reply::Recalled(recalled)) => {
                *found = found.take().or(recalled);
            }
            (Self::Decided { sockets }, Reply::Decided { sockets: more })
            | (Self::Kick { sockets }, Reply::Kicked { sockets: more }) => *sockets += more,
            (merge, reply) => unreachable!("{reply:?} is no reply to {merge:?}"),
        }
    }

    /// The answer, when all have come. Where a rule changes while a message is
    /// published, some puddles may take it and others refuse: it was taken.
    pub(super) fn result(self) -> CallResult {
        match self {
            Self::Publish {
                place: Some((epoch, offset)),
                counted,
                ..
            } => CallResult::Placed {
                receivers: counted,
                epoch,
                offset,
            },
            Self::Publish {
                receivers: Some(receivers),
                ..
            } => CallResult::Published { receivers },
            // A room that keeps, whose home does not know of it yet.
            Self::Publish {
                refused: None,
                counted: 1..,
                ..
            } => CallResult::Refused(Refused::Busy),
            Self::Purge {
                messages: Some(messages),
                ..
            } => CallResult::Purged { messages },
            Self::Publish {
                refused: Some(refused),
                ..
            }
            | Self::Purge {
                refused: Some(refused),
                ..
            } => CallResult::Refused(refused),
            Self::Publish { .. } | Self::Purge { .. } | Self::Present(None) => CallResult::NotLive,
            Self::Rooms { rooms, rooms_max } => {
                let more = rooms.len() > rooms_max;
                let rooms = rooms.into_values().take(rooms_max).collect();
                CallResult::Rooms { rooms, more }
            }
            Self::Sockets {
                sockets,
                sockets_max,
            } => {
                let all = sockets.into_iter();
                let mut sockets: Vec<_> = all
                    .flat_map(|(puddle, sockets)| {
                        sockets.into_iter().map(move |socket| (puddle, socket))
                    })
                    .take(sockets_max + 1)
                    .collect();
                let more = sockets.len() > sockets_max;
                sockets.truncate(sockets_max);
                CallResult::Sockets { sockets, more }
            }
            Self::Recalled(found) => CallResult::Recalled(found),
            Self::Foreseen(foreseen) => CallResult::Foreseen(foreseen),
            Self::Present(Some(present)) => CallResult::Present(present),
            Self::Moved(moved) => {
                let each = moved.into_iter().flat_map(|(puddle, sockets)| {
                    sockets.into_iter().map(move |socket| (puddle, socket))
                });
                CallResult::Moved(each.collect())
            }
            Self::Waiting(waiting) => CallResult::Waiting(waiting),
            Self::Decided { sockets } => CallResult::Decided { sockets },
            Self::Kick { sockets } => CallResult::Kicked { sockets },
        }
    }
}

fn add_room(rooms: &mut BTreeMap<RoomName, ListedRoom>, room: ListedRoom) {
    if let Some(known) = rooms.get_mut(&room.name) {
        known.sockets += room.sockets;
        known.persistent |= room.persistent;
    } else {
        rooms.insert(room.name.clone(), room);
    }
}
