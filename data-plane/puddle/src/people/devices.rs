//! The sockets of one client in one room: how many on which puddle, by the way
//! they speak. Knows nothing about who the client is.

use smallvec::SmallVec;

use crate::input::PuddleId;
use crate::output::WireForm;

/// How many sockets a client has, by wire form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Devices {
    /// Raw ones.
    pub raw: u32,
    /// Those of `porthouse.v1`.
    pub multiplexed: u32,
    /// Event streams.
    pub event_streams: u32,
}

impl Devices {
    /// All of them.
    pub(crate) const fn sockets(self) -> u32 {
        self.raw + self.multiplexed + self.event_streams
    }

    const fn of(&mut self, form: WireForm) -> &mut u32 {
        match form {
            WireForm::Raw => &mut self.raw,
            WireForm::Multiplexed => &mut self.multiplexed,
            WireForm::EventStream => &mut self.event_streams,
        }
    }
}

/// The same, told apart by the puddle that holds them.
#[derive(Clone, Debug, Default)]
pub(super) struct Whereabouts {
    /// Few: a client is on one or two puddles, most on one.
    places: SmallVec<[(PuddleId, Devices); 1]>,
}

impl Whereabouts {
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn add(&mut self, puddle: PuddleId, form: WireForm) {
        let place = self.places.iter_mut().find(|(at, _)| *at == puddle);
        let devices = if let Some((_, devices)) = place {
            devices
        } else {
            self.places.push((puddle, Devices::default()));
            &mut self.places.last_mut().expect("one was added").1
        };
        *devices.of(form) += 1;
    }

    /// One socket less. What was never added is not there to be taken away.
    pub(super) fn remove(&mut self, puddle: PuddleId, form: WireForm) {
        if let Some((_, devices)) = self.places.iter_mut().find(|(at, _)| *at == puddle) {
            let count = devices.of(form);
            *count = count.saturating_sub(1);
        }
        self.places.retain(|(_, devices)| devices.sockets() > 0);
    }

    /// A puddle is gone with all its sockets. Answers whether there were any.
    pub(super) fn lose(&mut self, puddle: PuddleId) -> bool {
        let before = self.places.len();
        self.places.retain(|(at, _)| *at != puddle);
        self.places.len() < before
    }

    /// On all puddles together.
    pub(super) fn total(&self) -> Devices {
        let all = self.places.iter();
        all.fold(Devices::default(), |sum, (_, devices)| Devices {
            raw: sum.raw + devices.raw,
            multiplexed: sum.multiplexed + devices.multiplexed,
            event_streams: sum.event_streams + devices.event_streams,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_counted_over_all_puddles_until_theirs_is_lost() {
        let mut there = Whereabouts::default();
        there.add(PuddleId(0), WireForm::Raw);
        there.add(PuddleId(1), WireForm::Raw);
        there.add(PuddleId(1), WireForm::Multiplexed);
        there.add(PuddleId(1), WireForm::EventStream);
        let all = Devices {
            raw: 2,
            multiplexed: 1,
            event_streams: 1,
        };
        assert_eq!(there.total(), all);
        assert!(there.lose(PuddleId(1)));
        assert!(!there.lose(PuddleId(1)));
        assert_eq!(there.total().sockets(), 1);
        there.remove(PuddleId(0), WireForm::Multiplexed);
        there.remove(PuddleId(0), WireForm::Raw);
        assert!(there.is_empty());
    }
}
