//! Which rules about connecting can be kept. Never judges a connection.

use porthouse_model::ConnectionRules;

use super::{ROLES_MAX, within};
use crate::compile::RuleFault;

/// The most users in one list.
const USERS_MAX: usize = 1_000;

/// The most origins.
const ORIGINS_MAX: usize = 64;

/// The longest origin, in bytes: a scheme, a host of 253 and a port.
const ORIGIN_BYTES_MAX: usize = 273;

pub(super) fn check(rules: &ConnectionRules) -> Result<(), RuleFault> {
    let role_lists = [
        ("connection.roles_allowed", rules.roles_allowed.len()),
        ("connection.roles_denied", rules.roles_denied.len()),
    ];
    let user_lists = [
        ("connection.users_allowed", rules.users_allowed.len()),
        ("connection.users_denied", rules.users_denied.len()),
    ];
    within(&role_lists, ROLES_MAX)?;
    within(&user_lists, USERS_MAX)?;
    within(&[("connection.origins", rules.origins.len())], ORIGINS_MAX)?;
    contradictions(rules)?;
    if let Some(bad) = rules.origins.iter().find(|origin| !is_origin(origin)) {
        let shown: String = bad.chars().take(64).collect();
        let needed = format!(
            "origins as browsers send them, https://app.example or http://localhost:8080, \
             unlike {shown:?}"
        );
        return Err(RuleFault::new("connection.origins", needed));
    }
    numbers(rules)
}

fn contradictions(rules: &ConnectionRules) -> Result<(), RuleFault> {
    let both = |field, both: String| {
        let needed = format!("none that is allowed as well, unlike {both}");
        Err(RuleFault::new(field, needed))
    };
    if let Some(role) = rules.roles_allowed.intersection(&rules.roles_denied).next() {
        return both("connection.roles_denied", role.to_string());
    }
    if let Some(user) = rules.users_allowed.intersection(&rules.users_denied).next() {
        return both("connection.users_denied", user.to_string());
    }
    Ok(())
}

fn numbers(rules: &ConnectionRules) -> Result<(), RuleFault> {
    if rules.sockets_max == Some(0) {
        let needed = "1 or more, or unset for no limit of the room's own";
        return Err(RuleFault::new("connection.sockets_max", needed));
    }
    let each = rules.sockets_per_client.map(|limit| limit.sockets_max);
    let room = rules.sockets_max.unwrap_or(u32::MAX);
    if each.is_some_and(|each| each == 0 || each > room) {
        let field = "connection.sockets_per_client.sockets_max";
        let needed = "1 or more, and no more than the room holds";
        return Err(RuleFault::new(field, needed));
    }
    Ok(())
}

/// A tuple origin as it is serialised (RFC 6454, section 6.2): scheme, host and
/// a port that is not the scheme's own. Never `null`, which anybody can send.
fn is_origin(origin: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, Some(port)),
        Some(_) | None => (authority, None),
    };
    origin.len() <= ORIGIN_BYTES_MAX
        && is_scheme(scheme)
        && is_host(host)
        && port.is_none_or(|port| is_port(scheme, port))
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte)
        })
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        // Written as browsers write it, or it never matches.
        return address
            .parse::<core::net::Ipv6Addr>()
            .is_ok_and(|parsed| parsed.to_string() == address);
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte)
            })
    };
    host.split('.').all(label)
}

fn is_port(scheme: &str, port: &str) -> bool {
    let own = match scheme {
        "http" => "80",
        "https" => "443",
        _ => "",
    };
    port != own
        && port
            .parse::<u16>()
            .is_ok_and(|number| number > 0 && number.to_string() == port)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use porthouse_model::{ClientSockets, Role, Surplus, UserId};
    use proptest::prelude::*;

    use super::*;

    fn fault(rules: &ConnectionRules) -> String {
        check(rules).expect_err("refused").field.into_owned()
    }

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        for origin in [
            "https://app.example",
            "http://localhost:8080",
            "https://xn--bcher-kva.example",
            "https://10.0.0.1:8443",
            "http://[::1]:3000",
            "https://[2001:db8::1]",
            "app://local",
        ] {
            assert!(is_origin(origin), "{origin}");
        }
        for origin in [
            "",
            "null",
            "*",
            "app.example",
            "https://",
            "https://app.example/",
            "https://a b",
            "https://App.example",
            "HTTPS://app.example",
            "https://app.example:443",
            "http://a:80",
            "https://a:0",
            "https://a:99999",
            "https://a:08",
            "https://a:",
            "https://user@a",
            "https://a..b",
            "https://*.example",
            "https://bücher.example",
            "https://[::1",
            "https://[0:0:0:0:0:0:0:1]",
            "https://a?b",
            "https://a#b",
        ] {
            assert!(!is_origin(origin), "{origin}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_named() {
        let user = UserId::from_bytes([1; 16]);
        let users = ConnectionRules {
            users_allowed: BTreeSet::from([user]),
            users_denied: BTreeSet::from([user]),
            ..ConnectionRules::default()
        };
        assert_eq!(fault(&users), "connection.users_denied");
        let roles = ConnectionRules {
            roles_allowed: BTreeSet::from([Role::MEMBER]),
            roles_denied: BTreeSet::from([Role::MEMBER]),
            ..ConnectionRules::default()
        };
        assert_eq!(fault(&roles), "connection.roles_denied");
        let crowded = |sockets_max, each| ConnectionRules {
            sockets_max,
            sockets_per_client: Some(ClientSockets {
                sockets_max: each,
                surplus: Surplus::Oldest,
            }),
            ..ConnectionRules::default()
        };
        assert_eq!(check(&crowded(Some(2), 2)), Ok(()));
        let each = "connection.sockets_per_client.sockets_max";
        assert_eq!(fault(&crowded(Some(2), 3)), each);
        assert_eq!(fault(&crowded(None, 0)), each);
        assert_eq!(fault(&crowded(Some(0), 1)), "connection.sockets_max");
    }

    #[test]
    fn lists_are_bounded() {
        let users = (0..=1_000_u128).map(|user| UserId::from_bytes(user.to_be_bytes()));
        let rules = ConnectionRules {
            users_denied: users.collect(),
            ..ConnectionRules::default()
        };
        assert_eq!(fault(&rules), "connection.users_denied");
        let rules = ConnectionRules {
            origins: (0..65).map(|at| format!("https://a{at}")).collect(),
            ..ConnectionRules::default()
        };
        assert_eq!(fault(&rules), "connection.origins");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(origin: String) {
            let _ = is_origin(&origin);
        }
    }
}
