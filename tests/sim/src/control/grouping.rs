//! Groups of members: whoever has a label is a member of a room, as long as both last. What a group
//! gives is told to nodes as any membership is, in the revision that gives or takes it.

use std::collections::BTreeSet;

use porthouse_model::{ChangeItem, RoomId};

use super::Control;
use crate::checker::line::Edit;
use crate::plant::Plant;

/// So many labels there are.
pub(crate) const LABELS: u32 = 3;

/// Users' labels, and what they give.
#[derive(Debug, Default)]
pub(super) struct Groups {
    labels: BTreeSet<(u32, u32)>,
    groups: BTreeSet<(RoomId, u32)>,
}

impl Groups {
    /// Whether some group makes a user a member of a room.
    pub(super) fn gives(&self, room: RoomId, user: u32) -> bool {
        let all = self.groups.range((room, 0)..=(room, u32::MAX));
        let mut labels = all.map(|(_, label)| (user, *label));
        labels.any(|label| self.labels.contains(&label))
    }

    /// The room is gone, and its groups with it.
    pub(super) fn forget(&mut self, room: RoomId) {
        self.groups.retain(|(of, _)| *of != room);
    }
}

/// Puts something in, or takes it out; answers whether that changed anything.
fn set<T: Ord>(all: &mut BTreeSet<T>, one: T, some: bool) -> bool {
    if some {
        all.insert(one)
    } else {
        all.remove(&one)
    }
}

impl Control {
    pub(super) fn label(
        &mut self,
        user: u32,
        label: u32,
        some: bool,
    ) -> Option<Vec<(Option<ChangeItem>, Edit)>> {
        let rooms: Vec<RoomId> = self.rooms.values().map(|row| row.room.id).collect();
        let before: Vec<bool> = rooms
            .iter()
            .map(|&room| self.is_member(room, user))
            .collect();
        set(&mut self.groups.labels, (user, label), some).then_some(())?;
        let edit = Edit::Labelled { user, label, some };
        let changed = rooms.into_iter().zip(before);
        let changed = changed.filter(|&(room, was)| self.is_member(room, user) != was);
        let items = changed.map(|(room, _)| self.membership(room, user));
        Some(self.told(items.collect(), edit))
    }

    pub(super) fn group(
        &mut self,
        room: u32,
        label: u32,
        some: bool,
    ) -> Option<Vec<(Option<ChangeItem>, Edit)>> {
        let row = self.rooms.get(&room)?;
        let (id, identity) = (row.room.id, row.identity);
        let before: Vec<bool> = (0..self.users)
            .map(|user| self.is_member(id, user))
            .collect();
        set(&mut self.groups.groups, (id, label), some).then_some(())?;
        let edit = Edit::Grouped {
            identity,
            label,
            some,
        };
        let changed = (0..self.users).zip(before);
        let changed = changed.filter(|&(user, was)| self.is_member(id, user) != was);
        let items = changed.map(|(user, _)| self.membership(id, user));
        Some(self.told(items.collect(), edit))
    }

    /// What nodes are told, each with what was written.
    fn told(&self, items: Vec<ChangeItem>, edit: Edit) -> Vec<(Option<ChangeItem>, Edit)> {
        let keeps = self.plant == Some(Plant::GroupKept);
        let is_kept = |item: &ChangeItem| keeps && matches!(item, ChangeItem::MemberGone { .. });
        let items = items.into_iter().filter(|item| !is_kept(item));
        let mut told: Vec<_> = items.map(|item| (Some(item), edit)).collect();
        if told.is_empty() {
            told.push((None, edit));
        }
        told
    }
}
