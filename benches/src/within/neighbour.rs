//! A quiet room beside a crowded one at full speed. The crowd has a client thread
//! of its own, which gives way to the quiet room's: what is measured is the
//! server's fairness, not the client's.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, bail};
use porthouse_load::cores;
use porthouse_load::crowd::Crowd;
use porthouse_load::house::House;
use porthouse_load::opening;
use porthouse_load::raw::Raw;
use porthouse_load::talk::{self, Edge, Pace, Plan, everybody};
use porthouse_load::target::Target;

use super::side::{PAYLOAD_BYTES, Side};
use super::{CROWD, Within};
use crate::budget::Budget;
use crate::record::{Record, Row};

/// Sockets that listen in the quiet room, and messages a second there.
const QUIET_SOCKETS: usize = 10;
const QUIET_RATE: f64 = 100.0;
/// Sockets of the crowd that come in at one time.
const AT_ONCE: usize = 64;
/// The crowd talks on for so much longer than the quiet room is measured.
const LONGER: Duration = Duration::from_secs(1);

pub(super) fn quiet(wanted: &Within, record: &mut Record) -> anyhow::Result<()> {
    let house = wanted.house()?;
    let crowd = wanted.sockets(CROWD);
    let neighbour = Neighbour::come(&house, crowd)?;
    let seats = everybody(1, QUIET_SOCKETS, 0);
    let mut quiet = Side::open(&house, Raw::in_room("quiet"), &seats)?;
    let plan = wanted.plan(Pace::Rate(QUIET_RATE));
    let mut rates = Vec::new();
    let mut pairs = Vec::new();
    for _ in 0..wanted.pairs {
        // Its warm-up is a tenth on top.
        neighbour.talk(plan.span + plan.span / 10 + LONGER)?;
        let beside = quiet.talk(&plan)?.p99();
        rates.push(neighbour.came_to()?);
        pairs.push((beside, quiet.talk(&plan)?.p99()));
    }
    neighbour.leave()?;
    let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
    let note = format!("the crowd is told {:.2} M/s", least / 1e6);
    let what = format!("p99 of a quiet room beside one of {crowd} at full speed, to alone");
    let row = Row::new("quiet", &what, "ms", &pairs).noting(vec![note]);
    record.row(row.within(Some(Budget::ratio_up_to(3.0, 1.5))));
    Ok(())
}

/// A crowd on a thread of its own.
struct Neighbour {
    orders: SyncSender<Duration>,
    told: Receiver<Told>,
    thread: JoinHandle<anyhow::Result<()>>,
}

/// What it tells.
enum Told {
    Inside,
    Begun,
    /// Deliveries a second.
    Over(f64),
}

impl Neighbour {
    /// It comes in, and is silent.
    fn come(house: &House, sockets: usize) -> anyhow::Result<Self> {
        let target = Target::at(house.ws());
        let ((orders, ordered), (tell, told)) = (sync_channel(1), sync_channel(4));
        let thread = thread::spawn(move || live(&target, sockets, &ordered, &tell));
        let neighbour = Self {
            orders,
            told,
            thread,
        };
        match neighbour.told.recv() {
            Ok(Told::Inside) => Ok(neighbour),
            Ok(Told::Begun | Told::Over(_)) => bail!("the crowd talks unasked"),
            Err(_) => {
                neighbour.leave()?;
                bail!("the crowd did not come in")
            }
        }
    }

    /// It talks for a time; returns when what is counted has begun.
    fn talk(&self, span: Duration) -> anyhow::Result<()> {
        self.orders.send(span).context("the crowd is gone")?;
        match self.told.recv().context("the crowd is gone")? {
            Told::Begun => Ok(()),
            Told::Inside | Told::Over(_) => bail!("the crowd did not begin"),
        }
    }

    /// Waits until it is silent; answers its deliveries a second.
    fn came_to(&self) -> anyhow::Result<f64> {
        match self.told.recv().context("the crowd is gone")? {
            Told::Over(rate) => Ok(rate),
            Told::Inside | Told::Begun => bail!("the crowd did not end"),
        }
    }

    /// It leaves. The error is what ended it.
    fn leave(self) -> anyhow::Result<()> {
        drop(self.orders);
        match self.thread.join() {
            Ok(lived) => lived,
            Err(_) => bail!("the crowd's thread broke"),
        }
    }
}

/// The crowd's thread.
fn live(
    target: &Target,
    sockets: usize,
    ordered: &Receiver<Duration>,
    tell: &SyncSender<Told>,
) -> anyhow::Result<()> {
    let [_, core] = cores::two_for_a_server();
    cores::pin(core)?;
    cores::give_way()?;
    let seats = everybody(1, sockets, 0);
    let mut watch = |_| ControlFlow::Continue(());
    let speech = Raw::in_room("crowded");
    let (mut crowd, opened): (Crowd<Raw>, _) =
        opening::open(target, speech, &seats, AT_ONCE, &mut watch)?;
    opened.all()?;
    tell.send(Told::Inside)?;
    while let Ok(span) = ordered.recv() {
        let plan = Plan {
            pace: Pace::Window(8),
            span,
            payload_bytes: PAYLOAD_BYTES,
        };
        let begun = |edge: Edge| -> anyhow::Result<()> {
            if edge == Edge::Begun {
                tell.send(Told::Begun)?;
            }
            Ok(())
        };
        let outcome = talk::talk(&mut crowd, &plan, begun, &mut watch)?;
        tell.send(Told::Over(outcome.rate()))?;
    }
    Ok(())
}
