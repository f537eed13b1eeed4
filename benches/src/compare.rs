//! The comparison: both servers run at once, and are loaded by turns.

use std::time::Duration;

use crate::load::{self, Room};
use crate::server::Server;
use crate::table::{self, Figures};
use crate::{Compare, idle};

/// Messages a second when calm.
const CALM_RATE: u32 = 100;
const MEGA: f64 = 1e6;

pub(crate) fn run(wanted: &Compare) -> anyhow::Result<()> {
    let files = u64::try_from(wanted.idle_sockets + wanted.sockets)? * 2 + 1_000;
    raise_file_limit(files)?;
    let mut core = rustix::thread::CpuSet::new();
    core.set(1);
    rustix::thread::sched_setaffinity(None, &core)?;

    let (ours, theirs) = (Server::porthouse(&wanted.porthouse)?, Server::plain()?);
    table::head(ours.name, theirs.name);
    let mut our_room = Room::open(ours.address, wanted.sockets)?;
    let mut their_room = Room::open(theirs.address, wanted.sockets)?;
    let span = Duration::from_secs(wanted.seconds);
    for window in [8, 64] {
        let what = format!("fan-out to {} sockets, window {window}", wanted.sockets);
        let rate = |room: &mut Room| anyhow::Ok(room.closed_loop(window, span)?.rate() / MEGA);
        let (ours, theirs) = (|| rate(&mut our_room), || rate(&mut their_room));
        pairs(&what, "M deliveries/s", wanted.pairs, ours, theirs)?;
    }
    let what = format!("CPU a delivery, {CALM_RATE} messages/s");
    pairs(
        &what,
        "us",
        wanted.pairs,
        || calm(&ours, &mut our_room, span),
        || calm(&theirs, &mut their_room, span),
    )?;
    drop((our_room, their_room));
    let sockets = wanted.idle_sockets;
    pairs(
        "memory of an idle raw socket",
        "bytes",
        1,
        || idle::bytes_a_socket(&ours, sockets),
        || idle::bytes_a_socket(&theirs, sockets),
    )
}

/// Microseconds of CPU a delivery.
fn calm(server: &Server, room: &mut Room, span: Duration) -> anyhow::Result<f64> {
    let before = server.cpu()?;
    let run = room.beat(Duration::from_secs(1) / CALM_RATE, span)?;
    let used = server.cpu()?.saturating_sub(before);
    Ok(used.as_secs_f64() * MEGA / load::to_float(run.deliveries))
}

/// Ours, theirs, ours, theirs … and the ratio of each pair.
fn pairs(
    what: &str,
    unit: &str,
    count: usize,
    mut ours: impl FnMut() -> anyhow::Result<f64>,
    mut theirs: impl FnMut() -> anyhow::Result<f64>,
) -> anyhow::Result<()> {
    let (mut our, mut their, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..count {
        let (one, other) = (ours()?, theirs()?);
        our.push(one);
        their.push(other);
        ratios.push(one / other);
    }
    table::row(
        what,
        unit,
        &Figures::new(our),
        &Figures::new(their),
        &Figures::new(ratios),
    );
    Ok(())
}

fn raise_file_limit(files: u64) -> anyhow::Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(files, |maximum| maximum.min(files));
    anyhow::ensure!(
        wanted >= files,
        "{files} files are needed: raise the hard limit (ulimit -Hn)"
    );
    limit.current = Some(wanted);
    Ok(setrlimit(Resource::Nofile, limit)?)
}
