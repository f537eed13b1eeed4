//! The one source of chance: `SplitMix64` (Steele, Lea, Flood 2014), forked by purpose, so that a
//! draw more in one part of the world changes nothing in another. Never asks the system.

/// A generator.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The generator of a seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x5851_f42d_4c95_7f2d))
    }

    /// A generator with a course of its own.
    pub(crate) const fn fork(&mut self) -> Self {
        Self::new(self.next())
    }

    /// Any number.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `end`; `end` is at least 1.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(end);
        u64::try_from(wide >> 64).expect("the upper half of 128 bits")
    }

    /// A number from `first` to `last`, both included.
    pub(crate) fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// A number from `first` to `last`, small ones much more often: each doubling is as likely.
    pub(crate) fn skewed(&mut self, first: u64, last: u64) -> u64 {
        let span = last - first + 1;
        let bits = u64::from(64 - span.leading_zeros());
        let cap = self.between(1, bits);
        let end = if cap >= 64 { u64::MAX } else { 1 << cap };
        first + self.below(end.min(span))
    }

    /// A place in something that long; it is not empty.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        let end = u64::try_from(len).expect("a length");
        usize::try_from(self.below(end)).expect("below a length")
    }

    /// A number below `end`; `end` is at least 1.
    pub(crate) fn index_u32(&mut self, end: u32) -> u32 {
        u32::try_from(self.below(u64::from(end))).expect("below 32 bits")
    }

    /// One of these; there is one.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.index(from.len())]
    }

    /// True once in so many times.
    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// True so many times in a hundred.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

const fn mix(mut mixed: u64) -> u64 {
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_has_one_course_and_a_fork_another() {
        let (mut one, mut other) = (Chance::new(7), Chance::new(7));
        assert_eq!(one.next(), other.next());
        assert_ne!(one.fork().next(), other.next());
    }

    #[test]
    fn draws_stay_in_their_bounds() {
        let mut chance = Chance::new(1);
        for _ in 0..1_000 {
            assert!((3..=9).contains(&chance.between(3, 9)));
            assert!((0..=70_000).contains(&chance.skewed(0, 70_000)));
        }
    }
}
