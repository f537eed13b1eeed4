//! Resource names as they are written: `users/{user}`, `rooms/{room}/members/{user}`
//! and the like. Parses and writes them; looks nothing up.

use std::fmt::{self, Display};
use std::str::FromStr;

use porthouse_model::{Address, ApiKeyId, NamePrefix, NodeName, RoomName, SessionId, Username};
use uuid::Uuid;

use crate::store::room_doors::DoorOf;

use super::call;
use super::error::ApiError;

/// Reads `users/{user}`.
pub(crate) fn user(field: &str, name: &str) -> Result<Username, ApiError> {
    last_part(field, name, "users/", "{user}")
}

/// Reads `rooms/{room}`.
pub(crate) fn room(field: &str, name: &str) -> Result<RoomName, ApiError> {
    last_part(field, name, "rooms/", "{room}")
}

/// Reads `sessions/{session}`.
pub(crate) fn session(field: &str, name: &str) -> Result<Uuid, ApiError> {
    let id: SessionId = last_part(field, name, "sessions/", "{session}")?;
    Ok(Uuid::from_bytes(*id.as_bytes()))
}

/// Reads `deviceTokens/{device_token}`.
pub(crate) fn device_token(field: &str, name: &str) -> Result<Uuid, ApiError> {
    let id: SessionId = last_part(field, name, "deviceTokens/", "{device_token}")?;
    Ok(Uuid::from_bytes(*id.as_bytes()))
}

/// Reads `apiKeys/{api_key}`.
pub(crate) fn api_key(field: &str, name: &str) -> Result<Uuid, ApiError> {
    let id: ApiKeyId = last_part(field, name, "apiKeys/", "{api_key}")?;
    Ok(Uuid::from_bytes(*id.as_bytes()))
}

/// Reads `endpoints/{address}`.
pub(crate) fn endpoint(field: &str, name: &str) -> Result<Address, ApiError> {
    last_part(field, name, "endpoints/", "{address}")
}

/// Reads `issuers/{issuer}`.
pub(crate) fn issuer(field: &str, name: &str) -> Result<IssuerName, ApiError> {
    last_part(field, name, "issuers/", "{issuer}")
}

/// Reads `nodes/{node}`.
pub(crate) fn node(field: &str, name: &str) -> Result<NodeName, ApiError> {
    last_part(field, name, "nodes/", "{node}")
}

/// Reads `rooms/{room}/members/{user}`.
pub(crate) fn member(field: &str, name: &str) -> Result<(RoomName, Username), ApiError> {
    let (room_name, user_id) = name
        .split_once("/members/")
        .ok_or_else(|| ApiError::field(field, "rooms/{room}/members/{user}"))?;
    Ok((room(field, room_name)?, id(field, user_id)?))
}

/// Reads `rooms/{room}/memberGroups/{member_group}`.
pub(crate) fn member_group(field: &str, name: &str) -> Result<(RoomName, String), ApiError> {
    let (room_name, group) = name
        .split_once("/memberGroups/")
        .ok_or_else(|| ApiError::field(field, "rooms/{room}/memberGroups/{member_group}"))?;
    Ok((room(field, room_name)?, guard_id(field, group)?))
}

/// Reads `roomTemplates/{room_template}`.
pub(crate) fn room_template(field: &str, name: &str) -> Result<NamePrefix, ApiError> {
    last_part(field, name, "roomTemplates/", "{room_template}")
}

/// Reads the name of what has a door: `rooms/{room}` or
/// `roomTemplates/{room_template}`.
pub(crate) fn door(field: &str, name: &str) -> Result<DoorOf, ApiError> {
    if name.starts_with("roomTemplates/") {
        return room_template(field, name).map(DoorOf::Template);
    }
    if name.starts_with("rooms/") {
        return room(field, name).map(DoorOf::Room);
    }
    let rule = "rooms/{room} or roomTemplates/{room_template}";
    Err(ApiError::field(field, rule))
}

