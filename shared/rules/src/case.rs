//! One case to decide, whole: somebody, a room's name, a moment. What a node
//! finds out step by step is given at once, and decided by the same functions.
//! Looks nothing up, and asks no node: how full a room is decides nothing here.

use core::net::IpAddr;
use core::time::Duration;

use porthouse_model::{
    Act, Acts, Block, Member, Refused, Role, Room, RoomName, Session, UnixTime, UserId,
};

use crate::compile::Rules;
use crate::door::{Approach, Comer, Facts, Known, RoomDoor};
use crate::enter::{Standing, Visitor};
use crate::explain::{Outcome, Sight};

/// Who comes.
#[derive(Clone, Copy, Debug)]
pub enum Who<'a> {
    /// Somebody who is not signed in.
    Anonymous,
    /// An enabled user, by a session that has shown no second factor.
    User(UserId),
    /// By this session, which was neither revoked nor its user's end.
    Session(&'a Session),
    /// By a session that has ended, or as a user who may have none.
    Ended,
}

/// What stands under the room's name.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// A room of its own.
    Room(&'a Room, &'a Rules),
    /// Nothing, but a template covers it.
    Template(&'a Rules),
    /// Nothing: where such a room may be made, each node's settings say.
    Nothing,
}

/// A case.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// Who comes.
    pub who: Who<'a>,
    /// The room's name.
    pub name: &'a RoomName,
    /// What stands there.
    pub place: Place<'a>,
    /// The user's membership of the room.
    pub member: Option<Member>,
    /// The user's block from the room.
    pub block: Option<Block>,
    /// From where they come, if that is known.
    pub address: Option<IpAddr>,
    /// Of which page they come, if a browser says so.
    pub origin: Option<&'a str>,
    /// When.
    pub wall: UnixTime,
}

/// What a case comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What is decided; `None`: each node's own settings decide.
    pub outcome: Option<Outcome>,
    /// By what.
    pub sight: Sight,
}

impl Case<'_> {
    /// Decides whether this may be done.
    #[must_use]
    pub fn decide(&self, act: Act) -> Told {
        let mut sight = Sight {
            standing: None,
            is_device: self.device_acts().is_some(),
            address: self.address,
            origin: self.origin.map(Into::into),
            wall: Some(self.wall),
            word_age: Some(Duration::ZERO),
        };
        let outcome = match self.approach() {
            Err(refused) => Some(Outcome::Refused(refused)),
            Ok(None) => None,
            Ok(Some((rules, standing))) => {
                sight.standing = Some(standing);
                let visitor = Visitor {
                    standing,
                    device: self.device_acts(),
                    user: self.user(),
                    origin: self.origin,
                    wall: Some(self.wall),
                };
                Some(rules.foretell(&visitor, self.factor_age(), act))
            }
        };
        Told { outcome, sight }
    }

    /// How far they come; nowhere where there is nothing.
    fn approach(&self) -> Result<Option<(&Rules, Standing)>, Refused> {
        match self.who {
            Who::Ended => return Err(Refused::SessionEnded),
            Who::Session(session) if session.expires <= self.wall => {
                return Err(Refused::SessionExpired);
            }
            Who::Session(session) if !session.leads_to(self.name) => {
                return Err(Refused::DeviceRefused);
            }
            Who::Anonymous | Who::User(_) | Who::Session(_) => {}
        }
        let comer = Comer {
            user: self.user(),
            is_inside: false,
            is_kept_out: false,
            word_age: Duration::ZERO,
            has_store: true,
        };
        let (rules, approach) = match self.place {
            Place::Room(room, rules) => {
                let door = RoomDoor {
                    rules,
                    owner: room.owner,
                    blocks_users: room.blocks.users,
                };
                (rules, comer.approach_room(&door, &mut Given(self, room)))
            }
            Place::Template(_) | Place::Nothing if self.name.freeport_of().is_some() => {
                return Err(Refused::NoSuchEndpoint);
            }
            Place::Template(rules) => (rules, comer.approach_template(rules)),
            Place::Nothing => return Ok(None),
        };
        match approach {
            Approach::Open(standing) => Ok(Some((rules, standing))),
            Approach::Shut(refused) => Err(refused),
            Approach::Unknown(_) => unreachable!("all that is asked was given"),
        }
    }

    const fn user(&self) -> Option<UserId> {
        match self.who {
            Who::Anonymous | Who::Ended => None,
            Who::User(user) => Some(user),
            Who::Session(session) => Some(session.user),
        }
    }

    fn device_acts(&self) -> Option<Acts> {
        match self.who {
            Who::Anonymous | Who::Ended | Who::User(_) => None,
            Who::Session(session) => session.device_acts(),
        }
    }

    fn factor_age(&self) -> Option<Duration> {
        match self.who {
            Who::Anonymous | Who::Ended | Who::User(_) => None,
            Who::Session(session) => Some(self.wall.since(session.second_factor?)),
        }
    }

    fn lasts(&self, expires: Option<UnixTime>) -> bool {
        expires.is_none_or(|expires| expires > self.wall)
    }
}

/// What was given of a room.
struct Given<'a>(&'a Case<'a>, &'a Room);

impl Facts for Given<'_> {
    fn is_device_blocked(&mut self) -> bool {
        let Self(case, _) = self;
        let block = match case.who {
            Who::Anonymous | Who::Ended | Who::User(_) => None,
            Who::Session(session) => session.device_block(case.name),
        };
        block.is_some_and(|block| case.lasts(block.expires))
    }

    fn is_address_blocked(&mut self) -> bool {
        let Self(case, room) = self;
        let Some(address) = case.address else {
            return false;
        };
        let mut blocks = room.blocks.addresses.iter();
        blocks.any(|block| block.range.contains(address) && case.lasts(block.expires))
    }

    fn block(&mut self, _: UserId) -> Known<()> {
        let Self(case, _) = self;
        match case.block.filter(|block| case.lasts(block.expires)) {
            Some(_) => Known::Present(()),
            None => Known::Absent,
        }
    }

    fn membership(&mut self, _: UserId) -> Known<Role> {
        let Self(case, _) = self;
        match case.member.filter(|member| case.lasts(member.expires)) {
            Some(member) => Known::Present(member.role),
            None => Known::Absent,
        }
    }
}
