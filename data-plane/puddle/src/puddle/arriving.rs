//! A connection arrives: its first bytes become a request, and the request a
//! phase, or a refusal.

use core::net::IpAddr;

use porthouse_model::Refused;

use super::Puddle;
use crate::input::SocketId;
use crate::network::network_of;
use crate::output::{Output, WireForm};
use crate::sequence::{Attempts, Event, Manner, Sequence};
use crate::socket::{
    Ends, Entry, Given, Holder, Knock, Lobby, Opening, Phase, Renewal, Return, SignIn, Socket, Who,
};
use crate::upgrade::{
    self, Asks, BadUpgrade, Bind, Endpoint, Head, LastEvent, Presented, Subprotocol, Upgrade,
};

impl Puddle {
    pub(super) fn connected(&mut self, id: SocketId, address: IpAddr) {
        let until = self.now + self.settings.handshake_time_max;
        self.outbox.open(id.slot);
        self.sockets
            .insert(Socket::new(id, address, self.now, until));
        self.arm(id);
        let crowded = self.begins_handshake(address);
        if self.drain.is_some() {
            self.refuse_request(id, Refused::Draining);
        } else if crowded {
            self.refuse_bad(id, &BadUpgrade::CROWDED);
        } else if self.sockets.len() > self.settings.sockets_max {
            self.refuse_request(id, Refused::TooMany);
        }
    }

    /// One more handshake from here. Answers whether that is too many. What a
    /// trusted proxy passes on is counted once it is known of whom it is.
    fn begins_handshake(&mut self, address: IpAddr) -> bool {
        if self.settings.hosts.trust(address) {
            return false;
        }
        let handshakes = self.handshakes.entry(network_of(address)).or_default();
        *handshakes += 1;
        *handshakes > self.settings.handshakes_per_address_max
    }

    /// A trusted proxy has said of whom a request is. Answers whether too many of
    /// that address are under way.
    fn is_of(&mut self, id: SocketId, from: IpAddr) -> bool {
        let Some(socket) = self.sockets.get_mut(id) else {
            return false;
        };
        if socket.address.to_canonical() == from.to_canonical() {
            return false;
        }
        socket.address = from;
        self.begins_handshake(from)
    }

    /// Reads a request's head. Answers how many bytes were used.
    pub(super) fn read_head(&mut self, id: SocketId, bytes: &[u8]) -> usize {
        let Some(peer) = self.sockets.get(id).map(|socket| socket.address) else {
            return bytes.len();
        };
        match upgrade::read_head(bytes, peer, &self.settings) {
            Head::Partial => 0,
            Head::Own { from } => {
                self.hand_over(id, bytes, from);
                bytes.len()
            }
            Head::Bad(bad) => {
                self.refuse_bad(id, &bad);
                bytes.len()
            }
            Head::Complete {
                request,
                bytes,
                from,
            } => {
                if self.is_of(id, from) {
                    self.refuse_bad(id, &BadUpgrade::CROWDED);
                } else {
                    self.upgrade(id, request);
                }
                bytes
            }
        }
    }

    /// One of the node's own routes: the shell's HTTP goes on from here.
    fn hand_over(&mut self, id: SocketId, head: &[u8], from: IpAddr) {
        self.outputs.push(Output::HandOver {
            socket: id,
            from,
            head: head.to_vec(),
        });
        self.forget(id);
    }

    pub(super) fn refuse_bad(&mut self, id: SocketId, bad: &BadUpgrade) {
        let refusal = self.bad_request(id, bad);
        self.tell(id, |out| upgrade::bad(bad, refusal, out));
        self.end(id);
    }

    fn upgrade(&mut self, id: SocketId, request: Upgrade) {
        let who = match request.credential {
            Presented::Nothing => Who::Anonymous,
            Presented::Session(token) => Who::Session(Box::new(Holder {
                token,
                session: None,
            })),
            Presented::Ticket(ticket) => return self.redeem(id, request, ticket),
            Presented::Malformed => {
                self.refuse_upgrade(id, Some(&request), Refused::CredentialUnknown);
                return;
            }
        };
        self.come(id, request, who);
    }

    /// It is known who a request is from, or that it does not say.
    pub(super) fn come(&mut self, id: SocketId, request: Upgrade, who: Who) {
        match request.endpoint.clone() {
            Endpoint::Address(address) => self.arrive_by(id, address, request, who),
            Endpoint::Primary | Endpoint::Room(_) => self.begin(id, request, who),
        }
    }

