//! How a value is written into a black box and read back: numbers in as few bytes
//! as they need (LEB128), texts and lists behind their length, an enum's variant
//! by its number. Owns the bytes of what every value is made of; a file's whole
//! form is in `dump.rs`.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::num::NonZeroU32;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is read is no such value: the bytes were cut, changed, or are of another
/// version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Garbled {
    /// What was to be read.
    pub what: &'static str,
}

impl fmt::Display for Garbled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no {} where one must be", self.what)
    }
}

impl core::error::Error for Garbled {}

pub(super) const fn garbled(what: &'static str) -> Garbled {
    Garbled { what }
}

/// A value that a black box keeps.
pub(super) trait Kept: Sized {
    /// Writes it.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads it.
    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled>;

    /// Writes several in a row.
    fn write_all(these: &[Self], out: &mut Vec<u8>) {
        for one in these {
            one.write(out);
        }
    }

    /// Reads so many. Each takes a byte at least, so a list is never longer than
    /// what is left to read.
    fn read_all(count: usize, from: &mut Reader<'_>) -> Result<Vec<Self>, Garbled> {
        if count > from.left() {
            return Err(garbled("list of that length"));
        }
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(Self::read(from)?);
        }
        Ok(all)
    }
}

/// Bytes, from the front.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// How many are left.
    pub(super) const fn left(&self) -> usize {
        self.0.len()
    }

    /// So many of them.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Garbled> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or(garbled("text or list of that length"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// So many of them, by type.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Garbled> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(garbled("fixed field"))?;
        self.0 = rest;
        Ok(*taken)
    }

    /// A list's length and its bytes.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Garbled> {
        let count = usize::read(self)?;
        self.take(count)
    }

    /// A text.
    pub(super) fn text(&mut self) -> Result<&'a str, Garbled> {
        core::str::from_utf8(self.bytes()?).map_err(|_| garbled("text in UTF-8"))
    }
}

pub(super) fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    bytes.len().write(out);
    out.extend_from_slice(bytes);
}

/// Structs, field by field. That all are named is seen by the compiler.
macro_rules! fields {
    ($($name:ty { $($field:ident),* $(,)? })*) => {$(
        impl Kept for $name {
            fn write(&self, out: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $($field.write(out);)*
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
                Ok(Self { $($field: Kept::read(from)?),* })
            }
        }
    )*};
}
pub(super) use fields;

/// Enums, each variant by its number. That all are named is seen by the compiler;
/// that no number is given twice too, as a pattern that is never reached.
macro_rules! variants {
    ($($name:ty {
        $($number:literal $variant:ident $(($($at:ident),*))? $({ $($field:ident),* })?,)*
    })*) => {$(
        impl Kept for $name {
            fn write(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $(($($at),*))? $({ $($field),* })? => {
                        out.push($number);
                        $($($at.write(out);)*)?
                        $($($field.write(out);)*)?
                    })*
                }
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
                Ok(match u8::read(from)? {
                    $($number => Self::$variant
                        $(($({
                            let $at = Kept::read(from)?;
                            $at
                        }),*))?
                        $({ $($field: Kept::read(from)?),* })?,)*
                    _ => return Err(Garbled { what: stringify!($name) }),
                })
            }
        }
    )*};
}
pub(super) use variants;

/// What is written as it is shown, and parsed when it is read.
macro_rules! texts {
    ($($name:ty: $what:literal)*) => {$(
        impl Kept for $name {
            fn write(&self, out: &mut Vec<u8>) {
                write_bytes(self.to_string().as_bytes(), out);
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
                from.text()?.parse().map_err(|_| garbled($what))
            }
        }
    )*};
}
pub(super) use texts;

impl Kept for u64 {
    fn write(&self, out: &mut Vec<u8>) {
        let mut left = *self;
        loop {
            let [low, ..] = left.to_le_bytes();
            left >>= 7;
            if left == 0 {
                return out.push(low & 0x7f);
            }
            out.push(low | 0x80);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = u8::read(from)?;
            let bits = Self::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(garbled("number of 64 bits"))
    }
}

impl Kept for usize {
    fn write(&self, out: &mut Vec<u8>) {
        (*self as u64).write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        Self::try_from(u64::read(from)?).map_err(|_| garbled("number of this machine"))
    }
}

impl Kept for u32 {
    fn write(&self, out: &mut Vec<u8>) {
        u64::from(*self).write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        Self::try_from(u64::read(from)?).map_err(|_| garbled("number of 32 bits"))
    }
}

impl Kept for u16 {
    fn write(&self, out: &mut Vec<u8>) {
        u64::from(*self).write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        Self::try_from(u64::read(from)?).map_err(|_| garbled("number of 16 bits"))
    }
}

impl Kept for i64 {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        from.array().map(Self::from_le_bytes)
    }
}

impl Kept for u8 {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        let (first, rest) = from.0.split_first().ok_or(garbled("further byte"))?;
        from.0 = rest;
        Ok(*first)
    }

    fn write_all(these: &[Self], out: &mut Vec<u8>) {
        out.extend_from_slice(these);
    }

    fn read_all(count: usize, from: &mut Reader<'_>) -> Result<Vec<Self>, Garbled> {
        from.take(count).map(<[Self]>::to_vec)
    }
}

impl Kept for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        match u8::read(from)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(garbled("yes or no")),
        }
    }
}

