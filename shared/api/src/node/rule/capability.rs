//! Who may do what, between the wire and the model. Grants nothing.

use std::collections::BTreeMap;

use porthouse_model as model;
use porthouse_model::{Act, Role};

use super::super::{BadMessage, InField, v1};

/// The one field that is named: what is wrong in it is of another version.
const FIELD: &str = "rules.capabilities";

impl From<&model::Capabilities> for v1::Capabilities {
    fn from(capabilities: &model::Capabilities) -> Self {
        let line = |(role, acts): (&Role, &model::Acts)| v1::RoleActs {
            role: role.to_string(),
            acts: Some((*acts).into()),
        };
        Self {
            anonymous: Some(capabilities.anonymous.into()),
            user: Some(capabilities.user.into()),
            member: Some(capabilities.member.into()),
            roles: capabilities.roles.iter().map(line).collect(),
            owner: Some(capabilities.owner.into()),
            device: Some(capabilities.device.into()),
        }
    }
}

impl TryFrom<v1::Capabilities> for model::Capabilities {
    type Error = BadMessage;

    fn try_from(capabilities: v1::Capabilities) -> Result<Self, BadMessage> {
        let acts = |acts: Option<v1::Acts>| acts.unwrap_or_default().try_into();
        let mut roles = BTreeMap::new();
        for line in capabilities.roles {
            let role: Role = line.role.parse().in_field(FIELD)?;
            if roles.insert(role, acts(line.acts)?).is_some() {
                return Err(BadMessage { field: FIELD });
            }
        }
        Ok(Self {
            anonymous: acts(capabilities.anonymous)?,
            user: acts(capabilities.user)?,
            member: acts(capabilities.member)?,
            roles,
            owner: acts(capabilities.owner)?,
            device: acts(capabilities.device)?,
        })
    }
}

impl From<model::Acts> for v1::Acts {
    fn from(acts: model::Acts) -> Self {
        let among = Act::ALL.into_iter().filter(|act| acts.has(*act));
        Self {
            acts: among.map(|act| v1::Act::from(act).into()).collect(),
        }
    }
}

impl TryFrom<v1::Acts> for model::Acts {
    type Error = BadMessage;

    fn try_from(acts: v1::Acts) -> Result<Self, BadMessage> {
        acts.acts.into_iter().try_fold(Self::NONE, |acts, act| {
            let act = v1::Act::try_from(act).in_field(FIELD)?;
            Ok(acts.with(act.try_into()?))
        })
    }
}

impl From<Act> for v1::Act {
    fn from(act: Act) -> Self {
        match act {
            Act::See => Self::See,
            Act::Join => Self::Join,
            Act::Send => Self::Send,
            Act::ReadHistory => Self::ReadHistory,
            Act::SeePresence => Self::SeePresence,
            Act::Invite => Self::Invite,
            Act::Kick => Self::Kick,
            Act::ChangeRules => Self::ChangeRules,
        }
    }
}

impl TryFrom<v1::Act> for model::Act {
    type Error = BadMessage;

    fn try_from(act: v1::Act) -> Result<Self, BadMessage> {
        match act {
            v1::Act::Unspecified => Err(BadMessage { field: FIELD }),
            v1::Act::See => Ok(Self::See),
            v1::Act::Join => Ok(Self::Join),
            v1::Act::Send => Ok(Self::Send),
            v1::Act::ReadHistory => Ok(Self::ReadHistory),
            v1::Act::SeePresence => Ok(Self::SeePresence),
            v1::Act::Invite => Ok(Self::Invite),
            v1::Act::Kick => Ok(Self::Kick),
            v1::Act::ChangeRules => Ok(Self::ChangeRules),
        }
    }
}
