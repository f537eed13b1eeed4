//! Addresses that lead to rooms, as administrators hand them out and withdraw them. Knows no
//! freeport: no address is a user's name.

use porthouse_model::{Address, ChangeItem, Endpoint, EndpointAccess, EndpointId, Resolved};

use super::{Control, room_name, user_id};
use crate::checker::line::Edit;

/// Whom an address lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lets {
    Anyone,
    Users,
    /// This user alone.
    Owner(u32),
}

/// Where an address leads, each room by a bit, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PortRow {
    rooms: u32,
    lets: Lets,
}

impl Control {
    /// The rooms to which an address leads somebody; none where it does not.
    pub(crate) fn led_to(&self, port: u32, user: Option<u32>) -> Vec<u32> {
        let row = self.ports.get(&port).filter(|row| row.lets.let_in(user));
        row.map_or_else(Vec::new, |row| listed(row.rooms))
    }

    pub(super) fn put_port(
        &mut self,
        port: u32,
        rooms: u32,
        lets: Lets,
    ) -> Option<Vec<(ChangeItem, Edit)>> {
        let row = PortRow { rooms, lets };
        let before = self.ports.insert(port, row);
        let item = || ChangeItem::Endpoint(endpoint(port, row));
        (before != Some(row)).then(|| vec![(item(), edit(port, rooms, lets))])
    }

    pub(super) fn withdraw_port(&mut self, port: u32) -> Option<Vec<(ChangeItem, Edit)>> {
        self.ports.remove(&port)?;
        let item = ChangeItem::EndpointGone(address(port));
        Some(vec![(item, Edit::PortGone { port })])
    }

    pub(super) fn look_up_port(&self, address: &Address) -> Resolved {
        let number = address.as_str().strip_prefix("@port-");
        let port = number.and_then(|number| number.parse().ok());
        let row = port.and_then(|port| Some((port, *self.ports.get(&port)?)));
        row.map_or(Resolved::Absent, |(port, row)| {
            Resolved::Endpoint(endpoint(port, row))
        })
    }
}

impl Lets {
    /// Whether somebody may come by it.
    pub(crate) fn let_in(self, user: Option<u32>) -> bool {
        match self {
            Self::Anyone => true,
            Self::Users => user.is_some(),
            Self::Owner(owner) => user == Some(owner),
        }
    }

    const fn access(self) -> EndpointAccess {
        match self {
            Self::Anyone => EndpointAccess::Anyone,
            Self::Users => EndpointAccess::Users,
            Self::Owner(_) => EndpointAccess::Owner,
        }
    }
}

/// What an administrator wrote of it.
const fn edit(port: u32, rooms: u32, lets: Lets) -> Edit {
    let (users, owner) = match lets {
        Lets::Anyone => (false, None),
        Lets::Users => (true, None),
        Lets::Owner(owner) => (true, Some(owner)),
    };
    Edit::Port {
        port,
        rooms,
        users,
        owner,
    }
}

fn endpoint(port: u32, row: PortRow) -> Endpoint {
    let mut id = [0; 16];
    id[0] = 0xdd;
    id[12..].copy_from_slice(&port.to_be_bytes());
    Endpoint {
        id: EndpointId::from_bytes(id),
        address: address(port),
        owner: match row.lets {
            Lets::Owner(owner) => Some(user_id(owner)),
            Lets::Anyone | Lets::Users => None,
        },
        rooms: listed(row.rooms).into_iter().map(room_name).collect(),
        access: row.lets.access(),
    }
}

fn listed(rooms: u32) -> Vec<u32> {
    (0..u32::BITS)
        .filter(|room| rooms >> room & 1 == 1)
        .collect()
}

fn address(port: u32) -> Address {
    format!("@port-{port}").parse().expect("an address")
}
