//! What a change would do to those inside, by the code that does it, without doing
//! it. Puts nobody out, and asks nobody anything but the control plane.

use std::sync::Arc;

use porthouse_model::PolicyKey;
use porthouse_rules::{Entry as Judgement, Passed};

use super::Puddle;
use super::door::Seen;
use super::policing::room_sitters;
use crate::input::{ChangedItem, SocketId};
use crate::output::{Foreseen, Reply};
use crate::policy::{Asked, Named};
use crate::room::{Governed, RoomIndex};
use crate::sequence::{Action, Attempts, Event, Sequence};

/// What would become of a socket.
enum Fate {
    Stays,
    Leaves,
    IsAsked,
    /// This must be known first.
    Unsure(PolicyKey),
}

impl Puddle {
    /// Counts those who would leave or be asked again.
    pub(super) fn foresee(&mut self, item: &ChangedItem) -> Reply {
        let mut foreseen = Foreseen::default();
        for (index, named) in self.concerned(item) {
            for id in room_sitters(self.rooms.get(index)) {
                match self.fate(id, index, &named) {
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
        }
        Reply::Foreseen(foreseen)
    }

    /// The rooms here that the change is about, each with what would stand under
    /// its name.
    fn concerned(&self, item: &ChangedItem) -> Vec<(RoomIndex, Named)> {
        match item {
            ChangedItem::Room(policy) => {
                let index = self.rooms.find(&policy.room.name);
                let named = || Named::Room(Arc::clone(policy));
                index.map(|index| (index, named())).into_iter().collect()
            }
            ChangedItem::Template(policy) => {
                let prefix = &policy.template.prefix;
                let covers = |governed: &Governed| match governed {
                    Governed::Persistent(_) => false,
                    Governed::Templated(other) => {
                        other.template.prefix.as_str().len() <= prefix.as_str().len()
                    }
                    Governed::Transient(_) => true,
                };
                let rooms = self.rooms.iter();
                rooms
                    .filter(|(_, room)| prefix.covers(&room.name) && covers(&room.governed))
                    .map(|(index, _)| (index, Named::Templated(Arc::clone(policy))))
                    .collect()
            }
            ChangedItem::RoomGone { .. }
            | ChangedItem::TemplateGone { .. }
            | ChangedItem::Other(_) => Vec::new(),
        }
    }

    fn fate(&mut self, id: SocketId, index: RoomIndex, named: &Named) -> Fate {
        let room = self.rooms.get(index);
        let Some(stay) = self.sockets.get(id).and_then(|socket| socket.stay(index)) else {
            return Fate::Stays;
        };
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
