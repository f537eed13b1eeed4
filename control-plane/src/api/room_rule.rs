//! Rules between control.v1 and the model, one file a group: which fields there
//! are, their defaults, their limits and their masks. Judges nobody by them.

mod capability;
mod connection;
mod delivery;
mod entry;
mod field;
mod history;
mod message;
mod users;
#[cfg(test)]
mod tests;

use porthouse_api::control::v1 as wire;
use porthouse_model::{EntryStep, Format, HistoryRules, Keep, RoomRules};
use porthouse_rules::Rules;

use crate::store::Connection;
use crate::store::rule::{self, RULES_BYTES_MAX, SecretVersions};

use super::error::ApiError;

pub(super) use capability::{act_from_wire, act_to_wire, acts, acts_to_wire};
pub(super) use entry::step_to_wire;
pub(super) use field::{RuleField, all_named, named as named_fields};
pub(super) use users::{UserNames, names};

use message::Kinds;
use users::GivenUser;

/// Rules as somebody sent them, or as they stood before a change. Users may
/// still be names, and both kinds of messages may be refused.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sheet {
    rules: RoomRules,
    kinds: Kinds,
    users_allowed: Vec<GivenUser>,
    users_denied: Vec<GivenUser>,
}

impl Sheet {
    /// Rules as they were sent; errors name fields below them.
    pub(super) fn from_wire(rules: wire::RoomRules) -> Result<Self, ApiError> {
        let connection = rules.connection.unwrap_or_default();
        let users_allowed = users::read("connection.users_allowed", &connection.users_allowed)?;
        let users_denied = users::read("connection.users_denied", &connection.users_denied)?;
        let messages = rules.messages.unwrap_or_default();
        Ok(Self {
            users_allowed,
            users_denied,
            kinds: Kinds::from_wire(&messages),
            rules: RoomRules {
                connection: connection::from_wire(connection)?,
                entry: entry::from_wire(rules.entry.unwrap_or_default())?,
                capabilities: capability::from_wire(rules.capabilities.unwrap_or_default())?,
                messages: message::from_wire(messages)?,
                broadcast: message::broadcast_from_wire(&rules.broadcast.unwrap_or_default())?,
                delivery: delivery::from_wire(rules.delivery.unwrap_or_default())?,
                history: history::from_wire(rules.history.unwrap_or_default())?,
                presence: delivery::presence_from_wire(rules.presence.unwrap_or_default())?,
                staleness: delivery::staleness_from_wire(rules.staleness.unwrap_or_default())?,
            },
        })
    }

    /// Rules as they are stored, to be changed.
    pub(super) fn of(rules: RoomRules) -> Self {
        Self {
            kinds: Kinds::of(rules.messages.content),
            users_allowed: users::known(&rules.connection.users_allowed),
            users_denied: users::known(&rules.connection.users_denied),
            rules,
        }
    }

    /// The rules that these are, but for the users they name.
    pub(super) fn draft(&self) -> Result<RoomRules, ApiError> {
        let mut rules = self.rules.clone();
        rules.messages.content = self.kinds.content()?;
        rules.connection.users_allowed.clear();
        rules.connection.users_denied.clear();
        Ok(rules)
    }

    /// The rules that these are, once the users they name were looked up.
    pub(super) async fn settle(mut self, c: &mut Connection) -> Result<RoomRules, ApiError> {
        self.rules.messages.content = self.kinds.content()?;
        let connection = &mut self.rules.connection;
        let allowed = users::look_up(c, "connection.users_allowed", &self.users_allowed);
        connection.users_allowed = allowed.await?;
        let denied = users::look_up(c, "connection.users_denied", &self.users_denied);
        connection.users_denied = denied.await?;
        Ok(self.rules)
    }
}

/// Refuses rules that cannot be kept, by the field below them.
pub(super) fn check(
    rules: &RoomRules,
    draft: &RoomRules,
    compiled: &Compiled,
) -> Result<(), ApiError> {
    fits(rules)?;
    outlives(&rules.history)?;
    let mut users = draft.clone();
    users.messages.format = Format::Any;
    let named = &rules.connection;
    (users.connection.users_allowed).clone_from(&named.users_allowed);
    (users.connection.users_denied).clone_from(&named.users_denied);
    // Of all rules the format alone takes long.
    compile(users)?;
    if compiled.0.as_ref() == Some(draft) {
        return Ok(());
    }
    // They were changed by somebody else since they were compiled.
    compile(draft.clone())
}

