//! The table: minimum, median and maximum of what was measured.

/// Several measurements of one thing.
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn new(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        Self(figures)
    }

    /// Minimum, median, maximum.
    fn three(&self) -> String {
        let at = |place: usize| {
            let figure = self.0.get(place).copied().unwrap_or(f64::NAN);
            if figure >= 1_000.0 {
                format!("{figure:.0}")
            } else {
                format!("{figure:.2}")
            }
        };
        let last = self.0.len().saturating_sub(1);
        format!("{} **{}** {}", at(0), at(last / 2), at(last))
    }
}

/// One row: what was measured beside which peer; ours, theirs and their ratio.
pub(crate) fn row(peer: &str, what: &str, unit: &str, figures: &[Figures; 3]) {
    let [ours, theirs, ratio] = figures.each_ref().map(Figures::three);
    println!("| {peer} | {what} | {unit} | {ours} | {theirs} | {ratio} |");
}

/// The head.
pub(crate) fn head() {
    println!("| peer | what | unit | porthouse (min **median** max) | peer | ratio |");
    println!("|---|---|---|---|---|---|");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_figures_stand_for_many() {
        let figures = Figures::new(vec![3.0, 1.0, 2.0, 5_000.4, 4.0]);
        assert_eq!(figures.three(), "1.00 **3.00** 5000");
        assert_eq!(Figures::new(Vec::new()).three(), "NaN **NaN** NaN");
    }
}
