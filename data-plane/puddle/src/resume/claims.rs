//! What a token claims, and its bytes: fields in a fixed order, numbers in
//! network order. Owns no meaning: who reads them judges.

use porthouse_model::{
    ClientId, CodeVersion, HookVersion, PasswordVersion, RoomId, RoomName, SessionId, UnixTime,
};
use porthouse_rules::Passed;

/// What a token claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Who may show it.
    pub holder: Holder,
    /// The room's name.
    pub room: RoomName,
    /// By which identity its steps were verified; none where it was transient.
    pub room_id: Option<RoomId>,
    /// The steps passed at its door.
    pub passed: PassedAt,
    /// When the token was made.
    pub issued: UnixTime,
    /// Which life of the room's offsets it counts in.
    pub epoch: u64,
    /// Everything up to this offset was said before the client was inside, or is
    /// known to have reached it.
    pub offset: u64,
    /// Which way through the room it is, as the room's home counts them.
    pub strand: u64,
    /// Which token of that way it is.
    pub number: u32,
}

/// Who may show a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Whoever comes with this session.
    Session(SessionId),
    /// Whoever has it: it was given to an anonymous client of this id.
    Anonymous(ClientId),
}

/// The steps passed, and when, where that matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PassedAt {
    /// The room's password.
    pub password: Option<PasswordVersion>,
    /// When the client's second factor was shown.
    pub second_factor: Option<UnixTime>,
    /// The room's code.
    pub room_code: Option<CodeVersion>,
    /// The owner's backend let them in.
    pub hook: Option<HookVersion>,
    /// Somebody inside let them in.
    pub approval: bool,
}

impl PassedAt {
    /// The steps somebody passed who came in then.
    pub(crate) fn then(passed: Passed, then: UnixTime) -> Self {
        Self {
            password: passed.password,
            second_factor: passed.second_factor.map(|age| {
                let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
                UnixTime::from_millis(then.as_millis().saturating_sub(age))
            }),
            room_code: passed.room_code,
            hook: passed.hook,
            approval: passed.approval,
        }
    }

    /// What of it is passed now.
    pub(crate) fn now(self, now: UnixTime) -> Passed {
        Passed {
            password: self.password,
            second_factor: self.second_factor.map(|shown| now.since(shown)),
            room_code: self.room_code,
            hook: self.hook,
            approval: self.approval,
        }
    }
}

/// Bits of the first byte, in the order of the fields they announce.
const SESSION: u8 = 1;
const ROOM_ID: u8 = 1 << 1;
const PASSWORD: u8 = 1 << 2;
const SECOND_FACTOR: u8 = 1 << 3;
const ROOM_CODE: u8 = 1 << 4;
const HOOK: u8 = 1 << 5;
const APPROVAL: u8 = 1 << 6;

impl Claims {
    pub(super) fn written(&self) -> Vec<u8> {
        let passed = &self.passed;
        let (session, holder) = match self.holder {
            Holder::Session(session) => (SESSION, *session.as_bytes()),
            Holder::Anonymous(client) => (0, *client.as_bytes()),
        };
        let bit = |is: bool, bit: u8| if is { bit } else { 0 };
        let bits = session
            | bit(self.room_id.is_some(), ROOM_ID)
            | bit(passed.password.is_some(), PASSWORD)
            | bit(passed.second_factor.is_some(), SECOND_FACTOR)
            | bit(passed.room_code.is_some(), ROOM_CODE)
            | bit(passed.hook.is_some(), HOOK)
            | bit(passed.approval, APPROVAL);
        let mut out = vec![bits];
        out.extend_from_slice(&holder);
        if let Some(id) = &self.room_id {
            out.extend_from_slice(id.as_bytes());
        }
        let steps = [
            passed.password.map(|version| version.0),
            passed.second_factor.map(UnixTime::as_millis),
            passed.room_code.map(|version| version.0),
            passed.hook.map(|version| version.0),
        ];
        let numbers = [
            self.issued.as_millis(),
            self.epoch,
            self.offset,
            self.strand,
        ];
        for number in steps.into_iter().flatten().chain(numbers) {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(self.room.as_str().as_bytes());
        out
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = Rest(bytes);
        let [bits] = rest.take()?;
        let holder = rest.take()?;
        let holder = if bits & SESSION == 0 {
            Holder::Anonymous(ClientId::from_bytes(holder))
        } else {
            Holder::Session(SessionId::from_bytes(holder))
        };
        let room_id = match bits & ROOM_ID {
            0 => None,
            _ => Some(RoomId::from_bytes(rest.take()?)),
        };
        let mut step = |bit: u8| match bits & bit {
            0 => Some(None),
            _ => rest.number().map(Some),
        };
        let passed = PassedAt {
            password: step(PASSWORD)?.map(PasswordVersion),
            second_factor: step(SECOND_FACTOR)?.map(UnixTime::from_millis),
            room_code: step(ROOM_CODE)?.map(CodeVersion),
            hook: step(HOOK)?.map(HookVersion),
            approval: bits & APPROVAL != 0,
        };
        Some(Self {
            holder,
            room_id,
            passed,
            issued: UnixTime::from_millis(rest.number()?),
            epoch: rest.number()?,
            offset: rest.number()?,
            strand: rest.number()?,
            number: u32::from_be_bytes(rest.take()?),
            room: core::str::from_utf8(rest.0).ok()?.parse().ok()?,
        })
    }
}

/// What was not read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }
}
