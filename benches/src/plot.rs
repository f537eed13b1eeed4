//! Plots of what runs came to, from their JSON alone: ratios with their spread,
//! latency by rate, memory by sockets. A run that has nothing of a kind draws none.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::chart::{Axis, Frame};
use crate::record::{self, Kind, Point, Record, Row};
use crate::svg::{Anchor, Svg};
use crate::table::{Figures, shown};

/// One for each subject, ours first.
const COLOURS: [&str; 8] = [
    "#c2185b", "#1565c0", "#2e7d32", "#ef6c00", "#6a1b9a", "#00838f", "#5d4037", "#616161",
];
/// Ours, beside whichever peer it was measured.
const OURS: &str = "porthouse";
const WIDTH: f64 = 860.0;
const ROW: f64 = 19.0;

/// What is drawn, and where to.
#[derive(clap::Args)]
pub(crate) struct Plot {
    /// What `--json` wrote.
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// The directory for the images; they are called as the runs are.
    #[arg(long, default_value = "docs/figures")]
    to: PathBuf,
}

pub(crate) fn run(wanted: &Plot) -> anyhow::Result<()> {
    fs::create_dir_all(&wanted.to)?;
    for run in &wanted.runs {
        let record = Record::read(run)?;
        let drawn = images(&record);
        ensure!(!drawn.is_empty(), "{} has nothing to draw", run.display());
        for (name, image) in drawn {
            let file = file(&wanted.to, run, name);
            fs::write(&file, image).with_context(|| format!("cannot write {}", file.display()))?;
            println!("{}", file.display());
        }
    }
    Ok(())
}

fn file(directory: &Path, run: &Path, name: &str) -> PathBuf {
    let stem = run.file_stem().unwrap_or_default().to_string_lossy();
    directory.join(format!("{stem}-{name}.svg"))
}

/// All that a run has to show.
fn images(record: &Record) -> Vec<(&'static str, String)> {
    let source = record.machine.line();
    let mut images = Vec::new();
    images.extend(ratios(record, &source).map(|image| ("ratios", image)));
    let latency = Frame {
        title: "Latency of a delivery in ms: 99th percentile (line) and median (dashes)",
        below: "messages a second",
        source: &source,
    };
    images.extend(curves(record, Kind::Latency, &latency).map(|image| ("latency", image)));
    let memory = Frame {
        title: "User memory of the server in bytes, grown by idle sockets",
        below: "idle sockets",
        source: &source,
    };
    images.extend(curves(record, Kind::Memory, &memory).map(|image| ("memory", image)));
    images
}

/// A line a row: from the least ratio to the greatest, a dot at the median.
fn ratios(record: &Record, source: &str) -> Option<String> {
    let mut rows: Vec<&Row> = record
        .rows
        .iter()
        .filter(|row| !row.ratios.is_empty())
        .collect();
    if rows.is_empty() {
        return None;
    }
    // What was measured together, whichever peer it was measured beside.
    rows.sort_by(|one, other| (&one.what, &one.beside).cmp(&(&other.what, &other.beside)));
    let floor = 60.0 + ROW * f64::from(u32::try_from(rows.len()).unwrap_or(u32::MAX));
    let mut svg = Svg::new(WIDTH, floor + 45.0);
    let every = rows.iter().flat_map(|row| row.ratios.iter().copied());
    let across = Axis::over(every.chain([1.0]), (430.0, WIDTH - 70.0));
    let frame = Frame {
        title: "Ratios: least, median, greatest of the pairs",
        below: "Porthouse to what stands beside it",
        source,
    };
    frame.draw(&mut svg, &across, None, floor);
    svg.line("one", (across.at(1.0), 52.0), (across.at(1.0), floor));
    let mut y = 52.0;
    for row in rows {
        y += ROW;
        let figures = Figures::new(row.ratios.clone());
        let ((least, most), median) = (figures.ends(), figures.median());
        let colour = COLOURS[usize::from(!more_is_better(&row.unit))];
        let words = format!("{}: {}", row.beside, row.what);
        svg.text("", Anchor::End, (420.0, y), &cut(&words));
        let height = y - 4.0;
        svg.bar(
            colour,
            (across.at(least), height),
            (across.at(most), height),
        );
        svg.dot(colour, (across.at(median), height));
        svg.text("faint", Anchor::Start, (WIDTH - 62.0, y), &shown(median));
    }
    let told = [
        (COLOURS[0], "more is better"),
        (COLOURS[1], "less is better"),
    ];
    for (place, (colour, words)) in [(12.0, told[0]), (130.0, told[1])] {
        svg.dot(colour, (place + 4.0, floor + 28.0));
        svg.text("faint", Anchor::Start, (place + 14.0, floor + 32.0), words);
    }
    Some(svg.finish())
}

