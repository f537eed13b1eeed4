//! Clients that go on where they were: the tokens they were given, what they have seen since, and
//! how they show it. Only signed-in ones do: an anonymous one is another client afterwards.

use super::header::Asking;
use crate::checker::line::{Resumes, Stand};
use crate::plant::Plant;
use crate::world::World;

/// By what, and from where, a client may go on in a room.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    room: u32,
    text: String,
    from: Resumes,
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
        let tokens = &mut self.clients[at(client)].tokens;
        tokens.retain(|token| token.room != room);
        if let (Some(text), Some(stand)) = (token, stand) {
            tokens.push(Token {
                room,
                text: text.to_owned(),
                from: Resumes { socket, stand },
            });
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
        let token = self.token_of(socket, room).cloned();
        let Some(token) = token.filter(|_| !self.chance.one_in(8)) else {
            return (asking, None);
        };
        let asking = asking
            .text("resume", &token.text)
            .number("offset", Some(token.from.stand.offset));
        (asking, Some(token.from))
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
