//! `RoomTemplateService`: rules for rooms that nobody made. Knows no SQL.

use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use porthouse_model::{EntryStep, NamePrefix, RoomRules};
use serde_json::Value;
use tonic::{Request, Response, Status};

use crate::identity::chance;
use crate::store::templates::{self, NewTemplate, TemplateColumns, TemplateRow};
use crate::store::{Connection, rule};

use super::error::{ApiError, Kind};
use super::room_rule::{self, RuleField, Sheet};
use super::{Api, Write, etag, label, mask, page, resource_name, revision_to_wire, time};

/// The path of a template's rules in a request.
const RULES: &str = "room_template.rules";

/// A template as it was sent.
struct Given {
    labels: Value,
    sheet: Sheet,
}

/// What an update of a template names.
#[derive(Clone, Copy)]
enum Field {
    Labels,
    Rule(RuleField),
}

#[tonic::async_trait]
impl wire::room_template_service_server::RoomTemplateService for Api {
    async fn create_room_template(
        &self,
        request: Request<wire::CreateRoomTemplateRequest>,
    ) -> Result<Response<wire::CreateRoomTemplateResponse>, Status> {
        let request = request.into_inner();
        let prefix: NamePrefix = resource_name::id("room_template_id", &request.room_template_id)?;
        if prefix.as_str().starts_with('@') {
            let rule = "no freeport's name, which is there with its user: see EndpointService";
            return Err(ApiError::field("room_template_id", rule).into());
        }
        let given = Given::read(request.room_template.unwrap_or_default())?;
        let (made, revision) = self
            .write(Write::of(request.validate_only), move |c| {
                async move {
                    let rules = settle(c, given.sheet).await?;
                    check(&rules)?;
                    let new = NewTemplate {
                        id: chance::identity(),
                        prefix: prefix.as_str().to_owned(),
                        columns: TemplateColumns {
                            rules: rule::encode(&rules),
                            labels: given.labels,
                        },
                    };
                    let made = templates::insert(c, &new).await;
                    let row = made.map_err(|error| {
                        ApiError::taken(error, Kind::RoomTemplate, full_name(&prefix))
                    })?;
                    to_wire(c, row).await
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::CreateRoomTemplateResponse {
            room_template: Some(made),
            revision: revision_to_wire(revision),
        }))
    }

    async fn get_room_template(
        &self,
        request: Request<wire::GetRoomTemplateRequest>,
    ) -> Result<Response<wire::GetRoomTemplateResponse>, Status> {
        let prefix = resource_name::room_template("name", &request.into_inner().name)?;
        let found = self
            .read(move |c| {
                async move {
                    let row = templates::by_prefix(c, &prefix).await?;
                    to_wire(c, row.ok_or_else(|| absent(&prefix))?).await
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::GetRoomTemplateResponse {
            room_template: Some(found),
        }))
    }

    async fn list_room_templates(
        &self,
        request: Request<wire::ListRoomTemplatesRequest>,
    ) -> Result<Response<wire::ListRoomTemplatesResponse>, Status> {
        const LISTING: &str = "room templates";
        let request = request.into_inner();
        let asked = page::read(request.page_size, &request.page_token, LISTING)?;
        let (room_templates, next_page_token) = self
            .read(move |c| {
                async move {
                    let rows = templates::page(c, &asked).await?;
                    let all = all_to_wire(c, rows).await?;
                    Ok(page::cut_by_bytes(all, &asked, LISTING, |template| {
                        let prefix = template.name.trim_start_matches("roomTemplates/");
                        prefix.trim_end_matches('*').to_owned()
                    }))
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::ListRoomTemplatesResponse {
            room_templates,
            next_page_token,
        }))
    }

    async fn update_room_template(
        &self,
        request: Request<wire::UpdateRoomTemplateRequest>,
    ) -> Result<Response<wire::UpdateRoomTemplateResponse>, Status> {
        let request = request.into_inner();
        let fields = fields(request.update_mask)?;
        let template = request.room_template.unwrap_or_default();
        let prefix = resource_name::room_template("room_template.name", &template.name)?;
        let given_etag = template.etag.clone();
        let given = Given::read(template)?;
        let (changed, revision) = self
            .write(Write::of(request.validate_only), move |c| {
                async move {
                    let old = locked(c, &prefix, &given_etag).await?;
                    let columns = given.change(c, &old.columns, &fields).await?;
                    let row = if columns == old.columns {
                        old
                    } else {
                        templates::update(c, old.id, &columns).await?
                    };
                    to_wire(c, row).await
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::UpdateRoomTemplateResponse {
            room_template: Some(changed),
            revision: revision_to_wire(revision),
        }))
    }

    async fn delete_room_template(
        &self,
        request: Request<wire::DeleteRoomTemplateRequest>,
    ) -> Result<Response<wire::DeleteRoomTemplateResponse>, Status> {
        let request = request.into_inner();
        let prefix = resource_name::room_template("name", &request.name)?;
        let ((), revision) = self
            .write(Write::Keep, move |c| {
                async move {
                    let template = locked(c, &prefix, &request.etag).await?;
                    Ok(templates::delete(c, template.id).await?)
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::DeleteRoomTemplateResponse {
            revision: revision_to_wire(revision),
        }))
    }
}

impl Given {
    /// Reads a template, whose users are not looked up yet.
    fn read(template: wire::RoomTemplate) -> Result<Self, ApiError> {
        let sheet = Sheet::from_wire(template.rules.unwrap_or_default());
        Ok(Self {
            labels: label::to_json("room_template.labels", template.labels)?,
            sheet: sheet.map_err(|error| error.under(RULES))?,
        })
    }

    /// A template's columns with these fields taken over.
    async fn change(
        &self,
        c: &mut Connection,
        old: &TemplateColumns,
        fields: &[Field],
    ) -> Result<TemplateColumns, ApiError> {
        let mut columns = old.clone();
        let old_rules = rule::decode(&columns.rules)?;
        let mut sheet = Sheet::of(old_rules.clone());
        for field in fields {
            match field {
                Field::Labels => columns.labels.clone_from(&self.labels),
                Field::Rule(field) => field.copy(&self.sheet, &mut sheet),
            }
        }
        let rules = settle(c, sheet).await?;
        // Bytes of an earlier version may say the same in another way.
        if rules != old_rules {
            check(&rules)?;
            columns.rules = rule::encode(&rules);
        }
        Ok(columns)
    }
}

/// Reads the mask of an update.
fn fields(mask: Option<prost_types::FieldMask>) -> Result<Vec<Field>, ApiError> {
    let find = |path: &str| match path {
        "labels" => Some(vec![Field::Labels]),
        below => {
            let named = room_rule::named_fields(below)?;
            Some(named.into_iter().map(Field::Rule).collect())
        }
    };
    mask::read_by(mask, find, || format!("labels, {}", room_rule::all_named()))
}

async fn settle(c: &mut Connection, sheet: Sheet) -> Result<RoomRules, ApiError> {
    let settled = sheet.settle(c).await;
    settled.map_err(|error| error.under(RULES))
}

/// Refuses rules that cannot be kept, and those that only a room of its own can
/// have: a template has no secrets, and its rooms no members.
fn check(rules: &RoomRules) -> Result<(), ApiError> {
    room_rule::check(rules)
        .and_then(|()| only_of_rooms(rules))
        .map_err(|error| error.under(RULES))
}

fn only_of_rooms(rules: &RoomRules) -> Result<(), ApiError> {
    let secret = |step: &EntryStep| match step {
        EntryStep::Password(_) => Some("password, as it has only by SetRoomPassword"),
        EntryStep::RoomCode(_) => Some("room code, as it has only by SetRoomCode"),
        EntryStep::Hook(_) => Some("hook, as it has only by SetRoomHook"),
        EntryStep::SecondFactor { .. } | EntryStep::Approval => None,
    };
    for (at, step) in rules.entry.steps.iter().enumerate() {
        if let Some(what) = secret(step) {
            let field = format!("entry.steps[{at}]");
            let rule = format!("of a template not a {what}: make the room, by CreateRoom");
            return Err(ApiError::field(field, rule));
        }
    }
    if !rules.connection.roles_allowed.is_empty() {
        let rule = "none of a template, whose rooms have no members: make the room, by CreateRoom";
        return Err(ApiError::field("connection.roles_allowed", rule));
    }
    Ok(())
}

/// The template to change, which nobody else changes meanwhile.
async fn locked(
    c: &mut Connection,
    prefix: &NamePrefix,
    etag: &str,
) -> Result<TemplateRow, ApiError> {
    let found = templates::lock(c, prefix).await?;
    let template = found.ok_or_else(|| absent(prefix))?;
    if etag::holds(etag, template.id, template.version) {
        Ok(template)
    } else {
        Err(ApiError::Stale(Kind::RoomTemplate, full_name(prefix)))
    }
}

fn full_name(prefix: &NamePrefix) -> String {
    format!("roomTemplates/{prefix}")
}

fn absent(prefix: &NamePrefix) -> ApiError {
    ApiError::Absent(Kind::RoomTemplate, full_name(prefix))
}

/// A template as it is sent.
async fn to_wire(c: &mut Connection, row: TemplateRow) -> Result<wire::RoomTemplate, ApiError> {
    let mut templates = all_to_wire(c, vec![row]).await?;
    Ok(templates.pop().expect("as many as were given"))
}

/// Templates as they are sent.
async fn all_to_wire(
    c: &mut Connection,
    rows: Vec<TemplateRow>,
) -> Result<Vec<wire::RoomTemplate>, ApiError> {
    let rules = rows
        .iter()
        .map(|row| rule::decode(&row.columns.rules))
        .collect::<Result<Vec<_>, _>>()?;
    let names = room_rule::names(c, rules.iter(), std::iter::empty()).await?;
    let one = |(row, rules): (TemplateRow, RoomRules)| wire::RoomTemplate {
        name: format!("roomTemplates/{}*", row.prefix),
        uid: row.id.to_string(),
        rules: Some(room_rule::to_wire(&rules, &names)),
        labels: label::from_json(row.columns.labels),
        etag: etag::of(row.id, row.version),
        create_time: Some(time::to_wire(row.create_time)),
        update_time: Some(time::to_wire(row.update_time)),
    };
    Ok(rows.into_iter().zip(rules).map(one).collect())
}
