//! The seats of a room: what a fan-out walks over, and beside it what it does
//! not need.

use porthouse_model::{Acts, ClientId, MessageKind, PolicyKey, Refused, RoomId, Time, UserId};
use porthouse_rules::{Bucket, Hearing, Passed, Rules, reads};

use crate::home::Gone;
use crate::input::SocketId;
use crate::outbox::Seat;
use crate::output::WireForm;

/// What is kept known of a user who sits in a persistent room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pinned {
    /// The room.
    pub room: RoomId,
    /// The user.
    pub user: UserId,
    /// Whether the membership is.
    pub member: bool,
    /// Whether a block, or that there is none, is.
    pub block: bool,
}

impl Pinned {
    /// By which keys it is asked for.
    pub(crate) fn keys(self) -> impl Iterator<Item = PolicyKey> {
        let member = PolicyKey::Member(self.room, self.user);
        let block = PolicyKey::Block(self.room, self.user);
        let member = self.member.then_some(member);
        member.into_iter().chain(self.block.then_some(block))
    }
}

/// Who sits there.
#[derive(Clone, Debug)]
pub(crate) struct Sitter {
    /// The socket.
    pub socket: SocketId,
    /// Its client.
    pub client: ClientId,
    /// The steps it passed at the door.
    pub passed: Steps,
    /// What is kept known of it meanwhile. Boxed, for in most rooms nothing is.
    pub pinned: Option<Box<Pinned>>,
    /// What they may do here.
    pub rights: Rights,
    /// What is left of the room's rate for one socket.
    pub spoken: Bucket,
    /// Whether the room's home was told of them.
    pub reported: bool,
    /// How they go, where that is decided before their socket has ended.
    pub goes: Option<Gone>,
    /// The offset after which they hear what is said, where there are offsets.
    pub since: u64,
}

/// The steps that somebody has passed. Boxed, for most doors have none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Steps(Option<Box<Passed>>);

impl Steps {
    /// These.
    pub(crate) fn new(passed: Passed) -> Self {
        Self((passed != Passed::default()).then(|| Box::new(passed)))
    }

    /// Which.
    pub(crate) fn passed(&self) -> Passed {
        self.0.as_deref().copied().unwrap_or_default()
    }

    /// Somebody inside has let them in.
    pub(crate) fn approve(&mut self) {
        self.0.get_or_insert_default().approval = true;
    }
}

/// What a sitter may do: decided when they are admitted, and again whenever they
/// are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rights {
    /// The acts.
    pub acts: Acts,
    /// Whether they receive what is said.
    pub hearing: Hearing,
}

impl Rights {
    /// Whether somebody with these may read what was said before.
    pub(crate) const fn reads(self) -> bool {
        reads(self.acts, self.hearing)
    }

    fn is_particular(self) -> bool {
        self.hearing != Hearing::Named
    }
}

impl Sitter {
    /// May they say this here, now? The cheapest is asked first; what their rate
    /// lets pass counts, whether it is in the room's format or not.
    pub(crate) fn may_say(
        &mut self,
        rules: &Rules,
        kind: MessageKind,
        payload: &[u8],
        now: Time,
    ) -> Result<(), Refused> {
        rules.speak(self.rights.acts, kind, payload.len())?;
        if let Some(rate) = rules.source().messages.rates.per_socket
            && !self.spoken.take(rate, now)
        {
            return Err(Refused::SocketTooFast);
        }
        rules.format(payload)
    }
}

/// A room's seats. A seat's number changes when another is taken away.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    seats: Vec<Seat>,
    /// How often they have changed.
    stamp: u64,
    sitters: Vec<Sitter>,
    multiplexed: usize,
    event_streams: usize,
    /// Those who receive by other rules than most.
    particular: usize,
}

impl Seats {
    /// Seats somebody; answers the seat's number.
    pub(crate) fn add(&mut self, sitter: Sitter, form: WireForm) -> u32 {
        let number = u32::try_from(self.seats.len()).expect("sockets_max fits 32 bits");
        self.stamp += 1;
        self.seats.push(Seat {
            slot: sitter.socket.slot,
            form,
        });
        self.particular += usize::from(sitter.rights.is_particular());
        self.sitters.push(sitter);
        self.multiplexed += usize::from(form == WireForm::Multiplexed);
        self.event_streams += usize::from(form == WireForm::EventStream);
        number
    }