/// Reads `guards/{guard}`; answers its last part.
pub(crate) fn guard(field: &str, name: &str) -> Result<String, ApiError> {
    let last = name.strip_prefix("guards/");
    let last = last.filter(|last| is_guard_id(last));
    let last = last.ok_or_else(|| ApiError::field(field, "guards/{guard}"))?;
    call::names(field, name);
    Ok(last.to_owned())
}

/// Reads the last part of a guard's name.
pub(crate) fn guard_id(field: &str, id: &str) -> Result<String, ApiError> {
    if is_guard_id(id) {
        call::names(field, id);
        Ok(id.to_owned())
    } else {
        Err(ApiError::field(field, "1 to 64 of a-z, 0-9 and -"))
    }
}

fn is_guard_id(id: &str) -> bool {
    let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=64).contains(&id.len()) && id.bytes().all(fits)
}

/// Reads `rooms/{room}/blocks/{block}`.
pub(crate) fn block(field: &str, name: &str) -> Result<(RoomName, Uuid), ApiError> {
    let (room_name, block_id) = name
        .split_once("/blocks/")
        .ok_or_else(|| ApiError::field(field, "rooms/{room}/blocks/{block}"))?;
    let block_id: Uuid = block_id.parse().map_err(|_| {
        ApiError::field(
            field,
            "rooms/{room}/blocks/{block}, of which the last is a UUID",
        )
    })?;
    Ok((room(field, room_name)?, block_id))
}

/// What an issuer is called: short, for its users' names begin with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IssuerName(String);

/// Not the name of an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadIssuerName;

impl Display for BadIssuerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("1 to 32 of a-z, 0-9 and -, starting and ending with a letter or digit")
    }
}

impl Display for IssuerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for IssuerName {
    type Err = BadIssuerName;

    fn from_str(text: &str) -> Result<Self, BadIssuerName> {
        let is_inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let fits = (1..=32).contains(&text.len())
            && text.bytes().all(is_inner)
            && !text.starts_with('-')
            && !text.ends_with('-');
        fits.then(|| Self(text.to_owned())).ok_or(BadIssuerName)
    }
}

/// Reads the last part of a name on its own.
pub(crate) fn id<T: FromStr<Err: Display>>(field: &str, id: &str) -> Result<T, ApiError> {
    let parsed = id
        .parse()
        .map_err(|rule: T::Err| ApiError::field(field, rule.to_string()))?;
    call::names(field, id);
    Ok(parsed)
}

/// Reads the beginning of a last part; empty: any.
pub(crate) fn prefix<'a>(field: &str, prefix: &'a str) -> Result<&'a str, ApiError> {
    let fits = prefix.len() <= 128 && prefix.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        Ok(prefix)
    } else {
        Err(ApiError::field(field, "the beginning of a name"))
    }
}

fn last_part<T: FromStr<Err: Display>>(
    field: &str,
    name: &str,
    collection: &str,
    part: &str,
) -> Result<T, ApiError> {
    let last = name
        .strip_prefix(collection)
        .ok_or_else(|| ApiError::field(field, format!("{collection}{part}")))?;
    let parsed = last
        .parse()
        .map_err(|rule: T::Err| ApiError::field(field, rule.to_string()))?;
    call::names(field, name);
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_members_name_holds_a_room_and_a_user() {
        let (room, user) = member("name", "rooms/Chat:1/members/Sana").expect("a name");
        assert_eq!((room.as_str(), user.as_str()), ("Chat:1", "sana"));
    }

    #[test]
    fn a_name_out_of_grammar_is_refused_with_the_rule() {
        for name in [
            "",
            "lobby",
            "rooms/",
            "rooms/a/b",
            "rooms/%2f",
            "rooms/a..b",
            "rooms/*",
        ] {
            let Err(ApiError::Field { field, rule }) = room("name", name) else {
                panic!("{name} was taken");
            };
            assert_eq!(field, "name");
            assert!(
                rule.contains("rooms/{room}") || rule.contains("1 to 128"),
                "{rule}"
            );
        }
        assert!(member("name", "rooms/a/members/b/members/c").is_err());
        assert!(prefix("room_id_prefix", "a\0").is_err());
    }
}
