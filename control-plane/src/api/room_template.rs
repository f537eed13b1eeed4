//! `RoomTemplateService`: rules for rooms that nobody made. A template's password
//! leaves here only as a hash. Knows no SQL.

use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use porthouse_model::{ChangeItem, NamePrefix, RoomRules};
use serde_json::Value;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::identity::chance;
use crate::store::rule::SecretVersions;
use crate::store::templates::{self, NewTemplate, TemplateColumns, TemplateRow};
use crate::store::{Connection, StoreError, covering, rule};

use super::error::{ApiError, Kind};
use super::room_rule::{self, Compiled, RuleField, Sheet};
use super::{
    Api, Outcome, Write, asker, etag, label, mask, page, resource_name, revision_to_wire, time,
};

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
        let asker = asker(&request, "");
        let request = request.into_inner();
        let prefix: NamePrefix = resource_name::id("room_template_id", &request.room_template_id)?;
        if prefix.as_str().starts_with('@') {
            let rule = "no freeport's name, which is there with its user: see EndpointService";
            return Err(ApiError::field("room_template_id", rule).into());
        }
        let given = Given::read(request.room_template.unwrap_or_default())?;
        let compiled = compile(Some(&given.sheet)).await?;
        let password_phc = self.hash_unless_empty(asker, request.password).await?;
        let password_version = i64::from(password_phc.is_some());
        let rehearses = request.validate_only;
        let ((made, would_be), revision) = self
            .write(Write::of(request.validate_only), move |c| {
                async move {
                    let draft = draft(&given.sheet)?;
                    let rules = settle(c, given.sheet).await?;
                    let versions = SecretVersions::of_columns(password_version, 0, 0)?;
                    check(&rules, versions, (&draft, &compiled))?;
                    let new = NewTemplate {
                        id: chance::identity(),
                        prefix: prefix.as_str().to_owned(),
                        columns: TemplateColumns {
                            rules: rule::encode(&rules),
                            labels: given.labels,
                        },
                        password_phc,
                        password_version,
                        password_count: password_version,
                    };
                    let made = templates::insert(c, &new).await;
                    let row = made.map_err(|error| {
                        ApiError::taken(error, Kind::RoomTemplate, full_name(&prefix))
                    })?;
                    let would_be = would_be(c, rehearses, row.id).await?;
                    Ok((to_wire(c, row).await?, would_be))
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::CreateRoomTemplateResponse {
            room_template: Some(made),
            revision: revision_to_wire(revision),
            impact: self.impact_of(would_be).await?,
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
        let old = self.template(prefix.clone()).await?;
        let sheet = given.merged(&old.columns, &fields)?;
        let names_rules = fields.iter().any(|field| matches!(field, Field::Rule(_)));
        let compiled = compile(names_rules.then_some(&sheet)).await?;
        let rehearses = request.validate_only;
        let ((changed, would_be), revision) = self
            .write(Write::of(request.validate_only), move |c| {
                async move {
                    let old = locked(c, &prefix, &given_etag).await?;
                    let columns = given.change(c, &old, &fields, &compiled).await?;
                    let row = if columns == old.columns {
                        old
                    } else {
                        templates::update(c, old.id, &columns).await?
                    };
                    let would_be = would_be(c, rehearses, row.id).await?;
                    Ok((to_wire(c, row).await?, would_be))
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::UpdateRoomTemplateResponse {
            room_template: Some(changed),
            revision: revision_to_wire(revision),
            impact: self.impact_of(would_be).await?,
        }))
    }

    async fn delete_room_template(
        &self,
        request: Request<wire::DeleteRoomTemplateRequest>,
    ) -> Result<Response<wire::DeleteRoomTemplateResponse>, Status> {
        let request = request.into_inner();
        let prefix = resource_name::room_template("name", &request.name)?;
        let ((), Outcome { revision, impact }) = self
            .write_or_foresee(Write::of(request.validate_only), move |c| {
                async move {
                    let template = locked(c, &prefix, &request.etag).await?;
                    Ok(templates::delete(c, template.id).await?)
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::DeleteRoomTemplateResponse {
            revision,
            impact,
        }))
    }

    async fn set_room_template_password(
        &self,
        request: Request<wire::SetRoomTemplatePasswordRequest>,
    ) -> Result<Response<wire::SetRoomTemplatePasswordResponse>, Status> {
        let asker = asker(&request, "");
        let request = request.into_inner();
        let prefix = resource_name::room_template("name", &request.name)?;
        let phc = self.hash(asker, request.password).await?;
        let write = Write::of(request.validate_only);
        let change = (request.etag, Some(phc));
        let (template, Outcome { revision, impact }) =
            self.change_template_password(write, prefix, change).await?;
        Ok(Response::new(wire::SetRoomTemplatePasswordResponse {
            room_template: Some(template),
            revision,
            impact,
        }))
    }

    async fn clear_room_template_password(
        &self,
        request: Request<wire::ClearRoomTemplatePasswordRequest>,
    ) -> Result<Response<wire::ClearRoomTemplatePasswordResponse>, Status> {
        let request = request.into_inner();
        let prefix = resource_name::room_template("name", &request.name)?;
        let change = (request.etag, None);
        let (template, outcome) = self
            .change_template_password(Write::Keep, prefix, change)
            .await?;
        Ok(Response::new(wire::ClearRoomTemplatePasswordResponse {
            room_template: Some(template),
            revision: outcome.revision,
        }))
    }
}

impl Api {
    async fn change_template_password(
        &self,
        write: Write,
        prefix: NamePrefix,
        (etag, phc): (String, Option<String>),
    ) -> Result<(wire::RoomTemplate, Outcome), ApiError> {
        self.write_or_foresee(write, move |c| {
            async move {
                let old = locked(c, &prefix, &etag).await?;
                let row = match phc {
                    Some(phc) => templates::set_password(c, old.id, &phc).await?,
                    None if old.password_version == 0 => old,
                    None => templates::clear_password(c, old.id).await?,
                };
                to_wire(c, row).await
            }
            .boxed()
        })
        .await
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
        old: &TemplateRow,
        fields: &[Field],
        compiled: &Compiled,
    ) -> Result<TemplateColumns, ApiError> {
        let mut columns = old.columns.clone();
        let old_rules = rule::decode(&columns.rules)?;
        let sheet = self.merged(&old.columns, fields)?;
        if fields.iter().any(|field| matches!(field, Field::Labels)) {
            columns.labels.clone_from(&self.labels);
        }
        let draft = draft(&sheet)?;
        let rules = settle(c, sheet).await?;
        // Bytes of an earlier version may say the same in another way.
        if rules != old_rules {
            check(&rules, versions(old)?, (&draft, compiled))?;
            columns.rules = rule::encode(&rules);
        }
        Ok(columns)
    }
}

impl Given {
    /// What a template's rules would be with these fields taken over.
    fn merged(&self, old: &TemplateColumns, fields: &[Field]) -> Result<Sheet, ApiError> {
        let mut sheet = Sheet::of(rule::decode(&old.rules)?);
        for field in fields {
            match field {
                Field::Labels => {}
                Field::Rule(field) => field.copy(&self.sheet, &mut sheet),
            }
        }
        Ok(sheet)
    }
}

impl Api {
    /// A template as it stands, which others may change.
    async fn template(&self, prefix: NamePrefix) -> Result<TemplateRow, ApiError> {
        self.read(move |c| {
            async move {
                let found = templates::by_prefix(c, &prefix).await?;
                found.ok_or_else(|| absent(&prefix))
            }
            .boxed()
        })
        .await
    }
}

/// What nodes would be told, where a write is only rehearsed.
async fn would_be(
    c: &mut Connection,
    rehearses: bool,
    id: Uuid,
) -> Result<Option<ChangeItem>, ApiError> {
    if !rehearses {
        return Ok(None);
    }
    let templates = covering::templates_by_id(c, &[id]).await?;
    Ok(templates.into_values().next().map(ChangeItem::Template))
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

fn draft(sheet: &Sheet) -> Result<RoomRules, ApiError> {
    sheet.draft().map_err(|error| error.under(RULES))
}

async fn compile(sheet: Option<&Sheet>) -> Result<Compiled, ApiError> {
    let compiled = Compiled::of(sheet.map(draft).transpose()?).await;
    compiled.map_err(|error| error.under(RULES))
}

async fn settle(c: &mut Connection, sheet: Sheet) -> Result<RoomRules, ApiError> {
    let settled = sheet.settle(c).await;
    settled.map_err(|error| error.under(RULES))
}

/// Refuses rules that cannot be kept, steps that were named without their secret
/// being set, and what only a room of its own can have: a template's rooms have no
/// members.
fn check(
    rules: &RoomRules,
    versions: SecretVersions,
    (draft, compiled): (&RoomRules, &Compiled),
) -> Result<(), ApiError> {
    room_rule::check(rules, draft, compiled)
        .and_then(|()| room_rule::check_steps(rules, versions))
        .and_then(|()| without_members(rules))
        .map_err(|error| error.under(RULES))
}

fn without_members(rules: &RoomRules) -> Result<(), ApiError> {
    if rules.connection.roles_allowed.is_empty() {
        return Ok(());
    }
    let rule = "none of a template, whose rooms have no members: make the room, by CreateRoom";
    Err(ApiError::field("connection.roles_allowed", rule))
}

/// Which secrets a template has.
fn versions(row: &TemplateRow) -> Result<SecretVersions, StoreError> {
    SecretVersions::of_columns(row.password_version, row.code_version, row.hook_version)
}

/// A template's rules as they are shown: as they hold.
fn shown(row: &TemplateRow) -> Result<RoomRules, StoreError> {
    let rules = rule::decode(&row.columns.rules)?;
    Ok(rule::in_force(rules, false, versions(row)?))
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
    let rules = rows.iter().map(shown).collect::<Result<Vec<_>, _>>()?;
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
