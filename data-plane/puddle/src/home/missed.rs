//! What the reader of a stream missed since the last event it heard: read again as
//! anybody inside may who reads, and only if nothing of it is missing.
//!
//! Where it says it was proves nothing. So it is told no more than a reader is,
//! and what only somebody who was inside may see makes the answer an honest no.

use porthouse_model::{ClientId, Keep, Time};
use porthouse_rules::Hearing;

use super::placed::{Placed, Viewer};
use super::taking::Since;
use super::{Allowance, Home, Stand, keeps};

/// How far the reader of a stream was, and what it hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The place of the last event it heard.
    pub stand: Stand,
    /// By its rights.
    pub hearing: Hearing,
}

impl Home {
    /// Everything that was said after the last that was heard, if all of it is
    /// kept for readers, and not too much.
    pub(super) fn missed(
        &self,
        heard: &Heard,
        client: ClientId,
        now: Time,
        allowance: &Allowance,
    ) -> Since {
        let Stand { epoch, offset } = heard.stand;
        let rules = self.governed.rules().source();
        if !keeps(rules) || epoch != self.epoch || offset > self.offset {
            return Since::Gap;
        }
        if offset == self.offset {
            return Since::Recovered(Vec::new());
        }
        let missed = match rules.history.keep {
            Keep::None => None,
            Keep::Latest => {
                let latest = self.latest.as_ref();
                let next = latest.filter(|latest| {
                    latest.offset() == self.offset && latest.offset() == offset + 1
                });
                next.map(|latest| vec![latest.clone()])
            }
            Keep::Last {
                messages_max,
                age_max,
            } => {
                let old = self.shelf.older_than(age_max, now);
                let floor = self.offset.saturating_sub(messages_max.into()).max(old);
                // As if it had been inside: what that alone shows is looked for below.
                let inside = Viewer {
                    client,
                    since: offset,
                    hearing: heard.hearing,
                };
                let is_theirs = |placed: &Placed| inside.may_see(placed);
                let bytes_max = allowance.recovered_bytes_max;
                let kept = (offset >= floor).then_some(&self.shelf);
                kept.and_then(|shelf| shelf.since(offset, self.offset, is_theirs, bytes_max))
            }
        };
        let reader = Viewer {
            client,
            since: self.offset,
            hearing: heard.hearing,
        };
        let is_read = |placed: &Placed| reader.may_see(placed);
        match missed {
            Some(missed) if missed.iter().all(|placed| is_read(placed)) => Since::Recovered(missed),
            Some(_) | None => Since::Gap,
        }
    }
}
