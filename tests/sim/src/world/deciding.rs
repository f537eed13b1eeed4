//! Owners' backends, which are asked whether somebody may enter: yes, no, or no answer. What they
//! said is seen by them, and holds whatever becomes of it on its way.

use porthouse_puddle::{Pass, Proof, Verdict, Verification};

use super::World;
use super::socket::socket_of;
use crate::checker::line::Line;
use crate::control::room_number;
use crate::plant::Plant;

impl World {
    /// Whether something passes a step of a room's entry.
    pub(super) fn judge(&mut self, what: &Verification) -> Verdict {
        match what.proof {
            Proof::Hook { .. } => self.decide(what),
            Proof::Password(_) | Proof::SecondFactor(_) | Proof::RoomCode(_) => {
                let now = self.now();
                self.control.verify(what, now)
            }
        }
    }

    fn decide(&mut self, what: &Verification) -> Verdict {
        let Some(version) = self.control.hook(what.room) else {
            return Verdict::Gone;
        };
        let troubled = !self.phase.is_healed();
        if troubled && self.chance.one_in(10) {
            return Verdict::Away;
        }
        let allowed = !(troubled && self.chance.one_in(4));
        let socket = socket_of(what.address).expect("a socket's own address");
        let room = room_number(&what.name).expect("a room of this world");
        self.see(&Line::Decided {
            socket,
            room,
            version: version.0,
            allowed,
        });
        if allowed || self.is_planted(Plant::HookUnheard) {
            Verdict::Right(Pass::Hook(version))
        } else {
            Verdict::Refused
        }
    }
}
