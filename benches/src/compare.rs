//! The comparison: Porthouse and a peer run at once, and are loaded by turns; the
//! peer sleeps while Porthouse is loaded, since some peers spin.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use porthouse_load::talk::{Pace, Plan};
use porthouse_load::{cores, files, to_float};

use crate::peer::{self, Peer};
use crate::subject::{self, Subject, Told};
use crate::table::{self, Figures};

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
    table::head();
    for peer in &wanted.peers {
        let mut theirs = match peer.start() {
            Ok(theirs) => theirs,
            Err(peer::Absent(why)) => {
                println!("| {peer} | left out: {why} | | | | |");
                continue;
            }
        };
        // Its own for each peer: what one left behind is not the next one's.
        let mut ours = subject::porthouse(&wanted.porthouse)?;
        if let Err(error) = beside(wanted, &mut ours, theirs.as_mut()) {
            println!("| {peer} | failed: {error:#} | | | | |");
        }
    }
    Ok(())
}

/// All that is measured of a pair.
fn beside(
    wanted: &Compare,
    ours: &mut dyn Subject,
    theirs: &mut dyn Subject,
) -> anyhow::Result<()> {
    ours.open(wanted.sockets)?;
    theirs.open(wanted.sockets)?;
    for measure in &wanted.measures {
        if let Measure::Idle = measure {
            ours.close();
            theirs.close();
        }
        pairs(wanted, *measure, ours, theirs)?;
    }
    Ok(())
}

/// Ours, theirs, ours, theirs … and the ratio of each pair.
fn pairs(
    wanted: &Compare,
    measure: Measure,
    ours: &mut dyn Subject,
    theirs: &mut dyn Subject,
) -> anyhow::Result<()> {
    let count = match measure {
        // What was freed once is used again: only the first time tells.
        Measure::Idle => 1,
        Measure::Window8 | Measure::Window64 | Measure::Calm | Measure::Busy | Measure::Rising => {
            wanted.pairs
        }
    };
    let (mut our, mut their, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..count {
        theirs.sleep();
        let one = measure.of(wanted, ours);
        theirs.wake();
        let (one, other) = (one?, measure.of(wanted, theirs)?);
        our.push(one);
        their.push(other);
        ratios.push(one / other);
    }
    table::row(
        theirs.name(),
        &measure.name(wanted),
        measure.unit(),
        &[Figures::new(our), Figures::new(their), Figures::new(ratios)],
    );
    Ok(())
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

    fn of(self, wanted: &Compare, subject: &mut dyn Subject) -> anyhow::Result<f64> {
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
            Self::Calm => {
                let Told { outcome, cpu } = run(Pace::Rate(CALM_RATE))?;
                cpu.as_secs_f64() * MEGA / to_float(outcome.deliveries)
            }
            Self::Busy => {
                let outcome = run(Pace::Rate(BUSY_RATE))?.outcome;
                outcome.latency.percentile(99.0).as_secs_f64() * 1e3
            }
            Self::Rising => {
                let mut kept = f64::NAN;
                for rate in RISING_RATES {
                    let outcome = run(Pace::Rate(rate))?.outcome;
                    if outcome.held_back > 0 || outcome.latency.percentile(99.0) > KEPT_P99_MAX {
                        break;
                    }
                    kept = rate;
                }
                kept
            }
            Self::Idle => subject.bytes_a_socket(wanted.idle_sockets)?,
        })
    }
}
