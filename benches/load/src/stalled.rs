//! What became of sockets that never read, and what they hear when they do.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::crowd::Crowd;
use crate::speech::{Part, Speech};

/// Those who catch up have it all when nothing came to any so often, this far apart.
const QUIET_LOOKS: usize = 20;
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// They are given up after so many looks.
const LOOKS_MAX: usize = 500;

/// What became of them, each with how many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fates(pub BTreeMap<String, u64>);

/// What those heard who could, once they read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Messages of the one that heard the fewest.
    pub least: u64,
    /// And of the one that heard the most.
    pub most: u64,
}

/// Lets all who stalled read what waits for them, and says why they were closed,
/// if they were.
///
/// # Errors
/// When a socket cannot be read.
pub fn fates<S: Speech>(crowd: &mut Crowd<S>) -> anyhow::Result<Fates> {
    let mut fates = Fates::default();
    for number in 0..crowd.len() {
        if crowd.members[number].who.part == Part::Stalls {
            let fate = match crowd.catch_up(number)? {
                None => "still open".to_owned(),
                Some(goodbye) => format!("closed: {goodbye}"),
            };
            *fates.0.entry(fate).or_default() += 1;
        }
    }
    Ok(fates)
}

/// Lets those who stalled and are still open read on until nothing more comes;
/// none: nobody is.
///
/// # Errors
/// When a socket cannot be read.
pub fn read_on<S: Speech>(crowd: &mut Crowd<S>) -> anyhow::Result<Option<Heard>> {
    let open = |crowd: &Crowd<S>, number: usize| {
        let member = &crowd.members[number];
        member.who.part == Part::Stalls && !member.gone
    };
    let mut quiet = 0;
    for _ in 0..LOOKS_MAX {
        let mut came = false;
        for number in 0..crowd.len() {
            if open(crowd, number) {
                let before = crowd.members[number].heard;
                let closed = crowd.catch_up(number)?.is_some();
                crowd.members[number].gone |= closed;
                came |= crowd.members[number].heard > before;
            }
        }
        quiet = if came { 0 } else { quiet + 1 };
        if quiet > QUIET_LOOKS {
            break;
        }
        crowd.wait(LOOK_EVERY, |_, _, _| Ok(()))?;
    }
    let heard = (0..crowd.len())
        .filter(|number| open(crowd, *number))
        .map(|number| crowd.members[number].heard);
    let (least, most) = (heard.clone().min(), heard.max());
    Ok(least.zip(most).map(|(least, most)| Heard { least, most }))
}
