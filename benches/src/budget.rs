//! What a measurement shall come to: what it must reach, and what is gone for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a figure shall be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Budget {
    /// Which figure.
    pub(crate) of: Of,
    /// Which way is better.
    pub(crate) better: Better,
    /// It must come this far.
    pub(crate) least: f64,
    /// It is meant to come this far.
    pub(crate) aim: f64,
}

/// Which figure of a row is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Of {
    /// The median of the ratios.
    Ratio,
    /// The median of ours.
    Ours,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Better {
    /// Up.
    Higher,
    /// Down.
    Lower,
}

/// Whether it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As meant.
    Aim,
    /// As it must be.
    Met,
    /// No.
    Missed,
}

impl Budget {
    /// A ratio of at least this.
    pub(crate) const fn ratio_from(least: f64, aim: f64) -> Self {
        Self {
            of: Of::Ratio,
            better: Better::Higher,
            least,
            aim,
        }
    }

    /// A ratio of this at most.
    pub(crate) const fn ratio_up_to(least: f64, aim: f64) -> Self {
        Self {
            of: Of::Ratio,
            better: Better::Lower,
            least,
            aim,
        }
    }

    /// The same of our own figure.
    pub(crate) const fn ours(self) -> Self {
        Self {
            of: Of::Ours,
            ..self
        }
    }

    /// Judges a figure.
    pub(crate) fn judge(self, figure: f64) -> Verdict {
        let reaches = |bound| match self.better {
            Better::Higher => figure >= bound,
            Better::Lower => figure <= bound,
        };
        if reaches(self.aim) {
            Verdict::Aim
        } else if reaches(self.least) {
            Verdict::Met
        } else {
            Verdict::Missed
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.better {
            Better::Higher => ">=",
            Better::Lower => "<=",
        };
        write!(formatter, "{sign} {}, aim {}", self.least, self.aim)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Aim => "met, the aim too",
            Self::Met => "met",
            Self::Missed => "**missed**",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_kept_from_its_own_side() {
        let fast = Budget::ratio_from(1.5, 2.0);
        assert_eq!(fast.judge(2.5), Verdict::Aim);
        assert_eq!(fast.judge(1.5), Verdict::Met);
        assert_eq!(fast.judge(1.4), Verdict::Missed);
        let small = Budget::ratio_up_to(512.0, 256.0).ours();
        assert_eq!(small.judge(200.0), Verdict::Aim);
        assert_eq!(small.judge(300.0), Verdict::Met);
        assert_eq!(small.judge(f64::NAN), Verdict::Missed);
        assert_eq!(small.to_string(), "<= 512, aim 256");
    }
}
