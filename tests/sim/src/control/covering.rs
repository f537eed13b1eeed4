//! Templates, and which of them each room's name is under. What they do to rooms is said as if each
//! covered room had been written by itself, so that whoever reads it knows of no template.

use porthouse_model::{ChangeItem, EntryRules, NamePrefix, Resolved, RoomId, RoomRules, Template};

use super::Control;
use super::commit::{door, room_id};
use crate::checker::line::{Door, Edit};

/// How many prefixes there are: of all rooms, and of those whose numbers begin with one digit.
pub(crate) const PREFIXES: u32 = 4;

/// A template as it stands.
#[derive(Clone, Debug)]
pub(super) struct TemplateRow {
    pub(super) template: Template,
    identity: u64,
    version: u64,
}

/// What covers a room: which version of which template, and what the room is by it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Covered {
    template: u64,
    version: u64,
    identity: u64,
}

impl Control {
    /// The rules of a room: its own, or those of the template that covers it.
    pub(crate) fn rules(&self, room: u32) -> Option<&RoomRules> {
        let own = self.rooms.get(&room).map(|row| &*row.room.rules);
        own.or_else(|| self.covering(room).map(|row| &*row.template.rules))
    }

    /// What covers a room that has no rules of its own.
    pub(super) fn covering(&self, room: u32) -> Option<&TemplateRow> {
        let mut longest_first = self.templates.iter().rev();
        let covering = longest_first.find(|(prefix, _)| covers(**prefix, room));
        covering.map(|(_, row)| row)
    }

    /// A covered room, as it is said.
    pub(super) fn covered_door(&self, room: u32) -> Option<Door> {
        let covered = self.covered.get(&room)?;
        let rules = &self.covering(room)?.template.rules;
        Some(door(covered.identity, rules))
    }

    /// A planted bug: the shortest prefix counts, not the longest.
    pub(crate) fn ignore_prefixes(&self, found: &mut [Resolved]) {
        let Some(shortest) = self.templates.get(&0) else {
            return;
        };
        for resolved in found {
            if let Resolved::Template(template) = resolved {
                template.clone_from(&shortest.template);
            }
        }
    }

    /// What a template of this identity asks for.
    pub(super) fn template_entry(&self, id: RoomId) -> Option<&EntryRules> {
        let row = self.templates.values().find(|row| row.template.id == id);
        Some(&row?.template.rules.entry)
    }

    /// What a template says, where there is one.
    pub(crate) fn template_rules(&self, prefix: u32) -> Option<&RoomRules> {
        let row = self.templates.get(&prefix)?;
        Some(&row.template.rules)
    }

    /// A new template, or a changed one. A password is set anew.
    pub(super) fn put_template(&mut self, prefix: u32, rules: &RoomRules) -> ChangeItem {
        let known = self.templates.get(&prefix);
        let known = known.map(|row| (row.identity, row.version));
        let (identity, version) = known.unwrap_or_else(|| {
            self.identities += 1;
            (self.identities, 0)
        });
        let mut rules = rules.clone();
        rules.entry = self.versioned(&rules.entry);
        let template = Template {
            id: room_id(identity),
            prefix: name_prefix(prefix),
            rules: Box::new(rules),
        };
        let row = TemplateRow {
            template: template.clone(),
            identity,
            version: version + 1,
        };
        self.templates.insert(prefix, row);
        ChangeItem::Template(template)
    }

    pub(super) fn delete_template(&mut self, prefix: u32) -> Option<ChangeItem> {
        let row = self.templates.remove(&prefix)?;
        // One prefix alone is shorter than another.
        let next = self.templates.get(&0).filter(|_| prefix != 0);
        Some(ChangeItem::TemplateGone {
            id: row.template.id,
            prefix: row.template.prefix,
            next: next.map(|row| row.template.clone()),
        })
    }

    /// What has changed of rooms by what covers them now.
    pub(super) fn cover(&mut self) -> Vec<Edit> {
        let mut edits = Vec::new();
        for room in 0..self.names {
            let before = self.covered.get(&room).copied();
            if self.rooms.contains_key(&room) {
                self.covered.remove(&room);
                continue;
            }
            let now = self.covering(room).map(|row| (row.identity, row.version));
            let Some((template, version)) = now else {
                if self.covered.remove(&room).is_some() {
                    edits.push(Edit::Uncovered { room });
                }
                continue;
            };
            let goes_on = before.filter(|before| before.template == template);
            if goes_on.is_some_and(|before| before.version == version) {
                continue;
            }
            let identity = goes_on.map_or_else(
                || {
                    self.identities += 1;
                    self.identities
                },
                |before| before.identity,
            );
            let covered = Covered {
                template,
                version,
                identity,
            };
            self.covered.insert(room, covered);
            let door = self.covered_door(room).expect("just covered");
            edits.push(Edit::Room { room, door });
        }
        edits
    }
}

/// A prefix that covers every room, or those whose numbers begin like this.
pub(crate) fn name_prefix(prefix: u32) -> NamePrefix {
    let text = match prefix {
        0 => "room-*".to_owned(),
        digit => format!("room-{digit}*"),
    };
    text.parse().expect("a prefix")
}

fn covers(prefix: u32, room: u32) -> bool {
    name_prefix(prefix).covers(&super::room_name(room))
}
