//! Who may do what, between control.v1 and the model: lines over a preset.
//! Grants nothing.

use std::collections::BTreeMap;

use porthouse_api::control::v1 as wire;
use porthouse_model::{Act, Acts, Capabilities, Role};

use crate::api::error::ApiError;
use crate::api::resource_name;

use super::connection::ROLES_MAX;

/// The matrices that are known by a name.
const PRESETS: [(wire::Preset, fn() -> Capabilities); 5] = [
    (wire::Preset::Open, Capabilities::open),
    (wire::Preset::Members, Capabilities::members),
    (wire::Preset::AnnounceOnly, Capabilities::announce_only),
    (wire::Preset::SupportDesk, Capabilities::support_desk),
    (wire::Preset::Custom, nothing),
];

/// The group as it was sent.
pub(super) fn from_wire(rules: wire::CapabilityRules) -> Result<Capabilities, ApiError> {
    let mut capabilities = preset(rules.preset)?;
    for (line, given, field) in [
        (&mut capabilities.anonymous, rules.anonymous, "anonymous"),
        (&mut capabilities.user, rules.user, "user"),
        (&mut capabilities.member, rules.member, "member"),
        (&mut capabilities.owner, rules.owner, "owner"),
        (&mut capabilities.device, rules.device, "device"),
    ] {
        if let Some(given) = given {
            *line = acts(&format!("capabilities.{field}"), &given)?;
        }
    }
    capabilities.roles.extend(roles(rules.roles)?);
    Ok(capabilities)
}

/// The group as it is sent.
pub(super) fn to_wire(capabilities: &Capabilities) -> wire::CapabilityRules {
    let known = PRESETS.iter().find(|(_, matrix)| matrix() == *capabilities);
    let preset = known.map_or(wire::Preset::Custom, |(preset, _)| *preset);
    let line = |(role, acts): (&Role, &Acts)| wire::RoleActs {
        role: role.to_string(),
        acts: Some(acts_to_wire(*acts)),
    };
    wire::CapabilityRules {
        preset: preset.into(),
        anonymous: Some(acts_to_wire(capabilities.anonymous)),
        user: Some(acts_to_wire(capabilities.user)),
        member: Some(acts_to_wire(capabilities.member)),
        roles: capabilities.roles.iter().map(line).collect(),
        owner: Some(acts_to_wire(capabilities.owner)),
        device: Some(acts_to_wire(capabilities.device)),
    }
}

fn preset(preset: i32) -> Result<Capabilities, ApiError> {
    if preset == wire::Preset::Unspecified as i32 {
        return Ok(Capabilities::open());
    }
    let known = PRESETS.iter().find(|(known, _)| *known as i32 == preset);
    let (_, matrix) =
        known.ok_or_else(|| ApiError::field("capabilities.preset", "a preset that is known"))?;
    Ok(matrix())
}

fn nothing() -> Capabilities {
    Capabilities {
        anonymous: Acts::NONE,
        user: Acts::NONE,
        member: Acts::NONE,
        roles: BTreeMap::new(),
        owner: Acts::NONE,
        device: Acts::NONE,
    }
}

fn roles(lines: Vec<wire::RoleActs>) -> Result<BTreeMap<Role, Acts>, ApiError> {
    const FIELD: &str = "capabilities.roles";
    if lines.len() > ROLES_MAX {
        return Err(ApiError::field(FIELD, format!("at most {ROLES_MAX} roles")));
    }
    let mut roles = BTreeMap::new();
    for (at, line) in lines.into_iter().enumerate() {
        let field = format!("{FIELD}[{at}]");
        let role: Role = resource_name::id(&format!("{field}.role"), &line.role)?;
        let acts = acts(&field, &line.acts.unwrap_or_default())?;
        if roles.insert(role, acts).is_some() {
            return Err(ApiError::field(field, "each role once"));
        }
    }
    Ok(roles)
}

/// Acts as they were sent.
pub(in crate::api) fn acts(field: &str, given: &wire::Acts) -> Result<Acts, ApiError> {
    given.acts.iter().try_fold(Acts::NONE, |acts, act| {
        let known = wire::Act::try_from(*act).ok().and_then(act_from_wire);
        let act =
            known.ok_or_else(|| ApiError::field(format!("{field}.acts"), "acts that are known"))?;
        Ok(acts.with(act))
    })
}

/// Acts as they are sent.
pub(in crate::api) fn acts_to_wire(acts: Acts) -> wire::Acts {
    let among = Act::ALL.into_iter().filter(|act| acts.has(*act));
    wire::Acts {
        acts: among.map(|act| act_to_wire(act).into()).collect(),
    }
}

pub(in crate::api) const fn act_from_wire(act: wire::Act) -> Option<Act> {
    match act {
        wire::Act::Unspecified => None,
        wire::Act::See => Some(Act::See),
        wire::Act::Join => Some(Act::Join),
        wire::Act::Send => Some(Act::Send),
        wire::Act::ReadHistory => Some(Act::ReadHistory),
        wire::Act::SeePresence => Some(Act::SeePresence),
        wire::Act::Invite => Some(Act::Invite),
        wire::Act::Kick => Some(Act::Kick),
        wire::Act::ChangeRules => Some(Act::ChangeRules),
    }
}

pub(in crate::api) const fn act_to_wire(act: Act) -> wire::Act {
    match act {
        Act::See => wire::Act::See,
        Act::Join => wire::Act::Join,
        Act::Send => wire::Act::Send,
        Act::ReadHistory => wire::Act::ReadHistory,
        Act::SeePresence => wire::Act::SeePresence,
        Act::Invite => wire::Act::Invite,
        Act::Kick => wire::Act::Kick,
        Act::ChangeRules => wire::Act::ChangeRules,
    }
}
