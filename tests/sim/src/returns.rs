//! Those who lost their connection and came back to go on where they were, counted: how often
//! nothing was missing, and why, as far as the world knows, when something may have been. Judges
//! nothing: the checker does.

use core::fmt;
use core::ops::AddAssign;

/// Why something may be missing for somebody who came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lapse {
    /// It had left the room, or was put out of it.
    Out,
    /// The room's offsets have begun anew, or it keeps nothing any more.
    Epoch,
    /// It came by another session.
    Session,
    /// The room's rules, or what it may there, have changed.
    Changed,
    /// More was missed than is kept or handed over, or it could not know why.
    Unkept,
}

impl Lapse {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Out, "had left or were put out"),
        (Self::Epoch, "found that the room had begun anew"),
        (Self::Session, "came by another session"),
        (Self::Changed, "had other rights meanwhile"),
        (Self::Unkept, "missed more than was kept for them"),
    ];
}

/// How often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Returns {
    /// A connection ended while its client was inside a room.
    pub disconnects: u64,
    /// Somebody came back into a room to go on.
    pub came_back: u64,
    /// And was told that nothing is missing.
    pub recovered: u64,
    lapsed: [u64; Lapse::ALL.len()],
}

impl Returns {
    /// Whether enough were told that nothing is missing, and judged by that: one in so many
    /// disconnects at least.
    #[must_use]
    pub const fn prove_something(&self) -> bool {
        self.recovered > 0 && self.recovered.saturating_mul(Self::EACH_MAX) >= self.disconnects
    }

    /// About one in twenty are, in these worlds.
    const EACH_MAX: u64 = 100;

    /// Somebody came back: without anything missing, or not.
    pub(crate) fn count(&mut self, lapse: Option<Lapse>) {
        self.came_back += 1;
        match lapse {
            None => self.recovered += 1,
            Some(lapse) => {
                let all = Lapse::ALL.iter().zip(&mut self.lapsed);
                let mut same = all.filter(|((of, _), _)| *of == lapse);
                *same.next().expect("all are listed").1 += 1;
            }
        }
    }
}

impl AddAssign for Returns {
    fn add_assign(&mut self, more: Self) {
        self.disconnects += more.disconnects;
        self.came_back += more.came_back;
        self.recovered += more.recovered;
        for (count, more) in self.lapsed.iter_mut().zip(more.lapsed) {
            *count += more;
        }
    }
}

impl fmt::Display for Returns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = self.came_back - self.recovered;
        writeln!(f, "{} disconnects from inside a room", self.disconnects)?;
        writeln!(f, "{} came back to go on", self.came_back)?;
        writeln!(f, "{} of them with nothing missing", self.recovered)?;
        write!(f, "{not} were told that something may be missing:")?;
        for ((_, why), count) in Lapse::ALL.iter().zip(self.lapsed) {
            write!(f, "\n  {count} {why}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_in_which_nobody_recovers_proves_nothing() {
        let mut returns = Returns::default();
        assert!(!returns.prove_something());
        returns.disconnects = Returns::EACH_MAX;
        assert!(!returns.prove_something());
        returns.count(Some(Lapse::Unkept));
        assert!(!returns.prove_something());
        returns.count(None);
        assert!(returns.prove_something());
        returns.disconnects += 1;
        assert!(!returns.prove_something());
    }

    #[test]
    fn everybody_who_came_back_is_counted_once() {
        let mut returns = Returns::default();
        returns.count(None);
        for (lapse, _) in Lapse::ALL {
            returns.count(Some(lapse));
        }
        let mut twice = returns;
        twice += returns;
        assert_eq!((twice.came_back, twice.recovered), (12, 2));
        assert_eq!(twice.lapsed, [2; Lapse::ALL.len()]);
    }
}
