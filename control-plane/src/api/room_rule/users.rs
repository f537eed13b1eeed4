//! Users that rules speak of: names on the wire, identities where they are kept,
//! so that a new user of a name has nothing of the one before. Decides nothing.

use std::collections::{BTreeSet, HashMap};

use porthouse_model::{RoomRules, UserId, Username};
use uuid::Uuid;

use crate::api::error::ApiError;
use crate::api::resource_name;
use crate::store::{Connection, users};

/// The most users of a list.
const USERS_MAX: usize = 1_000;
/// Before the identity of a user who is gone.
const DELETED: &str = "deletedUsers/";

/// A user as a list names it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum GivenUser {
    /// One who must be there, at this place in the list.
    Named(usize, Username),
    /// One who may be gone.
    Known(UserId),
}

/// The names of users, by their identities.
#[derive(Default)]
pub(in crate::api) struct UserNames(HashMap<Uuid, String>);

impl UserNames {
    /// The name of one who is there.
    pub(in crate::api) fn of(&self, id: Uuid) -> Option<&str> {
        self.0.get(&id).map(String::as_str)
    }
}

/// Reads a list.
pub(super) fn read(field: &str, list: &[String]) -> Result<Vec<GivenUser>, ApiError> {
    if list.len() > USERS_MAX {
        return Err(ApiError::field(field, format!("at most {USERS_MAX} users")));
    }
    let one = |(at, name): (usize, &String)| {
        let field = format!("{field}[{at}]");
        match name.strip_prefix(DELETED) {
            Some(uid) => resource_name::id(&field, uid).map(GivenUser::Known),
            None => resource_name::user(&field, name).map(|name| GivenUser::Named(at, name)),
        }
    };
    list.iter().enumerate().map(one).collect()
}

/// A list as it is kept.
pub(super) fn known(ids: &BTreeSet<UserId>) -> Vec<GivenUser> {
    ids.iter().copied().map(GivenUser::Known).collect()
}

/// The identities of a list's users, of whom the named ones must be there.
pub(super) async fn look_up(
    c: &mut Connection,
    field: &str,
    list: &[GivenUser],
) -> Result<BTreeSet<UserId>, ApiError> {
    let named = list.iter().filter_map(|user| match user {
        GivenUser::Named(_, name) => Some(name.as_str()),
        GivenUser::Known(_) => None,
    });
    let ids = users::ids(c, named.collect()).await?;
    let one = |user: &GivenUser| match user {
        GivenUser::Known(id) => Ok(*id),
        GivenUser::Named(at, name) => match ids.get(name.as_str()) {
            Some(id) => Ok(UserId::from_bytes(id.into_bytes())),
            None => Err(ApiError::field(
                format!("{field}[{at}]"),
                "a user that exists",
            )),
        },
    };
    list.iter().map(one).collect()
}

/// The names of all users that these rules speak of, and of some more.
pub(in crate::api) async fn names<'a>(
    c: &mut Connection,
    rules: impl Iterator<Item = &'a RoomRules>,
    more: impl Iterator<Item = Uuid>,
) -> Result<UserNames, ApiError> {
    let spoken_of = rules.flat_map(|rules| {
        let connection = &rules.connection;
        connection.users_allowed.union(&connection.users_denied)
    });
    let ids: BTreeSet<Uuid> = spoken_of.map(uuid).chain(more).collect();
    let names = users::names(c, ids.into_iter().collect()).await?;
    Ok(UserNames(names.into_iter().collect()))
}

fn uuid(id: &UserId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

/// A list as it was sent.
#[cfg(test)]
pub(super) fn written(list: &[GivenUser]) -> Vec<String> {
    let one = |user: &GivenUser| match user {
        GivenUser::Named(_, name) => format!("users/{name}"),
        GivenUser::Known(id) => format!("{DELETED}{id}"),
    };
    list.iter().map(one).collect()
}

/// A list as it is sent.
pub(super) fn to_wire(ids: &BTreeSet<UserId>, names: &UserNames) -> Vec<String> {
    let one = |id: &UserId| match names.of(uuid(id)) {
        Some(name) => format!("users/{name}"),
        None => format!("{DELETED}{id}"),
    };
    ids.iter().map(one).collect()
}
