//! A message of a durable room as bytes, as the store keeps it. Owns the layout;
//! a record that is not whole, or of a layout to come, is no message.
//!
//! One byte of version, one of flags, then in network order: epoch, offset,
//! wall clock in milliseconds, token; the sender's id; the key, receivers and
//! exceptions, each with its length before it; the payload to the end.

use std::sync::Arc;

use porthouse_model::{ClientId, MessageKind, UnixTime};

use super::EPOCH_BITS;
use super::asking::Stand;

const VERSION: u8 = 1;
const BINARY: u8 = 1;
const FROM: u8 = 2;
const KEY: u8 = 4;
const HOLLOW: u8 = 8;
const FLAGS: u8 = BINARY | FROM | KEY | HOLLOW;

/// A message and all that must be known of it after a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// Its place.
    pub stand: Stand,
    /// When it was put there, by the wall clock.
    pub at: UnixTime,
    /// Tells this attempt to keep it from all others.
    pub token: u64,
    /// Who said it.
    pub from: Option<ClientId>,
    /// The sender's own name for it.
    pub key: Option<Arc<str>>,
    /// Its kind.
    pub kind: MessageKind,
    /// Only to these.
    pub to: Box<[ClientId]>,
    /// Not to these.
    pub except: Box<[ClientId]>,
    /// Only the fact is kept, and the payload is empty.
    pub hollow: bool,
    /// Its bytes.
    pub payload: Box<[u8]>,
}

impl Written {
    /// As bytes.
    pub(crate) fn encode(&self) -> Box<[u8]> {
        let mut flags = 0;
        for (flag, holds) in [
            (BINARY, self.kind == MessageKind::Binary),
            (FROM, self.from.is_some()),
            (KEY, self.key.is_some()),
            (HOLLOW, self.hollow),
        ] {
            flags |= if holds { flag } else { 0 };
        }
        let mut out = vec![VERSION, flags];
        for number in [
            self.stand.epoch,
            self.stand.offset,
            self.at.as_millis(),
            self.token,
        ] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        if let Some(from) = self.from {
            out.extend_from_slice(from.as_bytes());
        }
        if let Some(key) = &self.key {
            put_length(&mut out, key.len());
            out.extend_from_slice(key.as_bytes());
        }
        for named in [&self.to, &self.except] {
            put_length(&mut out, named.len());
            for client in named {
                out.extend_from_slice(client.as_bytes());
            }
        }
        out.extend_from_slice(&self.payload);
        out.into()
    }

    /// What these bytes say, if they are a record.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(bytes);
        let [version, flags] = bytes.take()?;
        if version != VERSION || flags & !FLAGS != 0 {
            return None;
        }
        let has = |flag| flags & flag != 0;
        let [epoch, offset, at, token] = [
            bytes.number()?,
            bytes.number()?,
            bytes.number()?,
            bytes.number()?,
        ];
        // No home has given such a place, nor could it give the next.
        let is_place = |number: u64| number >> EPOCH_BITS == 0;
        if offset == 0 || !is_place(epoch) || !is_place(offset) {
            return None;
        }
        let from = if has(FROM) {
            Some(bytes.client()?)
        } else {
            None
        };
        let key = if has(KEY) { Some(bytes.text()?) } else { None };
        let (to, except) = (bytes.clients()?, bytes.clients()?);
        let (kind, payload) = if has(BINARY) {
            (MessageKind::Binary, bytes.0)
        } else {
            let text = core::str::from_utf8(bytes.0).ok()?;
            (MessageKind::Text, text.as_bytes())
        };
        Some(Self {
            stand: Stand { epoch, offset },
            at: UnixTime::from_millis(at),
            token,
            from,
            key,
            kind,
            to,
            except,
            hollow: has(HOLLOW),
            payload: payload.into(),
        })
    }
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    let length = u16::try_from(length).expect("keys and names are bounded far below");
    out.extend_from_slice(&length.to_be_bytes());
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn client(&mut self) -> Option<ClientId> {
        self.take().map(ClientId::from_bytes)
    }

    fn length(&mut self) -> Option<usize> {
        self.take().map(|length| u16::from_be_bytes(length).into())
    }

    fn text(&mut self) -> Option<Arc<str>> {
        let length = self.length()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        core::str::from_utf8(text).ok().map(Arc::from)
    }

    fn clients(&mut self) -> Option<Box<[ClientId]>> {
        let length = self.length()?;
        (0..length).map(|_| self.client()).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clients() -> impl Strategy<Value = Box<[ClientId]>> {
        let client = any::<[u8; 16]>().prop_map(ClientId::from_bytes);
        prop::collection::vec(client, 0..4).prop_map(Vec::into_boxed_slice)
    }

    prop_compose! {
        fn written()(
            (epoch, offset) in (0_u64..1 << EPOCH_BITS, 1_u64..1 << EPOCH_BITS),
            (at, token) in (any::<u64>(), any::<u64>()),
            from in prop::option::of(any::<[u8; 16]>().prop_map(ClientId::from_bytes)),
            key in prop::option::of("[a-zé]{1,20}"),
            (text, hollow) in (any::<bool>(), any::<bool>()),
            (to, except) in (clients(), clients()),
            payload in "\\PC{0,30}",
        ) -> Written {
            Written {
                stand: Stand { epoch, offset },
                at: UnixTime::from_millis(at),
                token,
                from,
                key: key.map(Arc::from),
                kind: if text { MessageKind::Text } else { MessageKind::Binary },
                to,
                except,
                hollow,
                payload: payload.into_bytes().into(),
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(written in written()) {
            prop_assert_eq!(Written::decode(&written.encode()), Some(written));
        }

        #[test]
        fn what_is_cut_short_before_its_payload_is_no_message(written in written()) {
            let bytes = Written { payload: Box::default(), ..written }.encode();
            for length in 0..bytes.len() {
                prop_assert_eq!(Written::decode(&bytes[..length]), None);
            }
        }

        #[test]
        fn whatever_comes_is_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let read = Written::decode(&bytes);
            prop_assert!(read.is_none_or(|read| *read.encode() == *bytes));
        }
    }

    #[test]
    fn a_place_that_no_home_gives_is_no_message() {
        let at = |epoch: u64, offset: u64| {
            let mut bytes = vec![0; 40];
            bytes[0] = VERSION;
            bytes[2..10].copy_from_slice(&epoch.to_be_bytes());
            bytes[10..18].copy_from_slice(&offset.to_be_bytes());
            Written::decode(&bytes).map(|read| (read.stand.epoch, read.stand.offset))
        };
        let last = (1 << EPOCH_BITS) - 1;
        assert_eq!(at(last, last), Some((last, last)));
        for (epoch, offset) in [(7, 0), (7, last + 1), (7, u64::MAX), (last + 1, 1)] {
            assert_eq!(at(epoch, offset), None);
        }
    }

    #[test]
    fn a_layout_to_come_is_no_message() {
        let mut bytes = vec![0; 64];
        for version in [0, 2, u8::MAX] {
            bytes[0] = version;
            assert_eq!(Written::decode(&bytes), None);
        }
    }
}
