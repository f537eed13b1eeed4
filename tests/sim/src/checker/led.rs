//! Who came by an address, and where it leads: nobody stays by one that is withdrawn, closed to
//! them, or leads elsewhere (P6, P7, P8), and nobody is turned away by one that lets them in (P17).
//! Knows no room's door.

use std::collections::BTreeMap;

use super::line::{Edit, Stamp};
use super::policy::{Policy, Since};
use super::violation::{Violation, broken};
use super::{Checker, Out, Socket, index};

/// The close codes of an address that is closed to somebody, or gone.
const TURNED_AWAY: [u16; 2] = [4016, 4017];
/// The rule of a room to which an address does not lead any more.
const RULE: &str = "endpoint.access";

/// Where addresses lead, at the log's head.
#[derive(Debug, Default)]
pub(super) struct Ports {
    leads: BTreeMap<u32, Lead>,
    /// When an address began to lead to a room.
    began: BTreeMap<(u32, u32), u64>,
}

/// One address.
#[derive(Clone, Copy, Debug)]
struct Lead {
    /// Each by a bit; none where it is withdrawn.
    rooms: u32,
    /// Whether it is for users alone.
    users: bool,
    owner: Option<u32>,
    since: Since,
}

/// By which address a socket came, and since when that keeps it out.
#[derive(Clone, Debug, Default)]
pub(super) struct Led {
    port: Option<u32>,
    out: Out,
    /// Rooms to which it led, and does not any more.
    elsewhere: Vec<(u32, Out)>,
}

impl Led {
    /// It leads to a room no more.
    fn is_not_to(&mut self, room: u32, since: Since) {
        let known = self.elsewhere.iter_mut().find(|(of, _)| *of == room);
        if let Some((_, out)) = known {
            out.since = out.since.or(Some(since));
        } else {
            let out = Out {
                since: Some(since),
                ..Out::default()
            };
            self.elsewhere.push((room, out));
        }
    }
}

impl Lead {
    fn lets_in(&self, user: Option<u32>) -> bool {
        let is_meant = self.owner.is_none_or(|owner| user == Some(owner));
        self.rooms != 0 && is_meant && (user.is_some() || !self.users)
    }
}

impl Ports {
    /// What an administrator has changed, if it is about an address. Answers which rooms it leads
    /// to no more, of those to which the node knew that it does.
    fn change(&mut self, edit: &Edit, since: Since, applied: u64) -> Option<(u32, u32)> {
        let (port, lead) = if let Edit::Port {
            port,
            rooms,
            users,
            owner,
        } = *edit
        {
            let lead = Lead {
                rooms,
                users,
                owner,
                since,
            };
            (port, lead)
        } else if let Edit::PortGone { port } = *edit {
            let lead = Lead {
                rooms: 0,
                users: false,
                owner: None,
                since,
            };
            (port, lead)
        } else {
            return None;
        };
        let before = self.leads.insert(port, lead).map_or(0, |lead| lead.rooms);
        let mut gone = 0;
        for room in 0..u32::BITS {
            let (was, is) = (before >> room & 1 == 1, lead.rooms >> room & 1 == 1);
            if is && !was {
                self.began.insert((port, room), since.revision);
            }
            let began = self.began.get(&(port, room)).copied();
            if was && !is && began.is_some_and(|began| began <= applied) {
                gone |= 1 << room;
            }
        }
        Some((port, gone))
    }
}

impl Policy {
    /// Since when an address keeps somebody out, if it does.
    fn turns_away(&self, port: u32, user: Option<u32>) -> Option<Since> {
        match self.ports.leads.get(&port) {
            Some(lead) => (!lead.lets_in(user)).then_some(lead.since),
            None => Some(Since::default()),
        }
    }

    /// Whether an address leads somebody to all these rooms, as the node knew at this step.
    fn leads_since(&self, (port, rooms): (u32, u32), user: Option<u32>, step: u64) -> bool {
        let lead = self.ports.leads.get(&port);
        lead.is_some_and(|lead| {
            let is_heard = self.step_of(lead.since.revision);
            lead.lets_in(user)
                && lead.rooms & rooms == rooms
                && is_heard.is_some_and(|heard| heard < step)
        })
    }
}

impl Socket {
    /// From which step the address it came by keeps it out, as the node knows.
    pub(super) const fn led_cut(&self) -> Option<u64> {
        self.led.out.cut
    }

    /// Nothing but a close frame begins for who came by an address that is closed to them.
    pub(super) fn not_turned_away(&self, socket: u32, written: Stamp) -> Result<(), Violation> {
        self.led.out.not_waited_for(written)?;
        if self.led.out.is_broken_by(written) {
            let led = &self.led;
            return broken(
                "P7",
                format!("socket {socket} was written to at {written:?}, by {led:?}"),
            );
        }
        Ok(())
    }

