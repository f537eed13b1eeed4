//! Porthouse against itself, in alternating pairs in one run: what a second
//! puddle brings, and what a crowd, a rule, a wire form or a neighbour costs.
//!
//! * [`side`]: a crowd and its server, and two of them by turns
//! * [`cost`]: CPU a delivery, or deliveries by puddles
//! * [`neighbour`]: a quiet room beside one at full speed
//! * [`stalled`]: those who stop reading, and the others
//! * [`instrumented`]: everything that can be watched is watched
//! * [`hostile`]: those who do what they should not, and the others
//! * [`entry`]: joins that ask nobody, and how fast permission ends

use std::path::PathBuf;

use anyhow::ensure;
use clap::ValueEnum;
use porthouse_load::{cores, files};

use crate::record::Record;

mod side;
mod cost;
mod neighbour;
mod stalled;
mod instrumented;
mod hostile;
mod entry;

/// Sockets of a crowded room.
const CROWD: usize = 10_000;
/// What is tried with `--small` has so many times fewer sockets.
const SMALLER: usize = 20;

/// What is measured, and for how long.
#[derive(clap::Args)]
pub(crate) struct Within {
    /// The `porthouse` program, built with `--release`.
    #[arg(long, default_value = "target/release/porthouse")]
    porthouse: PathBuf,
    /// What is measured.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Measure::value_variants().to_vec())]
    measures: Vec<Measure>,
    /// Pairs of runs; the median of their ratios counts.
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// Seconds of each run.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// A twentieth of the sockets: shows that it runs, and nothing else.
    #[arg(long)]
    small: bool,
    /// Write all of it there as JSON too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Something that is measured.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Measure {
    /// Two puddles on two cores, to one.
    Puddles,
    /// Cost a delivery in a room of 10,000, to a room of 100.
    Crowded,
    /// 99th percentile of a quiet room beside one of 10,000 at full speed, to alone.
    Quiet,
    /// Cost a delivery over `porthouse.v1`, to raw.
    Multiplexed,
    /// Cost a delivery under all rules, to none.
    Rules,
    /// Cost a delivery with spans, scrapes and black boxes, to none of them.
    Instrumented,
    /// 99th percentile of those who read beside those who do not, to nobody stalling.
    Stalled,
    /// 99th percentile of honest sockets beside hostile ones, to alone.
    Hostile,
    /// Joins a second and core that ask nobody.
    Joins,
    /// From the commit that ends sessions to the close frames.
    Revoked,
}

pub(crate) fn run(wanted: &Within) -> anyhow::Result<()> {
    files::raise(wanted.sockets(CROWD) + 1_000)?;
    let mut record = Record::begin("within", "measure");
    cores::pin(cores::CLIENT)?;
    let mut failed = Vec::new();
    for measure in &wanted.measures {
        let outcome = match measure {
            Measure::Puddles => cost::puddles(wanted, &mut record),
            Measure::Crowded => cost::crowded(wanted, &mut record),
            Measure::Quiet => neighbour::quiet(wanted, &mut record),
            Measure::Multiplexed => cost::multiplexed(wanted, &mut record),
            Measure::Rules => cost::rules(wanted, &mut record),
            Measure::Stalled => stalled::stalled(wanted, &mut record),
            Measure::Instrumented => instrumented::instrumented(wanted, &mut record),
            Measure::Hostile => hostile::hostile(wanted, &mut record),
            Measure::Joins => entry::joins(wanted, &mut record),
            Measure::Revoked => entry::revoked(wanted, &mut record),
        };
        if let Err(error) = outcome {
            let name = measure.name();
            record.left_out(&name, &format!("failed: {error:#}"));
            failed.push(name);
        }
    }
    record.write(wanted.json.as_deref())?;
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

impl Measure {
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

impl Within {
    /// So many sockets, or fewer where it is only tried.
    const fn sockets(&self, sockets: usize) -> usize {
        if self.small {
            sockets.div_ceil(SMALLER)
        } else {
            sockets
        }
    }
}
