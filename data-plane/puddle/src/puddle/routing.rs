//! By an address: what is there is looked up, and the request is brought to its
//! room or lobby. Whoever came by it stays as long as it still leads there.
//!
//! Owns who may arrive by an endpoint. Never who may enter a room: its door
//! judges everybody once more.

use std::sync::Arc;

use porthouse_model::{Address, Endpoint, EndpointAccess, PolicyKey, Refused, RoomName};

use super::Puddle;
use super::door::SessionSeen;
use crate::input::SocketId;
use crate::output::WireForm;
use crate::policy::Found;
use crate::socket::{Phase, Routed, Via, Who};
use crate::upgrade::{self, Asks, Subprotocol, Upgrade};

/// What an address says to somebody.
enum Led {
    /// This must be asked first.
    Unknown(PolicyKey),
    /// It leads nowhere for them.
    Nowhere(Refused),
    /// It leads here.
    To(Arc<Endpoint>),
}

impl Puddle {
    /// A request to an address.
    pub(super) fn arrive_by(&mut self, id: SocketId, address: Address, request: Upgrade, who: Who) {
        let at = address.clone();
        let Some(socket) = self.sockets.get_mut(id) else {
            return;
        };
        let Phase::Upgrading { routed, .. } = &mut socket.phase else {
            unreachable!("a request is read of who is upgrading");
        };
        *routed = Some(Box::new(Routed {
            address,
            request,
            who,
        }));
        self.arrived.entry(at).or_default().insert(id);
        self.route(id);
    }

    /// Brings a request to where its address leads, if that is known now.
    pub(super) fn route(&mut self, id: SocketId) {
        let Some(routed) = self.routed(id) else {
            return;
        };
        let (address, who) = (routed.address.clone(), routed.who.clone());
        let asks = routed.request.asks.clone();
        match self.lead(&address, &who, Some(&asks)) {
            Led::Unknown(key) => {
                if self.wait_for(id, key).is_some() {
                    self.unroutable(id);
                }
            }
            Led::Nowhere(refused) => self.refuse_routed(id, refused),
            Led::To(endpoint) => self.lead_to(id, &endpoint),
        }
    }

    /// What must be known of a request's address cannot be asked.
    pub(super) fn unroutable(&mut self, id: SocketId) {
        self.refuse_routed(id, Refused::ControlPlaneAway);
    }

    fn refuse_routed(&mut self, id: SocketId, refused: Refused) {
        if let Some(routed) = self.take_routed(id) {
            self.release_arrival(id, &routed.address);
            self.refuse_upgrade(id, Some(&routed.request), refused);
        }
    }

    /// What an address leads somebody to.
    fn lead(&mut self, address: &Address, who: &Who, asks: Option<&Asks>) -> Led {
        let endpoint = match self.policy.endpoint(self.now, address) {
            None => return Led::Unknown(PolicyKey::Endpoint(address.clone())),
            Some(Found::Absent) => return Led::Nowhere(Refused::NoSuchEndpoint),
            Some(Found::Present(endpoint)) => endpoint,
        };
        // What a browser asks in front says nothing of who asks (Fetch, 3.2.2).
        if endpoint.access == EndpointAccess::Anyone || asks == Some(&Asks::Preflight) {
            return Led::To(endpoint);
        }
        let Who::Session(holder) = who else {
            return Led::Nowhere(Refused::UserRequired);
        };
        match self.see_session(&holder.token) {
            SessionSeen::Unknown => Led::Unknown(PolicyKey::Session(holder.token)),
            SessionSeen::Shut(refused) => Led::Nowhere(refused),
            SessionSeen::Live(session, _) => match endpoint.access {
                EndpointAccess::Owner if endpoint.owner != Some(session.user) => {
                    Led::Nowhere(Refused::EndpointRefused)
                }
                EndpointAccess::Anyone | EndpointAccess::Users | EndpointAccess::Owner => {
                    Led::To(endpoint)
                }
            },
        }
    }

