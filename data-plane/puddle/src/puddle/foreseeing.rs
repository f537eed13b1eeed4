//! What a change would do to those inside, by the code that does it, without doing
//! it. Puts nobody out, and asks nobody anything but the control plane.

use std::collections::VecDeque;
use std::sync::Arc;

use porthouse_model::PolicyKey;
use porthouse_rules::{Entry as Judgement, Passed};

use super::Puddle;
use super::door::Seen;
use super::policing::room_sitters;
use crate::input::{ChangedItem, OrderId, SocketId};
use crate::output::{Foreseen, Output, Reply};
use crate::policy::{Asked, Named};
use crate::room::{Governed, Room, RoomIndex};
use crate::sequence::{Action, Attempts, Event, Sequence};

/// Counts under way; of one more nobody is judged.
const COUNTS_MAX: usize = 16;
/// Of the sockets that a turn writes to, so many are judged in one: a part, since
/// judging costs more.
const JUDGED_PART: usize = 4;

/// Counts under way, the first first.
#[derive(Debug, Default)]
pub(super) struct Foreseeing(VecDeque<Count>);

impl Foreseeing {
    pub(super) fn is_under_way(&self) -> bool {
        !self.0.is_empty()
    }
}

/// A count of those who would leave or be asked again.
#[derive(Debug)]
struct Count {
    order: OrderId,
    /// What would stand under the rooms' names.
    named: Named,
    /// Who was inside when it was asked, and is not judged yet.
    left: Vec<(RoomIndex, SocketId)>,
    foreseen: Foreseen,
}

/// What would become of a socket.
enum Fate {
    Stays,
    Leaves,
    IsAsked,
    /// This must be known first.
    Unsure(PolicyKey),
}

impl Puddle {
    /// Counts those who would leave or be asked again, over as many turns as that
    /// takes; then it replies.
    pub(super) fn foresee(&mut self, order: OrderId, item: &ChangedItem) {
        let named = match item {
            ChangedItem::Room(policy) => Named::Room(Arc::clone(policy)),
            ChangedItem::Template(policy) => Named::Templated(Arc::clone(policy)),
            ChangedItem::RoomGone { .. }
            | ChangedItem::TemplateGone { .. }
            | ChangedItem::Other(_) => Named::Absent,
        };
        let inside = |index| {
            let sitters = room_sitters(self.rooms.get(index)).into_iter();
            sitters.map(move |id| (index, id))
        };
        let left: Vec<_> = self
            .concerned(&named)
            .into_iter()
            .flat_map(inside)
            .collect();
        if self.foreseeing.0.len() == COUNTS_MAX {
            let foreseen = Foreseen {
                unsure: left.len() as u64,
                ..Foreseen::default()
            };
            return self.tell_foreseen(order, foreseen);
        }
        self.foreseeing.0.push_back(Count {
            order,
            named,
            left,
            foreseen: Foreseen::default(),
        });
    }

    /// Judges some more. Who came in since it was asked is not counted, who left
    /// stays away by itself.
    pub(super) fn keep_foreseeing(&mut self) {
        let mut sockets = self.settings.slice_sockets_max.div_ceil(JUDGED_PART);
        while let Some(mut count) = self.foreseeing.0.pop_front() {
            while sockets > 0
                && let Some((index, id)) = count.left.pop()
            {
                sockets -= 1;
                let fate = self.fate(id, index, &count.named);
                self.count(&mut count.foreseen, fate);
            }
            if !count.left.is_empty() {
                self.foreseeing.0.push_front(count);
                return;
            }
            self.tell_foreseen(count.order, count.foreseen);
        }
    }

    fn count(&mut self, foreseen: &mut Foreseen, fate: Fate) {
        match fate {
            Fate::Stays => {}
            Fate::Leaves => foreseen.leaving += 1,
            Fate::IsAsked => foreseen.asked += 1,
            Fate::Unsure(key) => {
                foreseen.unsure += 1;
                // Known by the time that it is asked once more.
                if let Asked::New { question, what } = self.policy.ask(key) {
                    self.ask(question, what);
                }
            }
        }
    }

    fn tell_foreseen(&mut self, order: OrderId, foreseen: Foreseen) {
        let reply = Reply::Foreseen(foreseen);
        self.outputs.push(Output::Reply { order, reply });
    }

    /// The rooms here that the change is about.
    fn concerned(&self, named: &Named) -> Vec<RoomIndex> {
        match named {
            Named::Room(policy) => self.rooms.find(&policy.room.name).into_iter().collect(),
            Named::Templated(_) => {
                let rooms = self.rooms.iter();
                let concerned = rooms.filter(|(_, room)| concerns(named, room));
                concerned.map(|(index, _)| index).collect()
            }
            Named::Absent => Vec::new(),
        }
    }

    fn fate(&mut self, id: SocketId, index: RoomIndex, named: &Named) -> Fate {
        let Some(stay) = self.sockets.get(id).and_then(|socket| socket.stay(index)) else {
            return Fate::Stays;
        };
        // Not before: with who left, the room may be gone.
        let room = self.rooms.get(index);
        // The place may be another room's since it was asked.
        if !concerns(named, room) {
            return Fate::Stays;
        }
        let (of, verified_as) = match named {
            Named::Room(policy) => (Some(policy.room.id), Some(policy.room.id)),
            Named::Templated(policy) => (None, Some(policy.template.id)),
            Named::Absent => (None, None),
        };
        if room.governed.id().is_some_and(|id| of != Some(id)) {
            return Fate::Leaves;
        }
        let passed = if room.governed.verified_as() == verified_as {
            room.seats.sitter(stay.seat).passed.passed()
        } else {
            Passed::default()
        };
        let name = room.name.clone();
        let seen = self.see_as(id, &name, true, Some(named.clone()));
        match (self.judgement(id, &seen, &passed), seen) {
            (Some(Judgement::Admit), _) => Fate::Stays,
            (Some(Judgement::Refuse(_)), _) => Fate::Leaves,
            (None, Seen::Unknown(key)) => Fate::Unsure(key),
            (Some(Judgement::Ask(_)) | None, _) => {
                // Before the door again, as whoever is put there.
                let sequence = Sequence::again(
                    passed,
                    Attempts::new(&self.settings),
                    self.manner_inside(id),
                );
                let seen = self.see_as(id, &name, false, Some(named.clone()));
                match sequence
                    .step(Event::Look, seen.door(self.page_of(id)))
                    .action
                {
                    Action::Refuse(_) => Fate::Leaves,
                    Action::Nothing
                    | Action::Wait
                    | Action::Challenge { .. }
                    | Action::Call
                    | Action::Verify(_)
                    | Action::Apply
                    | Action::Welcome
                    | Action::Enlist
                    | Action::Admit(_) => Fate::IsAsked,
                }
            }
        }
    }
}

/// Whether this would stand under a room's name.
fn concerns(named: &Named, room: &Room) -> bool {
    match named {
        Named::Room(policy) => policy.room.name == room.name,
        Named::Templated(policy) => {
            let prefix = &policy.template.prefix;
            let covers = match &room.governed {
                Governed::Persistent(_) => false,
                Governed::Templated(other) => {
                    other.template.prefix.as_str().len() <= prefix.as_str().len()
                }
                Governed::Transient(_) => true,
            };
            covers && prefix.covers(&room.name)
        }
        Named::Absent => false,
    }
}