impl Kept for NonZeroU32 {
    fn write(&self, out: &mut Vec<u8>) {
        self.get().write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        Self::new(u32::read(from)?).ok_or(garbled("number above zero"))
    }
}

impl Kept for Duration {
    fn write(&self, out: &mut Vec<u8>) {
        self.as_secs().write(out);
        self.subsec_nanos().write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        let (seconds, nanos) = (u64::read(from)?, u32::read(from)?);
        if nanos >= 1_000_000_000 {
            return Err(garbled("duration"));
        }
        Ok(Self::new(seconds, nanos))
    }
}

impl Kept for IpAddr {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::V4(address) => {
                out.push(4);
                out.extend_from_slice(&address.octets());
            }
            Self::V6(address) => {
                out.push(6);
                out.extend_from_slice(&address.octets());
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        match u8::read(from)? {
            4 => Ok(Ipv4Addr::from(from.array::<4>()?).into()),
            6 => Ok(Ipv6Addr::from(from.array::<16>()?).into()),
            _ => Err(garbled("address")),
        }
    }
}

impl<T: Kept> Kept for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.is_some().write(out);
        if let Some(value) = self {
            value.write(out);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        bool::read(from)?.then(|| T::read(from)).transpose()
    }
}

impl<T: Kept, U: Kept> Kept for (T, U) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        Ok((T::read(from)?, U::read(from)?))
    }
}

impl<T: Kept> Kept for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.len().write(out);
        T::write_all(self, out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        let count = usize::read(from)?;
        T::read_all(count, from)
    }
}

impl<T: Kept> Kept for Box<[T]> {
    fn write(&self, out: &mut Vec<u8>) {
        self.len().write(out);
        T::write_all(self, out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        Vec::read(from).map(Into::into)
    }
}

impl<T: Kept> Kept for Arc<[T]> {
    fn write(&self, out: &mut Vec<u8>) {
        self.len().write(out);
        T::write_all(self, out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        Vec::read(from).map(Into::into)
    }
}

impl<T: Kept> Kept for Box<T> {
    fn write(&self, out: &mut Vec<u8>) {
        T::write(self, out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        T::read(from).map(Self::new)
    }
}

impl<T: Kept> Kept for Arc<T> {
    fn write(&self, out: &mut Vec<u8>) {
        T::write(self, out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        T::read(from).map(Self::new)
    }
}

impl<T: Kept + Ord> Kept for BTreeSet<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.len().write(out);
        for one in self {
            one.write(out);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        Vec::read(from).map(|all: Vec<T>| all.into_iter().collect())
    }
}

impl<K: Kept + Ord, V: Kept> Kept for BTreeMap<K, V> {
    fn write(&self, out: &mut Vec<u8>) {
        self.len().write(out);
        for (key, value) in self {
            key.write(out);
            value.write(out);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        Vec::read(from).map(|all: Vec<(K, V)>| all.into_iter().collect())
    }
}

impl Kept for String {
    fn write(&self, out: &mut Vec<u8>) {
        write_bytes(self.as_bytes(), out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        from.text().map(str::to_owned)
    }
}

impl Kept for Box<str> {
    fn write(&self, out: &mut Vec<u8>) {
        write_bytes(self.as_bytes(), out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        from.text().map(Into::into)
    }
}

impl Kept for Arc<str> {
    fn write(&self, out: &mut Vec<u8>) {
        write_bytes(self.as_bytes(), out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Garbled> {
        from.text().map(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn back<T: Kept>(value: &T) -> T {
        let mut out = Vec::new();
        value.write(&mut out);
        let mut from = Reader(&out);
        let read = T::read(&mut from).expect("what was written");
        assert_eq!(from.left(), 0, "nothing is left");
        for cut in (0..out.len()).step_by(1 + out.len() / 16) {
            assert!(T::read(&mut Reader(&out[..cut])).is_err(), "cut at {cut}");
        }
        read
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_what_is_cut_is_not(
            number in any::<u64>(),
            bits in 0..64_u32,
            lists in any::<Vec<(u32, Option<String>)>>(),
            bytes in any::<Box<[u8]>>(),
            span in any::<Duration>(),
            address in any::<IpAddr>(),
            map in any::<BTreeMap<u16, bool>>(),
            signed in any::<i64>(),
        ) {
            prop_assert_eq!(back(&(number >> bits)), number >> bits);
            prop_assert_eq!(back(&lists), lists);
            prop_assert_eq!(back(&bytes), bytes);
            prop_assert_eq!(back(&span), span);
            prop_assert_eq!(back(&address), address);
            prop_assert_eq!(back(&map), map);
            prop_assert_eq!(back(&signed), signed);
        }

        #[test]
        fn whatever_is_read_nothing_panics(bytes in any::<Vec<u8>>()) {
            let _ = Vec::<(u64, Option<String>)>::read(&mut Reader(&bytes));
            let _ = BTreeMap::<Box<str>, IpAddr>::read(&mut Reader(&bytes));
        }
    }

    #[test]
    fn a_length_that_cannot_be_takes_no_memory() {
        let mut out = Vec::new();
        u64::MAX.write(&mut out);
        assert!(Vec::<u64>::read(&mut Reader(&out)).is_err());
        assert!(Vec::<u8>::read(&mut Reader(&out)).is_err());
        assert!(u64::read(&mut Reader(&[0xff; 10])).is_err());
    }
}
