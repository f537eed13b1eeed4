//! Clients at a room's address that can be asked before they start (`porthouse.raw.v1`): what they
//! read and say until then. What they say otherwise is no message, and now and then they do.

use super::header::{Asking, Said};
use crate::checker::line::{Line, Stamp};
use crate::plant::Plant;
use crate::queue::MILLIS;
use crate::world::{Event, Stage, World};

impl World {
    /// A line before it has started.
    pub(super) fn read_line(&mut self, (socket, room): (u32, u32), payload: &[u8], written: Stamp) {
        let Some((said, rest)) = Said::read(payload).filter(|(_, rest)| rest.is_empty()) else {
            let what = "a frame before it has started that is no line";
            return self.see(&Line::Broken { socket, what });
        };
        debug_assert!(rest.is_empty());
        let known = self.sockets[at(socket)].as_mut().expect("being read");
        match said.op.as_ref() {
            "challenge" => {
                known.joining.clear();
                self.is_asked_for(socket, room, said.step.as_deref());
                self.see(&Line::Challenged { socket, room });
                self.says_soon(socket, room);
            }
            "admitted" => {
                known.challenged.clear();
                known.joining = vec![room];
                self.says_soon(socket, room);
            }
            "started" => {
                known.joining.clear();
                known.challenged.clear();
                known.inside.push(room);
                return self.see(&Line::Started { socket, written });
            }
            _ => {
                let what = "a line that is none of a handshake";
                self.see(&Line::Broken { socket, what });
            }
        }
        self.see(&Line::Other { socket, written });
    }

    /// It answers, or starts, some time later; some think longer than they have.
    fn says_soon(&mut self, socket: u32, room: u32) {
        let never = self.is_troubled() && self.chance.one_in(20);
        if !never {
            let delay = self.chance.skewed(1, 500 * MILLIS);
            self.schedule(delay, Event::Answer { socket, room });
        }
    }

    /// Does what it is to do next, if there is anything: answers, or starts.
    pub(super) fn shake_hands(&mut self, socket: u32, room: u32) {
        let Some(known) = self.sockets[at(socket)].as_ref() else {
            return;
        };
        if known.stage != Stage::Open {
            return;
        }
        let is_ready = known.joining.contains(&room);
        if let Some(given) = self.given(socket, room) {
            let shown = given.shown;
            self.see(&Line::Answered {
                socket,
                room,
                shown,
            });
            self.send_text(socket, &given.into(Asking::new("answer")));
        } else if is_ready {
            self.forget_ready(socket);
            self.send_text(socket, &Asking::new("start").end());
        }
    }

    fn forget_ready(&mut self, socket: u32) {
        if let Some(known) = self.sockets[at(socket)].as_mut() {
            known.joining.clear();
        }
    }

    /// Before it has started it says what would be a message, if it is in the mood.
    pub(super) fn says_early(&mut self, client: u32, socket: u32) {
        let Some(known) = self.sockets[at(socket)].as_ref() else {
            return;
        };
        let is_ready = !known.joining.is_empty();
        if (!is_ready && known.challenged.is_empty()) || !self.chance.one_in(3) {
            return;
        }
        if self.is_planted(Plant::EarlyMessageSaid) && is_ready {
            self.forget_ready(socket);
            self.send_text(socket, &Asking::new("start").end());
        }
        let room = self.clients[at(client)].speech.room().expect("it is raw");
        let draft = self.short_draft(room);
        self.speak(client, socket, &draft);
    }
}

fn at(number: u32) -> usize {
    usize::try_from(number).expect("an index")
}
