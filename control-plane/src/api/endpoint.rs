//! `EndpointService`: addresses handed out and withdrawn. Knows no SQL.

use std::collections::BTreeSet;

use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use porthouse_model::{Address, EndpointAccess, Username};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::identity::chance;
use crate::store::address::{access, access_text};
use crate::store::endpoints::{self, EndpointColumns, EndpointRow, NewEndpoint};
use crate::store::{Connection, users};

use super::error::{ApiError, Kind};
use super::{Api, Write, etag, mask, page, resource_name, revision_to_wire, time};

/// The most rooms an endpoint leads to.
const ROOMS_MAX: usize = 16;

/// What an update may name.
#[derive(Clone, Copy, PartialEq)]
enum Field {
    Owner,
    Rooms,
    Access,
}

const PATHS: &mask::Paths<Field> = &[
    ("owner", &[Field::Owner]),
    ("rooms", &[Field::Rooms]),
    ("access", &[Field::Access]),
];

/// What a write says of an endpoint, with its owner's name for an identity.
struct Given {
    owner: Option<Username>,
    rooms: Vec<String>,
    access: EndpointAccess,
}

#[tonic::async_trait]
impl wire::endpoint_service_server::EndpointService for Api {
    async fn create_endpoint(
        &self,
        request: Request<wire::CreateEndpointRequest>,
    ) -> Result<Response<wire::CreateEndpointResponse>, Status> {
        let request = request.into_inner();
        let address: Address = match request.endpoint_id.as_str() {
            "" => chance::address(),
            id => resource_name::id("endpoint_id", id)?,
        };
        let given = Given::read(&request.endpoint.unwrap_or_default())?;
        let (made, revision) = self
            .write(Write::of(request.validate_only), move |c| {
                async move {
                    let columns = EndpointColumns {
                        owner_id: hold_owner(c, given.owner.as_ref()).await?,
                        rooms: given.rooms,
                        access: access_text(given.access).to_owned(),
                    };
                    check(c, &address, &columns).await?;
                    let new = NewEndpoint {
                        id: chance::identity(),
                        address: address.as_str().to_owned(),
                        columns,
                    };
                    let made = endpoints::insert(c, &new).await;
                    let row = made.map_err(|error| {
                        ApiError::taken(error, Kind::Endpoint, full_name(&address))
                    })?;
                    to_wire(&row, given.owner.map(|owner| owner.as_str().to_owned()))
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::CreateEndpointResponse {
            endpoint: Some(made),
            revision: revision_to_wire(revision),
        }))
    }

    async fn get_endpoint(
        &self,
        request: Request<wire::GetEndpointRequest>,
    ) -> Result<Response<wire::GetEndpointResponse>, Status> {
        let address = resource_name::endpoint("name", &request.into_inner().name)?;
        let endpoint = self
            .read(move |c| {
                async move {
                    let found = endpoints::by_address(c, &address).await?;
                    let (row, owner) = found.ok_or_else(|| absent(&address))?;
                    to_wire(&row, owner)
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::GetEndpointResponse {
            endpoint: Some(endpoint),
        }))
    }

    async fn list_endpoints(
        &self,
        request: Request<wire::ListEndpointsRequest>,
    ) -> Result<Response<wire::ListEndpointsResponse>, Status> {
        let request = request.into_inner();
        let owner = owner_name("owner", &request.owner)?;
        let listing = format!("endpoints {}", request.owner);
        let asked = page::read(request.page_size, &request.page_token, &listing)?;
        let read = asked.clone();
        let rows = self
            .read(move |c| {
                async move {
                    let owner = match owner {
                        None => None,
                        Some(name) => match users::by_name(c, &name).await? {
                            Some(user) => Some(user.id),
                            None => return Ok(Vec::new()),
                        },
                    };
                    Ok(endpoints::page(c, owner, &read).await?)
                }
                .boxed()
            })
            .await?;
        let (rows, next_page_token) =
            page::cut(rows, &asked, &listing, |(row, _)| row.address.clone());
        let rows = rows.into_iter().map(|(row, owner)| to_wire(&row, owner));
        Ok(Response::new(wire::ListEndpointsResponse {
            endpoints: rows.collect::<Result<_, _>>()?,
            next_page_token,
        }))
    }

    async fn update_endpoint(
        &self,
        request: Request<wire::UpdateEndpointRequest>,
    ) -> Result<Response<wire::UpdateEndpointResponse>, Status> {
        let request = request.into_inner();
        let fields = mask::read(request.update_mask, PATHS)?;
        let endpoint = request.endpoint.unwrap_or_default();
        let address = resource_name::endpoint("endpoint.name", &endpoint.name)?;
        let given = Given::read(&endpoint)?;
        let given_etag = endpoint.etag;
        let (changed, revision) = self
            .write(Write::of(request.validate_only), move |c| {
                async move {
                    let owner = if fields.contains(&Field::Owner) {
                        hold_owner(c, given.owner.as_ref()).await?
                    } else {
                        None
                    };
                    let old = locked(c, &address, &given_etag).await?;
                    let mut columns = old.columns.clone();
                    for field in fields {
                        match field {
                            Field::Owner => columns.owner_id = owner,
                            Field::Rooms => columns.rooms.clone_from(&given.rooms),
                            Field::Access => {
                                access_text(given.access).clone_into(&mut columns.access);
                            }
                        }
                    }
                    check(c, &address, &columns).await?;
                    let row = if columns == old.columns {
                        old
                    } else {
                        endpoints::update(c, old.id, &columns).await?
                    };
                    let owner = match row.columns.owner_id {
                        Some(id) => {
                            let names = users::names(c, vec![id]).await?;
                            names.into_iter().next().map(|(_, name)| name)
                        }
                        None => None,
                    };
                    to_wire(&row, owner)
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::UpdateEndpointResponse {
            endpoint: Some(changed),
            revision: revision_to_wire(revision),
        }))
    }

    async fn delete_endpoint(
        &self,
        request: Request<wire::DeleteEndpointRequest>,
    ) -> Result<Response<wire::DeleteEndpointResponse>, Status> {
        let request = request.into_inner();
        let address = resource_name::endpoint("name", &request.name)?;
        let ((), revision) = self
            .write(Write::Keep, move |c| {
                async move {
                    let endpoint = locked(c, &address, &request.etag).await?;
                    Ok(endpoints::delete(c, endpoint.id).await?)
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(wire::DeleteEndpointResponse {
            revision: revision_to_wire(revision),
        }))
    }
}

impl Given {
    fn read(endpoint: &wire::Endpoint) -> Result<Self, ApiError> {
        let access = match wire::EndpointAccess::try_from(endpoint.access) {
            Ok(wire::EndpointAccess::Unspecified | wire::EndpointAccess::Public) => {
                EndpointAccess::Anyone
            }
            Ok(wire::EndpointAccess::Users) => EndpointAccess::Users,
            Ok(wire::EndpointAccess::Private) => EndpointAccess::Owner,
            Err(_) => {
                let rule = "PUBLIC, USERS or PRIVATE";
                return Err(ApiError::field("endpoint.access", rule));
            }
        };
        Ok(Self {
            owner: owner_name("endpoint.owner", &endpoint.owner)?,
            rooms: rooms(&endpoint.rooms)?,
            access,
        })
    }
}

fn rooms(names: &[String]) -> Result<Vec<String>, ApiError> {
    let field = "endpoint.rooms";
    let all: Vec<_> = names
        .iter()
        .map(|name| resource_name::room(field, name))
        .collect::<Result<_, _>>()?;
    let different: BTreeSet<_> = all.iter().collect();
    if all.len() > ROOMS_MAX || different.len() < all.len() {
        let rule = format!("at most {ROOMS_MAX} rooms, all different");
        return Err(ApiError::field(field, rule));
    }
    Ok(all.iter().map(|room| room.as_str().to_owned()).collect())
}

fn owner_name(field: &str, name: &str) -> Result<Option<Username>, ApiError> {
    match name {
        "" => Ok(None),
        name => resource_name::user(field, name).map(Some),
    }
}

/// The identity of an owner to be, who is not deleted meanwhile.
async fn hold_owner(
    c: &mut Connection,
    owner: Option<&Username>,
) -> Result<Option<Uuid>, ApiError> {
    let Some(name) = owner else { return Ok(None) };
    let id = users::hold(c, name).await?;
    let id = id.ok_or_else(|| ApiError::field("endpoint.owner", "a user that exists"))?;
    Ok(Some(id))
}

/// Nobody else takes the place of a user's freeport, nothing but that is led to
/// without being named, and what only its owner may use has one.
async fn check(
    c: &mut Connection,
    address: &Address,
    columns: &EndpointColumns,
) -> Result<(), ApiError> {
    let user = address
        .freeport()
        .and_then(|freeport| freeport.freeport_of());
    let theirs = match user {
        Some(user) => users::by_name(c, &user).await?.map(|user| user.id),
        None => None,
    };
    if theirs.is_some() && theirs != columns.owner_id {
        let rule = "the user whose freeport is at this address";
        return Err(ApiError::field("endpoint.owner", rule));
    }
    if theirs.is_none() && columns.rooms.is_empty() {
        let rule = "a room at least, unless the address is a user's";
        return Err(ApiError::field("endpoint.rooms", rule));
    }
    if columns.owner_id.is_none() && columns.access == access_text(EndpointAccess::Owner) {
        let rule = "an owner, where nobody else may arrive";
        return Err(ApiError::field("endpoint.owner", rule));
    }
    Ok(())
}

/// The endpoint to change, which nobody else changes meanwhile.
async fn locked(
    c: &mut Connection,
    address: &Address,
    etag: &str,
) -> Result<EndpointRow, ApiError> {
    let found = endpoints::lock(c, address).await?;
    let endpoint = found.ok_or_else(|| absent(address))?;
    if etag::holds(etag, endpoint.id, endpoint.version) {
        Ok(endpoint)
    } else {
        Err(ApiError::Stale(Kind::Endpoint, full_name(address)))
    }
}

fn full_name(address: &Address) -> String {
    format!("endpoints/{address}")
}

fn absent(address: &Address) -> ApiError {
    ApiError::Absent(Kind::Endpoint, full_name(address))
}

fn to_wire(row: &EndpointRow, owner: Option<String>) -> Result<wire::Endpoint, ApiError> {
    let access = match access(&row.columns.access)? {
        EndpointAccess::Anyone => wire::EndpointAccess::Public,
        EndpointAccess::Users => wire::EndpointAccess::Users,
        EndpointAccess::Owner => wire::EndpointAccess::Private,
    };
    let rooms = row.columns.rooms.iter();
    Ok(wire::Endpoint {
        name: format!("endpoints/{}", row.address),
        uid: row.id.to_string(),
        owner: owner
            .map(|owner| format!("users/{owner}"))
            .unwrap_or_default(),
        rooms: rooms.map(|room| format!("rooms/{room}")).collect(),
        access: access.into(),
        etag: etag::of(row.id, row.version),
        create_time: Some(time::to_wire(row.create_time)),
        update_time: Some(time::to_wire(row.update_time)),
    })
}
