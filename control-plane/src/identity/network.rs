//! Which addresses count as one, and which nobody outside can have. Pure: looks
//! nothing up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The network an address is of, as wrong answers from it are counted: of IPv4 a
/// /24, of IPv6 what one subscriber has (a /56). What is no address stands for
/// itself.
pub(crate) fn network(address: &str) -> String {
    match address
        .parse::<IpAddr>()
        .map(|address| address.to_canonical())
    {
        Ok(IpAddr::V4(address)) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        Ok(IpAddr::V6(address)) => {
            let subscriber = u128::from(address) & (u128::MAX << 72);
            format!("{}/56", Ipv6Addr::from(subscriber))
        }
        Err(_) => address.to_owned(),
    }
}

/// Whether an address is one that anybody on the internet may have, and none of
/// this machine, its networks or a special use (RFC 6890).
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224..=255, _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 168, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !special
}

/// Of IPv6 only `2000::/3` was given out; in it are ranges that lead to IPv4, which
/// count by where they lead.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, ..] = address.segments();
    let inner = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match (a, b) {
        // 6to4 (RFC 3056), and translation (RFC 6052).
        (0x2002, _) => inner(b, c),
        (0x64, 0xff9b) => inner(address.segments()[6], address.segments()[7]),
        // Protocol assignments, Teredo among them; documentation.
        (0x2001, 0..=0x1ff | 0xdb8) | (0x3fff, 0..=0xfff) => false,
        _ => (0x2000..=0x3fff).contains(&a),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_subscriber_counts_as_one() {
        let sprayed = [
            "2a02:8071:1:aa01::1",
            "2a02:8071:1:aaff:1::",
            "2a02:8071:1:aa00::",
        ];
        for address in sprayed {
            assert_eq!(network(address), "2a02:8071:1:aa00::/56", "{address}");
        }
        assert_ne!(network("2a02:8071:1:ab00::"), network(sprayed[0]));
        assert_eq!(network("192.0.2.255"), "192.0.2.0/24");
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_eq!(network("unix"), "unix");
    }

    #[test]
    fn only_addresses_that_anybody_may_have_are_public() {
        let public = [
            "1.1.1.1",
            "172.32.0.1",
            "2606:4700::1111",
            "2002:101:101::",
            "100.128.0.1",
        ];
        for address in public {
            assert!(is_public(address.parse().expect("an address")), "{address}");
        }
        let private = [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.1.1",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "3fff::1",
            "4000::1",
        ];
        for address in private {
            assert!(
                !is_public(address.parse().expect("an address")),
                "{address}"
            );
        }
    }
}
