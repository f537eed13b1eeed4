//! The table: minimum, median and maximum of what was measured.

/// Several measurements of one thing.
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn new(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        Self(figures)
    }

    /// Minimum, median, maximum.
    pub(crate) fn three(&self) -> [f64; 3] {
        let at = |place: usize| self.0.get(place).copied().unwrap_or(f64::NAN);
        [
            at(0),
            at(self.0.len() / 2),
            at(self.0.len().saturating_sub(1)),
        ]
    }
}

/// One row.
pub(crate) fn row(what: &str, unit: &str, ours: &Figures, theirs: &Figures, ratio: &Figures) {
    let show = |figures: &Figures| {
        let [min, median, max] = figures.three();
        format!("{min:.2} {median:.2} {max:.2}")
    };
    println!(
        "| {what} | {unit} | {} | {} | {} |",
        show(ours),
        show(theirs),
        show(ratio)
    );
}

/// The head.
pub(crate) fn head(ours: &str, theirs: &str) {
    println!("| what | unit | {ours} (min median max) | {theirs} | ratio |");
    println!("|---|---|---|---|---|");
}
