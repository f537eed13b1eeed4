//! Who is a member by a label: what administrators have said of users' labels and of rooms' groups.
//! Judges nothing.

use std::collections::BTreeMap;

use super::policy::Since;

/// All labels and groups, and since when each holds or does not.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    labels: BTreeMap<(u32, u32), (bool, Since)>,
    groups: BTreeMap<(u64, u32), (bool, Since)>,
}

impl Groups {
    pub(super) fn label(&mut self, key: (u32, u32), word: (bool, Since)) {
        self.labels.insert(key, word);
    }

    pub(super) fn group(&mut self, key: (u64, u32), word: (bool, Since)) {
        self.groups.insert(key, word);
    }

    /// Whether some group makes a user a member of a room, and when something was said last that
    /// matters to it. `None`: the room never had any.
    pub(super) fn stands(&self, identity: u64, user: u32) -> Option<(bool, Since)> {
        let own = self.groups.range((identity, 0)..=(identity, u32::MAX));
        let words = own.map(|(&(_, label), &(is_group, since))| {
            let label = self.labels.get(&(user, label)).copied();
            let (is_labelled, also) = label.unwrap_or_default();
            (is_group && is_labelled, since.max(also))
        });
        words.reduce(|(is, since), (also, later)| (is || also, since.max(later)))
    }
}
