//! Where a request goes: its target (RFC 9112, section 3.2) and its host, read
//! once into one meaning. Never lets an encoded path reach the node's own routes.

use std::borrow::Cow;

use super::head::Request;
use super::{BadUpgrade, Endpoint};

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
const CREDENTIALS: [&str; 2] = ["phs_", "phk_"];

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
    Ok(Target::Path(Path { path, query }))
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
                "no token in the URL, where it is logged: `Authorization: Bearer`, or the \
                 subprotocol porthouse.bearer.{token}",
            ));
        }
        Ok(())
    }

    /// The lobby, or a room. Percent-encoding is taken off once.
    pub(super) fn endpoint(&self) -> Result<Endpoint, BadUpgrade> {
        let name = match self.path {
            "" | "/" => return Ok(Endpoint::Primary),
            path => path
                .strip_prefix('/')
                .ok_or_else(|| bad_target("a target that starts with `/`"))?,
        };
        let name = decode(name).ok_or_else(|| bad_target("percent-encoded UTF-8"))?;
        let room = name
            .parse()
            .map_err(|bad: porthouse_model::BadName| BadUpgrade::new(404, "room", bad.rule))?;
        Ok(Endpoint::Room(room))
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
