//! What the owner of a transient room may set, and how: a JSON object of a few
//! rules, each within what the node allows. Owns its reading and its bounds;
//! never knows who the owner is.

use std::collections::BTreeSet;

use porthouse_model::{Act, Acts, Audience, Content, EntryRules, EntryStep, RoomRules, Shown};
use porthouse_rules::Rules;
use serde::Deserialize;

/// A rule that an owner may be allowed to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnerRule {
    /// Who may enter: `anyone` or `users`.
    Audience,
    /// Whether the owner lets everybody in.
    Approval,
    /// Which kinds of messages are taken.
    Content,
    /// The longest message, up to what the node's transient rooms take.
    BytesMax,
    /// Who may do what, within what the node's transient rooms let them.
    Capabilities,
    /// What is shown of who is there.
    Presence,
}

impl OwnerRule {
    /// Every rule.
    pub const ALL: [Self; 6] = [
        Self::Audience,
        Self::Approval,
        Self::Content,
        Self::BytesMax,
        Self::Capabilities,
        Self::Presence,
    ];
}

/// Why an owner's rules were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OwnerRuleFault {
    /// The field.
    pub rule: &'static str,
    /// What it must be.
    pub needed: &'static str,
}

/// The object, as it is read. What is absent stays as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    audience: Option<WantedAudience>,
    approval: Option<bool>,
    content: Option<WantedContent>,
    bytes_max: Option<u32>,
    capabilities: Option<WantedCapabilities>,
    presence: Option<WantedPresence>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WantedAudience {
    Anyone,
    Users,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WantedContent {
    Any,
    Text,
    Binary,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WantedPresence {
    Off,
    Counts,
    Identities,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedCapabilities {
    anonymous: Option<Vec<WantedAct>>,
    user: Option<Vec<WantedAct>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WantedAct {
    See,
    Join,
    Send,
    ReadHistory,
    SeePresence,
    Invite,
    Kick,
}

const OBJECT: OwnerRuleFault = OwnerRuleFault {
    rule: "rules",
    needed: "a payload of JSON: an object of audience, approval, content, bytes_max, \
             capabilities and presence, as documented",
};

/// The room's rules after an owner's wish: `now` as they are, `bounds` those of
/// the node's transient rooms, `allowed` what owners may set.
///
/// # Errors
///
/// The field that cannot be had, and then nothing is changed.
pub(crate) fn wish(
    payload: &[u8],
    now: &RoomRules,
    bounds: &RoomRules,
    allowed: &BTreeSet<OwnerRule>,
) -> Result<Rules, OwnerRuleFault> {
    let wanted: Wanted = serde_json::from_slice(payload).map_err(|_| OBJECT)?;
    for (rule, field) in wanted.named() {
        if !allowed.contains(&rule) {
            return Err(OwnerRuleFault {
                rule: field,
                needed: "a rule that this node lets owners set",
            });
        }
    }
    let rules = wanted.within(now.clone(), bounds)?;
    Rules::compile(rules).map_err(|_| OwnerRuleFault {
        rule: "rules",
        needed: "rules that can all be kept together",
    })
}

impl Wanted {
    /// The rules it names, with their fields.
    fn named(&self) -> impl Iterator<Item = (OwnerRule, &'static str)> {
        let named = [
            (
                self.audience.is_some(),
                OwnerRule::Audience,
                "rules.audience",
            ),
            (
                self.approval.is_some(),
                OwnerRule::Approval,
                "rules.approval",
            ),
            (self.content.is_some(), OwnerRule::Content, "rules.content"),
            (
                self.bytes_max.is_some(),
                OwnerRule::BytesMax,
                "rules.bytes_max",
            ),
            (
                self.capabilities.is_some(),
                OwnerRule::Capabilities,
                "rules.capabilities",
            ),
            (
                self.presence.is_some(),
                OwnerRule::Presence,
                "rules.presence",
            ),
        ];
        let set = named.into_iter().filter(|(set, _, _)| *set);
        set.map(|(_, rule, field)| (rule, field))
    }

    fn within(self, mut rules: RoomRules, bounds: &RoomRules) -> Result<RoomRules, OwnerRuleFault> {
        if let Some(audience) = self.audience {
            rules.connection.audience = within_audience(audience, bounds)?;
        }
        if let Some(approval) = self.approval {
            rules.entry = with_approval(rules.entry, approval);
        }
        if let Some(content) = self.content {
            rules.messages.content = within_content(content, bounds)?;
        }
        if let Some(bytes_max) = self.bytes_max {
            rules.messages.bytes_max = within_bytes(bytes_max, bounds)?;
        }
        if let Some(wanted) = self.capabilities {
            let (now, most) = (&mut rules.capabilities, &bounds.capabilities);
            if let Some(acts) = wanted.anonymous {
                now.anonymous = within_acts(&acts, most.anonymous)?;
            }
            if let Some(acts) = wanted.user {
                now.user = within_acts(&acts, most.user)?;
            }
        }
        if let Some(presence) = self.presence {
            rules.presence.shown = match presence {
                WantedPresence::Off => Shown::Off,
                WantedPresence::Counts => Shown::Counts,
                WantedPresence::Identities => Shown::Identities,
            };
        }
        Ok(rules)
    }
}

fn within_audience(wanted: WantedAudience, bounds: &RoomRules) -> Result<Audience, OwnerRuleFault> {
    match (wanted, bounds.connection.audience) {
        (WantedAudience::Users, _) => Ok(Audience::Users),
        (WantedAudience::Anyone, Audience::Anyone) => Ok(Audience::Anyone),
        (WantedAudience::Anyone, Audience::Users | Audience::Members | Audience::Nobody) => {
            Err(OwnerRuleFault {
                rule: "rules.audience",
                needed: "no more than the node's own transient rooms let in",
            })
        }
    }
}

fn with_approval(entry: EntryRules, approval: bool) -> EntryRules {
    let others = entry.steps.into_iter();
    let mut steps: Vec<_> = others.filter(|step| *step != EntryStep::Approval).collect();
    if approval {
        steps.push(EntryStep::Approval);
    }
    EntryRules { steps }
}

fn within_content(wanted: WantedContent, bounds: &RoomRules) -> Result<Content, OwnerRuleFault> {
    let wanted = match wanted {
        WantedContent::Any => Content::Any,
        WantedContent::Text => Content::Text,
        WantedContent::Binary => Content::Binary,
    };
    let most = bounds.messages.content;
    if most == Content::Any || most == wanted {
        Ok(wanted)
    } else {
        Err(OwnerRuleFault {
            rule: "rules.content",
            needed: "no more than the node's own transient rooms take",
        })
    }
}

fn within_bytes(wanted: u32, bounds: &RoomRules) -> Result<u32, OwnerRuleFault> {
    if (1..=bounds.messages.bytes_max).contains(&wanted) {
        Ok(wanted)
    } else {
        Err(OwnerRuleFault {
            rule: "rules.bytes_max",
            needed: "1 to what the node's own transient rooms take",
        })
    }
}

/// Nobody may be given more than the node gives them.
fn within_acts(wanted: &[WantedAct], most: Acts) -> Result<Acts, OwnerRuleFault> {
    let wanted = wanted.iter().map(|act| match act {
        WantedAct::See => Act::See,
        WantedAct::Join => Act::Join,
        WantedAct::Send => Act::Send,
        WantedAct::ReadHistory => Act::ReadHistory,
        WantedAct::SeePresence => Act::SeePresence,
        WantedAct::Invite => Act::Invite,
        WantedAct::Kick => Act::Kick,
    });
    let mut acts = Acts::NONE;
    for act in wanted {
        if !most.has(act) {
            return Err(OwnerRuleFault {
                rule: "rules.capabilities",
                needed: "no more than the node's own transient rooms let everybody do",
            });
        }
        acts = acts.with(act);
    }
    Ok(acts)
}

#[cfg(test)]
#[path = "owner_rules/tests.rs"]
mod tests;
