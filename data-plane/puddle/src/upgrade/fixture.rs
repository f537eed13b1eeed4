//! Requests for this module's tests, as people's libraries send them.

use core::net::{IpAddr, Ipv4Addr};

use porthouse_model::{Credential, CredentialKind};

use super::{BadUpgrade, Head, Upgrade, read_head};
use crate::input::PuddleId;
use crate::settings::Settings;

/// Where requests come from.
pub(super) const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// The handshake of RFC 6455, section 1.3, without its first line and its end.
const HANDSHAKE: &str = "Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n";

pub(super) fn settings() -> Settings {
    Settings::new(PuddleId(0), 1)
}

/// A handshake to a target, with more header lines.
pub(super) fn handshake(target: &str, lines: &[&str]) -> String {
    let mut request = format!("GET {target} HTTP/1.1\r\n{HANDSHAKE}");
    for line in lines {
        request += line;
        request += "\r\n";
    }
    request + "\r\n"
}

/// A handshake to `/lobby` with one of its lines replaced, or taken out.
pub(super) fn altered(line: &str, by: &str) -> String {
    let whole = handshake("/lobby", &[]);
    assert!(whole.contains(line), "{line}");
    whole.replace(line, by)
}

pub(super) fn read(request: &str) -> Head {
    read_head(request.as_bytes(), PEER, &settings())
}

pub(super) fn upgrade(request: &str) -> Upgrade {
    match read(request) {
        Head::Complete { request, .. } => request,
        other @ (Head::Partial | Head::Own { .. } | Head::Bad(_)) => {
            panic!("no upgrade but {other:?}")
        }
    }
}

pub(super) fn bad(request: &str) -> BadUpgrade {
    match read(request) {
        Head::Bad(bad) => bad,
        other @ (Head::Partial | Head::Own { .. } | Head::Complete { .. }) => {
            panic!("not refused but {other:?}")
        }
    }
}

/// What a request is refused with.
pub(super) fn refused_by(request: &str) -> (u16, &'static str) {
    let bad = bad(request);
    (bad.status, bad.rule)
}

pub(super) fn session() -> Credential {
    Credential::new(CredentialKind::Session, [7; 32])
}
