//! Endpoints between the wire and the model. Does not judge who may arrive.

use porthouse_model as model;
use porthouse_model::{EndpointAccess, EndpointId, UserId};

use super::{BadMessage, InField, v1};

impl From<&model::Endpoint> for v1::Endpoint {
    fn from(endpoint: &model::Endpoint) -> Self {
        let owner = endpoint.owner.map(|owner| owner.as_bytes().to_vec());
        let rooms = endpoint.rooms.iter();
        let access = match endpoint.access {
            EndpointAccess::Anyone => v1::EndpointAccess::Anyone,
            EndpointAccess::Users => v1::EndpointAccess::Users,
            EndpointAccess::Owner => v1::EndpointAccess::Owner,
        };
        Self {
            id: endpoint.id.as_bytes().to_vec(),
            address: endpoint.address.as_str().to_owned(),
            owner_id: owner.unwrap_or_default(),
            room_names: rooms.map(|room| room.as_str().to_owned()).collect(),
            access: access.into(),
        }
    }
}

impl TryFrom<v1::Endpoint> for model::Endpoint {
    type Error = BadMessage;

    fn try_from(endpoint: v1::Endpoint) -> Result<Self, BadMessage> {
        let access = match endpoint.access() {
            v1::EndpointAccess::Anyone => Some(EndpointAccess::Anyone),
            v1::EndpointAccess::Users => Some(EndpointAccess::Users),
            v1::EndpointAccess::Owner => Some(EndpointAccess::Owner),
            v1::EndpointAccess::Unspecified => None,
        };
        let rooms = endpoint.room_names.iter().map(|room| room.parse());
        let rooms: Vec<_> = rooms
            .collect::<Result<_, _>>()
            .in_field("endpoint.room_names")?;
        if rooms.is_empty() {
            return Err(BadMessage {
                field: "endpoint.room_names",
            });
        }
        Ok(Self {
            id: EndpointId::try_from(&*endpoint.id).in_field("endpoint.id")?,
            address: endpoint.address.parse().in_field("endpoint.address")?,
            owner: match &*endpoint.owner_id {
                [] => None,
                owner => Some(UserId::try_from(owner).in_field("endpoint.owner_id")?),
            },
            rooms,
            access: access.in_field("endpoint.access")?,
        })
    }
}
