//! Clients whose socket ended, and what they have learnt by it; and what the world asks on behalf
//! of all of them: who is not inside and should be.

use porthouse_model::{Content, Credential, CredentialKind, EntryStep};
use porthouse_puddle::TransientMakers;

use super::{Credentials, Speech};
use crate::checker::line::{Kind, Line, Shape, Who};
use crate::checker::narrow::{Comer, Narrow};
use crate::control::{room_name, room_password};
use crate::plan::Habits;
use crate::queue::{MILLIS, Nanos, SECONDS};
use crate::world::{Event, Phase, World};

impl World {
    pub(crate) fn is_troubled(&self) -> bool {
        self.phase() == Phase::Troubled
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.phase() == Phase::Leaving
    }

    pub(crate) fn habits(&self) -> Habits {
        self.plan().habits
    }

    pub(crate) fn client_gap(&self) -> Nanos {
        self.plan().client_gap
    }

    pub(crate) fn rooms(&self) -> u32 {
        self.plan().rooms
    }

    pub(crate) fn in_thousand(&mut self, times: u64) -> bool {
        self.chance.below(1_000) < times
    }

    /// A client without a socket comes back some time later.
    pub(crate) fn comes_back(&mut self, client: u32) {
        let wait = if self.is_troubled() {
            2 * SECONDS
        } else {
            800 * MILLIS
        };
        let delay = 20 * MILLIS + self.chance.skewed(0, wait);
        self.schedule(delay, Event::Connect(client));
    }

    pub(crate) fn act_within(&mut self, client: u32, nanos: Nanos) {
        let delay = 1 + self.chance.below(nanos);
        self.clients[at(client)].acts_at = self.now() + delay;
        self.schedule(delay, Event::Act(client));
    }

    pub(crate) fn turned_away(&mut self, client: u32, status: u16) {
        self.clients[at(client)].turned_away |= status == 401 || (4100..4103).contains(&status);
    }

    /// Signs in again, where the session is over and the client has heard of it.
    pub(crate) fn renew_session(&mut self, client: u32) {
        let known = &self.clients[at(client)];
        let device = known.device;
        let (Some(user), Some(session)) = (known.user, known.session) else {
            return;
        };
        let heard = known.turned_away || !self.is_troubled();
        let is_over = self.control().is_over(self.control().session(session));
        if is_over && heard && (!self.is_troubled() || self.chance.one_in(2)) {
            let session = self.sign_in(user, device);
            self.clients[at(client)].session = Some(session);
            // By another token a device is another client, whose keys are others.
            if device {
                self.clients[at(client)].keyed.clear();
            }
        }
        self.clients[at(client)].turned_away = false;
    }

    pub(crate) fn token(&self, session: u32) -> String {
        self.control().session(session).token.clone()
    }

    /// Well formed, mistyped, or of another kind: nobody's.
    pub(crate) fn token_of_nobody(&mut self) -> String {
        let mut secret = [0; 32];
        secret[0] = u8::try_from(self.chance.below(256)).expect("a byte");
        let kinds = [CredentialKind::Session, CredentialKind::ApiKey];
        let token = Credential::new(*self.chance.pick(&kinds), secret).reveal();
        if self.chance.one_in(3) {
            token.replace('A', "B")
        } else {
            token
        }
    }

    /// The version and the text of a room's password now.
    pub(crate) fn room_password(&self, room: u32) -> Option<(u64, String)> {
        let version = self.control().rules(room)?.entry.password()?;
        Some((version.0, room_password(version)))
    }

    /// A password that was never right, or is no longer.
    pub(crate) fn old_password(&self, room: u32) -> String {
        match self.room_password(room) {
            Some((version, _)) => {
                room_password(porthouse_model::PasswordVersion(version.saturating_sub(1)))
            }
            None => "swordfish".to_owned(),
        }
    }

    /// Which kind of message a room takes, `None` for both, and how long.
    pub(crate) fn allowed(&self, room: u32) -> (Option<Kind>, usize) {
        let Some(rules) = self.control().rules(room) else {
            return (
                None,
                usize::try_from(self.plan().message_bytes_max).expect("a length"),
            );
        };
        let kind = match rules.messages.content {
            Content::Any => None,
            Content::Text => Some(Kind::Text),
            Content::Binary => Some(Kind::Binary),
        };
        (
            kind,
            usize::try_from(rules.messages.bytes_max).expect("a length"),
        )
    }

    /// What messages of a room must be.
    pub(crate) fn shape_of(&self, room: u32) -> Shape {
        let door = self.control().door(room);
        door.map_or(Shape::Plain, |door| door.narrow.shape)
    }

    /// Whether a room lets this one speak, by its rules as they are now.
    pub(crate) fn may_speak(&self, client: u32, room: u32) -> bool {
        let known = &self.clients[at(client)];
        let Some(door) = self.control().door(room) else {
            return true;
        };
        if known.device {
            return door.devices_speak;
        }
        match door.speaks {
            Who::Anyone => true,
            Who::Users => known.user.is_some(),
            Who::Members => {
                let own = self.control().room(room).map(|row| row.room.id);
                let member = known.user.zip(own);
                member.is_some_and(|(user, own)| self.control().is_member(own, user))
            }
        }
    }