    /// It is known which room or lobby a request is for.
    pub(super) fn begin(&mut self, id: SocketId, request: Upgrade, who: Who) {
        self.ended_handshake(id);
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.form = request.form;
            if request.origin.is_some() {
                socket.particulars_mut().page.clone_from(&request.origin);
            }
        }
        match request.form {
            WireForm::Raw | WireForm::EventStream => self.knock(id, request, who),
            WireForm::Multiplexed => self.open_lobby(id, &request, who),
        }
    }

    /// A request for one room is answered once the room's door has, unless the
    /// client can be asked.
    fn knock(&mut self, id: SocketId, request: Upgrade, who: Who) {
        let Endpoint::Room(room) = request.endpoint.clone() else {
            unreachable!("who speaks of one room comes to one");
        };
        let bind = request.bind.clone();
        let returns = returns(&request.asks);
        let (manner, opening) = match request.subprotocol {
            Some(Subprotocol::RawV1) => {
                self.accept(id, &request, None);
                let discarded_bytes = 0;
                (Manner::Handshake, Opening::Handshake { discarded_bytes })
            }
            Some(Subprotocol::Plain | Subprotocol::V1 | Subprotocol::SiblingV1) | None => {
                (Manner::Silent, Opening::Unanswered(request))
            }
        };
        let sequence = Sequence::new(Attempts::new(&self.settings), manner);
        let until = self.now + self.settings.entry_time_max;
        self.doors.entry(room.clone()).or_default().insert(id);
        let knock = Knock {
            who,
            entry: Entry {
                returns,
                ..Entry::new(room.clone(), sequence, until)
            },
            opening,
        };
        self.set_phase(id, Phase::Knocking(Box::new(knock)));
        match bind {
            Bind::Nothing => self.advance(id, &room, Event::Look),
            Bind::Shown(shown) => self.bind(id, &room, shown),
        }
    }

    fn open_lobby(&mut self, id: SocketId, request: &Upgrade, who: Who) {
        let sign_in = match &who {
            Who::Anonymous => SignIn::None,
            Who::Session(_) => SignIn::Resolving(None, Given::Upgrade),
        };
        let sibling = match (request.subprotocol, &request.endpoint) {
            (Some(Subprotocol::SiblingV1), Endpoint::Room(room)) => {
                Some(self.offered(Some(room.clone())))
            }
            (Some(Subprotocol::SiblingV1), Endpoint::Primary | Endpoint::Address(_)) => {
                Some(self.offered(None))
            }
            (Some(Subprotocol::V1 | Subprotocol::Plain | Subprotocol::RawV1) | None, _) => None,
        };
        let anonymous = who == Who::Anonymous;
        let lobby = Lobby {
            who,
            sign_in,
            renewal: Renewal::None,
            ends: Ends::default(),
            claims: Vec::new(),
            stays: Vec::new(),
            entries: Vec::new(),
            sibling: sibling.map(Box::new),
            idle_until: self.now + self.settings.lobby_time_max,
        };
        self.set_phase(id, Phase::Multiplexed(Box::new(lobby)));
        self.accept(id, request, None);
        if anonymous {
            self.offer_binding(id);
        }
        self.look_at_session(id);
    }

    /// The request is answered. That is written whatever comes of the socket.
    pub(super) fn accept(&mut self, id: SocketId, request: &Upgrade, page: Option<&str>) {
        self.tell(id, |out| upgrade::accepted(request, page, out));
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.unanswered = true;
        }
    }

    pub(super) fn set_phase(&mut self, id: SocketId, phase: Phase) {
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.phase = phase;
        }
        self.arm(id);
    }

    pub(super) fn ended_handshake(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.get(id) else {
            return;
        };
        if !matches!(socket.phase, Phase::Upgrading { .. }) {
            return;
        }
        if self.settings.hosts.trust(socket.address) {
            return;
        }
        let network = network_of(socket.address);
        if let Some(handshakes) = self.handshakes.get_mut(&network) {
            *handshakes -= 1;
            if *handshakes == 0 {
                self.handshakes.remove(&network);
            }
        }
    }
}

/// Where the reader of a stream would go on, if it says so.
fn returns(asks: &Asks) -> Option<Box<Return>> {
    let Asks::Stream(last) = asks else {
        return None;
    };
    match last {
        LastEvent::Nothing => None,
        LastEvent::At(stand) => Some(Box::new(Return::LastHeard(*stand))),
        LastEvent::Unknown => Some(Box::new(Return::Lapsed)),
    }
}
