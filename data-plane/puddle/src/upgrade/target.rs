//! Where a request goes: its target (RFC 9112, section 3.2) and its host, read
//! once into one meaning. Never lets an encoded path reach the node's own routes.

use std::borrow::Cow;

use porthouse_model::{Credential, CredentialKind};

use super::head::Request;
use super::offer::two_credentials;
use super::{BadUpgrade, Endpoint, Presented};

/// The node's own routes.
const OWN: &str = "/-/";
/// Schemes of an absolute target.
const SCHEMES: [&str; 4] = ["http://", "https://", "ws://", "wss://"];
/// Query parameters that people put tokens in.
const TOKEN_PARAMETERS: [&str; 5] = [
    "token",
    "access_token",
    "session",
    "bearer",
    "authorization",
];
/// What a credential starts with.
const CREDENTIALS: [&str; 3] = ["phs_", "phk_", "pht_"];
/// The query parameter that holds a ticket.
const TICKET: &str = "ticket";
/// What is refused to who would say or hear something by a ticket.
pub(super) const ONLY_SOCKETS: BadUpgrade = BadUpgrade::new(
    400,
    "credential",
    "a WebSocket: a ticket opens nothing else",
);

/// Whose a target is.
#[derive(Debug)]
pub(super) enum Target<'a> {
    /// The node's own.
    Own,
    /// Not the node's own.
    Path(Path<'a>),
}

/// A path and what follows it, as they were written.
#[derive(Debug)]
pub(super) struct Path<'a> {
    /// Without its port.
    host: &'a str,
    path: &'a str,
    query: &'a str,
}

/// Reads where a request goes. Its host must be one, and the same in both places;
/// what is asked of the node's own routes is left to them.
pub(super) fn read<'a>(request: &Request<'a>) -> Result<Target<'a>, BadUpgrade> {
    if request.target.starts_with(OWN) {
        return Ok(Target::Own);
    }
    let host = host(request)?;
    let target = match split_absolute(request.target) {
        Some((authority, rest)) if authority.eq_ignore_ascii_case(host) => rest,
        Some(_) => return Err(bad_host("the same host in the target and in `Host`")),
        None => request.target,
    };
    if !target.is_ascii() || target.contains('#') {
        return Err(bad_target("a target in ASCII, without `#`"));
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path.starts_with(OWN) {
        return Ok(Target::Own);
    }
    let host = without_port(host);
    Ok(Target::Path(Path { host, path, query }))
}

/// Authority, and path with query, of an absolute target.
fn split_absolute(target: &str) -> Option<(&str, &str)> {
    let rest = SCHEMES.iter().find_map(|scheme| {
        let start = target.get(..scheme.len())?;
        start
            .eq_ignore_ascii_case(scheme)
            .then(|| &target[scheme.len()..])
    })?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    Some(rest.split_at(end))
}

fn host<'a>(request: &Request<'a>) -> Result<&'a str, BadUpgrade> {
    let host = match request.once("host") {
        Ok(Some(host)) => core::str::from_utf8(host).unwrap_or_default(),
        Ok(None) | Err(_) => "",
    };
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_host) {
        return Err(bad_host("one `Host`, in ASCII: an IDN as its A-labels"));
    }
    Ok(host)
}

const fn bad_host(needed: &'static str) -> BadUpgrade {
    BadUpgrade::new(400, "http.host", needed)
}

const fn bad_target(needed: &'static str) -> BadUpgrade {
    BadUpgrade::new(400, "http.target", needed)
}

