//! The comparison: Porthouse and a peer run at once, and are loaded by turns; the
//! peer sleeps while Porthouse is loaded, since some peers spin.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use porthouse_load::talk::{Pace, Plan};
use porthouse_load::{cores, files, to_float};

use crate::budget::Budget;
use crate::peer::{self, Peer};
use crate::record::{self, Curve, Kind, Point, Record, Row};
use crate::subject::{self, Subject};

/// A message's payload.
const PAYLOAD_BYTES: usize = 128;
/// Messages a second when calm, and when busy.
const CALM_RATE: f64 = 100.0;
const BUSY_RATE: f64 = 400.0;
/// Rates that are tried one after the other, messages a second.
const RISING_RATES: [f64; 6] = [200.0, 400.0, 800.0, 1_600.0, 3_200.0, 6_400.0];
/// A rate is kept while 99 of a hundred deliveries take at most this.
const KEPT_P99_MAX: Duration = Duration::from_millis(50);
const MEGA: f64 = 1e6;

/// What is compared, and for how long.
#[derive(clap::Args)]
pub(crate) struct Compare {
    /// The `porthouse` program, built with `--release`.
    #[arg(long, default_value = "target/release/porthouse")]
    porthouse: PathBuf,
    /// Peers; one that is not installed is named and left out.
    #[arg(long, value_delimiter = ',', default_values_t = Peer::ALL)]
    peers: Vec<Peer>,
    /// What is measured.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Measure::value_variants().to_vec())]
    measures: Vec<Measure>,
    /// Sockets in the room, the sender apart.
    #[arg(long, default_value_t = 1_000)]
    sockets: usize,
    /// Idle sockets whose memory is measured.
    #[arg(long, default_value_t = 5_000)]
    idle_sockets: usize,
    /// Pairs of runs; the median of their ratios counts.
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// Seconds of each run.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Write all of it there as JSON too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Something that is measured of both.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Measure {
    /// Deliveries a second, 8 messages under way.
    Window8,
    /// Deliveries a second, 64 messages under way.
    Window64,
    /// CPU a delivery at 100 messages a second.
    Calm,
    /// The 99th percentile of latency at 400 messages a second.
    Busy,
    /// The highest rate whose 99th percentile is 50 ms at most.
    Rising,
    /// Memory of an idle socket.
    Idle,
}

pub(crate) fn run(wanted: &Compare) -> anyhow::Result<()> {
    files::raise(wanted.idle_sockets.max(wanted.sockets) * 2 + 500)?;
    cores::pin(cores::CLIENT)?;
    let mut record = Record::begin("compare", "peer");
    for peer in &wanted.peers {
        let name = peer.to_string();
        let mut theirs = match peer.start() {
            Ok(theirs) => theirs,
            Err(peer::Absent(why)) => {
                record.left_out(&name, &format!("left out: {why}"));
                continue;
            }
        };
        record.versions.insert(name.clone(), peer.version());
        // Its own for each peer: what one left behind is not the next one's.
        let mut ours = subject::porthouse(&wanted.porthouse)?;
        let mut pair = Pair {
            wanted,
            peer: *peer,
            ours: &mut ours,
            theirs: theirs.as_mut(),
            record: &mut record,
        };
        if let Err(error) = pair.beside() {
            record.left_out(&name, &format!("failed: {error:#}"));
        }
    }
    record.write(wanted.json.as_deref())
}

/// Porthouse and a peer, and what came of them.
struct Pair<'a> {
    wanted: &'a Compare,
    peer: Peer,
    ours: &'a mut dyn Subject,
    theirs: &'a mut dyn Subject,
    record: &'a mut Record,
}

impl Pair<'_> {
    /// All that is measured of a pair.
    fn beside(&mut self) -> anyhow::Result<()> {
        self.ours.open(self.wanted.sockets)?;
        self.theirs.open(self.wanted.sockets)?;
        for measure in &self.wanted.measures {
            if let Measure::Idle = measure {
                self.ours.close();
                self.theirs.close();
            }
            self.measure(*measure)?;
        }
        Ok(())
    }

    /// Ours, theirs, ours, theirs … and the ratio of each pair.
    fn measure(&mut self, measure: Measure) -> anyhow::Result<()> {
        let wanted = self.wanted;
        let count = match measure {
            // What was freed once is used again: only the first time tells.
            Measure::Idle => 1,
            Measure::Window8
            | Measure::Window64
            | Measure::Calm
            | Measure::Busy
            | Measure::Rising => wanted.pairs,
        };
        let mut pairs = Vec::new();
        let mut points = [Vec::new(), Vec::new()];
        for _ in 0..count {
            self.theirs.sleep();
            let ours = measure.of(wanted, self.ours, &mut points[0]);
            self.theirs.wake();
            let ours = ours?;
            let theirs = measure.of(wanted, self.theirs, &mut points[1])?;
            pairs.push((ours, theirs));
        }
        let names = [
            format!("porthouse beside {}", self.peer),
            self.peer.to_string(),
        ];
        for (subject, points) in names.into_iter().zip(points) {
            if let (Some(kind), false) = (measure.curve(), points.is_empty()) {
                let points = record::medians(&points);
                self.record.curves.push(Curve {
                    kind,
                    subject,
                    points,
                });
            }
        }
        let (name, what) = (self.peer.to_string(), measure.name(wanted));
        let row = Row::new(&name, &what, measure.unit(), &pairs);
        self.record.row(row.within(measure.budget(self.peer)));
        Ok(())
    }
}