    /// Whoever may be inside, wants to be, and is not.
    pub(crate) fn see_outside(&mut self) {
        for client in 0..self.plan().clients {
            let known = &self.clients[at(client)];
            let inside = known
                .socket
                .and_then(|socket| self.sockets[at(socket)].as_ref());
            let inside = inside.map_or(Vec::new(), |socket| socket.inside.clone());
            let wanted = self.wanted(client);
            for room in wanted {
                if !inside.contains(&room) && self.may_enter(client, room) {
                    let socket = self.clients[at(client)].socket;
                    self.see(&Line::Outside {
                        client,
                        socket,
                        room,
                    });
                }
            }
        }
    }

    fn may_enter(&self, client: u32, room: u32) -> bool {
        let known = &self.clients[at(client)];
        if !self.is_led_to(client, room) {
            return false;
        }
        if matches!(known.speech, Speech::Post { .. }) {
            return false;
        }
        // Nobody vouches for it, and it cannot come as somebody else.
        let is_unknown = |user| !self.control().is_vouched_for(user);
        if known.credentials == Credentials::Jwt && known.user.is_some_and(is_unknown) {
            return false;
        }
        if known.device {
            let session = known.session.map(|session| self.control().session(session));
            let leads = session.is_some_and(|row| row.session.leads_to(&room_name(room)));
            // Whether a device makes a room is its own affair.
            if !leads || self.control().rules(room).is_none() {
                return false;
            }
        }
        let Some(rules) = self.control().rules(room) else {
            return match self.plan().settings.transient_makers {
                TransientMakers::Anyone => true,
                TransientMakers::Users => known.user.is_some(),
                TransientMakers::Nobody => false,
            };
        };
        let steps = &rules.entry.steps;
        if !self.can_pass(client, (room, steps)) {
            return false;
        }
        let own = self.control().room(room).map(|row| row.room.id);
        let is_blocked = |user| own.is_some_and(|own| self.control().is_blocked(own, user));
        if known.user.is_some_and(is_blocked) {
            return false;
        }
        let is_member = known
            .user
            .zip(own)
            .is_some_and(|(user, own)| self.control().is_member(own, user));
        let narrow = self.control().door(room).map(|door| door.narrow);
        let narrow = narrow.unwrap_or_default();
        let comer = Comer {
            user: known.user,
            is_member,
            page: known.sends_an_origin(),
        };
        if !narrow.lets_in(comer)
            || narrow.closes.is_some()
            || !self.has_a_place(known.user, room, narrow)
        {
            return false;
        }
        match self.control().door(room).map(|door| door.who) {
            Some(Who::Anyone) => true,
            Some(Who::Users) => known.user.is_some(),
            Some(Who::Members) => is_member,
            None => false,
        }
    }

    /// Whether it can do what is asked at a door.
    fn can_pass(&self, client: u32, (room, steps): (u32, &[EntryStep])) -> bool {
        let known = &self.clients[at(client)];
        steps.iter().all(|step| match step {
            EntryStep::Password(_) => known.speech.can_be_asked(),
            EntryStep::Approval => self.may_invite(client, room),
            // Codes are few, and each lets one in.
            EntryStep::RoomCode(_) | EntryStep::SecondFactor { .. } => false,
            EntryStep::Hook(_) => true,
        })
    }

    /// Whether it may let others in, and needs nobody itself.
    fn may_invite(&self, client: u32, room: u32) -> bool {
        let known = &self.clients[at(client)];
        let own = self.control().room(room).map(|row| row.room.id);
        let door = self.control().door(room);
        let (Some(user), Some(own), Some(door)) = (known.user, own, door) else {
            return false;
        };
        door.invites >> user & 1 == 1 && self.control().is_member(own, user) && !known.device
    }

    /// Whether there is place for one more in a room, and for one more of this user.
    fn has_a_place(&self, user: Option<u32>, room: u32, narrow: Narrow) -> bool {
        if narrow.sockets_max.is_none() && narrow.per_client.is_none() {
            return true;
        }
        let sockets = self.sockets.iter().flatten();
        let inside = sockets.filter(|socket| socket.inside.contains(&room));
        let users = inside.map(|socket| self.clients[at(socket.client)].user);
        let (mut all, mut own) = (0_u16, 0_u16);
        for of in users {
            all += 1;
            own += u16::from(of.is_some() && of == user);
        }
        // Of two that put each other out, neither stays.
        let is_alone = narrow
            .per_client
            .is_none_or(|most| own < most && !narrow.replaces);
        is_alone && narrow.sockets_max.is_none_or(|most| all < most)
    }
}

fn at(number: u32) -> usize {
    usize::try_from(number).expect("an index")
}
