//! Who is kept out of a room by name or by address, and until when. Never says
//! why: the reason is its writer's.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use crate::identity::{RoomId, UserId};
use crate::time::UnixTime;

/// A user who is kept out of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The room.
    pub room: RoomId,
    /// The user.
    pub user: UserId,
    /// When it ends by itself; `None`: never.
    pub expires: Option<UnixTime>,
}

/// Addresses that are kept out of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressBlock {
    /// Which.
    pub range: AddressRange,
    /// When it ends by itself; `None`: never.
    pub expires: Option<UnixTime>,
}

/// The most blocked ranges of one room.
pub const ADDRESS_BLOCKS_MAX: usize = 256;

/// What nodes are told of a room's blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomBlocks {
    /// Whether users are blocked, so that each must be asked about.
    pub users: bool,
    /// Which addresses are; at most [`ADDRESS_BLOCKS_MAX`].
    pub addresses: Vec<AddressBlock>,
}

/// A range of addresses, written as CIDR (RFC 4632, RFC 4291): `203.0.113.0/24`,
/// `2001:db8::/56`; a single address stands for itself. Bits past the prefix are
/// zero, and an IPv4 address in IPv6 (`::ffff:203.0.113.0/120`) is an IPv4 address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressRange {
    network: IpAddr,
    bits: u8,
}

/// Not a range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAddressRange;

impl fmt::Display for BadAddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address range is an IPv4 or IPv6 address, and /bits for more than one")
    }
}

impl std::error::Error for BadAddressRange {}

impl AddressRange {
    /// The addresses that share so many first bits with this one; `None`: it has
    /// not so many.
    #[must_use]
    pub fn new(address: IpAddr, bits: u8) -> Option<Self> {
        let network = masked(address.to_canonical(), bits)?;
        Some(Self { network, bits })
    }

    /// Whether an address is one of these.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.network.is_ipv4()
            && masked(address, self.bits) == Some(self.network)
    }
}

/// An address without the bits after the first so many.
fn masked(address: IpAddr, bits: u8) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            let rest = 32_u32.checked_sub(bits.into())?;
            let mask = u32::MAX.checked_shl(rest).unwrap_or(0);
            Some(Ipv4Addr::from_bits(address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let rest = 128_u32.checked_sub(bits.into())?;
            let mask = u128::MAX.checked_shl(rest).unwrap_or(0);
            Some(Ipv6Addr::from_bits(address.to_bits() & mask).into())
        }
    }
}

impl FromStr for AddressRange {
    type Err = BadAddressRange;

    fn from_str(text: &str) -> Result<Self, BadAddressRange> {
        let (address, bits) = match text.split_once('/') {
            None => (text, None),
            Some((address, bits)) => (address, Some(bits)),
        };
        let written: IpAddr = address.parse().map_err(|_| BadAddressRange)?;
        let address = written.to_canonical();
        let whole = if written.is_ipv4() { 32 } else { 128 };
        let bits: u8 = match bits {
            None => whole,
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse().map_err(|_| BadAddressRange)?
            }
            Some(_) => return Err(BadAddressRange),
        };
        // What stands before an IPv4 address in IPv6 is part of the prefix.
        let before = if written.is_ipv6() && address.is_ipv4() {
            96
        } else {
            0
        };
        let bits = bits.checked_sub(before).ok_or(BadAddressRange)?;
        Self::new(address, bits).ok_or(BadAddressRange)
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.bits)
    }
}

impl fmt::Debug for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> AddressRange {
        text.parse().expect("a range")
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_range_holds_its_addresses_and_no_others() {
        let net = range("203.0.113.77/24");
        assert_eq!(net.to_string(), "203.0.113.0/24");
        assert!(net.contains(address("203.0.113.255")));
        assert!(net.contains(address("::ffff:203.0.113.1")));
        assert!(!net.contains(address("203.0.114.0")) && !net.contains(address("::1")));
        let home = range("2001:db8:0:ff::/56");
        assert!(home.contains(address("2001:db8:0:1::2")));
        assert!(!home.contains(address("2001:db8:0:100::")));
        assert!(range("::/0").contains(address("2001:db8::")));
        assert!(range("0.0.0.0/0").contains(address("1.2.3.4")));
    }

    #[test]
    fn a_single_address_is_a_range_of_one() {
        let one = range("::ffff:198.51.100.7");
        assert_eq!(one.to_string(), "198.51.100.7/32");
        assert!(!one.contains(address("198.51.100.8")));
        let net = range("::ffff:198.51.100.7/120");
        assert_eq!(net.to_string(), "198.51.100.0/24");
        assert_eq!(range("2001:db8::1").to_string(), "2001:db8::1/128");
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "",
            "/8",
            "1.2.3/8",
            "1.2.3.4/33",
            "::/129",
            "::ffff:1.2.3.4/24",
            "1.2.3.4/",
            "1.2.3.4/+8",
            "a/8",
        ] {
            assert_eq!(text.parse::<AddressRange>(), Err(BadAddressRange), "{text}");
        }
    }
}
