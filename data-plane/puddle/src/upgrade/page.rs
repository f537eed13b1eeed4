//! What a browser adds by itself: the session's cookie, and which page asks. A
//! cookie counts only for pages that may use it, so that no other page acts in a
//! user's name. Never shows a cookie.

use porthouse_model::{Credential, CredentialKind};

use super::head::{Repeated, Request};
use super::{BadUpgrade, Presented};
use crate::settings::Settings;

/// The cookie that holds a session's token. By its prefix browsers take it from
/// this very host alone, over TLS, for all paths (RFC 6265bis, section 4.1.3.2).
pub const SESSION_COOKIE: &str = "__Host-porthouse";

const TWO_COOKIES: BadUpgrade = BadUpgrade::new(
    400,
    "credential",
    "one cookie __Host-porthouse: more were given",
);

/// Whether a page of this origin may use the session cookie: one of the origins
/// that are named, or, where none is, one of the node's own host.
#[must_use]
pub fn is_own_page(origin: &str, host: &str, origins: &[String]) -> bool {
    if origins.is_empty() {
        let own = ["https://", "http://"]
            .iter()
            .find_map(|scheme| origin.strip_prefix(scheme));
        return own.is_some_and(|own| own.eq_ignore_ascii_case(host));
    }
    origins.iter().any(|named| named == origin)
}

/// Who the request is from: as was given on purpose, else by the cookie. A request
/// with the cookie must be of a page that may use it, whatever else it gives.
pub(super) fn credential(
    given: Presented,
    request: &Request<'_>,
    settings: &Settings,
) -> Result<Presented, BadUpgrade> {
    let Some(token) = cookie(request)? else {
        return Ok(given);
    };
    if !is_of_own_page(request, settings) {
        return Err(BadUpgrade::FOREIGN_PAGE);
    }
    if given != Presented::Nothing {
        return Ok(given);
    }
    let session = Credential::parse(CredentialKind::Session, token);
    Ok(session.map_or(Presented::Malformed, |session| {
        Presented::Session(session.hash())
    }))
}

/// The value of the one cookie that counts. Cookies of other names are others'.
fn cookie<'a>(request: &Request<'a>) -> Result<Option<&'a str>, BadUpgrade> {
    let pairs = request
        .values("cookie")
        .flat_map(|line| line.split(|byte| *byte == b';'));
    let mut ours = pairs.filter_map(|pair| {
        let value = pair.trim_ascii().strip_prefix(SESSION_COOKIE.as_bytes())?;
        let value = value.trim_ascii_start().strip_prefix(b"=")?.trim_ascii();
        Some(core::str::from_utf8(value).unwrap_or_default())
    });
    match (ours.next(), ours.next()) {
        (_, Some(_)) => Err(TWO_COOKIES),
        (cookie, None) => Ok(cookie),
    }
}

