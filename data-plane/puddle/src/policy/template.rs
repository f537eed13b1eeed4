//! What a change of a template does to the names it covers. Never guesses which
//! template counts: each change says what covers its names from then on.

use core::ops::Bound;
use std::collections::BTreeSet;
use std::sync::Arc;

use porthouse_model::{NamePrefix, PolicyKey, Revision, RoomName};

use super::cache::Source;
use super::{Policy, TemplatePolicy, Touched};
use crate::question::Known;

impl Policy {
    /// A template stands like this now: it takes the names that nothing governs,
    /// and those of shorter prefixes and of its own.
    pub(super) fn templated(
        &mut self,
        revision: Revision,
        policy: &Arc<TemplatePolicy>,
        touched: &mut Vec<Touched>,
    ) {
        let prefix = &policy.template.prefix;
        let takes = |known: &Known| match known {
            Known::Templated(other) => {
                other.template.prefix.as_str().len() <= prefix.as_str().len()
            }
            Known::Absent => true,
            Known::Room(_)
            | Known::Session(_)
            | Known::Member(_)
            | Known::Block(_)
            | Known::ApiKey(_)
            | Known::Endpoint(_) => false,
        };
        self.cover(revision, prefix, takes, touched, || {
            Known::Templated(Arc::clone(policy))
        });
    }

    /// A template is gone: the names it governed are governed by the next.
    pub(super) fn template_gone(
        &mut self,
        revision: Revision,
        prefix: &NamePrefix,
        next: Option<&Arc<TemplatePolicy>>,
        touched: &mut Vec<Touched>,
    ) {
        let governs = |known: &Known| match known {
            Known::Templated(other) => other.template.prefix == *prefix,
            Known::Absent
            | Known::Room(_)
            | Known::Session(_)
            | Known::Member(_)
            | Known::Block(_)
            | Known::ApiKey(_)
            | Known::Endpoint(_) => false,
        };
        self.cover(revision, prefix, governs, touched, || unnamed(next));
    }

    /// All names with a prefix have changed where `takes` says so; answers about
    /// any of them that are under way are from before.
    fn cover(
        &mut self,
        revision: Revision,
        prefix: &NamePrefix,
        takes: impl Fn(&Known) -> bool,
        touched: &mut Vec<Touched>,
        known: impl Fn() -> Known,
    ) {
        self.flights.touch_names(prefix, revision);
        for name in self.cache.index().unnamed(prefix) {
            let key = PolicyKey::Room(name.clone());
            // What is doubted may have been covered by another template since.
            let concerned = self
                .cache
                .peek(&key)
                .is_some_and(|entry| entry.source != Source::Doubted && takes(&entry.known));
            if concerned && self.replace(&key, revision, &known) {
                touched.push(Touched::Room(name));
            }
        }
    }
}

/// What stands under a name without a room, by what covers it.
pub(super) fn unnamed(template: Option<&Arc<TemplatePolicy>>) -> Known {
    template.map_or(Known::Absent, |policy| Known::Templated(Arc::clone(policy)))
}

/// The names that a prefix covers, of an ordered set.
pub(super) fn covered<'a>(
    names: &'a BTreeSet<RoomName>,
    prefix: &'a NamePrefix,
) -> impl Iterator<Item = &'a RoomName> {
    let from: (Bound<&str>, Bound<&str>) = (Bound::Included(prefix.as_str()), Bound::Unbounded);
    names
        .range::<str, _>(from)
        .take_while(|name| prefix.covers(name))
}
