//! One message over plain HTTP: its sender knocks like a socket, and the message
//! is said in the turn in which the door opens to it whole. It never takes a
//! seat, and nothing is kept of it before the door has opened once.

use core::str;

use porthouse_model::{MessageKind, Refused, RoomName};

use super::Puddle;
use super::door::Seen;
use crate::home::Rated;
use crate::input::SocketId;
use crate::network::network_of;
use crate::policy::Named;
use crate::room::Message;
use crate::sequence::Event;
use crate::socket::Phase;
use crate::upgrade::{self, Asks, Post, Posting, Upgrade};
use crate::wire::multiplexed::Place;

impl Puddle {
    /// The message whose sender knocks here, if it is one that does.
    pub(super) fn post_of(&self, id: SocketId) -> Option<&Post> {
        match &self.sockets.get(id)?.phase {
            Phase::Knocking(knock) => knock.post(),
            Phase::Upgrading { .. }
            | Phase::Raw(..)
            | Phase::Multiplexed(_)
            | Phase::Closing { .. } => None,
        }
    }

    /// The door has opened. A message that came whole is said in this turn; of
    /// another the rest is read, and the door is looked at again.
    pub(super) fn let_in(&mut self, id: SocketId, name: &RoomName, seen: Seen) {
        let Seen::Open {
            governed,
            standing,
            session,
            ..
        } = seen
        else {
            unreachable!("only an open door admits");
        };
        let Some(post) = self.post_of(id) else {
            return;
        };
        if post.stage == Posting::Said {
            return;
        }
        let (kind, bytes, key) = (post.kind, post.bytes, post.key.clone());
        let rules = governed.rules();
        let device = session.as_ref().and_then(|session| session.device_acts());
        let acts = rules.acts_of(standing, device);
        if let Err(refused) = rules.speak(acts, kind, bytes) {
            return self.refuse_entry(id, name, refused);
        }
        if self.held_bytes(id) < bytes {
            return self.read_rest(id);
        }
        let index = self.rooms.find(name).expect("who was enlisted has a room");
        if self.is_held_up(self.rooms.get(index)) {
            return self.refuse_entry(id, name, Refused::Busy);
        }
        let socket = self.sockets.get_mut(id).expect("it knocks");
        let held = socket.held.take().map_or_else(Vec::new, |held| held.0);
        let payload = &held[..bytes];
        if kind == MessageKind::Text && str::from_utf8(payload).is_err() {
            return self.refuse_bad(id, &Post::NO_TEXT);
        }
        if let Err(refused) = governed.rules().format(payload) {
            return self.refuse_entry(id, name, refused);
        }
        self.rooms.get_mut(index).governed = governed;
        self.note_strictness(index);
        let rated = match (&session, self.sockets.get(id)) {
            (None, Some(socket)) => Rated::Network(network_of(socket.address)),
            (Some(_), _) | (None, None) => Rated::Client,
        };
        let message = Message {
            from: Some(self.client_of(id, session.as_deref())),
            kind,
            payload,
            to: &[],
            except: &[],
            place: Place::default(),
        };
        if let Some(Asks::Post(post)) = self.request_mut(id).map(|request| &mut request.asks) {
            post.stage = Posting::Said;
        }
        self.post(index, id, message, (key, rated));
        if self.post_of(id).is_some() {
            self.stop_reading(id);
        }
    }

    /// Whether somebody who came to say one message in a room has said it, and was
    /// not answered.
    pub(super) fn is_posting(&self, id: SocketId, room: &RoomName) -> bool {
        let posting = self
            .post_of(id)
            .is_some_and(|post| post.stage == Posting::Said);
        posting && self.entry(id, room).is_some()
    }

    /// It was taken.
    pub(super) fn answer_post(&mut self, id: SocketId, name: &RoomName) {
        // It may have been answered otherwise by now.
        let Some(request) = self.request_of(id).cloned() else {
            return;
        };
        let page = self.page_named(&request);
        self.tell(id, |out| upgrade::posted(name, page.as_deref(), out));
        self.end(id);
    }

    /// From here on as much is kept as the message has.
    fn read_rest(&mut self, id: SocketId) {
        let Some(Asks::Post(post)) = self.request_mut(id).map(|request| &mut request.asks) else {
            return;
        };
        let waits = std::mem::take(&mut post.waits);
        post.stage = Posting::LetIn;
        if waits {
            self.tell(id, upgrade::continued);
        }
        self.resume(id);
    }

    /// More of a message has come, perhaps all.
    pub(super) fn keep_posting(&mut self, id: SocketId) {
        let Some(post) = self.post_of(id) else {
            return;
        };
        if post.stage == Posting::LetIn && self.held_bytes(id) >= post.bytes {
            for room in self.doors_of(id) {
                self.advance(id, &room, Event::Enlisted);
            }
        }
    }

    /// A page asks what it may: that is all it is told, once the room is known.
    pub(super) fn answered_preflight(&mut self, id: SocketId, seen: &Seen) -> bool {
        let Some(request) = self
            .request_of(id)
            .filter(|request| request.asks == Asks::Preflight)
        else {
            return false;
        };
        if matches!(seen, Seen::Unknown(_)) {
            return false;
        }
        let request = request.clone();
        let page = self.page_named(&request);
        self.tell(id, |out| upgrade::preflight(page.as_deref(), out));
        self.end(id);
        true
    }

    /// The page that asks, if the room it asks for names it: then it may read the
    /// answer.
    pub(super) fn page_named(&mut self, request: &Upgrade) -> Option<Box<str>> {
        let origin = request.origin.as_deref()?;
        let upgrade::Endpoint::Room(name) = &request.endpoint else {
            return None;
        };
        let room = self.policy.room(self.now, name)?;
        let rules = match &room {
            Named::Room(room) => room.rules.source(),
            Named::Templated(template) => template.rules.source(),
            Named::Absent => return None,
        };
        let named = &rules.connection.origins;
        named.get(origin).map(|origin| origin.as_str().into())
    }

    fn request_of(&self, id: SocketId) -> Option<&Upgrade> {
        match &self.sockets.get(id)?.phase {
            Phase::Knocking(knock) => knock.opening.request(),
            Phase::Upgrading { .. }
            | Phase::Raw(..)
            | Phase::Multiplexed(_)
            | Phase::Closing { .. } => None,
        }
    }

    fn request_mut(&mut self, id: SocketId) -> Option<&mut Upgrade> {
        match &mut self.sockets.get_mut(id)?.phase {
            Phase::Knocking(knock) => knock.opening.request_mut(),
            Phase::Upgrading { .. }
            | Phase::Raw(..)
            | Phase::Multiplexed(_)
            | Phase::Closing { .. } => None,
        }
    }

    fn held_bytes(&self, id: SocketId) -> usize {
        let held = self.sockets.get(id).and_then(|socket| socket.held.as_ref());
        held.map_or(0, |held| held.0.len())
    }
}