    /// A sitter's block, or that there is none, is kept known from here on;
    /// `None`: it was before.
    pub(crate) fn pin_block(
        &mut self,
        number: u32,
        room: RoomId,
        user: UserId,
    ) -> Option<PolicyKey> {
        let sitter = &mut self.sitters[number as usize];
        let pinned = sitter.pinned.get_or_insert_with(|| {
            Box::new(Pinned {
                room,
                user,
                member: false,
                block: false,
            })
        });
        let before = std::mem::replace(&mut pinned.block, true);
        (!before).then_some(PolicyKey::Block(room, user))
    }

    /// What was passed here was passed at another door.
    pub(crate) fn forget_passed(&mut self) {
        for sitter in &mut self.sitters {
            sitter.passed = Steps::default();
        }
    }

    /// Takes a seat away. The last one gets its number: who sits there now, if
    /// anybody does.
    pub(crate) fn remove(&mut self, number: u32) -> Option<SocketId> {
        let at = number as usize;
        self.stamp += 1;
        let gone = self.seats.swap_remove(at);
        let left = self.sitters.swap_remove(at);
        self.particular -= usize::from(left.rights.is_particular());
        self.multiplexed -= usize::from(gone.form == WireForm::Multiplexed);
        self.event_streams -= usize::from(gone.form == WireForm::EventStream);
        self.sitters.get(at).map(|sitter| sitter.socket)
    }

    /// Gives a sitter these rights instead.
    pub(crate) fn entitle(&mut self, number: u32, rights: Rights) {
        let before = &mut self.sitters[number as usize].rights;
        self.particular -= usize::from(before.is_particular());
        self.particular += usize::from(rights.is_particular());
        *before = rights;
    }

    /// Whether all receive by the same rules.
    pub(crate) const fn are_alike(&self) -> bool {
        self.particular == 0
    }

    /// Those of whom the room's home was not told; it is now.
    pub(crate) fn report(&mut self) -> Vec<SocketId> {
        let unreported = self.sitters.iter_mut().filter(|sitter| !sitter.reported);
        let told = unreported.map(|sitter| {
            sitter.reported = true;
            sitter.socket
        });
        told.collect()
    }

    /// The room's home knows nobody any more.
    pub(crate) fn unreport(&mut self) {
        for sitter in &mut self.sitters {
            sitter.reported = false;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.seats.len()
    }

    pub(crate) fn as_slice(&self) -> &[Seat] {
        &self.seats
    }

    /// Another whenever the seats are others.
    pub(crate) const fn stamp(&self) -> u64 {
        self.stamp
    }

    pub(crate) fn sitters(&self) -> &[Sitter] {
        &self.sitters
    }

    pub(crate) fn sitters_mut(&mut self) -> &mut [Sitter] {
        &mut self.sitters
    }

    /// The slots of those who speak like this.
    pub(crate) fn slots(&self, form: WireForm) -> Vec<u32> {
        let speaking = self.seats.iter().filter(|seat| seat.form == form);
        speaking.map(|seat| seat.slot).collect()
    }

    pub(crate) fn sitter(&self, number: u32) -> &Sitter {
        &self.sitters[number as usize]
    }

    pub(crate) fn sitter_mut(&mut self, number: u32) -> &mut Sitter {
        &mut self.sitters[number as usize]
    }

    /// Whether some socket here speaks like this.
    pub(crate) fn speaks(&self, form: WireForm) -> bool {
        match form {
            WireForm::Multiplexed => self.multiplexed > 0,
            WireForm::EventStream => self.event_streams > 0,
            WireForm::Raw => self.multiplexed + self.event_streams < self.seats.len(),
        }
    }

    pub(crate) fn check(&self) {
        assert_eq!(
            self.seats.len(),
            self.sitters.len(),
            "every seat has its sitter"
        );
        let count = |form| self.seats.iter().filter(|seat| seat.form == form).count();
        assert_eq!(
            (count(WireForm::Multiplexed), count(WireForm::EventStream)),
            (self.multiplexed, self.event_streams),
            "wire forms are counted"
        );
        let particular = self
            .sitters
            .iter()
            .filter(|sitter| sitter.rights.is_particular());
        assert_eq!(
            particular.count(),
            self.particular,
            "the particular are counted"
        );
        for (seat, sitter) in self.seats.iter().zip(&self.sitters) {
            assert_eq!(
                seat.slot, sitter.socket.slot,
                "seat and sitter are of one socket"
            );
        }
    }
}
