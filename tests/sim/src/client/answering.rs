//! What clients answer at rooms' doors: the password, a code of the room's or of their own; right,
//! wrong, old, or one that another of their own has shown already.

use super::header::Asking;
use crate::checker::line::{Ask, Shown};
use crate::control::room_name;
use crate::world::{Stage, World};

/// What a door asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// The room's password.
    Password,
    /// A code of the room's.
    RoomCode,
    /// A code of the client's own second factor.
    SecondFactor,
    /// Nothing: somebody else lets it in.
    Approval,
}

/// An answer, and what of it is right.
pub(super) struct Given {
    pub(super) shown: Option<Shown>,
    field: &'static str,
    text: String,
}

impl Given {
    /// Written into a line.
    pub(super) fn into(self, line: Asking) -> String {
        line.text(self.field, &self.text).end()
    }
}

impl Question {
    /// As it is called in a line.
    pub(super) fn named(step: Option<&str>) -> Self {
        match step {
            Some("room_code") => Self::RoomCode,
            Some("second_factor") => Self::SecondFactor,
            Some("approval") => Self::Approval,
            Some(_) | None => Self::Password,
        }
    }
}

impl World {
    /// A room has asked a socket for something.
    pub(super) fn is_asked_for(&mut self, socket: u32, room: u32, step: Option<&str>) {
        let known = self.sockets[at(socket)].as_mut().expect("being read");
        known.challenged.retain(|(of, _)| *of != room);
        let question = Question::named(step);
        known.challenged.push((room, question));
        if question == Question::Approval {
            self.waits_to_be_let_in(socket, room);
        }
    }

    /// Answers a room's question, or does what is next in a handshake.
    pub(crate) fn answer(&mut self, socket: u32, room: u32) {
        let Some(known) = self.sockets[at(socket)].as_ref() else {
            return;
        };
        if self.clients[at(known.client)].speech.shakes_hands() {
            return self.shake_hands(socket, room);
        }
        let Some(given) = self.given(socket, room) else {
            return;
        };
        let known = self.sockets[at(socket)].as_mut().expect("it was asked");
        let id = known.request();
        let name = room_name(room);
        let asking = Asking::new("answer").id(id).text("room", name.as_str());
        self.ask(socket, id, Ask::Answer, Some(room), given.shown);
        self.send_text(socket, &given.into(asking));
    }

    /// What it answers, if it was asked.
    pub(super) fn given(&mut self, socket: u32, room: u32) -> Option<Given> {
        let known = self.sockets[at(socket)].as_mut()?;
        let mut challenged = known.challenged.iter();
        let place = challenged.position(|(of, _)| *of == room)?;
        if known.stage != Stage::Open {
            return None;
        }
        let (_, question) = known.challenged.remove(place);
        let user = self.clients[at(known.client)].user;
        let wrong = self.is_troubled() && self.chance.percent(self.habits().wrong_password);
        match question {
            Question::Password => Some(self.given_password(room, wrong)),
            Question::RoomCode => Some(self.given_code(room, wrong)),
            Question::SecondFactor => Some(self.given_factor(user, wrong)),
            Question::Approval => None,
        }
    }

    fn given_password(&self, room: u32, wrong: bool) -> Given {
        let current = self.room_password(room).filter(|_| !wrong);
        let (shown, text) = match current {
            Some((version, text)) => (Some(Shown::Password { version }), text),
            None => (None, self.old_password(room)),
        };
        Given {
            shown,
            field: "password",
            text,
        }
    }

    fn given_code(&self, room: u32, wrong: bool) -> Given {
        let current = self.control().code_of_room(room, self.now());
        match current.filter(|_| !wrong) {
            Some((version, step, text)) => Given {
                shown: Some(Shown::RoomCode { version, step }),
                field: "code",
                text,
            },
            None => wrong_code(),
        }
    }

    fn given_factor(&self, user: Option<u32>, wrong: bool) -> Given {
        match user.filter(|_| !wrong) {
            Some(user) => {
                let (step, text) = self.control().code_of_user(user, self.now());
                Given {
                    shown: Some(Shown::SecondFactor { step }),
                    field: "code",
                    text,
                }
            }
            None => wrong_code(),
        }
    }
}

fn wrong_code() -> Given {
    Given {
        shown: None,
        field: "code",
        text: "none".to_owned(),
    }
}

fn at(number: u32) -> usize {
    usize::try_from(number).expect("an index")
}
