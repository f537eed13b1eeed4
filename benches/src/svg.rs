//! An image of lines, dots and words, as SVG. Knows nothing of what is drawn; the
//! same calls give the same bytes.

use std::fmt::Write as _;

/// How its parts look, on light paper and on dark.
const STYLE: &str = "\
text{font:12px sans-serif;fill:#222}\
.title{font-weight:bold;font-size:14px}\
.faint{fill:#666;font-size:11px}\
.axis{stroke:#888}\
.grid{stroke:#ddd}\
.one{stroke:#444;stroke-dasharray:4 3}";

/// An image.
pub(crate) struct Svg {
    width: f64,
    height: f64,
    body: String,
}

/// Where a word stands to its point.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    pub(crate) const fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            body: String::new(),
        }
    }

    /// A straight line of a class.
    pub(crate) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.put(&format!(
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        ));
    }

    /// A thick line of a colour.
    pub(crate) fn bar(&mut self, colour: &str, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.put(&format!(
            "<line stroke=\"{colour}\" stroke-width=\"4\" stroke-linecap=\"round\" opacity=\"0.45\" \
             x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        ));
    }

    /// A dot of a colour.
    pub(crate) fn dot(&mut self, colour: &str, (x, y): (f64, f64)) {
        self.put(&format!(
            "<circle fill=\"{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>"
        ));
    }

    /// A line through points; dashed if it has dashes.
    pub(crate) fn path(&mut self, colour: &str, dashes: &str, points: &[(f64, f64)]) {
        let mut text = String::new();
        for (x, y) in points {
            let _infallible = write!(text, "{x:.1},{y:.1} ");
        }
        self.put(&format!(
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\" \
             stroke-dasharray=\"{dashes}\" points=\"{}\"/>",
            text.trim_end()
        ));
    }

    /// Words of a class.
    pub(crate) fn text(&mut self, class: &str, anchor: Anchor, (x, y): (f64, f64), words: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let words = words
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        self.put(&format!(
            "<text class=\"{class}\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>"
        ));
    }

    /// The image as a file has it.
    pub(crate) fn finish(self) -> String {
        let (width, height) = (self.width, self.height);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\">\n<style>{STYLE}</style>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{}</svg>\n",
            self.body
        )
    }

    fn put(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_the_same_each_time_and_its_words_are_escaped() {
        let draw = || {
            let mut svg = Svg::new(100.0, 50.0);
            svg.line("axis", (0.0, 1.0), (2.0, 3.0));
            svg.text("", Anchor::End, (4.0, 5.0), "p99 <= 50 & more");
            svg.finish()
        };
        let image = draw();
        assert_eq!(image, draw());
        assert!(image.starts_with("<svg xmlns="), "{image}");
        let line = "<line class=\"axis\" x1=\"0.0\" y1=\"1.0\" x2=\"2.0\" y2=\"3.0\"/>\n";
        assert!(image.contains(line), "{image}");
        assert!(image.contains(">p99 &lt;= 50 &amp; more</text>"), "{image}");
        assert!(image.ends_with("</svg>\n"), "{image}");
    }
}
