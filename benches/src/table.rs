//! Several measurements of one thing, as a table shows them: minimum, median and
//! maximum.

/// Several measurements of one thing.
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn new(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        Self(figures)
    }

    /// The middle one, of an even number the lower; no number where there is none.
    pub(crate) fn median(&self) -> f64 {
        self.at(self.0.len().saturating_sub(1) / 2)
    }

    /// The smallest and the greatest.
    pub(crate) fn ends(&self) -> (f64, f64) {
        (self.at(0), self.at(self.0.len().saturating_sub(1)))
    }

    fn at(&self, place: usize) -> f64 {
        self.0.get(place).copied().unwrap_or(f64::NAN)
    }

    /// Minimum, median, maximum; of one the median alone, of none nothing.
    pub(crate) fn three(&self) -> String {
        let (least, most) = self.ends();
        match self.0.len() {
            0 => String::new(),
            1 => format!("**{}**", shown(least)),
            _ => {
                let median = shown(self.median());
                format!("{} **{median}** {}", shown(least), shown(most))
            }
        }
    }
}

/// With no more decimals than tell something.
pub(crate) fn shown(figure: f64) -> String {
    if figure >= 1_000.0 {
        format!("{figure:.0}")
    } else {
        format!("{figure:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_figures_stand_for_many() {
        let figures = Figures::new(vec![3.0, 1.0, 2.0, 5_000.4, 4.0]);
        assert_eq!(figures.three(), "1.00 **3.00** 5000");
        assert_eq!(figures.ends(), (1.0, 5_000.4));
        assert_eq!(Figures::new(vec![0.5]).three(), "**0.50**");
        assert_eq!(Figures::new(Vec::new()).three(), "");
        assert!(Figures::new(Vec::new()).median().is_nan());
    }
}
