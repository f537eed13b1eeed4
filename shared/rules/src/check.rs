//! What can be kept at all: each group of rules is looked at once, when it is
//! written, for what is out of bounds or contradicts itself. Never compiles and
//! never decides about anybody.

mod capability;
mod connection;
mod delivery;
mod entry;

use porthouse_model::{BroadcastRules, MESSAGE_BYTES_LIMIT, MessageRules, RoomRules};

use crate::compile::RuleFault;

/// The most names in one list of roles.
pub(crate) const ROLES_MAX: usize = 64;

/// Refuses rules that cannot be kept, naming the first field.
pub(crate) fn check(rules: &RoomRules) -> Result<(), RuleFault> {
    connection::check(&rules.connection)?;
    entry::check(rules)?;
    capability::check(rules)?;
    messages(&rules.messages)?;
    broadcast(&rules.broadcast)?;
    delivery::check(rules)
}

fn messages(rules: &MessageRules) -> Result<(), RuleFault> {
    if (1..=MESSAGE_BYTES_LIMIT).contains(&rules.bytes_max) {
        return Ok(());
    }
    let needed = format!("1 to {MESSAGE_BYTES_LIMIT} bytes");
    Err(RuleFault::new("messages.bytes_max", needed))
}

fn broadcast(rules: &BroadcastRules) -> Result<(), RuleFault> {
    let lists = [
        ("broadcast.never", rules.never.len()),
        ("broadcast.always", rules.always.len()),
    ];
    within(&lists, ROLES_MAX)?;
    match rules.never.intersection(&rules.always).next() {
        None => Ok(()),
        Some(both) => {
            let needed = format!("roles that do not receive always as well, unlike {both}");
            Err(RuleFault::new("broadcast.never", needed))
        }
    }
}

/// Lists of at most so many.
fn within(lists: &[(&'static str, usize)], entries_max: usize) -> Result<(), RuleFault> {
    match lists.iter().find(|(_, entries)| *entries > entries_max) {
        None => Ok(()),
        Some((field, _)) => Err(RuleFault::new(*field, format!("at most {entries_max}"))),
    }
}