impl Measure {
    fn name(self, wanted: &Compare) -> String {
        let sockets = wanted.sockets;
        match self {
            Self::Window8 => format!("fan-out to {sockets}, window 8"),
            Self::Window64 => format!("fan-out to {sockets}, window 64"),
            Self::Calm => format!("CPU a delivery, {CALM_RATE} messages/s"),
            Self::Busy => format!("p99 at {BUSY_RATE} messages/s"),
            Self::Rising => format!("highest rate with p99 <= {KEPT_P99_MAX:?}"),
            Self::Idle => format!("memory an idle socket, of {}", wanted.idle_sockets),
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::Window8 | Self::Window64 => "M deliveries/s",
            Self::Calm => "us",
            Self::Busy => "ms",
            Self::Rising => "messages/s",
            Self::Idle => "bytes",
        }
    }

    /// What it draws beside its figure.
    const fn curve(self) -> Option<Kind> {
        match self {
            Self::Rising => Some(Kind::Latency),
            Self::Idle => Some(Kind::Memory),
            Self::Window8 | Self::Window64 | Self::Calm | Self::Busy => None,
        }
    }

    /// What it shall come to beside a peer.
    const fn budget(self, peer: Peer) -> Option<Budget> {
        match (self, peer) {
            (Self::Window8, Peer::Uwebsockets) => Some(Budget::ratio_from(1.0, 1.15)),
            (Self::Window64, Peer::Uwebsockets) => Some(Budget::ratio_from(1.5, 2.0)),
            (Self::Busy, Peer::Uwebsockets) => Some(Budget::ratio_up_to(1.0, 0.8)),
            (Self::Rising, Peer::Uwebsockets) => Some(Budget::ratio_from(1.3, 2.0)),
            (Self::Window8, Peer::Plain) => Some(Budget::ratio_from(8.0, 10.0)),
            (Self::Idle, _) => Some(Budget::ratio_up_to(512.0, 256.0).ours()),
            (Self::Window8 | Self::Window64 | Self::Calm | Self::Busy | Self::Rising, _) => None,
        }
    }

    /// Measures it once; what it draws is put to the points.
    fn of(
        self,
        wanted: &Compare,
        subject: &mut dyn Subject,
        points: &mut Vec<Point>,
    ) -> anyhow::Result<f64> {
        let mut run = |pace| {
            subject.talk(&Plan {
                pace,
                span: Duration::from_secs(wanted.seconds),
                payload_bytes: PAYLOAD_BYTES,
            })
        };
        Ok(match self {
            Self::Window8 => run(Pace::Window(8))?.outcome.rate() / MEGA,
            Self::Window64 => run(Pace::Window(64))?.outcome.rate() / MEGA,
            Self::Calm => run(Pace::Rate(CALM_RATE))?.cpu_a_delivery(),
            Self::Busy => run(Pace::Rate(BUSY_RATE))?.p99(),
            Self::Rising => {
                let mut kept = 0.0;
                for rate in RISING_RATES {
                    let told = run(Pace::Rate(rate))?;
                    points.push(Point {
                        at: rate,
                        values: vec![told.p50(), told.p99()],
                    });
                    let p99 = told.outcome.latency.percentile(99.0);
                    if told.outcome.held_back > 0 || p99 > KEPT_P99_MAX {
                        break;
                    }
                    kept = rate;
                }
                kept
            }
            Self::Idle => {
                let steps = subject.idle(wanted.idle_sockets)?;
                points.extend(steps.iter().map(|step| Point {
                    at: to_float(step.sockets as u64),
                    values: vec![to_float(step.bytes)],
                }));
                let last = steps.last().map(|step| step.bytes).unwrap_or_default();
                to_float(last) / to_float(wanted.idle_sockets as u64)
            }
        })
    }
}