fn fits(rules: &RoomRules) -> Result<(), ApiError> {
    if rule::encode(rules).len() > RULES_BYTES_MAX {
        // What takes most is a schema or a description.
        let rule = format!("rules of at most {RULES_BYTES_MAX} bytes in all");
        return Err(ApiError::field("messages.format", rule));
    }
    Ok(())
}

/// What waits for members who are away is in a node's memory: where nothing else is
/// kept, nothing survives the node. Looked at when it is written alone, so that a
/// room that was written before goes on.
fn outlives(history: &HistoryRules) -> Result<(), ApiError> {
    if history.durable && history.waiting.is_some() && history.keep == Keep::None {
        let rule = "a `keep` other than `none` with it: what waits for members who are away does \
                    not survive the node";
        return Err(ApiError::field("history.durable", rule));
    }
    Ok(())
}

fn compile(draft: RoomRules) -> Result<(), ApiError> {
    let compiled = Rules::compile(draft).map(drop);
    compiled.map_err(|fault| ApiError::field(named(&fault.field), fault.needed))
}

/// Rules that can be compiled, but for the users they name. To find that out may
/// take long, so it is done before anything is locked.
pub(super) struct Compiled(Option<RoomRules>);

impl Compiled {
    /// Compiles these, if there are any.
    pub(super) async fn of(draft: Option<RoomRules>) -> Result<Self, ApiError> {
        if let Some(draft) = draft.clone() {
            fits(&draft)?;
            let compiled = tokio::task::spawn_blocking(|| compile(draft)).await;
            compiled.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))?;
        }
        Ok(Self(draft))
    }
}

/// The path of a field of the model's rules, as control.v1 names it.
fn named(field: &str) -> String {
    const OTHERWISE: [(&str, &str); 3] = [
        ("broadcast.never", "broadcast.roles_never"),
        ("broadcast.always", "broadcast.roles_always"),
        ("history.keep", "history.last"),
    ];
    let other = OTHERWISE.iter().find_map(|(model, wire)| {
        let rest = field.strip_prefix(model)?;
        Some(format!("{wire}{rest}"))
    });
    other.unwrap_or_else(|| field.to_owned())
}

/// Refuses steps whose secret is not set, naming the call that sets it.
pub(super) fn check_steps(rules: &RoomRules, versions: SecretVersions) -> Result<(), ApiError> {
    let rules = rule::with_versions(rules.clone(), versions);
    let mut steps = rules.entry.steps.iter().enumerate();
    let Some((at, step)) = steps.find(|(_, step)| !rule::is_set(step)) else {
        return Ok(());
    };
    let call = match step {
        EntryStep::RoomCode(_) => "the code, by SetRoomCode",
        EntryStep::Hook(_) => "the hook, by SetRoomHook",
        EntryStep::Password(_) | EntryStep::SecondFactor { .. } | EntryStep::Approval => {
            "the password, by SetRoomPassword, or SetRoomTemplatePassword of a template"
        }
    };
    let field = format!("entry.steps[{at}]");
    Err(ApiError::field(field, format!("first set {call}")))
}

/// Rules as they are sent, every field of them.
pub(super) fn to_wire(rules: &RoomRules, names: &UserNames) -> wire::RoomRules {
    wire::RoomRules {
        connection: Some(connection::to_wire(&rules.connection, names)),
        entry: Some(entry::to_wire(&rules.entry)),
        messages: Some(message::to_wire(&rules.messages)),
        broadcast: Some(message::broadcast_to_wire(&rules.broadcast)),
        staleness: Some(delivery::staleness_to_wire(&rules.staleness)),
        capabilities: Some(capability::to_wire(&rules.capabilities)),
        delivery: Some(delivery::to_wire(rules.delivery)),
        history: Some(history::to_wire(&rules.history)),
        presence: Some(delivery::presence_to_wire(&rules.presence)),
    }
}