impl Path<'_> {
    /// Refuses what must not stand in a URL, where it is logged on its way.
    pub(super) fn refuse_secrets(&self) -> Result<(), BadUpgrade> {
        let (path, query) = (lenient(self.path), lenient(self.query));
        let is_credential = CREDENTIALS
            .iter()
            .any(|prefix| path.contains(prefix) || query.contains(prefix));
        let is_parameter = query.split(['&', ';']).any(|pair| {
            let name = pair.split('=').next().unwrap_or_default();
            TOKEN_PARAMETERS
                .iter()
                .any(|token| name.eq_ignore_ascii_case(token))
        });
        if is_credential || is_parameter {
            return Err(BadUpgrade::new(
                400,
                "credential.in_url",
                "no token in the URL, where it is logged: `Authorization: Bearer`, the \
                 subprotocol porthouse.bearer.{token}, or a ticket (?ticket=), which is good once",
            ));
        }
        Ok(())
    }

    /// The ticket in the query, if there is one.
    pub(super) fn ticket(&self) -> Result<Presented, BadUpgrade> {
        let pairs = self.query.split(['&', ';']);
        let mut tickets = pairs.filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            lenient(name)
                .eq_ignore_ascii_case(TICKET)
                .then(|| lenient(value))
        });
        match (tickets.next(), tickets.next()) {
            (None, _) => Ok(Presented::Nothing),
            (Some(ticket), None) => {
                let ticket = Credential::parse(CredentialKind::Ticket, &ticket);
                Ok(ticket.map_or(Presented::Malformed, |ticket| {
                    Presented::Ticket(ticket.hash())
                }))
            }
            (Some(_), Some(_)) => Err(two_credentials()),
        }
    }

    /// Who the request is from: as was given before, or by its ticket.
    pub(super) fn or_ticket(&self, given: Presented) -> Result<Presented, BadUpgrade> {
        match (given, self.ticket()?) {
            (given, Presented::Nothing) => Ok(given),
            (Presented::Nothing, ticket) => Ok(ticket),
            (_, _) => Err(two_credentials()),
        }
    }

    /// The lobby, a room, or an address; `/` is a host's address where the host
    /// ends with this suffix. Percent-encoding is taken off once.
    pub(super) fn endpoint(&self, host_suffix: Option<&str>) -> Result<Endpoint, BadUpgrade> {
        let name = match self.path {
            "" | "/" => return self.at_root(host_suffix),
            path => path
                .strip_prefix('/')
                .ok_or_else(|| bad_target("a target that starts with `/`"))?,
        };
        let name = decode(name).ok_or_else(|| bad_target("percent-encoded UTF-8"))?;
        if name.starts_with('@') {
            return address(&name);
        }
        let room = name
            .parse()
            .map_err(|bad: porthouse_model::BadName| BadUpgrade::new(404, "room", bad.rule))?;
        Ok(Endpoint::Room(room))
    }

    fn at_root(&self, host_suffix: Option<&str>) -> Result<Endpoint, BadUpgrade> {
        let host = self.host.to_ascii_lowercase();
        // A name that is written whole is the same name.
        let host = host.strip_suffix('.').unwrap_or(&host);
        match host_suffix {
            Some(suffix) if host.ends_with(suffix) => address(host),
            Some(_) | None => Ok(Endpoint::Primary),
        }
    }
}