    /// Nothing of a room begins to which its address does not lead any more.
    pub(super) fn not_elsewhere(
        &self,
        (socket, room): (u32, u32),
        written: Stamp,
    ) -> Result<(), Violation> {
        let out = self.led.elsewhere.iter().find(|(of, _)| *of == room);
        let Some((_, out)) = out else {
            return Ok(());
        };
        out.not_waited_for(written)?;
        if out.is_broken_by(written) {
            return broken(
                "P6",
                format!("socket {socket} is in {room} at {written:?}, led elsewhere: {out:?}"),
            );
        }
        Ok(())
    }

    /// It is out of a room, and may come in again by itself.
    pub(super) fn is_out_of(&mut self, room: u32) {
        self.led.elsewhere.retain(|(of, _)| *of != room);
    }

    /// All that its address keeps it out of.
    pub(super) fn led_out(&mut self) -> impl Iterator<Item = &mut Out> {
        let Led { out, elsewhere, .. } = &mut self.led;
        [out]
            .into_iter()
            .chain(elsewhere.iter_mut().map(|(_, out)| out))
    }
}

impl Checker {
    /// A socket comes by an address.
    pub(super) fn comes_by(&mut self, socket: u32, port: u32) {
        let user = self.socket(socket).user;
        let out = self.policy.turns_away(port, user);
        let out = self.policy.out_since(out);
        let lead = self.policy.ports.leads.get(&port);
        let (rooms, since) = lead.map_or_else(Default::default, |lead| (lead.rooms, lead.since));
        let known = self.socket(socket);
        (known.led.port, known.led.out) = (Some(port), out);
        if let Some(room) = known.raw_room.filter(|room| rooms >> room & 1 == 0) {
            known.led.is_not_to(room, since);
        }
        self.cut();
    }

    /// After a commit: who came by an address that leads elsewhere now?
    pub(super) fn lead_elsewhere(&mut self, edits: &[Edit]) {
        let now = Since {
            revision: self.policy.head,
            at: self.at,
        };
        let applied = self.policy.applied();
        for edit in edits {
            let Some((port, gone)) = self.policy.ports.change(edit, now, applied) else {
                continue;
            };
            for number in 0..self.sockets.len() {
                let known = &self.sockets[number];
                if !known.over && known.led.port == Some(port) {
                    self.is_led((number, port), gone, now);
                }
            }
        }
    }

    fn is_led(&mut self, (number, port): (usize, u32), gone: u32, now: Since) {
        let step = self.step;
        let known = &mut self.sockets[number];
        match self.policy.turns_away(port, known.user) {
            Some(since) => {
                let out = &mut known.led.out;
                out.since = out.since.or(Some(since));
            }
            None if known.led.out.since.is_some() => known.led.out.allow(step),
            None => {}
        }
        let lead = self.policy.ports.leads.get(&port);
        let rooms = lead.map_or(0, |lead| lead.rooms);
        for (room, out) in &mut known.led.elsewhere {
            if rooms >> *room & 1 == 1 {
                out.allow(step);
            }
        }
        let gone = known.raw_room.map_or(gone, |room| !rooms & 1 << room);
        let inside = known.entries.iter().map(|&(room, _)| room);
        for room in inside.chain(known.raw_room) {
            if gone >> room & 1 == 1 {
                known.led.is_not_to(room, now);
            }
        }
    }

    /// Nobody is turned away by an address that let them in before they came, and still does.
    pub(super) fn closing_holds(&self, socket: u32, code: u16) -> Result<(), Violation> {
        let known = &self.sockets[index(socket)];
        let rooms = known.raw_room.map_or(0, |room| 1 << room);
        let leads = known.led.port.is_some_and(|port| {
            let step = known.begun_step;
            self.policy.leads_since((port, rooms), known.user, step)
        });
        if TURNED_AWAY.contains(&code) && leads && !known.bogus {
            let port = known.led.port;
            return broken(
                "P17",
                format!("socket {socket} is closed with {code}, and {port:?} lets it in"),
            );
        }
        Ok(())
    }

    /// Nobody is put out of a room to which their address leads all the time.
    pub(super) fn leading_holds(
        &self,
        socket: u32,
        room: u32,
        rule: &str,
    ) -> Result<(), Violation> {
        let known = &self.sockets[index(socket)];
        let leads = known.led.port.is_some_and(|port| {
            let lead = (port, 1 << room);
            self.policy.leads_since(lead, known.user, known.begun_step)
        });
        if rule == RULE && leads {
            return broken(
                "P17",
                format!("socket {socket} is out of {room} by {rule}, and is led there"),
            );
        }
        Ok(())
    }
}
