//! Clients that go on where they were: the tokens they were given, what they have seen since, and
//! how they show it. Only signed-in ones do: an anonymous one is another client afterwards.

use super::header::Asking;
use crate::checker::line::{Resumes, Stand};
use crate::plant::Plant;
use crate::returns::Lapse;
use crate::world::World;

/// By what, and from where, a client may go on in a room.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    room: u32,
    text: String,
    from: Resumes,
    /// The session it was given for.
    session: Option<u32>,
    /// The last revision that the node had acknowledged when the connection ended.
    applied: u64,
    /// Its client left the room since, or was put out.
    out: bool,
}

impl World {
    /// A client is inside, and may have a token.
    pub(super) fn may_go_on(
        &mut self,
        (socket, room): (u32, u32),
        token: Option<&str>,
        stand: Option<Stand>,
    ) {
        let Some(client) = self.owner_of(socket) else {
            return;
        };
        let known = self.sockets[at(socket)].as_ref();
        let session = known.and_then(|known| known.session);
        let tokens = &mut self.clients[at(client)].tokens;
        tokens.retain(|token| token.room != room);
        if let (Some(text), Some(stand)) = (token, stand) {
            tokens.push(Token {
                room,
                text: text.to_owned(),
                from: Resumes { socket, stand },
                session,
                applied: 0,
                out: false,
            });
        }
    }

    /// A client has no connection any more, and may come back to where it is by now.
    pub(crate) fn is_cut_off(&mut self, socket: u32) {
        let applied = self.applied();
        let known = self.sockets[at(socket)].as_ref();
        let is_inside = known.is_some_and(|known| !known.inside.is_empty());
        if is_inside && !self.is_leaving() {
            self.returns.disconnects += 1;
        }
        let Some(client) = self.owner_of(socket) else {
            return;
        };
        let tokens = self.clients[at(client)].tokens.iter_mut();
        for token in tokens.filter(|token| token.from.socket == socket) {
            token.applied = applied;
        }
    }

    /// A client is out of a room: what it may show there is worth nothing.
    pub(super) fn has_no_way_back(&mut self, socket: u32, room: u32) {
        if let Some(token) = self.token_of(socket, room)
            && token.from.socket == socket
        {
            token.out = true;
        }
    }

    /// A client is inside; `recovered`, if it came to go on.
    pub(super) fn came_back(
        &mut self,
        (socket, room): (u32, u32),
        recovered: Option<bool>,
        stand: Option<Stand>,
    ) {
        let client = self.sockets[at(socket)]
            .as_ref()
            .expect("being read")
            .client;
        let known = &mut self.clients[at(client)];
        let shown = known.shown.iter().position(|token| token.room == room);
        let shown = shown.map(|place| known.shown.swap_remove(place));
        match (recovered, shown) {
            (Some(true), _) => self.returns.count(None),
            (Some(false), Some(token)) => {
                let lapse = self.lapse(socket, &token, stand);
                self.returns.count(Some(lapse));
            }
            (Some(false), None) | (None, _) => {}
        }
    }

    /// Why a token was worth nothing.
    fn lapse(&self, socket: u32, token: &Token, stand: Option<Stand>) -> Lapse {
        let known = self.sockets[at(socket)].as_ref().expect("being read");
        let user = self.clients[at(known.client)].user;
        let is_same = token.session.is_some() && token.session == known.session;
        let goes_on = stand.is_some_and(|stand| stand.epoch == token.from.stand.epoch);
        if token.out {
            Lapse::Out
        } else if !goes_on {
            Lapse::Epoch
        } else if !is_same {
            Lapse::Session
        } else if self.last_word(token.room, user) > token.applied {
            Lapse::Changed
        } else {
            Lapse::Unkept
        }
    }

    /// A message comes, and everything up to it has been seen; unless a planted bug
    /// loses it, of what was missed.
    pub(super) fn sees(
        &mut self,
        socket: u32,
        room: Option<u32>,
        offset: Option<u64>,
        past: bool,
    ) -> bool {
        let loses = past && self.plant == Some(Plant::ResumeLosesOne) && self.chance.one_in(4);
        if let (Some(room), Some(offset)) = (room, offset)
            && let Some(token) = self.token_of(socket, room)
            && token.from.socket == socket
        {
            let seen = &mut token.from.stand.offset;
            // What was read again is not later than that.
            if loses && offset > *seen {
                return false;
            }
            *seen = (*seen).max(offset);
        }
        true
    }

    /// The room's offsets began anew.
    pub(super) fn cannot_go_on(&mut self, socket: u32, room: u32) {
        if let Some(client) = self.owner_of(socket) {
            let tokens = &mut self.clients[at(client)].tokens;
            tokens.retain(|token| token.room != room);
        }
    }

    /// What a join says by which its client goes on, and what that is for the checker.
    pub(super) fn go_on_by(
        &mut self,
        socket: u32,
        room: u32,
        asking: Asking,
    ) -> (Asking, Option<Resumes>) {
        // A device stands before its rooms' doors before it can ask: its join is one too many.
        let owner = self.owner_of(socket);
        let is_device = owner.is_some_and(|client| self.clients[at(client)].device);
        let token = self.token_of(socket, room).cloned();
        let token = token.filter(|_| !is_device);
        let Some(token) = token.filter(|_| !self.chance.one_in(8)) else {
            return (asking, None);
        };
        let asking = asking
            .text("resume", &token.text)
            .number("offset", Some(token.from.stand.offset));
        let resumes = token.from;
        let client = self.owner_of(socket).expect("it has a token");
        let shown = &mut self.clients[at(client)].shown;
        shown.retain(|token| token.room != room);
        shown.push(token);
        (asking, Some(resumes))
    }

    /// Whether whoever shows a token is let in whatever the rules are: a planted bug.
    pub(super) fn is_let_in_by_its_token(&self, socket: u32, room: u32) -> bool {
        let owner = self.owner_of(socket);
        let shown = owner.map_or(&[][..], |client| &self.clients[at(client)].shown);
        self.is_planted(Plant::ResumeSkipsTodaysRules)
            && shown.iter().any(|token| token.room == room)
    }

    fn token_of(&mut self, socket: u32, room: u32) -> Option<&mut Token> {
        let client = self.owner_of(socket)?;
        let mut tokens = self.clients[at(client)].tokens.iter_mut();
        tokens.find(|token| token.room == room)
    }

    fn owner_of(&self, socket: u32) -> Option<u32> {
        let client = self.sockets[at(socket)].as_ref()?.client;
        self.clients[at(client)].user.map(|_| client)
    }
}

fn at(number: u32) -> usize {
    usize::try_from(number).expect("an index")
}
