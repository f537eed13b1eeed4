//! Wrong passwords keep whoever gives them waiting, and nobody else: they are
//! counted by whose password it is, a user's or a room's, and where the answer comes
//! from, by all replicas together. A known device of a user's is counted by itself,
//! so that strangers, however many, do not lock it out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use diesel::QueryResult;
use porthouse_model::Username;
use uuid::Uuid;

use crate::identity::backoff::{Patience, Wrongs};
use crate::identity::network::network;
use crate::store::{Connection, lockouts};

use super::code_check::wrongs;

/// Wrong answers from all networks together after which strangers wait.
const ALL: Patience = Patience {
    free_max: 100,
    wait_max: Duration::from_mins(15),
};

/// Wrong answers at one door from one network after which it waits. Several people
/// may be behind it, and come at once.
const DOOR: Patience = Patience {
    free_max: 9,
    wait_max: Duration::from_mins(15),
};

/// The source of answers from all networks together.
const EVERYWHERE: &str = "everywhere";

/// Tokens of identity providers, which are nobody's before they are verified.
const TOKENS: &str = "tokens";

/// How often somebody was kept waiting so far. Of the process, as it is counted within
/// transactions, which hold nothing but their connection.
static TOLD: AtomicU64 = AtomicU64::new(0);

/// How often an answer was not looked at in this process so far, as there were too
/// many wrong ones.
pub(crate) fn lockouts_told() -> u64 {
    TOLD.load(Ordering::Relaxed)
}

/// Counts that somebody is kept waiting, if anybody is.
pub(crate) fn tell_lockout(wait: Option<Duration>) -> Option<Duration> {
    if wait.is_some() {
        TOLD.fetch_add(1, Ordering::Relaxed);
    }
    wait
}

/// Whose password is tried, and from where.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    target: String,
    /// Where it comes from, in the order of locking.
    sources: Vec<(String, Patience)>,
}

impl Attempt {
    /// From a device that the user has signed in on before, or from anywhere.
    pub(super) fn new(user: &Username, device: Option<Uuid>, address: &str) -> Self {
        let sources = match device {
            Some(device) => vec![(format!("device {device}"), Patience::ONE)],
            None => vec![
                (format!("network {}", network(address)), Patience::ONE),
                (EVERYWHERE.to_owned(), ALL),
            ],
        };
        Self {
            target: target(user),
            sources,
        }
    }

    /// At the door of a room, or of all that a template covers. What comes from
    /// everywhere is not counted together: rooms know no devices, so strangers could
    /// shut one to all who know its password.
    pub(crate) fn at_door(door: Uuid, address: &str) -> Self {
        Self {
            target: door_target(door),
            sources: vec![(format!("network {}", network(address)), DOOR)],
        }
    }

    /// Counts the answer as wrong before it is looked at, so that many at once are
    /// not tried for one; or answers how long to wait, and counts nothing.
    pub(crate) async fn begin(&self, c: &mut Connection) -> QueryResult<Option<Duration>> {
        lockouts::sweep(c).await?;
        let (mut counts, mut wait) = (Vec::new(), None);
        for (source, patience) in &self.sources {
            let row = lockouts::lock(c, &self.target, source).await?;
            let wrongs = wrongs(row.wrong_count, Some(row.wrong_time), row.now);
            wait = wait.max(wrongs.wait_of(*patience));
            counts.push(i32::try_from(wrongs.and_one()).unwrap_or(i32::MAX));
        }
        if tell_lockout(wait).is_some() {
            return Ok(wait);
        }
        for ((source, _), count) in self.sources.iter().zip(counts) {
            lockouts::set(c, &self.target, source, count).await?;
        }
        Ok(None)
    }

    /// It was not looked at after all.
    pub(crate) async fn take_back(&self, c: &mut Connection) -> QueryResult<()> {
        for (source, _) in &self.sources {
            lockouts::take_back(c, &self.target, source).await?;
        }
        Ok(())
    }

    /// It was right. What came from here is forgotten; of what came from
    /// everywhere only this answer is.
    pub(crate) async fn forgive(&self, c: &mut Connection) -> QueryResult<()> {
        for (source, _) in &self.sources {
            if source == EVERYWHERE {
                lockouts::take_back(c, &self.target, source).await?;
            } else {
                lockouts::forget(c, &self.target, source).await?;
            }
        }
        Ok(())
    }
}

/// How refused tokens of a network are borne with, of which it may show so many.
pub(super) const fn of_tokens(refused_max: u32) -> Patience {
    Patience {
        free_max: refused_max,
        wait_max: ALL.wait_max,
    }
}

/// Adds to the refused tokens of these networks, by name in order; answers how many
/// there are now of each.
pub(super) async fn add_tokens(
    c: &mut Connection,
    networks: &[(String, u32)],
) -> QueryResult<Vec<(String, u32)>> {
    lockouts::sweep(c).await?;
    let count = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    let added = networks.iter();
    let added = added.map(|(network, new)| (format!("network {network}"), count(*new)));
    let (sources, counts): (Vec<_>, Vec<_>) = added.unzip();
    let all = lockouts::add(c, TOKENS, &sources, &counts).await?;
    let mut all: BTreeMap<String, i32> = all.into_iter().collect();
    let told = networks
        .iter()
        .zip(&sources)
        .filter_map(|((name, _), source)| {
            let count = all.remove(source)?;
            Some((name.clone(), u32::try_from(count).unwrap_or_default()))
        });
    Ok(told.collect())
}

/// How many of so many refused tokens are noted in the audit log, so that it is not
/// filled from everywhere.
pub(super) async fn notable_tokens(c: &mut Connection, tokens: usize) -> QueryResult<usize> {
    if tokens == 0 {
        return Ok(0);
    }
    let row = lockouts::lock(c, TOKENS, EVERYWHERE).await?;
    let mut noted = wrongs(row.wrong_count, Some(row.wrong_time), row.now);
    let mut many = 0;
    while many < tokens && noted.wait_of(ALL).is_none() {
        noted = Wrongs {
            count: noted.and_one(),
            age: Duration::ZERO,
        };
        many += 1;
    }
    if many > 0 {
        let count = i32::try_from(noted.count).unwrap_or(i32::MAX);
        lockouts::set(c, TOKENS, EVERYWHERE, count).await?;
    }
    Ok(many)
}

/// Forgets all wrong answers of a user; answers from how many places they were.
pub(super) async fn clear(c: &mut Connection, user: &Username) -> QueryResult<usize> {
    lockouts::forget_all(c, &target(user)).await
}

/// Forgets all wrong passwords of a door; answers from how many places they were.
pub(super) async fn clear_room(c: &mut Connection, door: Uuid) -> QueryResult<usize> {
    lockouts::forget_all(c, &door_target(door)).await
}

fn door_target(door: Uuid) -> String {
    format!("door {door}")
}

fn target(user: &Username) -> String {
    format!("user {user}")
}
