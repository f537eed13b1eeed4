//! Who may connect, between the wire and the model. Judges nobody.

use core::num::NonZeroU32;
use std::collections::BTreeSet;

use porthouse_model as model;
use porthouse_model::UserId;

use super::super::{BadMessage, InField, v1};
use super::{names, roles};

impl From<&model::ConnectionRules> for v1::ConnectionRules {
    fn from(rules: &model::ConnectionRules) -> Self {
        let ids = |users: &BTreeSet<UserId>| {
            let ids = users.iter().map(|user| user.as_bytes().to_vec());
            ids.collect()
        };
        Self {
            roles_allowed: names(&rules.roles_allowed),
            roles_denied: names(&rules.roles_denied),
            users_allowed: ids(&rules.users_allowed),
            users_denied: ids(&rules.users_denied),
            origins: rules.origins.iter().cloned().collect(),
            sockets_max: rules.sockets_max,
            sockets_per_client: rules.sockets_per_client.map(Into::into),
            joins_per_address: rules.joins_per_address.map(Into::into),
            hours: rules.hours.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<v1::ConnectionRules> for model::ConnectionRules {
    type Error = BadMessage;

    /// The audience stands elsewhere; it is the default here.
    fn try_from(rules: v1::ConnectionRules) -> Result<Self, BadMessage> {
        let users = |ids: &[Vec<u8>], field| {
            let users = ids.iter().map(|id| UserId::try_from(&**id).in_field(field));
            users.collect::<Result<BTreeSet<_>, _>>()
        };
        let users_allowed = users(&rules.users_allowed, "rules.connection.users_allowed")?;
        Ok(Self {
            audience: model::Audience::default(),
            roles_allowed: roles(&rules.roles_allowed, "rules.connection.roles_allowed")?,
            roles_denied: roles(&rules.roles_denied, "rules.connection.roles_denied")?,
            users_allowed,
            users_denied: users(&rules.users_denied, "rules.connection.users_denied")?,
            origins: rules.origins.into_iter().collect(),
            sockets_max: rules.sockets_max,
            sockets_per_client: rules
                .sockets_per_client
                .map(TryInto::try_into)
                .transpose()?,
            joins_per_address: rules.joins_per_address.map(TryInto::try_into).transpose()?,
            hours: rules.hours.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<model::ClientSockets> for v1::ClientSockets {
    fn from(sockets: model::ClientSockets) -> Self {
        let surplus = match sockets.surplus {
            model::Surplus::Newest => v1::Surplus::Newest,
            model::Surplus::Oldest => v1::Surplus::Oldest,
        };
        Self {
            sockets_max: sockets.sockets_max,
            surplus: surplus.into(),
        }
    }
}

impl TryFrom<v1::ClientSockets> for model::ClientSockets {
    type Error = BadMessage;

    fn try_from(sockets: v1::ClientSockets) -> Result<Self, BadMessage> {
        let surplus = match sockets.surplus() {
            v1::Surplus::Unspecified => None,
            v1::Surplus::Newest => Some(model::Surplus::Newest),
            v1::Surplus::Oldest => Some(model::Surplus::Oldest),
        };
        Ok(Self {
            sockets_max: sockets.sockets_max,
            surplus: surplus.in_field("rules.connection.sockets_per_client.surplus")?,
        })
    }
}

impl From<model::Rate> for v1::Rate {
    fn from(rate: model::Rate) -> Self {
        Self {
            per_second: rate.per_second.get(),
            burst: rate.burst.get(),
        }
    }
}

impl TryFrom<v1::Rate> for model::Rate {
    type Error = BadMessage;

    fn try_from(rate: v1::Rate) -> Result<Self, BadMessage> {
        Ok(Self {
            per_second: NonZeroU32::new(rate.per_second).in_field("rate.per_second")?,
            burst: NonZeroU32::new(rate.burst).in_field("rate.burst")?,
        })
    }
}

impl From<&model::OpeningHours> for v1::OpeningHours {
    fn from(hours: &model::OpeningHours) -> Self {
        let span = |span: &model::WeekSpan| v1::WeekSpan {
            from_minute: span.from_minute.into(),
            to_minute: span.to_minute.into(),
        };
        Self {
            zone: hours.zone.clone(),
            spans: hours.spans.iter().map(span).collect(),
        }
    }
}

impl TryFrom<v1::OpeningHours> for model::OpeningHours {
    type Error = BadMessage;

    fn try_from(hours: v1::OpeningHours) -> Result<Self, BadMessage> {
        let minute = |minute| u16::try_from(minute).in_field("rules.connection.hours.spans");
        let span = |span: &v1::WeekSpan| {
            Ok(model::WeekSpan {
                from_minute: minute(span.from_minute)?,
                to_minute: minute(span.to_minute)?,
            })
        };
        let spans = hours.spans.iter().map(span).collect::<Result<_, _>>()?;
        Ok(Self {
            zone: hours.zone,
            spans,
        })
    }
}

impl From<model::Audience> for v1::Audience {
    fn from(audience: model::Audience) -> Self {
        match audience {
            model::Audience::Anyone => Self::Anyone,
            model::Audience::Users => Self::Users,
            model::Audience::Members => Self::Members,
            model::Audience::Nobody => Self::Nobody,
        }
    }
}

impl TryFrom<v1::Audience> for model::Audience {
    type Error = BadMessage;

    fn try_from(audience: v1::Audience) -> Result<Self, BadMessage> {
        match audience {
            v1::Audience::Unspecified => Err(BadMessage {
                field: "rules.audience",
            }),
            v1::Audience::Anyone => Ok(Self::Anyone),
            v1::Audience::Users => Ok(Self::Users),
            v1::Audience::Members => Ok(Self::Members),
            v1::Audience::Nobody => Ok(Self::Nobody),
        }
    }
}
