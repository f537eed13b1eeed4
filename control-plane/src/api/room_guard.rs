//! `GuardService`: assertions about rooms that no write may break. Whether one
//! holds is judged by `store::guarded`, of everything before a lock is taken, and
//! of what changed meanwhile under the lock that every write takes.

use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use porthouse_model::NamePrefix;
use porthouse_rules::Guarded;
use tonic::{Request, Response, Status};

use crate::identity::chance;
use crate::store::guarded::{Assertion, Judged};
use crate::store::guards::{self, GuardColumns, GuardRow, NewGuard};
use crate::store::{Connection, audit, log};

use super::error::{ApiError, Kind};
use super::{Api, Write, etag, mask, page, resource_name, room_rule, time};

/// What an update of a guard names.
#[derive(Clone, Copy)]
enum Field {
    Prefix,
    Audience,
    Role,
    Act,
}

#[tonic::async_trait]
impl wire::guard_service_server::GuardService for Api {
    async fn create_guard(
        &self,
        request: Request<wire::CreateGuardRequest>,
    ) -> Result<Response<wire::CreateGuardResponse>, Status> {
        let request = request.into_inner();
        let name = resource_name::guard_id("guard_id", &request.guard_id)?;
        let assertion = from_wire(&request.guard.unwrap_or_default())?;
        let columns = stored(&assertion)?;
        let guards_max = i64::from(self.guards.guards_max);
        let judged = self.judged(assertion, &name).await?;
        let write = Write::of(request.validate_only);
        let (made, _) = self
            .write(write, move |c| {
                async move {
                    if write == Write::Keep {
                        alone(c).await?;
                        judged.hold(c).await?;
                    }
                    if guards::count(c).await? >= guards_max {
                        return Err(ApiError::GuardsTooMany(guards_max));
                    }
                    let new = NewGuard {
                        id: chance::identity(),
                        name: name.clone(),
                        columns,
                    };
                    let made = guards::insert(c, &new).await;
                    let taken =
                        |error| ApiError::taken(error, Kind::Guard, format!("guards/{name}"));
                    to_wire(made.map_err(taken)?)
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::CreateGuardResponse {
            guard: Some(made),
        }))
    }

    async fn get_guard(
        &self,
        request: Request<wire::GetGuardRequest>,
    ) -> Result<Response<wire::GetGuardResponse>, Status> {
        let name = resource_name::guard("name", &request.into_inner().name)?;
        let found = self
            .read(move |c| {
                async move {
                    let row = guards::by_name(c, &name).await?;
                    to_wire(row.ok_or_else(|| absent(&name))?)
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::GetGuardResponse { guard: Some(found) }))
    }

    async fn list_guards(
        &self,
        request: Request<wire::ListGuardsRequest>,
    ) -> Result<Response<wire::ListGuardsResponse>, Status> {
        const LISTING: &str = "guards";
        let request = request.into_inner();
        let asked = page::read(request.page_size, &request.page_token, LISTING)?;
        let (guards, next_page_token) = self
            .read(move |c| {
                async move {
                    let rows = guards::page(c, &asked).await?;
                    let all = rows.into_iter().map(to_wire).collect::<Result<_, _>>()?;
                    Ok(page::cut_by_bytes(
                        all,
                        &asked,
                        LISTING,
                        |guard: &wire::Guard| guard.name.trim_start_matches("guards/").to_owned(),
                    ))
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::ListGuardsResponse {
            guards,
            next_page_token,
        }))
    }

    async fn update_guard(
        &self,
        request: Request<wire::UpdateGuardRequest>,
    ) -> Result<Response<wire::UpdateGuardResponse>, Status> {
        let request = request.into_inner();
        let fields = fields(request.update_mask)?;
        let given = request.guard.unwrap_or_default();
        let name = resource_name::guard("guard.name", &given.name)?;
        let (seen, wanted) = (name.clone(), given.clone());
        let masked = fields.clone();
        let assertion = self
            .read(move |c| {
                async move {
                    let old = guards::by_name(c, &seen).await?;
                    let old = same(old.ok_or_else(|| absent(&seen))?, &wanted.etag)?;
                    changed(&old, &wanted, &masked)
                }
                .boxed()
            })
            .await?;
        let judged = self.judged(assertion, &name).await?;
        let write = Write::of(request.validate_only);
        let (changed, _) = self
            .write(write, move |c| {
                async move {
                    if write == Write::Keep {
                        alone(c).await?;
                    }
                    let old = locked(c, &name, &given.etag).await?;
                    let assertion = changed(&old, &given, &fields)?;
                    if assertion != *judged.assertion() {
                        // Somebody changed the guard meanwhile.
                        return Err(ApiError::StoreContended);
                    }
                    if write == Write::Keep {
                        judged.hold(c).await?;
                    }
                    let columns = stored(&assertion)?;
                    if columns == old.columns {
                        return to_wire(old);
                    }
                    to_wire(guards::update(c, old.id, &columns).await?)
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::UpdateGuardResponse {
            guard: Some(changed),
        }))
    }

    async fn delete_guard(
        &self,
        request: Request<wire::DeleteGuardRequest>,
    ) -> Result<Response<wire::DeleteGuardResponse>, Status> {
        let request = request.into_inner();
        let name = resource_name::guard("name", &request.name)?;
        self.write(Write::Keep, move |c| {
            async move {
                alone(c).await?;
                let guard = locked(c, &name, &request.etag).await?;
                Ok(guards::delete(c, guard.id).await?)
            }
            .boxed()
        })
        .await?;
        Ok(Response::new(wire::DeleteGuardResponse {}))
    }
}

impl Api {
    /// Judges a guard to be of everything there is, if that is not too much, and then
    /// of what was written in that time. Takes no lock: what is written from now on is
    /// judged by [`Judged::hold`].
    async fn judged(&self, assertion: Assertion, name: &str) -> Result<Judged, ApiError> {
        let rooms_max = i64::from(self.guards.guarded_rooms_max);
        let name = name.to_owned();
        let mut judged = self
            .read(move |c| {
                async move {
                    let prefix = assertion.prefix.as_str();
                    if guards::under(c, prefix, rooms_max + 1).await? > rooms_max {
                        return Err(ApiError::GuardTooWide(rooms_max));
                    }
                    Ok(Judged::everywhere(c, assertion, &name).await?)
                }
                .boxed()
            })
            .await?;
        self.read(move |c| {
            async move {
                judged.catch_up(c).await?;
                Ok(judged)
            }
            .boxed()
        })
        .await
    }
}

fn fields(mask: Option<prost_types::FieldMask>) -> Result<Vec<Field>, ApiError> {
    const KNOWN: &mask::Paths<Field> = &[
        ("room_prefix", &[Field::Prefix]),
        ("audience", &[Field::Audience]),
        ("role", &[Field::Role]),
        ("act", &[Field::Act]),
    ];
    mask::read(mask, KNOWN)
}

/// From here no room, no template and no guard changes unjudged. The locks are
/// taken in the order in which every write takes them, before any row is locked.
async fn alone(c: &mut Connection) -> Result<(), ApiError> {
    audit::lock(c).await?;
    log::lock(c).await?;
    Ok(())
}

/// The guard to change, which nobody else changes meanwhile.
async fn locked(c: &mut Connection, name: &str, etag: &str) -> Result<GuardRow, ApiError> {
    let guard = guards::lock(c, name).await?;
    same(guard.ok_or_else(|| absent(name))?, etag)
}

/// The guard, if it is the one that was read.
fn same(guard: GuardRow, etag: &str) -> Result<GuardRow, ApiError> {
    if etag::holds(etag, guard.id, guard.version) {
        Ok(guard)
    } else {
        let name = format!("guards/{}", guard.name);
        Err(ApiError::Stale(Kind::Guard, name))
    }
}

/// What a guard asserts with these fields changed.
fn changed(old: &GuardRow, given: &wire::Guard, fields: &[Field]) -> Result<Assertion, ApiError> {
    let mut wanted = to_wire(old.clone())?;
    for field in fields {
        match field {
            Field::Prefix => wanted.room_prefix.clone_from(&given.room_prefix),
            Field::Audience => wanted.audience = given.audience,
            Field::Role => wanted.role.clone_from(&given.role),
            Field::Act => wanted.act = given.act,
        }
    }
    from_wire(&wanted)
}

fn absent(name: &str) -> ApiError {
    ApiError::Absent(Kind::Guard, format!("guards/{name}"))
}

fn stored(assertion: &Assertion) -> Result<GuardColumns, ApiError> {
    let columns = assertion.columns();
    columns.ok_or_else(|| ApiError::field("guard.act", "any act but to change rules"))
}

fn from_wire(guard: &wire::Guard) -> Result<Assertion, ApiError> {
    let prefix: NamePrefix = resource_name::id("guard.room_prefix", &guard.room_prefix)?;
    let role = match guard.role.as_str() {
        "" => None,
        role => Some(resource_name::id("guard.role", role)?),
    };
    let guarded = match guard.audience() {
        wire::GuardAudience::Unspecified => {
            return Err(ApiError::field(
                "guard.audience",
                "an audience that is known",
            ));
        }
        wire::GuardAudience::Anonymous => Guarded::Anonymous,
        wire::GuardAudience::User => Guarded::User,
        wire::GuardAudience::Member => Guarded::Member(role),
        wire::GuardAudience::Owner => Guarded::Owner,
        wire::GuardAudience::Device => Guarded::Device,
    };
    if role.is_some() && !matches!(guarded, Guarded::Member(_)) {
        let needed = "empty, unless the audience is GUARD_AUDIENCE_MEMBER";
        return Err(ApiError::field("guard.role", needed));
    }
    let act = wire::Act::try_from(guard.act).ok();
    let act = act.and_then(room_rule::act_from_wire);
    Ok(Assertion {
        prefix,
        guarded,
        act: act.ok_or_else(|| ApiError::field("guard.act", "an act that is known"))?,
    })
}

fn to_wire(row: GuardRow) -> Result<wire::Guard, ApiError> {
    let assertion = Assertion::of(&row.columns)?;
    let audience = match assertion.guarded {
        Guarded::Anonymous => wire::GuardAudience::Anonymous,
        Guarded::User => wire::GuardAudience::User,
        Guarded::Member(_) => wire::GuardAudience::Member,
        Guarded::Owner => wire::GuardAudience::Owner,
        Guarded::Device => wire::GuardAudience::Device,
    };
    Ok(wire::Guard {
        name: format!("guards/{}", row.name),
        uid: row.id.to_string(),
        room_prefix: assertion.prefix.to_string(),
        audience: audience.into(),
        role: row.columns.role.unwrap_or_default(),
        act: room_rule::act_to_wire(assertion.act).into(),
        etag: etag::of(row.id, row.version),
        create_time: Some(time::to_wire(row.create_time)),
        update_time: Some(time::to_wire(row.update_time)),
    })
}
