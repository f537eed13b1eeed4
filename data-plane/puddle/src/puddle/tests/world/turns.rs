//! A change that puddles hear of one after the other. Owns no expectation.

use std::sync::Arc;

use porthouse_model::{Change, ChangeItem, Revision, RoomRules};

use super::World;
use crate::{Changed, Input};

impl World {
    /// Changes a room's rules, and the puddles hear of it one after the other.
    pub(in crate::puddle::tests) fn rule_in_turn(
        &mut self,
        name: &str,
        rules: RoomRules,
        turns: &[usize],
    ) {
        let room = self.rooms.get_mut(name).expect("a room that was made");
        *room.rules = rules;
        self.revision += 1;
        let revision = Revision(self.revision);
        let items = vec![ChangeItem::Room(room.clone())];
        let changed = Arc::new(Changed::compile(Change { revision, items }));
        for &puddle in turns {
            let told = Input::Changed(Arc::clone(&changed));
            self.puddles[puddle].handle(self.now, told);
            self.run();
        }
    }
}