/// Rates are; times, costs and memory are not.
fn more_is_better(unit: &str) -> bool {
    unit.ends_with("/s")
}

/// What fits beside a chart.
fn cut(words: &str) -> String {
    const MOST: usize = 66;
    if words.chars().count() <= MOST {
        return words.to_owned();
    }
    words.chars().take(MOST - 1).chain(['…']).collect()
}

/// A line a subject, and of latencies one with dashes for the median.
fn curves(record: &Record, kind: Kind, frame: &Frame<'_>) -> Option<String> {
    let mut subjects: BTreeMap<&str, Vec<Point>> = BTreeMap::new();
    for curve in record.curves.iter().filter(|curve| curve.kind == kind) {
        let ours = curve.subject.starts_with(OURS);
        let subject = if ours { OURS } else { curve.subject.as_str() };
        let points = subjects.entry(subject).or_default();
        points.extend(curve.points.iter().cloned());
    }
    if subjects.is_empty() {
        return None;
    }
    let floor = 380.0;
    let mut svg = Svg::new(WIDTH, floor + 45.0);
    let points = || subjects.values().flatten();
    let across = Axis::over(points().map(|point| point.at), (70.0, WIDTH - 170.0));
    let values = points().flat_map(|point| point.values.iter().copied());
    let up = Axis::over(values, (floor, 60.0));
    frame.draw(&mut svg, &across, Some(&up), floor);
    let mut names: Vec<&str> = subjects.keys().copied().collect();
    names.sort_by_key(|name| *name != OURS);
    for (number, name) in names.into_iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let points = record::medians(&subjects[name]);
        let width = points.iter().map(|point| point.values.len()).min();
        for value in 0..width.unwrap_or(0) {
            let last = value + 1 == width.unwrap_or(0);
            let line: Vec<(f64, f64)> = points
                .iter()
                .map(|point| (across.at(point.at), up.at(point.values[value])))
                .collect();
            svg.path(colour, if last { "" } else { "4 3" }, &line);
            if last {
                for point in line {
                    svg.dot(colour, point);
                }
            }
        }
        let y = 70.0 + ROW * f64::from(u32::try_from(number).unwrap_or_default());
        svg.dot(colour, (WIDTH - 150.0, y - 4.0));
        svg.text("", Anchor::Start, (WIDTH - 140.0, y), name);
    }
    Some(svg.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::record::Curve;

    fn record() -> Record {
        let curve = |kind, subject: &str, scale: f64| Curve {
            kind,
            subject: subject.to_owned(),
            points: (1..4)
                .map(|step| Point {
                    at: 200.0 * f64::from(step),
                    values: vec![scale, scale * 2.0],
                })
                .collect(),
        };
        let mut machine = Machine::now();
        machine.date = "2026-01-01 00:00".to_owned();
        Record {
            benchmark: "compare".to_owned(),
            machine,
            versions: BTreeMap::new(),
            left_out: BTreeMap::new(),
            rows: vec![
                Row::new(
                    "plain",
                    "fan-out",
                    "M deliveries/s",
                    &[(8.0, 1.0), (9.0, 1.0)],
                ),
                Row::new("ws", "CPU a delivery", "us", &[(4.0, 8.0)]),
                Row::alone("joins", "alone", "/s", &[1.0]),
            ],
            curves: vec![
                curve(Kind::Latency, "porthouse beside plain", 1.0),
                curve(Kind::Latency, "porthouse beside ws", 3.0),
                curve(Kind::Latency, "ws", 9.0),
            ],
        }
    }

    #[test]
    fn a_run_draws_what_it_has_and_the_same_each_time() {
        let images = images(&record());
        let names: Vec<&str> = images.iter().map(|image| image.0).collect();
        assert_eq!(names, ["ratios", "latency"]);
        assert_eq!(images, super::images(&record()));
        let ratios = &images[0].1;
        // A bar and a dot for each row that has ratios, and two dots that explain.
        assert_eq!(ratios.matches("stroke-width=\"4\"").count(), 2);
        assert_eq!(ratios.matches("<circle").count(), 4);
        assert!(ratios.contains(">plain: fan-out</text>"), "{ratios}");
        assert!(ratios.contains(">8.00</text>"), "the median: {ratios}");
        let latency = &images[1].1;
        // Ours is one line, whomever it was measured beside, and each has its median.
        assert_eq!(latency.matches("<polyline").count(), 4);
        assert_eq!(latency.matches(">porthouse</text>").count(), 1);
    }

    #[test]
    fn long_words_are_cut_where_they_would_run_into_the_chart() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"x".repeat(100)).chars().count(), 66);
        assert!(more_is_better("M deliveries/s") && !more_is_better("us"));
    }
}