fn address(text: &str) -> Result<Endpoint, BadUpgrade> {
    text.parse()
        .map(Endpoint::Address)
        .map_err(|bad: porthouse_model::BadName| BadUpgrade::new(404, "endpoint", bad.rule))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

/// Takes percent-encoding off, once.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        decoded.push(if byte == b'%' {
            hex(rest.next()?)? << 4 | hex(rest.next()?)?
        } else {
            byte
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// Decoded, or as it was where it cannot be.
fn lenient(text: &str) -> Cow<'_, str> {
    decode(text).unwrap_or(Cow::Borrowed(text))
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use porthouse_model::{Credential, CredentialKind};

    use super::super::Presented;
    use super::super::fixture::{PEER, altered, handshake, read, refused_by, session, upgrade};
    use super::super::{Endpoint, Head};

    const V1: &str = "Sec-WebSocket-Protocol: porthouse.v1";

    fn room(target: &str) -> String {
        match upgrade(&handshake(target, &[])).endpoint {
            Endpoint::Room(room) => room.to_string(),
            other @ (Endpoint::Primary | Endpoint::Address(_)) => panic!("{target}: {other:?}"),
        }
    }

    #[test]
    fn a_path_is_a_room_and_nothing_the_lobby() {
        assert_eq!(room("/lobby"), "lobby");
        assert_eq!(room("/chat:42~x"), "chat:42~x");
        assert_eq!(room("/lobby?v=1&lang=de"), "lobby");
        assert_eq!(upgrade(&handshake("/", &[V1])).endpoint, Endpoint::Primary);
        assert_eq!(
            upgrade(&handshake("/?v=1", &[V1])).endpoint,
            Endpoint::Primary
        );
    }

    #[test]
    fn percent_encoding_is_taken_off_once() {
        assert_eq!(room("/%6cobb%79"), "lobby");
        for target in [
            "/a%00",
            "/a%2fb",
            "/%256cobby",
            "/%2d/live",
            "/%2d%2flive",
            "/..%2f-%2flive",
        ] {
            assert_eq!(
                refused_by(&handshake(target, &[])),
                (404, "room"),
                "{target}"
            );
        }
        for target in ["/%", "/%6", "/%zz", "/%ff", "/a%e2%82"] {
            assert_eq!(
                refused_by(&handshake(target, &[])),
                (400, "http.target"),
                "{target}"
            );
        }
    }

    #[test]
    fn a_name_that_is_no_rooms_is_refused_with_the_rule() {
        let long = format!("/{}", "r".repeat(129));
        for target in [
            "//",
            "/lobby/",
            "/a/b",
            "/./-/live",
            "/../-/live",
            "/-",
            "/.",
            "/..",
            "/a..b",
            "/a@b",
            "/a*",
            "/a>",
            "/%e2%80%aeabc",
            "/%d0%b0",
            &long,
        ] {
            assert_eq!(
                refused_by(&handshake(target, &[])),
                (404, "room"),
                "{target}"
            );
        }
        assert_eq!(refused_by(&handshake("/a#b", &[])), (400, "http.target"));
        assert_eq!(refused_by(&handshake("*", &[])), (400, "http.target"));
        assert_eq!(refused_by(&handshake("lobby", &[])), (400, "http.target"));
    }

    #[test]
    fn the_nodes_own_routes_are_handed_over_and_reached_in_no_other_way() {
        for request in [
            handshake("/-/live", &[]),
            handshake("/-/", &[]),
            handshake("http://server.example.com/-/live", &[]),
            "POST /-/session HTTP/1.1\r\nContent-Length: 5\r\n\r\n".to_owned(),
            "GET /-/ready HTTP/1.0\r\n\r\n".to_owned(),
        ] {
            assert_eq!(read(&request), Head::Own { from: PEER }, "{request}");
        }
        assert_eq!(read("GET /-/live HTTP/1.1\r\n"), Head::Partial);
        assert_eq!(
            refused_by(&handshake("http://other.example.com/-/live", &[])),
            (400, "http.host")
        );
    }

    #[test]
    fn there_is_one_host() {
        let line = "Host: server.example.com\r\n";
        for by in [
            String::new(),
            line.repeat(2),
            format!("{line}Host: other.example.com\r\n"),
            "Host: \r\n".to_owned(),
            "Host: münchen.example\r\n".to_owned(),
            "Host: a/b\r\n".to_owned(),
            "Host: user@a\r\n".to_owned(),
        ] {
            assert_eq!(refused_by(&altered(line, &by)), (400, "http.host"), "{by}");
        }
        upgrade(&altered(line, "Host: [::1]:4000\r\n"));
        upgrade(&handshake(
            "/lobby",
            &["X-Forwarded-Host: other.example.com"],
        ));
    }

    #[test]
    fn an_address_is_a_path_with_an_at() {
        let ada = Endpoint::Address("@ada.l".parse().expect("an address"));
        for target in ["/@ada.l", "/@Ada.L?v=1", "/%40ada.l"] {
            assert_eq!(upgrade(&handshake(target, &[])).endpoint, ada, "{target}");
        }
        for target in [
            "/@",
            "/@ada/",
            "/@a:b",
            "/@@ada",
            "/@../x",
            "/@%00",
            "/%2540ada",
        ] {
            assert_eq!(refused_by(&handshake(target, &[])).0, 404, "{target}");
        }
    }

    #[test]
    fn a_host_is_an_address_where_its_suffix_is_set() {
        let mut settings = super::super::fixture::settings();
        settings.hosts.endpoint_suffix = Some(".example.com".into());
        let endpoint =
            |request: &str| match super::super::read_head(request.as_bytes(), PEER, &settings) {
                Head::Complete { request, .. } => Ok(request.endpoint),
                Head::Bad(bad) => Err((bad.status, bad.rule)),
                other @ (Head::Partial | Head::Own { .. }) => panic!("{other:?}"),
            };
        let at = |host: &str, target: &str| {
            let request = handshake(target, &[V1]);
            endpoint(&request.replace("server.example.com", host))
        };
        let alice = Endpoint::Address("alice.example.com".parse().expect("an address"));
        assert_eq!(at("alice.example.com", "/"), Ok(alice.clone()));
        assert_eq!(at("ALICE.Example.com:4000", "/?v=1"), Ok(alice.clone()));
        assert_eq!(at("alice.example.com.", "/"), Ok(alice.clone()));
        assert_eq!(at("alice.example.com.:4000", "/"), Ok(alice.clone()));
        assert_eq!(
            at("Alice.example.com", "http://alice.EXAMPLE.com/"),
            Ok(alice)
        );
        for own in [
            "example.com",
            "localhost:4000",
            "alice.example.org",
            "[::1]:80",
        ] {
            assert_eq!(at(own, "/"), Ok(Endpoint::Primary), "{own}");
        }
        for none in [
            ".example.com",
            "-a.example.com",
            "a..example.com",
            "..example.com.",
        ] {
            assert_eq!(at(none, "/"), Err((404, "endpoint")), "{none}");
        }
        // One canonical host: what a proxy claims, or another in the target, is none.
        assert_eq!(
            at("example.com", "http://alice.example.com/"),
            Err((400, "http.host"))
        );
        let claimed = handshake("/", &[V1, "X-Forwarded-Host: alice.example.com"]);
        let claimed = claimed.replace("server.example.com", "example.com");
        assert_eq!(endpoint(&claimed), Ok(Endpoint::Primary));
        let idn = handshake("/", &[V1]).replace("server.example.com", "\u{e4}.example.com");
        assert_eq!(endpoint(&idn), Err((400, "http.host")));
    }

    #[test]
    fn an_absolute_target_names_the_same_host() {
        for target in [
            "http://server.example.com/lobby",
            "WS://SERVER.example.com/lobby?v=1",
            "wss://server.example.com/lobby",
        ] {
            assert_eq!(room(target), "lobby");
        }
        for target in [
            "http://other.example.com/lobby",
            "http://server.example.com:80/lobby",
            "http://server.example.com@other.example.com/lobby",
            "http:///lobby",
        ] {
            assert_eq!(
                refused_by(&handshake(target, &[])),
                (400, "http.host"),
                "{target}"
            );
        }
        let lobby = upgrade(&handshake("http://server.example.com", &[V1]));
        assert_eq!(lobby.endpoint, Endpoint::Primary);
    }

    #[test]
    fn a_ticket_in_the_url_is_a_credential_of_its_own() {
        let ticket = Credential::new(CredentialKind::Ticket, [3; 32]);
        let target = format!("/lobby?v=1&ticket={}", ticket.reveal());
        let shown = upgrade(&handshake(&target, &[]));
        assert_eq!(shown.credential, Presented::Ticket(ticket.hash()));
        assert!(!format!("{shown:?}").contains(&ticket.reveal()[4..]));
        for mistyped in ["/lobby?ticket=", "/lobby?ticket", "/lobby?ticket=pho_x"] {
            let shown = upgrade(&handshake(mistyped, &[]));
            assert_eq!(shown.credential, Presented::Malformed, "{mistyped}");
        }
        let bearer = format!("Authorization: Bearer {}", session().reveal());
        assert_eq!(
            refused_by(&handshake(&target, &[&bearer])),
            (400, "credential")
        );
        let twice = format!("{target}&ticket=x");
        assert_eq!(refused_by(&handshake(&twice, &[])), (400, "credential"));
        let heard =
            format!("GET {target} HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n");
        assert_eq!(refused_by(&heard), (400, "credential"));
    }

    #[test]
    fn a_token_in_the_url_is_refused_wherever_it_hides() {
        let token = session().reveal();
        for target in [
            "/lobby?token=x".to_owned(),
            "/lobby?v=1&Access_Token=x".to_owned(),
            "/lobby?v=1;session=x".to_owned(),
            "/lobby?%74oken=x".to_owned(),
            "/?token".to_owned(),
            format!("/lobby?v={token}"),
            format!("/lobby?v=%70hs_{}", &token[4..]),
            format!("/{token}"),
        ] {
            let request = handshake(&target, &[]);
            assert_eq!(refused_by(&request), (400, "credential.in_url"), "{target}");
            assert!(!format!("{:?}", read(&request)).contains(&token[4..]));
        }
        assert_eq!(room("/lobby?tokens=3"), "lobby");
    }
}
