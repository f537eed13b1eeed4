//! What became of sockets that never read.

use std::collections::BTreeMap;

use crate::crowd::Crowd;
use crate::speech::{Part, Speech};

/// What became of them, each with how many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fates(pub BTreeMap<String, u64>);

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
