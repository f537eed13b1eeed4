//! How fast somebody comes in whom nobody need be asked about, and how fast
//! somebody is out who may no longer be in.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use porthouse_api::control::v1 as control;
use porthouse_load::cores;
use porthouse_load::multiplexed::Multiplexed;
use porthouse_load::raw::Raw;
use porthouse_load::talk::{Pace, echoing, everybody};
use porthouse_load::to_float;

use super::Within;
use super::side::Side;
use crate::budget::Budget;
use crate::owner::Owner;
use crate::record::{Record, Row};

/// Sockets that leave and come again. So many, and others for each run, as each may do so
/// 256 times before it is made to wait (`move_rate_max`).
const COMERS: usize = 5_000;
/// Sockets of the sessions that end, and the sessions.
const REVOKED: usize = 5_000;
const SESSIONS: usize = 200;
/// Messages a second to all of them meanwhile.
const REVOKED_RATE: &str = "100";
/// Each run makes users and sessions first, which takes longer than what is measured.
const RUNS_MAX: usize = 3;

/// Joins by a second of the server's CPU, of sockets that are there: each leaves a room
/// that others are in, and comes in again.
pub(super) fn joins(wanted: &Within, record: &mut Record) -> anyhow::Result<()> {
    let house = wanted.house()?;
    // By a template nobody owns the room, so nobody is told of a new owner.
    Owner::of(&house)?.rules("joins-", control::RoomRules::default())?;
    let _host = Side::open(&house, Raw::in_room("joins-room"), &everybody(1, 1, 0))?;
    let speech = Multiplexed::coming_and_going("joins-room");
    let comers = wanted.sockets(COMERS);
    let plan = wanted.plan(Pace::Window(1));
    let (mut by_core, mut rate) = (Vec::new(), 0.0);
    for _ in 0..wanted.pairs {
        let mut coming = Side::open(&house, speech.clone(), &echoing(comers))?;
        let told = coming.talk(&plan)?;
        by_core.push(to_float(told.outcome.deliveries) / told.cpu.as_secs_f64());
        rate = told.outcome.rate();
    }
    let note = format!("{rate:.0} a second here, each with the leave before it");
    let what = format!("joins a second and core that ask nobody, {comers} sockets");
    let row = Row::alone("joins", &what, "/s", &by_core).noting(vec![note]);
    record.row(row.within(Some(Budget::ratio_from(50_000.0, 100_000.0).ours())));
    Ok(())
}

/// From the call that ends sessions to the close frames, by `porthouse bench revoke`.
pub(super) fn revoked(wanted: &Within, record: &mut Record) -> anyhow::Result<()> {
    let sockets = wanted.sockets(REVOKED);
    let (mut after_call, mut after_answer) = (Vec::new(), Vec::new());
    for _ in 0..wanted.pairs.min(RUNS_MAX) {
        let figures = revoke(&wanted.porthouse, sockets)?;
        let figure = |key: &str| {
            let figure = figures["figures"][key].as_f64();
            figure.with_context(|| format!("`porthouse bench revoke` tells no {key}"))
        };
        after_call.push(figure("closed_after_the_call_p99_ms")?);
        after_answer.push(figure("closed_after_its_answer_p99_ms")?);
    }
    let budget = Some(Budget::ratio_up_to(50.0, 20.0).ours());
    let what = format!("p99 from the call that revokes to {sockets} close frames");
    record.row(Row::alone("revoked", &what, "ms", &after_call).within(budget));
    let what = "the same from the call's answer: the commit is between the two";
    record.row(Row::alone("revoked", what, "ms", &after_answer).within(budget));
    Ok(())
}

fn revoke(program: &Path, sockets: usize) -> anyhow::Result<serde_json::Value> {
    let mut command = Command::new(program);
    command
        .args(["bench", "revoke", "--here", "--json"])
        .args(["--sockets", &sockets.to_string()])
        .args(["--sessions", &SESSIONS.min(sockets).to_string()])
        .args(["--rate", REVOKED_RATE])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    // It ties itself and its server to a core each.
    let child = cores::spawn(&[cores::SERVER, cores::CLIENT], &mut command);
    let told = child.context("it does not start")?.wait_with_output()?;
    ensure!(
        told.status.success(),
        "`porthouse bench revoke` failed: {}",
        told.status
    );
    Ok(serde_json::from_slice(&told.stdout)?)
}
