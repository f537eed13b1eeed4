//! A room between control.v1 and its row: what was sent, what a mask names of it,
//! and what is answered. Writes nothing.

use porthouse_api::control::v1 as wire;
use porthouse_model::{Audience, RoomRules, Username};
use serde_json::Value;
use uuid::Uuid;

use crate::store::rooms::{RoomColumns, RoomRow};
use crate::store::rule::{self, SecretVersions};
use crate::store::{Connection, StoreError, users};

use super::error::ApiError;
use super::room_rule::{self, Compiled, RuleField, Sheet};
use super::{etag, label, mask, resource_name, time};

/// The path of a room's rules in a request.
const RULES: &str = "room.rules";

/// A room as it was sent.
pub(super) struct Given {
    owner: Option<Username>,
    members_only: bool,
    labels: Value,
    sheet: Sheet,
}

/// What an update of a room names.
#[derive(Clone, Copy)]
pub(super) enum Field {
    Owner,
    Visibility,
    Labels,
    Rule(RuleField),
}

/// Reads the mask of an update.
pub(super) fn fields(mask: Option<prost_types::FieldMask>) -> Result<Vec<Field>, ApiError> {
    let find = |path: &str| match path {
        "owner" => Some(vec![Field::Owner]),
        "visibility" => Some(vec![Field::Visibility]),
        "labels" => Some(vec![Field::Labels]),
        below => {
            let named = room_rule::named_fields(below)?;
            Some(named.into_iter().map(Field::Rule).collect())
        }
    };
    mask::read_by(mask, find, || {
        format!("owner, visibility, labels, {}", room_rule::all_named())
    })
}

impl Given {
    /// Reads a room, whose users are not looked up yet.
    pub(super) fn read(room: wire::Room) -> Result<Self, ApiError> {
        let members_only = match wire::Visibility::try_from(room.visibility) {
            Ok(wire::Visibility::Unspecified | wire::Visibility::Public) => false,
            Ok(wire::Visibility::Private) => true,
            Err(_) => {
                let rule = "VISIBILITY_PUBLIC or VISIBILITY_PRIVATE";
                return Err(ApiError::field("room.visibility", rule));
            }
        };
        let sheet = Sheet::from_wire(room.rules.unwrap_or_default());
        Ok(Self {
            owner: match room.owner.as_str() {
                "" => None,
                name => Some(resource_name::user("room.owner", name)?),
            },
            members_only,
            labels: label::to_json("room.labels", room.labels)?,
            sheet: sheet.map_err(|error| error.under(RULES))?,
        })
    }

    /// The rules of a new room, to be compiled.
    pub(super) async fn compile(&self) -> Result<Compiled, ApiError> {
        compile(Some((&self.sheet, self.members_only))).await
    }

    /// The same of a room that stands so and is changed, if that concerns its
    /// rules.
    pub(super) async fn compile_change(
        &self,
        old: &RoomRow,
        fields: &[Field],
    ) -> Result<Compiled, ApiError> {
        let (sheet, members_only) = self.merged(&old.columns, fields)?;
        let concerns = fields.iter().any(|field| match field {
            Field::Visibility | Field::Rule(_) => true,
            Field::Owner | Field::Labels => false,
        });
        compile(concerns.then_some((&sheet, members_only))).await
    }

    /// The columns of a new room with this much of a secret.
    pub(super) async fn make(
        self,
        c: &mut Connection,
        versions: SecretVersions,
        compiled: &Compiled,
    ) -> Result<RoomColumns, ApiError> {
        let owner_id = hold_owner(c, self.owner.as_ref()).await?;
        let draft = draft(&self.sheet, self.members_only)?;
        let rules = settle(c, self.sheet).await?;
        check(&rules, &draft, compiled)?;
        named_steps(&rules, versions)?;
        Ok(RoomColumns {
            owner_id,
            members_only: self.members_only,
            rules: rule::encode(&rules),
            labels: self.labels,
        })
    }

    /// A room's columns with these fields taken over.
    pub(super) async fn change(
        &self,
        c: &mut Connection,
        old: &RoomRow,
        fields: &[Field],
        compiled: &Compiled,
    ) -> Result<RoomColumns, ApiError> {
        let mut columns = old.columns.clone();
        let old_rules = rule::decode(&columns.rules)?;
        let (sheet, members_only) = self.merged(&columns, fields)?;
        for field in fields {
            match field {
                Field::Owner => columns.owner_id = hold_owner(c, self.owner.as_ref()).await?,
                Field::Labels => columns.labels.clone_from(&self.labels),
                Field::Visibility | Field::Rule(_) => {}
            }
        }
        let is_shown_otherwise = columns.members_only != members_only;
        columns.members_only = members_only;
        let draft = draft(&sheet, members_only)?;
        let rules = settle(c, sheet).await?;
        let versions = versions(old)?;
        if rules != old_rules || is_shown_otherwise {
            check(&rules, &draft, compiled)?;
        }
        if rules.entry != old_rules.entry {
            named_steps(&rules, versions)?;
        }
        // Bytes of an earlier version may say the same in another way.
        if rules != old_rules {
            columns.rules = rule::encode(&rules);
        }
        Ok(columns)
    }

