//! Ranges of addresses, whatever they are: which addresses they hold, and that
//! they are read back as they are written.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use porthouse_model::AddressRange;
use proptest::prelude::*;

/// Whether two addresses share so many first bits, one by one.
fn share(one: &[u8], other: &[u8], bits: u8) -> bool {
    let bit = |bytes: &[u8], at: usize| (bytes[at / 8] >> (7 - at % 8)) & 1;
    (0..usize::from(bits)).all(|at| bit(one, at) == bit(other, at))
}

/// An address that often shares its first bits with this one.
fn near4(address: u32) -> impl Strategy<Value = u32> {
    (0..=32_u32, any::<u32>()).prop_map(move |(kept, rest)| {
        let mask = u32::MAX.checked_shr(kept).unwrap_or(0);
        (address & !mask) | (rest & mask)
    })
}

fn near6(address: u128) -> impl Strategy<Value = u128> {
    (0..=128_u32, any::<u128>()).prop_map(move |(kept, rest)| {
        let mask = u128::MAX.checked_shr(kept).unwrap_or(0);
        (address & !mask) | (rest & mask)
    })
}

fn two4() -> impl Strategy<Value = (Ipv4Addr, Ipv4Addr)> {
    let near = |address: u32| (Just(address), near4(address));
    let two = any::<u32>().prop_flat_map(near);
    two.prop_map(|(one, other)| (one.into(), other.into()))
}

/// Of which neither is an IPv4 address.
fn two6() -> impl Strategy<Value = (Ipv6Addr, Ipv6Addr)> {
    let near = |address: u128| (Just(address), near6(address));
    let two = any::<u128>().prop_flat_map(near);
    let two = two.prop_map(|(one, other)| (Ipv6Addr::from(one), Ipv6Addr::from(other)));
    two.prop_filter("an IPv4 address", |(one, other)| {
        [one, other]
            .iter()
            .all(|one| one.to_ipv4_mapped().is_none())
    })
}

fn range(address: impl Into<IpAddr>, bits: u8) -> AddressRange {
    AddressRange::new(address.into(), bits).expect("so many bits")
}

proptest! {
    #[test]
    fn an_ipv4_range_holds_what_shares_its_bits_however_it_is_written(
        (one, other) in two4(),
        bits in 0..=32_u8,
    ) {
        let expected = share(&one.octets(), &other.octets(), bits);
        let mapped = other.to_ipv6_mapped();
        let written: AddressRange = format!("{}/{}", one.to_ipv6_mapped(), 96 + bits)
            .parse()
            .expect("a range");
        prop_assert_eq!(written, range(one, bits));
        for range in [range(one, bits), range(one.to_ipv6_mapped(), bits)] {
            prop_assert_eq!(range.contains(other.into()), expected);
            prop_assert_eq!(range.contains(mapped.into()), expected);
            prop_assert!(range.contains(one.into()));
        }
    }

    #[test]
    fn an_ipv6_range_holds_what_shares_its_bits(
        (one, other) in two6(),
        bits in 0..=128_u8,
    ) {
        let expected = share(&one.octets(), &other.octets(), bits);
        prop_assert_eq!(range(one, bits).contains(other.into()), expected);
    }

    #[test]
    fn no_range_of_one_kind_holds_an_address_of_the_other(
        (four, _) in two4(),
        (six, _) in two6(),
        bits in 0..=32_u8,
    ) {
        prop_assert!(!range(four, bits).contains(six.into()));
        prop_assert!(!range(six, bits).contains(four.into()));
        prop_assert!(!range(six, bits).contains(four.to_ipv6_mapped().into()));
    }

    #[test]
    fn a_range_is_read_back_as_it_is_written(
        (four, _) in two4(),
        (six, _) in two6(),
        bits in 0..=128_u8,
    ) {
        let ranges = [range(six, bits), range(four, bits % 33)];
        for range in ranges {
            prop_assert_eq!(range.to_string().parse(), Ok(range));
        }
    }

    #[test]
    fn whatever_is_read_is_a_range_or_refused(text in "[0-9a-f:./]{0,40}") {
        if let Ok(range) = text.parse::<AddressRange>() {
            prop_assert_eq!(range.to_string().parse(), Ok(range));
        }
    }
}
