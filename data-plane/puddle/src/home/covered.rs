//! What a change of a template does to the homes of rooms that it covers. Never
//! guesses which template counts: each change says what covers its names from
//! then on.

use core::ops::Bound;
use std::sync::Arc;

use porthouse_model::{NamePrefix, Revision, RoomName};

use super::Homes;
use crate::policy::TemplatePolicy;
use crate::room::Governed;
use crate::seed::Chance;

impl Homes {
    /// A template stands like this, as of a revision: it governs the rooms that
    /// nothing governed, and those of shorter prefixes and of its own. Answers
    /// which.
    pub(crate) fn templated(
        &mut self,
        policy: &Arc<TemplatePolicy>,
        as_of: Revision,
        chance: &mut Chance,
    ) -> Vec<RoomName> {
        let prefix = &policy.template.prefix;
        let takes = |governed: &Governed| match governed {
            Governed::Templated(other) => {
                other.template.prefix.as_str().len() <= prefix.as_str().len()
            }
            Governed::Transient(_) => true,
            Governed::Persistent(_) => false,
        };
        let rooms = self.covered(prefix, takes);
        let governed = Governed::Templated(Arc::clone(policy));
        for room in &rooms {
            self.ruled(room, &governed, as_of, chance);
        }
        rooms
    }

    /// A template is gone: the rooms that it governed are governed like this.
    /// Answers which.
    pub(crate) fn untemplated(
        &mut self,
        prefix: &NamePrefix,
        governed: &Governed,
        as_of: Revision,
        chance: &mut Chance,
    ) -> Vec<RoomName> {
        let governs = |governed: &Governed| match governed {
            Governed::Templated(other) => other.template.prefix == *prefix,
            Governed::Transient(_) | Governed::Persistent(_) => false,
        };
        let rooms = self.covered(prefix, governs);
        for room in &rooms {
            self.ruled(room, governed, as_of, chance);
        }
        rooms
    }

    fn covered(&self, prefix: &NamePrefix, takes: impl Fn(&Governed) -> bool) -> Vec<RoomName> {
        let from: (Bound<&str>, Bound<&str>) = (Bound::Included(prefix.as_str()), Bound::Unbounded);
        let homes = self.homes.range::<str, _>(from);
        let homes = homes.take_while(|(room, _)| prefix.covers(room));
        let concerned = homes.filter(|(_, home)| takes(&home.governed));
        concerned.map(|(room, _)| room.clone()).collect()
    }
}
