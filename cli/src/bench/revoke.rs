//! Revocation: from the commit that ends sessions to the close frame of each of
//! their sockets. A private server's database says when that was. Of another's server it
//! is known that it lies between the call and its answer, and both times are told.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use porthouse_load::closing::{self, Closings, Traffic};
use porthouse_load::latency::Latency;
use porthouse_load::raw::Raw;
use porthouse_load::speech::{Part, Who};
use porthouse_load::to_float;
use tokio::runtime::Handle;

use super::backend::{self, Backend};
use super::committed::Commits;
use super::place::{self, Place};
use super::progress::Progress;
use super::report::Report;
use super::talking::come;

/// Sessions that one user opens; more than 256 would end the oldest.
const SESSIONS_PER_USER: usize = 200;
/// Traffic runs so long before the sessions end.
const BEFORE: Duration = Duration::from_secs(1);
/// How long the last socket is waited for.
const CLOSED_TIME_MAX: Duration = Duration::from_secs(30);

/// From the commit that ends sessions to the close frames of their sockets
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: place::Arguments,
    #[command(flatten)]
    backend: backend::Arguments,
    /// Sockets of the sessions that end
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000)]
    #[arg(value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    sockets: usize,
    /// Sessions that they share; a commit ends up to 200 of them
    #[arg(long, value_name = "NUMBER", default_value_t = 16)]
    #[arg(value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    sessions: usize,
    /// Messages a second to all of them meanwhile
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    rate: u32,
    /// Bytes of each message
    #[arg(long, value_name = "NUMBER", default_value_t = 128)]
    bytes: usize,
}

/// When the sessions of one user ended.
#[derive(Clone, Copy, Debug)]
struct Ended {
    asked: Instant,
    answered: Instant,
    revision: i64,
}

/// Runs it.
pub(super) fn run(arguments: &Arguments, progress: &mut Progress) -> anyhow::Result<()> {
    let place = arguments.place.open(arguments.sockets + 1)?;
    let backend = arguments.backend.of(&place)?.context(
        "sessions are made and ended by a key with the scope `admin`: give it by PORTHOUSE_API_KEY \
         or --api-key-file",
    )?;
    let sessions = arguments.sessions.min(arguments.sockets);
    // The last is who speaks, and stays.
    let users: Vec<String> = (0..=sessions.div_ceil(SESSIONS_PER_USER))
        .map(|number| format!("{}-{number}", place.room))
        .collect();
    let measured = measure(arguments, sessions, &users, (&place, &backend), progress);
    let runtime = Handle::current();
    let removed: anyhow::Result<()> = users
        .iter()
        .try_for_each(|user| runtime.block_on(backend.remove_user(user)));
    let report = measured?;
    removed?;
    report.print(arguments.place.json);
    Ok(())
}

