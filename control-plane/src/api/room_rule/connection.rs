//! Who may connect to a room, between control.v1 and the model. Lists of users
//! are read elsewhere. Judges nobody.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use porthouse_api::control::v1 as wire;
use porthouse_model::{
    Audience, ClientSockets, ConnectionRules, OpeningHours, Rate, Role, Surplus, WeekSpan,
};

use crate::api::error::ApiError;
use crate::api::resource_name;

use super::users::{self, UserNames};

/// The most roles of a list.
pub(super) const ROLES_MAX: usize = 64;
/// The most origins.
const ORIGINS_MAX: usize = 64;
/// The most spans of a week.
const SPANS_MAX: usize = 64;
/// The most a second or at once.
const RATE_MAX: u32 = 1_000_000;

/// The group as it was sent, without its users.
pub(super) fn from_wire(rules: wire::ConnectionRules) -> Result<ConnectionRules, ApiError> {
    if rules.origins.len() > ORIGINS_MAX {
        let rule = format!("at most {ORIGINS_MAX} origins");
        return Err(ApiError::field("connection.origins", rule));
    }
    Ok(ConnectionRules {
        audience: if rules.user_required.unwrap_or(false) {
            Audience::Users
        } else {
            Audience::Anyone
        },
        roles_allowed: roles("connection.roles_allowed", &rules.roles_allowed)?,
        roles_denied: roles("connection.roles_denied", &rules.roles_denied)?,
        users_allowed: BTreeSet::new(),
        users_denied: BTreeSet::new(),
        origins: rules.origins.into_iter().collect(),
        sockets_max: rules.sockets_max,
        sockets_per_client: rules.sockets_per_client.map(sockets).transpose()?,
        joins_per_address: rate("connection.joins_per_address", rules.joins_per_address)?,
        hours: rules.hours.map(hours).transpose()?,
    })
}

/// The group as it is sent.
pub(super) fn to_wire(rules: &ConnectionRules, names: &UserNames) -> wire::ConnectionRules {
    wire::ConnectionRules {
        user_required: Some(rules.audience != Audience::Anyone),
        roles_allowed: roles_to_wire(&rules.roles_allowed),
        roles_denied: roles_to_wire(&rules.roles_denied),
        users_allowed: users::to_wire(&rules.users_allowed, names),
        users_denied: users::to_wire(&rules.users_denied, names),
        origins: rules.origins.iter().cloned().collect(),
        sockets_max: rules.sockets_max,
        sockets_per_client: rules.sockets_per_client.map(sockets_to_wire),
        joins_per_address: rules.joins_per_address.map(rate_to_wire),
        hours: rules.hours.as_ref().map(hours_to_wire),
    }
}

/// A list of roles.
pub(super) fn roles(field: &str, roles: &[String]) -> Result<BTreeSet<Role>, ApiError> {
    if roles.len() > ROLES_MAX {
        return Err(ApiError::field(field, format!("at most {ROLES_MAX} roles")));
    }
    let one = |(at, role): (usize, &String)| resource_name::id(&format!("{field}[{at}]"), role);
    roles.iter().enumerate().map(one).collect()
}

pub(super) fn roles_to_wire(roles: &BTreeSet<Role>) -> Vec<String> {
    roles.iter().map(ToString::to_string).collect()
}

/// A rate; unset: none.
pub(super) fn rate(field: &str, rate: Option<wire::Rate>) -> Result<Option<Rate>, ApiError> {
    let Some(rate) = rate else { return Ok(None) };
    let number = |part, number: u32| {
        NonZeroU32::new(number)
            .filter(|number| number.get() <= RATE_MAX)
            .ok_or_else(|| ApiError::field(format!("{field}.{part}"), format!("1 to {RATE_MAX}")))
    };
    Ok(Some(Rate {
        per_second: number("per_second", rate.per_second)?,
        burst: number("burst", rate.burst.unwrap_or(rate.per_second))?,
    }))
}

pub(super) fn rate_to_wire(rate: Rate) -> wire::Rate {
    wire::Rate {
        per_second: rate.per_second.get(),
        burst: Some(rate.burst.get()),
    }
}

fn sockets(sockets: wire::ClientSockets) -> Result<ClientSockets, ApiError> {
    let surplus = match wire::Surplus::try_from(sockets.surplus) {
        Ok(wire::Surplus::Unspecified | wire::Surplus::Newest) => Surplus::Newest,
        Ok(wire::Surplus::Oldest) => Surplus::Oldest,
        Err(_) => {
            let rule = "SURPLUS_NEWEST or SURPLUS_OLDEST";
            return Err(ApiError::field(
                "connection.sockets_per_client.surplus",
                rule,
            ));
        }
    };
    Ok(ClientSockets {
        sockets_max: sockets.sockets_max,
        surplus,
    })
}

fn sockets_to_wire(sockets: ClientSockets) -> wire::ClientSockets {
    let surplus = match sockets.surplus {
        Surplus::Newest => wire::Surplus::Newest,
        Surplus::Oldest => wire::Surplus::Oldest,
    };
    wire::ClientSockets {
        sockets_max: sockets.sockets_max,
        surplus: surplus.into(),
    }
}

fn hours(hours: wire::OpeningHours) -> Result<OpeningHours, ApiError> {
    const FIELD: &str = "connection.hours.spans";
    if hours.spans.len() > SPANS_MAX {
        return Err(ApiError::field(FIELD, format!("at most {SPANS_MAX} spans")));
    }
    let minute = |minute| {
        u16::try_from(minute).map_err(|_| ApiError::field(FIELD, "minutes from 0 to 10,080"))
    };
    let span = |span: &wire::WeekSpan| {
        Ok(WeekSpan {
            from_minute: minute(span.from_minute)?,
            to_minute: minute(span.to_minute)?,
        })
    };
    let spans = hours.spans.iter().map(span);
    Ok(OpeningHours {
        spans: spans.collect::<Result<_, ApiError>>()?,
        zone: hours.zone,
    })
}

fn hours_to_wire(hours: &OpeningHours) -> wire::OpeningHours {
    let span = |span: &WeekSpan| wire::WeekSpan {
        from_minute: span.from_minute.into(),
        to_minute: span.to_minute.into(),
    };
    wire::OpeningHours {
        zone: hours.zone.clone(),
        spans: hours.spans.iter().map(span).collect(),
    }
}
