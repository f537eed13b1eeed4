//! What a change would do to those inside, by the code that does it, without doing
//! it. Puts nobody out, and asks nobody anything but the control plane.

use std::collections::VecDeque;
use std::sync::Arc;

use porthouse_model::{ChangeItem, NamePrefix, PolicyKey, RoomId, UserId};
use porthouse_rules::{Entry as Judgement, Passed};

use super::Puddle;
use super::door::{Seen, Supposed, SupposedOf};
use super::policing::room_sitters;
use crate::input::{ChangedItem, OrderId, SocketId};
use crate::output::{Foreseen, Output, Reply};
use crate::policy::{Asked, Named, TemplatePolicy};
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
    what: What,
    /// Who was inside when it was asked, and is not judged yet.
    left: Vec<(RoomIndex, SocketId)>,
    foreseen: Foreseen,
}

/// What is counted for.
#[derive(Debug)]
enum What {
    /// This would stand under the rooms' names.
    Named(Named),
    /// A room would be gone.
    RoomGone(RoomId),
    /// What this prefix gives would stand by this, if by anything.
    TemplateGone(NamePrefix, Option<Arc<TemplatePolicy>>),
    /// This would hold of somebody in a room.
    Of(RoomId, SupposedOf),
    /// This would hold of a device, in whatever room.
    Device(SupposedOf),
    /// Nobody inside is concerned.
    Nobody,
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
        let what = What::of(item);
        let left = self.concerned(item, &what);
        if self.foreseeing.0.len() == COUNTS_MAX {
            let foreseen = Foreseen {
                unsure: left.len() as u64,
                ..Foreseen::default()
            };
            return self.tell_foreseen(order, foreseen);
        }
        self.foreseeing.0.push_back(Count {
            order,
            what,
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
                let fate = self.fate(id, index, &count.what);
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
                    self.ask(question, what, None);
                }
            }
        }
    }

    fn tell_foreseen(&mut self, order: OrderId, foreseen: Foreseen) {
        let reply = Reply::Foreseen(foreseen);
        self.outputs.push(Output::Reply { order, reply });
    }

    /// Who is inside here that the change is about.
    fn concerned(&self, item: &ChangedItem, what: &What) -> Vec<(RoomIndex, SocketId)> {
        let rooms: Vec<RoomIndex> = match (item, what) {
            (_, What::Nobody) => return Vec::new(),
            (_, What::Of(_, of) | What::Device(of)) => return self.of_whom(of, what),
            (ChangedItem::Room(policy), _) => {
                self.rooms.find(&policy.room.name).into_iter().collect()
            }
            (ChangedItem::RoomGone { name, .. }, _) => self.rooms.find(name).into_iter().collect(),
            (
                ChangedItem::Template(_) | ChangedItem::TemplateGone { .. } | ChangedItem::Other(_),
                _,
            ) => self.rooms.iter().map(|(index, _)| index).collect(),
        };
        let concerned = rooms.into_iter();
        let concerned = concerned.filter(|index| what.concerns(self.rooms.get(*index)));
        let inside = |index| {
            let sitters = room_sitters(self.rooms.get(index)).into_iter();
            sitters.map(move |id| (index, id))
        };
        concerned.flat_map(inside).collect()
    }

    /// Whose sockets these are, and where.
    fn of_whom(&self, of: &SupposedOf, what: &What) -> Vec<(RoomIndex, SocketId)> {
        let sockets = match of {
            SupposedOf::Member(user, _) | SupposedOf::Blocked(user) => {
                self.signed_in.of_user(*user)
            }
            SupposedOf::Device(session) => self.signed_in.of_session(session.id),
        };
        let places = sockets.into_iter().flat_map(|id| {
            let rooms = self.rooms_of(id).into_iter();
            rooms.map(move |index| (index, id))
        });
        places
            .filter(|(index, _)| what.concerns(self.rooms.get(*index)))
            .collect()
    }

    fn fate(&mut self, id: SocketId, index: RoomIndex, what: &What) -> Fate {
        let Some(stay) = self.sockets.get(id).and_then(|socket| socket.stay(index)) else {
            return Fate::Stays;
        };
        // Not before: with who left, the room may be gone.
        let room = self.rooms.get(index);
        // The place may be another room's since it was asked.
        if !what.concerns(room) {
            return Fate::Stays;
        }
        let Some(supposed) = what.supposed() else {
            return Fate::Leaves;
        };
        let (of, verified_as) = match &supposed.named {
            Some(Named::Room(policy)) => (Some(policy.room.id), Some(policy.room.id)),
            Some(Named::Templated(policy)) => (None, Some(policy.template.id)),
            Some(Named::Absent) => (None, None),
            None => (room.governed.id(), room.governed.verified_as()),
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
        let seen = self.see_as(id, &name, true, &supposed);
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
                let seen = self.see_as(id, &name, false, &supposed);
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

impl What {
    fn of(item: &ChangedItem) -> Self {
        match item {
            ChangedItem::Room(policy) => Self::Named(Named::Room(Arc::clone(policy))),
            ChangedItem::Template(policy) => Self::Named(Named::Templated(Arc::clone(policy))),
            ChangedItem::RoomGone { id, .. } => Self::RoomGone(*id),
            ChangedItem::TemplateGone { prefix, next } => {
                Self::TemplateGone(prefix.clone(), next.clone())
            }
            ChangedItem::Other(item) => Self::of_somebody(item),
        }
    }

    fn of_somebody(item: &ChangeItem) -> Self {
        let member = |user: UserId, role| SupposedOf::Member(user, role);
        match item {
            ChangeItem::Member(is) => Self::Of(is.room, member(is.user, Some(is.role))),
            ChangeItem::MemberGone { room, user } => Self::Of(*room, member(*user, None)),
            ChangeItem::Block(block) => Self::Of(block.room, SupposedOf::Blocked(block.user)),
            ChangeItem::DeviceToken(_, session) => {
                Self::Device(SupposedOf::Device(Arc::new(session.clone())))
            }
            ChangeItem::Room(_)
            | ChangeItem::RoomGone { .. }
            | ChangeItem::Template(_)
            | ChangeItem::TemplateGone { .. }
            | ChangeItem::Session(_)
            | ChangeItem::BlockGone { .. }
            | ChangeItem::SessionGone(_)
            | ChangeItem::UserGone(_)
            | ChangeItem::ApiKeyGone(_)
            | ChangeItem::Endpoint(_)
            | ChangeItem::EndpointGone(_) => Self::Nobody,
        }
    }

    /// Whether it is about a room.
    fn concerns(&self, room: &Room) -> bool {
        match self {
            Self::Named(Named::Room(policy)) => policy.room.name == room.name,
            Self::Named(Named::Templated(policy)) => {
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
            Self::TemplateGone(prefix, _) => match &room.governed {
                Governed::Templated(policy) => policy.template.prefix == *prefix,
                Governed::Persistent(_) | Governed::Transient(_) => false,
            },
            Self::RoomGone(id) | Self::Of(id, _) => room.governed.id() == Some(*id),
            Self::Device(_) => true,
            Self::Named(Named::Absent) | Self::Nobody => false,
        }
    }

    /// What is supposed of a room that it is about; none: that is gone.
    fn supposed(&self) -> Option<Supposed> {
        let (named, of) = match self {
            Self::RoomGone(_) => return None,
            Self::Named(named) => (Some(named.clone()), None),
            Self::TemplateGone(_, next) => {
                let next = next.clone().map_or(Named::Absent, Named::Templated);
                (Some(next), None)
            }
            Self::Of(_, of) | Self::Device(of) => (None, Some(of.clone())),
            Self::Nobody => (None, None),
        };
        Some(Supposed { named, of })
    }
}