fn measure(
    arguments: &Arguments,
    sessions: usize,
    users: &[String],
    (place, backend): (&Place, &Backend),
    progress: &mut Progress,
) -> anyhow::Result<Report> {
    let runtime = Handle::current();
    let tokens = runtime.block_on(sign_in(backend, users, sessions, progress))?;
    let mut everybody: Vec<Who> = (0..arguments.sockets)
        .map(|number| Who {
            room: number % sessions,
            part: Part::Listens,
        })
        .collect();
    everybody.push(Who {
        room: sessions,
        part: Part::Speaks,
    });
    let speech = Raw::in_room(&place.room).as_each(tokens);
    let mut crowd = come(place, arguments.place.at_once, speech, &everybody, progress)?;
    let traffic = Traffic {
        rate: arguments.rate.into(),
        payload_bytes: arguments.bytes,
    };
    let cpu = place.cpu()?;
    let began = now();
    let (victims, _) = users.split_at(users.len() - 1);
    let ending = runtime.spawn(end(backend.clone(), victims.to_vec()));
    let mut watch = progress.phase("closing");
    let closings = closing::watch(&mut crowd, traffic, BEFORE + CLOSED_TIME_MAX, &mut watch)?;
    let took = began.elapsed();
    let ended = runtime.block_on(ending)??;
    let mut report = Report::new("revoke");
    report.count("sockets", arguments.sockets as u64);
    report.count("sessions", sessions as u64);
    let commits = match place.database_url() {
        None => None,
        Some(url) => {
            let revisions: Vec<i64> = ended.iter().map(|ended| ended.revision).collect();
            Some(runtime.block_on(Commits::read(&url?, &revisions))?)
        }
    };
    told(&mut report, &closings, &ended, commits.as_ref())?;
    let load = to_float(closings.deliveries) / took.as_secs_f64();
    report.figure("deliveries meanwhile", load, "/s");
    if let (Some(before), Some(after)) = (cpu, place.cpu()?) {
        let share = after.saturating_sub(before).as_secs_f64() / took.as_secs_f64();
        report.figure("server's share of a core", share * 100.0, "%");
    }
    ensure!(
        closings.closed.len() == arguments.sockets,
        "{} of {} sockets were not closed within {CLOSED_TIME_MAX:?}",
        arguments.sockets - closings.closed.len(),
        arguments.sockets
    );
    Ok(report)
}

/// Makes the users and opens their sessions; answers the tokens.
async fn sign_in(
    backend: &Backend,
    users: &[String],
    sessions: usize,
    progress: &mut Progress,
) -> anyhow::Result<Vec<String>> {
    let mut watch = progress.phase("signing in");
    let mut tokens = Vec::with_capacity(sessions + 1);
    for (number, user) in users.iter().enumerate() {
        let password = backend.make_user(user).await?;
        let last = number + 1 == users.len();
        let own = if last {
            1
        } else {
            SESSIONS_PER_USER.min(sessions - tokens.len())
        };
        for _ in 0..own {
            tokens.push(backend.sign_in(user, &password).await?);
            let share = to_float(tokens.len() as u64) / to_float(sessions as u64 + 1);
            ensure!(watch(share).is_continue(), "stopped");
        }
    }
    Ok(tokens)
}

/// Ends the sessions of each user in turn, once the traffic runs.
async fn end(backend: Backend, users: Vec<String>) -> anyhow::Result<Vec<Ended>> {
    tokio::time::sleep(BEFORE).await;
    let mut ended = Vec::with_capacity(users.len());
    for user in &users {
        let asked = now();
        let revision = backend.revoke_all(user).await?;
        ended.push(Ended {
            asked,
            answered: now(),
            revision,
        });
    }
    Ok(ended)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock for a living"
)]
fn now() -> Instant {
    Instant::now()
}

fn told(
    report: &mut Report,
    closings: &Closings,
    ended: &[Ended],
    commits: Option<&Commits>,
) -> anyhow::Result<()> {
    let mut since_commit = Latency::default();
    let (mut since_asked, mut since_answered) = (Latency::default(), Latency::default());
    let mut codes: BTreeMap<String, u64> = BTreeMap::new();
    for closed in &closings.closed {
        let user = closed.room / SESSIONS_PER_USER;
        let ended = ended
            .get(user)
            .context("a socket was closed whose session had not ended")?;
        since_asked.record(closed.at.saturating_duration_since(ended.asked), 1);
        since_answered.record(closed.at.saturating_duration_since(ended.answered), 1);
        if let Some(commits) = commits {
            since_commit.record(commits.since(ended.revision, closed.at)?, 1);
        }
        *codes.entry(closed.goodbye.to_string()).or_default() += 1;
    }
    match commits {
        Some(_) => report.latency("closed after the commit", &since_commit),
        None => report.note(
            "When it was committed is known of a private server alone (--here); it was between \
             the call and its answer."
                .to_owned(),
        ),
    }
    report.latency("closed after the call", &since_asked);
    report.latency("closed after its answer", &since_answered);
    for (code, count) in codes {
        report.count(&format!("closed with {code}"), count);
    }
    Ok(())
}
