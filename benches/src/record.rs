//! What a run came to: rows of a table, printed as they come, and all of it as
//! JSON, every sample, for the plots and for whoever doubts a median.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::budget::{Budget, Of};
use crate::machine::Machine;
use crate::table::Figures;

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// What was run: `compare`, `within`.
    pub(crate) benchmark: String,
    pub(crate) machine: Machine,
    /// Of ours and of each peer.
    pub(crate) versions: BTreeMap<String, String>,
    pub(crate) rows: Vec<Row>,
    pub(crate) curves: Vec<Curve>,
    /// What could not be measured, and why.
    pub(crate) left_out: BTreeMap<String, String>,
}

/// One thing that was measured of two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The peer, or what is compared within Porthouse.
    pub(crate) beside: String,
    pub(crate) what: String,
    pub(crate) unit: String,
    pub(crate) ours: Vec<f64>,
    /// Empty: it stands alone.
    pub(crate) theirs: Vec<f64>,
    /// Of each pair.
    pub(crate) ratios: Vec<f64>,
    pub(crate) budget: Option<Budget>,
    /// What else was seen.
    pub(crate) notes: Vec<String>,
}

/// Something that grows with something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Curve {
    pub(crate) kind: Kind,
    pub(crate) subject: String,
    pub(crate) points: Vec<Point>,
}

/// What a curve shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Median and 99th percentile in ms, by messages a second.
    Latency,
    /// Bytes of user memory, by idle sockets.
    Memory,
}

/// A point of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) at: f64,
    pub(crate) values: Vec<f64>,
}

impl Record {
    /// Nothing yet; prints the machine and the table's head.
    pub(crate) fn begin(benchmark: &str, beside: &str) -> Self {
        let machine = Machine::now();
        println!("{}\n", machine.line());
        println!(
            "| {beside} | what | unit | porthouse (min **median** max) | beside | ratio | budget |"
        );
        println!("|---|---|---|---|---|---|---|");
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Self {
            benchmark: benchmark.to_owned(),
            machine,
            versions: BTreeMap::from([("porthouse".to_owned(), version)]),
            rows: Vec::new(),
            curves: Vec::new(),
            left_out: BTreeMap::new(),
        }
    }

    /// One more, printed.
    pub(crate) fn row(&mut self, row: Row) {
        println!("{}", row.line());
        self.rows.push(row);
    }

    /// Something that could not be measured.
    pub(crate) fn left_out(&mut self, beside: &str, why: &str) {
        self.left_out.insert(beside.to_owned(), why.to_owned());
        println!("| {beside} | {why} | | | | | |");
    }

    /// Writes all of it, if that is wanted.
    pub(crate) fn write(&self, file: Option<&Path>) -> anyhow::Result<()> {
        let Some(file) = file else { return Ok(()) };
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    /// Reads one.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let shown = file.display();
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
        serde_json::from_str(&text).with_context(|| format!("{shown} is no run's JSON"))
    }
}

impl Row {
    /// Pairs that were measured; what is no number is left out.
    pub(crate) fn new(beside: &str, what: &str, unit: &str, pairs: &[(f64, f64)]) -> Self {
        let kept = |figures: &mut dyn Iterator<Item = f64>| {
            figures.filter(|figure| figure.is_finite()).collect()
        };
        Self {
            beside: beside.to_owned(),
            what: what.to_owned(),
            unit: unit.to_owned(),
            ours: kept(&mut pairs.iter().map(|pair| pair.0)),
            theirs: kept(&mut pairs.iter().map(|pair| pair.1)),
            ratios: kept(&mut pairs.iter().map(|pair| pair.0 / pair.1)),
            budget: None,
            notes: Vec::new(),
        }
    }

    /// What was measured of ours alone.
    pub(crate) fn alone(beside: &str, what: &str, unit: &str, ours: &[f64]) -> Self {
        let pairs: Vec<(f64, f64)> = ours.iter().map(|figure| (*figure, f64::NAN)).collect();
        Self::new(beside, what, unit, &pairs)
    }

