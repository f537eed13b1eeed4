//! What is at an address, as nodes need it: an endpoint, or the freeport of the
//! user of that name, which is in no table of its own. Never writes.

use std::collections::{BTreeSet, HashMap};

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use porthouse_model::{
    Address, Audience, ChangeItem, ConnectionRules, Endpoint, EndpointAccess, EndpointId, Room,
    RoomBlocks, RoomId, RoomName, RoomRules, UserId,
};
use uuid::Uuid;

use super::endpoints::EndpointRow;
use super::schema::{endpoints, users};
use super::{Connection, StoreError};

/// What is at each of these addresses where something is.
pub(crate) async fn endpoints_at(
    connection: &mut Connection,
    addresses: &[Address],
) -> Result<HashMap<Address, Endpoint>, StoreError> {
    let (rows, users) = read(connection, addresses).await?;
    let freeports = addresses.iter().filter_map(|address| {
        let user = *users.get(address)?;
        Some((address.clone(), freeport(address, user)?))
    });
    let mut found: HashMap<Address, Endpoint> = freeports.collect();
    for (address, row) in rows {
        found.insert(address, row.endpoint()?);
    }
    Ok(found)
}

/// The freeports among these rooms whose users are there.
pub(crate) async fn freeports(
    connection: &mut Connection,
    names: &[RoomName],
) -> Result<HashMap<RoomName, Room>, StoreError> {
    let addresses: Vec<Address> = names
        .iter()
        .filter(|name| name.freeport_of().is_some())
        .filter_map(|name| name.as_str().parse().ok())
        .collect();
    let (rows, users) = read(connection, &addresses).await?;
    let mut found = HashMap::new();
    for (address, user) in users {
        let Some(name) = address.freeport() else {
            continue;
        };
        // An endpoint that leads here, and not elsewhere, says who comes in.
        let opened = rows
            .get(&address)
            .filter(|row| row.columns.rooms.is_empty());
        let access = match opened {
            Some(row) => access(&row.columns.access)?,
            None => EndpointAccess::Owner,
        };
        let audience = match access {
            EndpointAccess::Anyone => Audience::Anyone,
            EndpointAccess::Users => Audience::Users,
            EndpointAccess::Owner => Audience::Members,
        };
        let rules = RoomRules {
            connection: ConnectionRules {
                audience,
                ..ConnectionRules::default()
            },
            ..RoomRules::default()
        };
        let room = Room {
            id: user.into(),
            name: name.clone(),
            rules: Box::new(rules),
            owner: Some(user),
            blocks: RoomBlocks::default(),
        };
        found.insert(name, room);
    }
    Ok(found)
}

/// What a change at each of these addresses comes to: what is there now, and the
/// room of the freeport where it is one. Each comes with the endpoint, or the
/// user, that was there.
pub(super) async fn items(
    connection: &mut Connection,
    noted: &[(Uuid, Address)],
) -> Result<Vec<ChangeItem>, StoreError> {
    let addresses: Vec<Address> = noted.iter().map(|(_, address)| address.clone()).collect();
    let names: Vec<RoomName> = addresses.iter().filter_map(Address::freeport).collect();
    let endpoints = endpoints_at(connection, &addresses).await?;
    let freeports = freeports(connection, &names).await?;
    let items = noted.iter().flat_map(|(subject, address)| {
        let at = match endpoints.get(address) {
            Some(endpoint) => ChangeItem::Endpoint(endpoint.clone()),
            None => ChangeItem::EndpointGone(address.clone()),
        };
        let room = address.freeport().map(|name| match freeports.get(&name) {
            Some(room) => ChangeItem::Room(room.clone()),
            None => ChangeItem::RoomGone {
                id: RoomId::from_bytes(subject.into_bytes()),
                name,
                template: None,
            },
        });
        [at].into_iter().chain(room)
    });
    Ok(items.collect())
}

/// The endpoints at these addresses, and the users whose freeports they would be.
async fn read(
    connection: &mut Connection,
    addresses: &[Address],
) -> Result<(HashMap<Address, EndpointRow>, HashMap<Address, UserId>), StoreError> {
    if addresses.is_empty() {
        return Ok((HashMap::new(), HashMap::new()));
    }
    let texts: BTreeSet<&str> = addresses.iter().map(Address::as_str).collect();
    let rows: Vec<EndpointRow> = endpoints::table
        .filter(endpoints::address.eq_any(&texts))
        .select(EndpointRow::as_select())
        .load(connection)
        .await?;
    let named: Vec<&str> = texts
        .iter()
        .filter_map(|text| text.strip_prefix('@'))
        .collect();
    let users: Vec<(Uuid, String)> = users::table
        .filter(users::username.eq_any(named))
        .select((users::id, users::username))
        .load(connection)
        .await?;
    let rows = rows.into_iter().map(|row| {
        let address = row.address.parse();
        Ok((
            address.map_err(|_| StoreError::Corrupt("endpoints.address"))?,
            row,
        ))
    });
    let users = users.into_iter().map(|(id, name)| {
        let address = format!("@{name}").parse();
        let address = address.map_err(|_| StoreError::Corrupt("users.username"))?;
        Ok((address, UserId::from_bytes(id.into_bytes())))
    });
    Ok((
        rows.collect::<Result<_, StoreError>>()?,
        users.collect::<Result<_, StoreError>>()?,
    ))
}

/// The endpoint that a user's freeport is, where no other is.
fn freeport(address: &Address, user: UserId) -> Option<Endpoint> {
    Some(Endpoint {
        id: user.into(),
        address: address.clone(),
        owner: Some(user),
        rooms: vec![address.freeport()?],
        access: EndpointAccess::Owner,
    })
}

impl EndpointRow {
    fn endpoint(self) -> Result<Endpoint, StoreError> {
        let address: Address = self
            .address
            .parse()
            .map_err(|_| StoreError::Corrupt("endpoints.address"))?;
        let rooms = match (&self.columns.rooms[..], address.freeport()) {
            ([], Some(freeport)) => vec![freeport],
            (rooms, _) => rooms
                .iter()
                .map(|room| room.parse())
                .collect::<Result<_, _>>()
                .map_err(|_| StoreError::Corrupt("endpoints.rooms"))?,
        };
        let owner = self.columns.owner_id;
        Ok(Endpoint {
            id: EndpointId::from_bytes(self.id.into_bytes()),
            address,
            owner: owner.map(|owner| UserId::from_bytes(owner.into_bytes())),
            rooms,
            access: access(&self.columns.access)?,
        })
    }
}

/// Who may arrive, from its column.
pub(crate) fn access(text: &str) -> Result<EndpointAccess, StoreError> {
    match text {
        "anyone" => Ok(EndpointAccess::Anyone),
        "users" => Ok(EndpointAccess::Users),
        "owner" => Ok(EndpointAccess::Owner),
        _ => Err(StoreError::Corrupt("endpoints.access")),
    }
}

/// Who may arrive, for its column.
pub(crate) const fn access_text(access: EndpointAccess) -> &'static str {
    match access {
        EndpointAccess::Anyone => "anyone",
        EndpointAccess::Users => "users",
        EndpointAccess::Owner => "owner",
    }
}