    fn lead_to(&mut self, id: SocketId, endpoint: &Endpoint) {
        let Some(routed) = self.take_routed(id) else {
            return;
        };
        let Routed {
            address,
            mut request,
            who,
        } = routed;
        self.policy.pin(&PolicyKey::Endpoint(address.clone()));
        let rooms = endpoint.rooms.clone();
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.particulars_mut().via = Some(Via {
                address,
                rooms: rooms.clone(),
                unjudged: false,
            });
        }
        let is_sibling = request.subprotocol == Some(Subprotocol::SiblingV1);
        match (request.form, &rooms[..]) {
            // Beside a raw socket, which is led to one room alone.
            (WireForm::Multiplexed, [room]) if is_sibling => {
                request.endpoint = upgrade::Endpoint::Room(room.clone());
                self.begin(id, request, who);
                self.resume(id);
            }
            (WireForm::Multiplexed, _) if is_sibling => {
                self.refuse_bad(id, &request.leads_to_several());
            }
            (WireForm::Multiplexed, rooms) => {
                self.begin(id, request, who);
                self.join_all(id, rooms);
                self.resume(id);
            }
            (WireForm::Raw | WireForm::EventStream, [room]) => {
                request.endpoint = upgrade::Endpoint::Room(room.clone());
                self.begin(id, request, who);
                self.keep_posting(id);
            }
            // Nothing can be posted or heard here over plain HTTP.
            (WireForm::Raw, _) if request.asks == Asks::Preflight => {
                self.tell(id, |out| upgrade::preflight(None, out));
                self.end(id);
            }
            (WireForm::Raw | WireForm::EventStream, _) => {
                self.refuse_bad(id, &request.leads_to_several());
            }
        }
    }

    /// Enters rooms that nobody asked for: the address leads there.
    fn join_all(&mut self, id: SocketId, rooms: &[RoomName]) {
        for room in rooms {
            let inside = self.rooms.find(room).is_some_and(|index| {
                let socket = self.sockets.get(id);
                socket.is_some_and(|socket| socket.stay(index).is_some())
            });
            if !inside && !self.doors_of(id).contains(room) {
                self.join(id, None, room, None, None);
            }
        }
    }

    /// What is at an address is known, or has changed: who waits goes on, and who
    /// came by it leaves what it no longer leads to.
    pub(super) fn judge_arrivals(&mut self, address: &Address) {
        for id in self.arrived.get(address).cloned().unwrap_or_default() {
            if self.routed(id).is_some() {
                self.route(id);
            } else {
                self.judge_arrival(id, address);
            }
        }
    }

    fn judge_arrival(&mut self, id: SocketId, address: &Address) {
        let Some(who) = self.sockets.get(id).map(|socket| socket.who().clone()) else {
            return;
        };
        match self.lead(address, &who, None) {
            Led::Unknown(key) => match self.wait_for(id, key) {
                None => self.note_unjudged(id),
                Some(_) => self.close_refused(id, Refused::ControlPlaneAway),
            },
            Led::Nowhere(refused) => self.close_refused(id, refused),
            Led::To(endpoint) => self.lead_on(id, &endpoint),
        }
    }

    fn note_unjudged(&mut self, id: SocketId) {
        if let Some(via) = self.via_mut(id) {
            via.unjudged = true;
        }
    }

    /// What was asked for is known: who came by an address that has changed
    /// meanwhile is judged by how it stands.
    pub(super) fn look_at_arrival(&mut self, id: SocketId) {
        if let Some(address) = self.take_unjudged(id) {
            self.judge_arrival(id, &address);
        }
    }

    /// It cannot be known now: nobody stays by what may be closed to them.
    pub(super) fn unjudgeable(&mut self, id: SocketId) {
        if self.take_unjudged(id).is_some() {
            self.close_refused(id, Refused::ControlPlaneAway);
        }
    }

    fn take_unjudged(&mut self, id: SocketId) -> Option<Address> {
        let via = self.via_mut(id)?;
        std::mem::take(&mut via.unjudged).then(|| via.address.clone())
    }

    fn via_mut(&mut self, id: SocketId) -> Option<&mut Via> {
        self.sockets.get_mut(id)?.particulars.as_mut()?.via.as_mut()
    }

    /// Out of what an address led to before and no longer does, into what it leads
    /// to now.
    fn lead_on(&mut self, id: SocketId, endpoint: &Endpoint) {
        let Some(via) = self.via_mut(id) else {
            return;
        };
        let before = std::mem::replace(&mut via.rooms, endpoint.rooms.clone());
        for room in before.iter().filter(|room| !endpoint.rooms.contains(room)) {
            if let Some(index) = self.rooms.find(room) {
                self.put_out(id, index, Refused::EndpointRefused);
            }
            if self.doors_of(id).contains(room) {
                self.refuse_entry(id, room, Refused::EndpointRefused);
            }
        }
        if self.sibling_mut(id).is_some() {
            let led = before.iter().all(|room| endpoint.rooms.contains(room));
            if !led {
                self.close_refused(id, Refused::EndpointRefused);
            }
        } else if self.lobby_mut(id).is_some() {
            self.join_all(id, &endpoint.rooms);
        }
    }

    /// A socket is no longer found by the address it came by.
    pub(super) fn forget_arrival(&mut self, id: SocketId) {
        if let Some(routed) = self.take_routed(id) {
            self.release_arrival(id, &routed.address);
        }
        let via = self
            .sockets
            .get_mut(id)
            .and_then(|socket| socket.particulars.as_mut()?.via.take());
        if let Some(via) = via {
            self.release_arrival(id, &via.address);
            self.policy.unpin(&PolicyKey::Endpoint(via.address));
        }
    }

    fn release_arrival(&mut self, id: SocketId, address: &Address) {
        if let Some(arrived) = self.arrived.get_mut(address) {
            arrived.remove(&id);
            if arrived.is_empty() {
                self.arrived.remove(address);
            }
        }
    }

    fn routed(&self, id: SocketId) -> Option<&Routed> {
        match &self.sockets.get(id)?.phase {
            Phase::Upgrading { routed, .. } => routed.as_deref(),
            Phase::Knocking(_) | Phase::Raw(..) | Phase::Multiplexed(_) | Phase::Closing { .. } => {
                None
            }
        }
    }

    fn take_routed(&mut self, id: SocketId) -> Option<Routed> {
        match &mut self.sockets.get_mut(id)?.phase {
            Phase::Upgrading { routed, .. } => routed.take().map(|routed| *routed),
            Phase::Knocking(_) | Phase::Raw(..) | Phase::Multiplexed(_) | Phase::Closing { .. } => {
                None
            }
        }
    }
}