    /// With what it shall come to.
    pub(crate) fn within(mut self, budget: Option<Budget>) -> Self {
        self.budget = budget;
        self
    }

    /// With what else was seen.
    pub(crate) fn noting(mut self, notes: Vec<String>) -> Self {
        self.notes = notes;
        self
    }

    /// As a line of the table.
    pub(crate) fn line(&self) -> String {
        let three = |figures: &[f64]| Figures::new(figures.to_vec()).three();
        let judged = self.budget.map(|budget| {
            let figures = match budget.of {
                Of::Ratio => &self.ratios,
                Of::Ours => &self.ours,
            };
            let median = Figures::new(figures.clone()).median();
            format!("{budget}: {}", budget.judge(median))
        });
        let notes = if self.notes.is_empty() {
            String::new()
        } else {
            format!(" ({})", self.notes.join("; "))
        };
        format!(
            "| {} | {}{notes} | {} | {} | {} | {} | {} |",
            self.beside,
            self.what,
            self.unit,
            three(&self.ours),
            three(&self.theirs),
            three(&self.ratios),
            judged.unwrap_or_default()
        )
    }
}

/// Points at the same place as one, with the median of each value.
pub(crate) fn medians(points: &[Point]) -> Vec<Point> {
    let mut places: Vec<f64> = points.iter().map(|point| point.at).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let at = |place: f64| {
        let alike: Vec<&Point> = points
            .iter()
            .filter(|point| point.at.total_cmp(&place).is_eq())
            .collect();
        let width = alike.iter().map(|point| point.values.len()).min();
        let values = (0..width.unwrap_or(0)).map(|value| {
            let all = alike.iter().map(|point| point.values[value]);
            Figures::new(all.collect()).median()
        });
        Point {
            at: place,
            values: values.collect(),
        }
    };
    places.into_iter().map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let pairs = [(2.0, 1.0), (3.0, 2.0), (1.0, f64::NAN)];
        Row::new("plain", "fan-out", "M deliveries/s", &pairs)
            .within(Some(Budget::ratio_from(1.5, 8.0)))
            .noting(vec!["the client was full".to_owned()])
    }

    #[test]
    fn a_row_says_whether_its_budget_is_kept() {
        assert_eq!(
            row().line(),
            "| plain | fan-out (the client was full) | M deliveries/s | 1.00 **2.00** 3.00 \
             | 1.00 **1.00** 2.00 | 1.50 **1.50** 2.00 | >= 1.5, aim 8: met |"
        );
        let alone = Row::alone("", "joins", "/s", &[7.0]);
        assert_eq!(alone.line(), "|  | joins | /s | **7.00** |  |  |  |");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let record = Record {
            benchmark: "compare".to_owned(),
            machine: Machine::now(),
            versions: BTreeMap::from([("plain".to_owned(), "0.30.0".to_owned())]),
            rows: vec![row()],
            curves: vec![Curve {
                kind: Kind::Latency,
                subject: "plain".to_owned(),
                points: vec![Point {
                    at: 200.0,
                    values: vec![1.0, 2.5],
                }],
            }],
            left_out: BTreeMap::from([("ws".to_owned(), "not installed".to_owned())]),
        };
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("run.json");
        record.write(Some(&file)).expect("written");
        assert_eq!(Record::read(&file).expect("read"), record);
        let wrong = Record::read(directory.path()).expect_err("no file");
        assert!(wrong.to_string().contains("cannot read"), "{wrong}");
    }

    #[test]
    fn points_of_several_runs_become_one() {
        let point = |at, value| Point {
            at,
            values: vec![value],
        };
        let points = [point(200.0, 3.0), point(400.0, 9.0), point(200.0, 1.0)];
        let drawn = medians(&points);
        assert_eq!(drawn, [point(200.0, 1.0), point(400.0, 9.0)]);
    }
}