/// A WebSocket always says its page's origin. Other requests of the same origin may
/// not, and then a browser says that they are (Fetch Metadata).
fn is_of_own_page(request: &Request<'_>, settings: &Settings) -> bool {
    let host = match request.once("host") {
        Ok(Some(host)) => core::str::from_utf8(host).unwrap_or_default(),
        Ok(None) | Err(Repeated) => return false,
    };
    match request.origin() {
        Some(origin) => is_own_page(&origin, host, &settings.hosts.page_origins),
        None => !request.upgrades() && request.once("sec-fetch-site") == Ok(Some(b"same-origin")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{PEER, handshake, refused_by, session, settings, upgrade};
    use super::super::{Head, read_head};
    use super::*;

    const OWN: &str = "Origin: https://server.example.com";

    fn cookie_line() -> String {
        format!(
            "Cookie: theme=dark; __Host-porthouse={}; a=b",
            session().reveal()
        )
    }

    #[test]
    fn a_cookie_is_a_session_for_pages_of_the_same_host() {
        let holder = Presented::Session(session().hash());
        for origin in [OWN, "Origin: http://Server.example.com"] {
            let own = upgrade(&handshake("/a", &[&cookie_line(), origin]));
            assert_eq!(own.credential, holder);
        }
    }

    #[test]
    fn a_page_of_another_origin_may_not_use_it_nor_may_who_hides_the_page() {
        let bearer = format!("Authorization: Bearer {}", session().reveal());
        for lines in [
            vec![cookie_line(), "Origin: https://evil.example".to_owned()],
            vec![
                cookie_line(),
                "Origin: https://server.example.com.evil.example".to_owned(),
            ],
            vec![
                cookie_line(),
                "Origin: https://server.example.com:8443".to_owned(),
            ],
            vec![cookie_line(), "Origin: null".to_owned()],
            vec![cookie_line(), "Origin: server.example.com".to_owned()],
            vec![cookie_line(), OWN.to_owned(), OWN.to_owned()],
            vec![cookie_line()],
            vec![cookie_line(), "Sec-Fetch-Site: same-origin".to_owned()],
            vec![
                cookie_line(),
                "Origin: https://evil.example".to_owned(),
                bearer,
            ],
        ] {
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            assert_eq!(
                refused_by(&handshake("/a", &lines)),
                (403, "page.origin"),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn origins_that_are_named_count_and_no_other() {
        let mut settings = settings();
        settings.hosts.page_origins = vec!["https://app.example.com".to_owned()];
        let by = |origin: &str| {
            let request = handshake("/a", &[&cookie_line(), origin]);
            match read_head(request.as_bytes(), PEER, &settings) {
                Head::Complete { request, .. } => Ok(request.credential),
                Head::Bad(bad) => Err(bad.rule),
                other @ (Head::Partial | Head::Own { .. }) => panic!("{other:?}"),
            }
        };
        assert_eq!(
            by("Origin: https://app.example.com"),
            Ok(Presented::Session(session().hash()))
        );
        assert_eq!(by(OWN), Err("page.origin"));
        assert_eq!(by("Origin: http://app.example.com"), Err("page.origin"));
    }

    #[test]
    fn a_page_of_the_same_origin_may_hear_and_say_without_a_socket() {
        let token = session().reveal();
        let request = |line: &str| {
            format!(
                "GET /a HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\
                 Cookie: __Host-porthouse={token}\r\n{line}\r\n\r\n"
            )
        };
        let holder = Presented::Session(session().hash());
        assert_eq!(
            upgrade(&request("Sec-Fetch-Site: same-origin")).credential,
            holder
        );
        assert_eq!(upgrade(&request("Origin: https://a")).credential, holder);
        for line in ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: none", "A: b"] {
            assert_eq!(refused_by(&request(line)), (403, "page.origin"), "{line}");
        }
    }

    #[test]
    fn only_the_one_cookie_counts() {
        let token = session().reveal();
        for line in [
            format!("Cookie: porthouse={token}"),
            format!("Cookie: __Secure-porthouse={token}"),
            format!("Cookie: __host-porthouse={token}"),
            format!("Cookie: __Host-porthouse2={token}"),
            format!("Cookie: x__Host-porthouse={token}"),
            format!("X-Cookie: __Host-porthouse={token}"),
        ] {
            let planted = upgrade(&handshake("/a", &[&line, OWN]));
            assert_eq!(planted.credential, Presented::Nothing, "{line}");
        }
        let one = cookie_line();
        let twice = format!("Cookie: __Host-porthouse={token}; __Host-porthouse={token}");
        assert_eq!(
            refused_by(&handshake("/a", &[&twice, OWN])),
            (400, "credential")
        );
        let planted = "Cookie: __Host-porthouse=planted";
        for lines in [[one.as_str(), planted, OWN], [planted, one.as_str(), OWN]] {
            assert_eq!(refused_by(&handshake("/a", &lines)), (400, "credential"));
        }
        let mistyped = upgrade(&handshake("/a", &[planted, OWN]));
        assert_eq!(mistyped.credential, Presented::Malformed);
    }

    #[test]
    fn what_is_given_on_purpose_counts_before_the_cookie() {
        let other = Credential::new(CredentialKind::Session, [9; 32]);
        let bearer = format!("Authorization: Bearer {}", other.reveal());
        let both = upgrade(&handshake("/a", &[&cookie_line(), OWN, &bearer]));
        assert_eq!(both.credential, Presented::Session(other.hash()));
    }
}
