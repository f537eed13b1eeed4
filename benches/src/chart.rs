//! A chart with logarithmic axes: where a figure stands on one, which figures are
//! named beside it, and the frame around what is drawn.

use crate::svg::{Anchor, Svg};
use crate::table::shown;

/// An axis, from one figure and place to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Axis {
    figures: (f64, f64),
    places: (f64, f64),
}

impl Axis {
    /// One that has all of these figures, and a little room. Only what is above nothing has
    /// a place on it.
    pub(crate) fn over(figures: impl Iterator<Item = f64>, places: (f64, f64)) -> Self {
        let mut ends = (f64::INFINITY, 0.0_f64);
        for figure in figures.filter(|figure| figure.is_finite() && *figure > 0.0) {
            ends = (ends.0.min(figure), ends.1.max(figure));
        }
        if ends.1 <= 0.0 {
            ends = (1.0, 1.0);
        }
        Self {
            figures: (ends.0 / 1.15, ends.1 * 1.15),
            places,
        }
    }

    /// Where a figure stands.
    pub(crate) fn at(&self, figure: f64) -> f64 {
        let (least, most) = self.figures;
        let share = (figure.clamp(least, most) / least).ln() / (most / least).ln();
        self.places.0 + share * (self.places.1 - self.places.0)
    }

    /// Figures to name: 1, 2 and 5 of each power of ten, or the powers alone where those
    /// would be many.
    pub(crate) fn named(&self) -> Vec<f64> {
        let (least, most) = self.figures;
        let steps: &[f64] = if most / least > 300.0 {
            &[1.0]
        } else {
            &[1.0, 2.0, 5.0]
        };
        let mut power = 10.0_f64.powf(least.log10().floor());
        let mut named = Vec::new();
        while power <= most {
            let here = steps.iter().map(|step| step * power);
            named.extend(here.filter(|figure| (least..=most).contains(figure)));
            power *= 10.0;
        }
        named
    }
}

/// What stands around a chart.
pub(crate) struct Frame<'a> {
    pub(crate) title: &'a str,
    /// What is along the axis below.
    pub(crate) below: &'a str,
    /// Where it was measured.
    pub(crate) source: &'a str,
}

impl Frame<'_> {
    /// Draws it around the places of both axes, with the lines of the figures that are named.
    pub(crate) fn draw(&self, svg: &mut Svg, across: &Axis, up: Option<&Axis>, floor: f64) {
        let (left, right) = across.places;
        svg.text("title", Anchor::Start, (12.0, 22.0), self.title);
        svg.text("faint", Anchor::Start, (12.0, 40.0), self.source);
        let top = up.map_or(52.0, |up| up.places.1);
        for figure in across.named() {
            let x = across.at(figure);
            svg.line("grid", (x, top), (x, floor));
            svg.text("faint", Anchor::Middle, (x, floor + 15.0), &short(figure));
        }
        for figure in up.iter().flat_map(|up| up.named()) {
            let y = up.map_or(floor, |up| up.at(figure));
            svg.line("grid", (left, y), (right, y));
            svg.text("faint", Anchor::End, (left - 6.0, y + 4.0), &short(figure));
        }
        svg.line("axis", (left, floor), (right, floor));
        let middle = f64::midpoint(left, right);
        svg.text("faint", Anchor::Middle, (middle, floor + 32.0), self.below);
    }
}

/// A round figure in few signs.
pub(crate) fn short(figure: f64) -> String {
    let (figure, unit) = match figure {
        _ if figure >= 1e6 => (figure / 1e6, "M"),
        _ if figure >= 1e3 => (figure / 1e3, "k"),
        _ => (figure, ""),
    };
    let text = shown(figure);
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_stands_where_its_logarithm_does() {
        let axis = Axis::over([1.0, 100.0].into_iter(), (0.0, 200.0));
        assert!((axis.at(10.0) - 100.0).abs() < 1e-9);
        assert!((axis.at(0.0) - 0.0).abs() < 1e-9, "below is at the end");
        assert!((axis.at(1e9) - 200.0).abs() < 1e-9, "above too");
        assert_eq!(axis.named(), [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]);
        let wide = Axis::over([1.0, 1e6].into_iter(), (0.0, 1.0));
        assert_eq!(wide.named().len(), 7);
        let empty = Axis::over(std::iter::empty(), (0.0, 1.0));
        assert!(empty.at(1.0).is_finite());
    }

    #[test]
    fn a_round_figure_is_short() {
        assert_eq!(short(2_000_000.0), "2M");
        assert_eq!(short(500.0), "500");
        assert_eq!(short(1_500.0), "1.5k");
        assert_eq!(short(0.2), "0.2");
    }
}