    /// What a room's rules, and whether it is for members only, would be with
    /// these fields taken over.
    fn merged(&self, old: &RoomColumns, fields: &[Field]) -> Result<(Sheet, bool), ApiError> {
        let mut sheet = Sheet::of(rule::decode(&old.rules)?);
        let mut members_only = old.members_only;
        for field in fields {
            match field {
                Field::Visibility => members_only = self.members_only,
                Field::Rule(field) => field.copy(&self.sheet, &mut sheet),
                Field::Owner | Field::Labels => {}
            }
        }
        Ok((sheet, members_only))
    }
}

/// The identity of a room's owner to be, who is not deleted meanwhile.
async fn hold_owner(
    c: &mut Connection,
    owner: Option<&Username>,
) -> Result<Option<Uuid>, ApiError> {
    let Some(name) = owner else { return Ok(None) };
    let rule = "a user that exists";
    let id = users::hold(c, name)
        .await?
        .ok_or_else(|| ApiError::field("room.owner", rule))?;
    Ok(Some(id))
}

async fn settle(c: &mut Connection, sheet: Sheet) -> Result<RoomRules, ApiError> {
    let settled = sheet.settle(c).await;
    settled.map_err(|error| error.under(RULES))
}

/// Refuses rules that cannot be kept. Their steps are as they were written, so
/// that a fault has the place that it was given.
fn check(rules: &RoomRules, draft: &RoomRules, compiled: &Compiled) -> Result<(), ApiError> {
    room_rule::check(rules, draft, compiled).map_err(|error| error.under(RULES))
}

fn draft(sheet: &Sheet, members_only: bool) -> Result<RoomRules, ApiError> {
    let mut draft = sheet.draft().map_err(|error| error.under(RULES))?;
    if members_only {
        draft.connection.audience = Audience::Members;
    }
    Ok(draft)
}

async fn compile(given: Option<(&Sheet, bool)>) -> Result<Compiled, ApiError> {
    let draft = given.map(|(sheet, members_only)| draft(sheet, members_only));
    let compiled = Compiled::of(draft.transpose()?).await;
    compiled.map_err(|error| error.under(RULES))
}

/// Refuses steps that were named without their secret being set.
fn named_steps(rules: &RoomRules, versions: SecretVersions) -> Result<(), ApiError> {
    room_rule::check_steps(rules, versions).map_err(|error| error.under(RULES))
}

/// Which secrets a room has.
fn versions(row: &RoomRow) -> Result<SecretVersions, StoreError> {
    SecretVersions::of_columns(row.password_version, row.code_version, row.hook_version)
}

/// A room as it is sent.
pub(super) async fn to_wire(c: &mut Connection, row: RoomRow) -> Result<wire::Room, ApiError> {
    let mut rooms = all_to_wire(c, vec![row]).await?;
    Ok(rooms.pop().expect("as many as were given"))
}

/// Rooms as they are sent.
pub(super) async fn all_to_wire(
    c: &mut Connection,
    rows: Vec<RoomRow>,
) -> Result<Vec<wire::Room>, ApiError> {
    let rules = rows.iter().map(shown).collect::<Result<Vec<_>, _>>()?;
    let owners = rows.iter().filter_map(|row| row.columns.owner_id);
    let names = room_rule::names(c, rules.iter(), owners).await?;
    let one = |(row, rules): (RoomRow, RoomRules)| {
        let owner = row.columns.owner_id.and_then(|owner| names.of(owner));
        wire::Room {
            name: format!("rooms/{}", row.name),
            uid: row.id.to_string(),
            owner: owner
                .map(|name| format!("users/{name}"))
                .unwrap_or_default(),
            visibility: if row.columns.members_only {
                wire::Visibility::Private.into()
            } else {
                wire::Visibility::Public.into()
            },
            rules: Some(room_rule::to_wire(&rules, &names)),
            labels: label::from_json(row.columns.labels),
            etag: etag::of(row.id, row.version),
            create_time: Some(time::to_wire(row.create_time)),
            update_time: Some(time::to_wire(row.update_time)),
        }
    };
    Ok(rows.into_iter().zip(rules).map(one).collect())
}

/// The rules of a room as they are shown: as they hold, visibility apart, which
/// is shown beside them.
fn shown(row: &RoomRow) -> Result<RoomRules, StoreError> {
    let rules = rule::decode(&row.columns.rules)?;
    Ok(rule::in_force(rules, false, versions(row)?))
}
