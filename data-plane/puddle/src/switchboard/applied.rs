//! What every puddle has settled, and what was said of it. Owns the smallest of
//! many; an acknowledgement never runs ahead of any puddle.

use porthouse_model::Revision;

use crate::input::PuddleId;

/// By puddle, what it has settled of the log that is followed.
#[derive(Debug)]
pub(super) struct Applied {
    puddles: Vec<Settled>,
    acknowledged: Option<Revision>,
}

/// How far a puddle is.
#[derive(Clone, Copy, Debug, Default)]
struct Settled {
    /// What it was told to begin with: word of less is from before.
    from: Revision,
    up_to: Option<Revision>,
}

impl Applied {
    pub(super) fn new(puddles: u8) -> Self {
        Self {
            puddles: vec![Settled::default(); usize::from(puddles)],
            acknowledged: None,
        }
    }

    /// All puddles begin here, with a log of which nothing was acknowledged.
    pub(super) fn restart(&mut self, from: Revision) {
        self.puddles.fill(Settled { from, up_to: None });
        self.acknowledged = None;
    }

    /// One puddle begins here.
    pub(super) fn restart_one(&mut self, puddle: PuddleId, from: Revision) {
        self.puddles[usize::from(puddle.0)] = Settled { from, up_to: None };
    }

    /// A puddle has settled this, of what was told up to `told`.
    pub(super) fn settled(&mut self, puddle: PuddleId, revision: Revision, told: Revision) {
        let settled = &mut self.puddles[usize::from(puddle.0)];
        if (settled.from..=told).contains(&revision) {
            settled.up_to = settled.up_to.max(Some(revision));
        }
    }

    /// What can be acknowledged and was not.
    pub(super) fn next(&mut self) -> Option<Revision> {
        let least = self
            .puddles
            .iter()
            .map(|settled| settled.up_to)
            .min()
            .flatten();
        if least <= self.acknowledged {
            return None;
        }
        self.acknowledged = least;
        least
    }

    pub(super) const fn acknowledged(&self) -> Option<Revision> {
        self.acknowledged
    }
}
