//! The words both planes agree on, as a black box keeps them: names, identities,
//! what nodes are told, refusals.

use porthouse_model::{
    Act, Acts, Address, AddressBlock, AddressRange, ApiKey, ApiKeyId, Block, ChangeItem, ClientId,
    CodeVersion, Device, DeviceBlock, Endpoint, EndpointAccess, EndpointId, HookVersion, Member,
    MessageKind, NamePrefix, PasswordVersion, Rate, RefusalId, Refused, Revision, Role, Room,
    RoomBlocks, RoomId, RoomName, Session, SessionId, Template, Then, Time, TokenHash, UnixTime,
    UserId, Username,
};
use porthouse_rules::Hearing;

use super::code::{Garbled, Kept, Reader, fields, garbled, texts, variants, write_bytes};

texts! {
    Address: "address of an endpoint"
    AddressRange: "range of addresses"
    NamePrefix: "prefix of names"
    Role: "role"
    RoomName: "room's name"
    Username: "user's name"
}

macro_rules! identities {
    ($($name:ty)*) => {$(
        impl Kept for $name {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(self.as_bytes());
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
                from.array().map(Self::from_bytes)
            }
        }
    )*};
}

identities! { ApiKeyId ClientId EndpointId RoomId SessionId TokenHash UserId }

macro_rules! numbers {
    ($($name:ident)*) => {$(
        impl Kept for $name {
            fn write(&self, out: &mut Vec<u8>) {
                self.0.write(out);
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
                Kept::read(from).map($name)
            }
        }
    )*};
}
pub(super) use numbers;

numbers! { CodeVersion HookVersion PasswordVersion RefusalId Revision }

impl Kept for Time {
    fn write(&self, out: &mut Vec<u8>) {
        self.as_nanos().write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        u64::read(from).map(Self::from_nanos)
    }
}

impl Kept for UnixTime {
    fn write(&self, out: &mut Vec<u8>) {
        self.as_millis().write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        u64::read(from).map(Self::from_millis)
    }
}

impl Kept for Acts {
    fn write(&self, out: &mut Vec<u8>) {
        let bits = Act::ALL
            .iter()
            .zip(0..)
            .map(|(act, bit)| u8::from(self.has(*act)) << bit);
        out.push(bits.sum());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        let bits = u8::read(from)?;
        let mut acts = Self::NONE;
        for (act, bit) in Act::ALL.into_iter().zip(0..) {
            if bits >> bit & 1 == 1 {
                acts = acts.with(act);
            }
        }
        Ok(acts)
    }
}

impl Kept for Refused {
    fn write(&self, out: &mut Vec<u8>) {
        let place = Self::ALL.iter().position(|one| one == self);
        place.expect("all are listed").write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        Self::ALL
            .get(usize::read(from)?)
            .copied()
            .ok_or(garbled("refusal"))
    }
}

variants! {
    MessageKind { 0 Text, 1 Binary, }
    EndpointAccess { 0 Anyone, 1 Users, 2 Owner, }
    Hearing { 0 Named, 1 Never, 2 Always, }
    ChangeItem {
        0 Room(room),
        1 RoomGone { id, name, template },
        2 Template(template),
        3 TemplateGone { id, prefix, next },
        4 Member(member),
        5 MemberGone { room, user },
        6 Session(session),
        7 DeviceToken(token, session),
        8 Block(block),
        9 BlockGone { room, user },
        10 SessionGone(session),
        11 UserGone(user),
        12 ApiKeyGone(key),
        13 Endpoint(endpoint),
        14 EndpointGone(address),
    }
}

fields! {
    Room { id, name, rules, owner, blocks }
    RoomBlocks { users, addresses }
    AddressBlock { range, expires }
    Template { id, prefix, rules }
    Session { id, user, username, expires, second_factor, device }
    Device { display_name, acts, rooms, blocks }
    DeviceBlock { room, expires }
    Member { room, user, role, expires, then }
    Then { role, expires }
    Block { room, user, expires }
    Endpoint { id, address, owner, rooms, access }
    ApiKey { id, scopes, expires }
    Rate { per_second, burst }
}
