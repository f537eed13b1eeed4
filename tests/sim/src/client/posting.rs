//! Clients that post: one message a connection, over plain HTTP. They know nothing of the room,
//! and are told only whether it was taken.

use std::fmt::Write;

use crate::checker::line::Kind;
use crate::checker::stored::Level;
use crate::control::room_name;
use crate::plant::Plant;
use crate::world::World;

impl World {
    /// What a client posts on a new connection.
    pub(super) fn post_request(&mut self, client: u32, socket: u32, token: Option<&str>) {
        let Some(draft) = self.draft(client, socket, false) else {
            return;
        };
        let message = self.next_message();
        let mut body = Vec::new();
        let said = self.fill(&mut body, &draft, message);
        let kind = match draft.kind {
            Kind::Text => "text/plain",
            Kind::Binary => "application/octet-stream",
        };
        let mut request = format!(
            "POST /{} HTTP/1.1\r\nHost: sim.example\r\nContent-Type: {kind}\r\n\
             Content-Length: {}\r\n",
            room_name(draft.room),
            body.len()
        );
        if let Some(token) = token {
            write!(request, "Authorization: Bearer {token}\r\n").expect("a string takes all");
        }
        let mut request = (request + "\r\n").into_bytes();
        request.extend_from_slice(&body);
        self.said(
            socket,
            &draft,
            (message, said),
            (None, false, Level::default()),
        );
        self.send_up(socket, &request);
        // A planted bug: something on the way sends it once more.
        if self.is_planted(Plant::PostedTwice) && self.chance.one_in(4) {
            self.clients[at(client)].posted = Some(request);
        }
    }

    /// What was posted before is posted again, where that is planted.
    pub(super) fn post_again(&mut self, client: u32, socket: u32) -> bool {
        let Some(request) = self.clients[at(client)].posted.take() else {
            return false;
        };
        self.send_up(socket, &request);
        true
    }
}

fn at(number: u32) -> usize {
    usize::try_from(number).expect("an index")
}
