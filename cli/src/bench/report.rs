//! What a benchmark came to: the same figures as a table and as JSON. A figure's
//! key ends in its unit.

use std::time::Duration;

use porthouse_load::latency::Latency;
use porthouse_load::to_float;
use serde_json::{Map, Value, json};

/// Figures, in the order in which they are told.
pub(super) struct Report {
    benchmark: &'static str,
    figures: Vec<Figure>,
    notes: Vec<String>,
}

struct Figure {
    key: String,
    label: String,
    value: f64,
    unit: &'static str,
}

impl Report {
    /// None yet.
    pub(super) const fn new(benchmark: &'static str) -> Self {
        Self {
            benchmark,
            figures: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// One more. The key is its label with the unit.
    pub(super) fn figure(&mut self, label: &str, value: f64, unit: &'static str) {
        let words = format!("{label} {}", unit_word(unit));
        let key: Vec<&str> = words
            .split(|letter: char| !letter.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .collect();
        self.figures.push(Figure {
            key: key.join("_").to_lowercase(),
            label: label.to_owned(),
            value,
            unit,
        });
    }

    /// A number of things.
    pub(super) fn count(&mut self, label: &str, count: u64) {
        self.figure(label, to_float(count), "");
    }

    /// Percentiles of times.
    pub(super) fn latency(&mut self, of: &str, latency: &Latency) {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        for (name, percent) in [("p50", 50.0), ("p99", 99.0)] {
            let time = latency.percentile(percent);
            self.figure(&format!("{of} {name}"), milliseconds(time), "ms");
        }
        self.figure(&format!("{of} max"), milliseconds(latency.longest()), "ms");
    }

    /// A sentence.
    pub(super) fn note(&mut self, sentence: String) {
        self.notes.push(sentence);
    }

    /// Prints it.
    pub(super) fn print(&self, as_json: bool) {
        if as_json {
            println!("{}", self.json());
        } else {
            print!("{}", self.table());
        }
    }

    fn json(&self) -> Value {
        let figures: Map<String, Value> = self
            .figures
            .iter()
            .map(|figure| (figure.key.clone(), json!(figure.value)))
            .collect();
        json!({"benchmark": self.benchmark, "figures": figures, "notes": self.notes})
    }

    fn table(&self) -> String {
        let widest = self.figures.iter().map(|figure| figure.label.len()).max();
        let width = widest.unwrap_or(0);
        let rows = self.figures.iter().map(|figure| {
            let (label, value) = (&figure.label, shown(figure.value));
            format!("{label:width$}  {value:>14} {}\n", figure.unit)
                .trim_end()
                .to_owned()
                + "\n"
        });
        let notes = self.notes.iter().map(|note| format!("{note}\n"));
        rows.chain(notes).collect()
    }
}

/// A unit as a word of a key.
fn unit_word(unit: &'static str) -> &'static str {
    match unit {
        "/s" => "per second",
        "%" => "percent",
        other => other,
    }
}

/// A figure for people: thousands apart, and no more decimals than tell something.
fn shown(value: f64) -> String {
    let decimals = if value.fract() == 0.0 || value >= 1_000.0 {
        0
    } else {
        2
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut apart = String::new();
    for (place, digit) in whole.chars().enumerate() {
        let left = whole.len() - place;
        if place > 0 && left.is_multiple_of(3) && whole.as_bytes()[place - 1] != b'-' {
            apart.push(',');
        }
        apart.push(digit);
    }
    apart + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_and_programs_are_told_the_same() {
        let mut report = Report::new("fanout");
        report.figure("deliveries", 1_234_567.8, "/s");
        report.figure("server's CPU a delivery", 4.456, "us");
        report.note("Nothing else ran.".to_owned());
        let json = report.json();
        assert_eq!(json["figures"]["deliveries_per_second"], 1_234_567.8);
        assert_eq!(json["figures"]["server_s_cpu_a_delivery_us"], 4.456);
        let table = report.table();
        assert!(table.contains("1,234,568 /s\n"), "{table}");
        assert!(table.contains("4.46 us\n"), "{table}");
        assert!(table.ends_with("Nothing else ran.\n"), "{table}");
    }

    #[test]
    fn figures_are_read_at_a_glance() {
        assert_eq!(shown(0.0), "0");
        assert_eq!(shown(999.5), "999.50");
        assert_eq!(shown(1_000.4), "1,000");
        assert_eq!(shown(-123_456.0), "-123,456");
    }
}
