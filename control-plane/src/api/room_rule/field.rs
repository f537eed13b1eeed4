//! What an update of rules may name: a table of paths, each with how its field
//! is taken over. Checks no value.

use std::collections::BTreeSet;

use super::Sheet;

/// A field of rules: its path below them, and how it is taken over.
#[derive(Clone, Copy)]
pub(in crate::api) struct RuleField {
    path: &'static str,
    take: fn(&Sheet, &mut Sheet),
}

impl RuleField {
    /// Takes the field over.
    pub(in crate::api) fn copy(&self, from: &Sheet, to: &mut Sheet) {
        (self.take)(from, to);
    }

    /// Whether a path names this field or a group that it is in.
    pub(super) fn is_in(&self, path: &str) -> bool {
        self.path
            .strip_prefix(path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// The fields that a path names, of which the first part is `rules`; `None`: it
/// names none.
pub(in crate::api) fn named(path: &str) -> Option<Vec<RuleField>> {
    let below = match path.strip_prefix("rules")? {
        "" => return Some(FIELDS.to_vec()),
        below => below.strip_prefix('.')?,
    };
    let named = FIELDS.iter().filter(|field| field.is_in(below));
    let named: Vec<_> = named.copied().collect();
    (!named.is_empty()).then_some(named)
}

/// What a mask may name of rules, for people.
pub(in crate::api) fn all_named() -> String {
    let groups: Vec<_> = groups().map(|group| format!("rules.{group}")).collect();
    format!("rules, {} and the fields of these", groups.join(", "))
}

/// The groups that fields are in.
fn groups() -> impl Iterator<Item = &'static str> {
    let group = |field: &RuleField| field.path.split('.').next();
    let groups: BTreeSet<_> = FIELDS.iter().filter_map(group).collect();
    groups.into_iter()
}

/// Takes over a field of the model's rules that stands for one of the wire's.
macro_rules! field {
    ($path:literal, $($part:ident).+) => {
        RuleField { path: $path, take: |from, to| to.$($part).+.clone_from(&from.$($part).+) }
    };
}

/// Every field.
pub(super) const FIELDS: &[RuleField] = &[
    field!("connection.user_required", rules.connection.audience),
    field!("connection.roles_allowed", rules.connection.roles_allowed),
    field!("connection.roles_denied", rules.connection.roles_denied),
    field!("connection.users_allowed", users_allowed),
    field!("connection.users_denied", users_denied),
    field!("connection.origins", rules.connection.origins),
    field!("connection.sockets_max", rules.connection.sockets_max),
    field!(
        "connection.sockets_per_client",
        rules.connection.sockets_per_client
    ),
    field!(
        "connection.joins_per_address",
        rules.connection.joins_per_address
    ),
    field!("connection.hours", rules.connection.hours),
    field!("entry.steps", rules.entry.steps),
    field!("capabilities.preset", rules.capabilities),
    field!("capabilities.anonymous", rules.capabilities.anonymous),
    field!("capabilities.user", rules.capabilities.user),
    field!("capabilities.member", rules.capabilities.member),
    field!("capabilities.roles", rules.capabilities.roles),
    field!("capabilities.owner", rules.capabilities.owner),
    field!("capabilities.device", rules.capabilities.device),
    field!("messages.text", kinds.text),
    field!("messages.binary", kinds.binary),
    field!("messages.bytes_max", rules.messages.bytes_max),
    field!("messages.format", rules.messages.format),
    field!("messages.rates", rules.messages.rates),
    field!("broadcast.echo", rules.broadcast.echo),
    field!("broadcast.receivers_named", rules.broadcast.receivers_named),
    field!("broadcast.roles_never", rules.broadcast.never),
    field!("broadcast.roles_always", rules.broadcast.always),
    field!("delivery.order", rules.delivery.order),
    field!("delivery.slow_consumer", rules.delivery.slow_consumer),
    field!("history.none", rules.history.keep),
    field!("history.latest", rules.history.keep),
    field!("history.last", rules.history.keep),
    field!("history.durable", rules.history.durable),
    field!("history.directed", rules.history.directed),
    field!("history.waiting", rules.history.waiting),
    field!("presence.shown", rules.presence.shown),
    field!("presence.grace", rules.presence.grace),
    field!("presence.interval", rules.presence.interval),
    field!("staleness.admit_max", rules.staleness.admit_max),
    field!("staleness.deliver_max", rules.staleness.deliver_max),
];
