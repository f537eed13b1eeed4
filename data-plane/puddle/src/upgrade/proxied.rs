//! Which client a request is of that a proxy in front has passed on: as the proxy
//! says (`X-Forwarded-For`), where it is one that is trusted. Nobody else is
//! believed about where they are.

use core::net::IpAddr;

use super::BadUpgrade;
use super::head::Request;
use crate::settings::Hosts;

const BAD: BadUpgrade = BadUpgrade::new(
    400,
    "http.x_forwarded_for",
    "addresses in `X-Forwarded-For`, as the proxy in front adds them: what it says here is none",
);

/// The address that a request came from. Each proxy adds the one it was reached
/// from at the end, so from there on backwards the first that is no trusted
/// proxy's counts; what stands before it, anybody may have written.
pub(super) fn client(
    request: &Request<'_>,
    peer: IpAddr,
    hosts: &Hosts,
) -> Result<IpAddr, BadUpgrade> {
    if !hosts.trust(peer) {
        return Ok(peer);
    }
    let passed: Vec<&[u8]> = request.elements("x-forwarded-for").collect();
    let mut client = peer;
    for said in passed.into_iter().rev() {
        client = address(said).ok_or(BAD)?;
        if !hosts.trust(client) {
            break;
        }
    }
    Ok(client)
}

/// An address, with or without a port, which some proxies add.
fn address(said: &[u8]) -> Option<IpAddr> {
    let said = core::str::from_utf8(said).ok()?;
    let alone = said.strip_prefix('[').and_then(|said| {
        let (address, port) = said.split_once(']')?;
        (port.is_empty() || is_port(port.strip_prefix(':')?)).then_some(address)
    });
    let alone = alone.or_else(|| {
        let (address, port) = said.split_once(':')?;
        (is_port(port) && !address.is_empty()).then_some(address)
    });
    let address: IpAddr = alone.unwrap_or(said).parse().ok()?;
    Some(address.to_canonical())
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixture::{handshake, settings};
    use super::super::{Head, read_head};
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn proxies() -> crate::Settings {
        let mut settings = settings();
        settings.hosts.trusted_proxies = ["10.0.0.0/8", "2001:db8::/32"]
            .map(|range| range.parse().expect("a range"))
            .into();
        settings
    }

    /// Where a request with these lines came from, or with what it is refused.
    fn from(peer: &str, lines: &[&str]) -> Result<String, (u16, &'static str)> {
        let request = handshake("/lobby", lines);
        match read_head(request.as_bytes(), ip(peer), &proxies()) {
            Head::Complete { from, .. } => Ok(from.to_string()),
            Head::Bad(bad) => Err((bad.status, bad.rule)),
            other @ (Head::Partial | Head::Own { .. }) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_trusted_proxy_says_whom_it_speaks_for() {
        for (lines, client) in [
            (&["X-Forwarded-For: 192.0.2.1"][..], "192.0.2.1"),
            (&["X-Forwarded-For: 192.0.2.1, 10.9.9.9"], "192.0.2.1"),
            (&["X-Forwarded-For: 198.51.100.7, 192.0.2.1"], "192.0.2.1"),
            (
                &[
                    "X-Forwarded-For: 198.51.100.7",
                    "x-forwarded-for: 192.0.2.1",
                ],
                "192.0.2.1",
            ),
            (&["X-Forwarded-For: nonsense, 192.0.2.1"], "192.0.2.1"),
            (&["X-Forwarded-For: 192.0.2.1:5012"], "192.0.2.1"),
            (&["X-Forwarded-For: [2001:db9::1]:443"], "2001:db9::1"),
            (&["X-Forwarded-For: [2001:db9::1]"], "2001:db9::1"),
            (&["X-Forwarded-For: 2001:db9::1"], "2001:db9::1"),
            (&["X-Forwarded-For: ::ffff:192.0.2.1"], "192.0.2.1"),
            (&["X-Forwarded-For: 10.1.1.1, 10.2.2.2"], "10.1.1.1"),
            (&["X-Forwarded-For: "], "10.0.0.1"),
            (&[], "10.0.0.1"),
            (&["Forwarded: for=192.0.2.1"], "10.0.0.1"),
        ] {
            assert_eq!(from("10.0.0.1", lines).as_deref(), Ok(client), "{lines:?}");
        }
        let mapped = from("::ffff:10.0.0.1", &["X-Forwarded-For: 192.0.2.1"]);
        assert_eq!(mapped.as_deref(), Ok("192.0.2.1"));
    }

    #[test]
    fn nobody_else_is_believed() {
        for lines in [
            &["X-Forwarded-For: 192.0.2.1"][..],
            &["X-Forwarded-For: nonsense"],
        ] {
            let believed = from("203.0.113.5", lines);
            assert_eq!(believed.as_deref(), Ok("203.0.113.5"));
        }
    }

    #[test]
    fn a_proxy_that_names_no_address_is_told_so() {
        for said in [
            "nonsense",
            "192.0.2.1, unknown",
            "nonsense, 10.0.0.2",
            "192.0.2",
            "192.0.2.1:",
            "192.0.2.1:x",
            "192.0.2.1:99999",
            "[192.0.2.1",
            "[2001:db9::1]x",
            "fe80::1%eth0",
            ":80",
        ] {
            let line = format!("X-Forwarded-For: {said}");
            let refused = from("10.0.0.1", &[&line]);
            assert_eq!(refused, Err((400, "http.x_forwarded_for")), "{said}");
        }
    }

    #[test]
    fn the_nodes_own_routes_are_told_of_the_client_too() {
        let request = "GET /-/live HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n";
        let head = read_head(request.as_bytes(), ip("10.0.0.1"), &proxies());
        let from = ip("192.0.2.1");
        assert_eq!(head, Head::Own { from });
    }

    proptest! {
        #[test]
        fn whatever_a_client_writes_what_the_proxy_adds_counts(
            lines in prop::collection::vec("[ -~]{0,30}", 0..4),
            same_line: bool,
        ) {
            let mut lines: Vec<String> =
                lines.iter().map(|line| format!("X-Forwarded-For: {line}")).collect();
            match lines.last_mut().filter(|_| same_line) {
                Some(last) => last.push_str(", 192.0.2.1"),
                None => lines.push("X-Forwarded-For: 192.0.2.1".to_owned()),
            }
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let client = from("10.0.0.1", &lines);
            prop_assert_eq!(client.as_deref(), Ok("192.0.2.1"));
        }

        #[test]
        fn no_bytes_make_it_panic(said: Vec<u8>) {
            let _ = address(&said);
        }
    }
}
