//! Which addresses count as one: whoever has one of a network's has them all.
//! Never resolves or asks anybody.

use core::net::{IpAddr, Ipv6Addr};

/// Of an IPv6 address, what a provider gives to one customer (RFC 6177).
const IPV6_PREFIX_BITS: u32 = 56;

/// The network that an address counts as: its own, or the /56 of an IPv6
/// address. One that only carries an IPv4 address is that.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let host_bits = u128::BITS - IPV6_PREFIX_BITS;
            IpAddr::V6(Ipv6Addr::from_bits(
                address.to_bits() >> host_bits << host_bits,
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str) -> String {
        network_of(address.parse().expect("an address")).to_string()
    }

    #[test]
    fn a_sprayed_network_counts_as_one() {
        assert_eq!(network("2001:db8:1:200::1"), network("2001:db8:1:2ff:9::"));
        assert_ne!(network("2001:db8:1:200::1"), network("2001:db8:1:300::1"));
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }
}
