//! How something stands, by what is known. Owns the shape of each answer; never
//! asks for what is not known.

use std::sync::Arc;

use porthouse_model::{
    Address, AddressBlock, ApiKey, Block, DeviceBlock, Endpoint, Member, PolicyKey, Revision,
    RoomId, RoomName, Session, Time, TokenHash, UserId,
};

use super::cache::Source;
use super::{Clock, Found, Lasting, Named, Policy, is_logged};
use crate::question::Known;

impl Policy {
    /// How a room stands; `None`: it must be asked.
    pub(crate) fn room(&mut self, now: Time, name: &RoomName) -> Option<Named> {
        let known = self.known(now, &PolicyKey::Room(name.clone()))?;
        Some(match known {
            Known::Room(room) => Named::Room(room),
            Known::Templated(template) => Named::Templated(template),
            Known::Absent => Named::Absent,
            other @ (Known::Session(_)
            | Known::Member(_)
            | Known::Block(_)
            | Known::ApiKey(_)
            | Known::Endpoint(_)) => misfit(&other),
        })
    }

    /// Whether a room's block of addresses lasts, as of when the room was heard of.
    pub(crate) fn block_lasts(&self, now: Time, room: &RoomName, block: &AddressBlock) -> bool {
        let entry = self.cache.peek(&PolicyKey::Room(room.clone()));
        let clock = entry.and_then(|entry| entry.clock);
        Lasting::new((), clock, block.expires).lasts(now)
    }

    /// Whether a block of the device lasts whose token this is, as of when it was heard of.
    pub(crate) fn device_block_lasts(
        &self,
        now: Time,
        token: TokenHash,
        block: &DeviceBlock,
    ) -> bool {
        let entry = self.cache.peek(&PolicyKey::Session(token));
        let clock = entry.and_then(|entry| entry.clock);
        Lasting::new((), clock, block.expires).lasts(now)
    }

    /// How a session stands, and until when; `None`: it must be asked.
    pub(crate) fn session(
        &mut self,
        now: Time,
        token: &TokenHash,
    ) -> Option<Found<Lasting<Arc<Session>>>> {
        let (known, clock) = self.dated(now, &PolicyKey::Session(*token))?;
        match known {
            Known::Session(session) => {
                let expires = session.expires;
                Some(Found::Present(Lasting::new(session, clock, Some(expires))))
            }
            Known::Absent => Some(Found::Absent),
            other @ (Known::Room(_)
            | Known::Templated(_)
            | Known::Member(_)
            | Known::Block(_)
            | Known::ApiKey(_)
            | Known::Endpoint(_)) => misfit(&other),
        }
    }

    /// How a membership stands, and until when; `None`: it must be asked.
    pub(crate) fn member(
        &mut self,
        now: Time,
        room: RoomId,
        user: UserId,
    ) -> Option<Found<Lasting<Member>>> {
        let (known, clock) = self.dated(now, &PolicyKey::Member(room, user))?;
        match known {
            Known::Member(member) => {
                let own = Lasting::new(member, clock, member.expires);
                // Without a clock nobody knows that it has ended.
                let then = member.then.filter(|_| clock.is_some() && !own.lasts(now));
                Some(Found::Present(then.map_or(own, |then| {
                    let member = Member {
                        role: then.role,
                        expires: then.expires,
                        then: None,
                        ..member
                    };
                    Lasting::new(member, clock, then.expires)
                })))
            }
            Known::Absent => Some(Found::Absent),
            other @ (Known::Room(_)
            | Known::Templated(_)
            | Known::Session(_)
            | Known::Block(_)
            | Known::ApiKey(_)
            | Known::Endpoint(_)) => misfit(&other),
        }
    }

    /// How a user's block stands, and until when; `None`: it must be asked.
    pub(crate) fn block(
        &mut self,
        now: Time,
        room: RoomId,
        user: UserId,
    ) -> Option<Found<Lasting<Block>>> {
        let (known, clock) = self.dated(now, &PolicyKey::Block(room, user))?;
        match known {
            Known::Block(block) => Some(Found::Present(Lasting::new(block, clock, block.expires))),
            Known::Absent => Some(Found::Absent),
            other @ (Known::Room(_)
            | Known::Templated(_)
            | Known::Session(_)
            | Known::Member(_)
            | Known::ApiKey(_)
            | Known::Endpoint(_)) => misfit(&other),
        }
    }

    /// How an API key stands, and until when; `None`: it must be asked.
    pub(crate) fn api_key(
        &mut self,
        now: Time,
        hash: &TokenHash,
    ) -> Option<Found<Lasting<Arc<ApiKey>>>> {
        let (known, clock) = self.dated(now, &PolicyKey::ApiKey(*hash))?;
        match known {
            Known::ApiKey(api_key) => {
                let expires = api_key.expires;
                Some(Found::Present(Lasting::new(api_key, clock, expires)))
            }
            Known::Absent => Some(Found::Absent),
            other @ (Known::Room(_)
            | Known::Templated(_)
            | Known::Session(_)
            | Known::Member(_)
            | Known::Block(_)
            | Known::Endpoint(_)) => misfit(&other),
        }
    }

    /// What is at an address; `None`: it must be asked.
    pub(crate) fn endpoint(
        &mut self,
        now: Time,
        address: &Address,
    ) -> Option<Found<Arc<Endpoint>>> {
        match self.known(now, &PolicyKey::Endpoint(address.clone()))? {
            Known::Endpoint(endpoint) => Some(Found::Present(endpoint)),
            Known::Absent => Some(Found::Absent),
            other @ (Known::Room(_)
            | Known::Templated(_)
            | Known::Session(_)
            | Known::Member(_)
            | Known::Block(_)
            | Known::ApiKey(_)) => misfit(&other),
        }
    }

    /// What is known as an answer to somebody else's question: it holds at this
    /// revision. `None`: it must be asked, as must be whether something was made
    /// of which the log does not tell.
    pub(crate) fn answer(&mut self, now: Time, key: &PolicyKey) -> Option<(Revision, Known)> {
        let told = self.told();
        let entry = self.cache.get(now, key)?;
        let known = entry.known.clone();
        let lasts = match &known {
            Known::Session(session) => {
                Lasting::new((), entry.clock, Some(session.expires)).lasts(now)
            }
            Known::Absent => is_logged(key),
            Known::Room(_)
            | Known::Templated(_)
            | Known::Member(_)
            | Known::Block(_)
            | Known::ApiKey(_)
            | Known::Endpoint(_) => true,
        };
        let is_certain = entry.source != Source::Doubted && lasts;
        is_certain.then_some((entry.revision.max(told), known))
    }

    fn dated(&mut self, now: Time, key: &PolicyKey) -> Option<(Known, Option<Clock>)> {
        let entry = self.cache.get(now, key)?;
        Some((entry.known.clone(), entry.clock))
    }
}

fn misfit(known: &Known) -> ! {
    unreachable!("only what fits a key is kept: {known:?}")
}
