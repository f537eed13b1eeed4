//! A connection's first bytes: a request to upgrade (RFC 6455, section 4.2), or
//! to say or hear something over plain HTTP, read into where it goes, what it
//! asks and who it says it is, or refused.
//!
//! Owns what a well-formed request is. Never decides whether somebody may enter,
//! and never keeps, shows or echoes a credential.

mod head;
mod target;
mod plain;
mod proxied;
mod offer;
mod page;
mod reply;
#[cfg(test)]
mod fixture;

use core::net::IpAddr;

use porthouse_model::{Address, Retry, RoomName, TokenHash};

use crate::home::Stand;
use crate::output::WireForm;
use crate::settings::Settings;
use crate::sibling::Shown;
pub(crate) use offer::Subprotocol;
pub use page::{SESSION_COOKIE, is_own_page};
pub(crate) use plain::{Post, Posting};
pub(crate) use reply::{accepted, bad, continued, posted, preflight, refused, turned_away};

/// What the first bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// A request's beginning, within its limits.
    Partial,
    /// A request that may be granted.
    Complete {
        /// What it asks.
        request: Upgrade,
        /// Its head's bytes; what follows them are the first frames, or a body.
        bytes: usize,
        /// Where its client is.
        from: IpAddr,
    },
    /// A request for the node's own routes, to be handed over with all bytes.
    Own {
        /// Where its client is.
        from: IpAddr,
    },
    /// A request that cannot be upgraded.
    Bad(BadUpgrade),
}

/// A request that may be granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upgrade {
    /// Where it goes.
    pub endpoint: Endpoint,
    /// How the socket will speak.
    pub form: WireForm,
    /// What it asks.
    pub asks: Asks,
    /// The subprotocol that is selected. Never one that carries a secret.
    pub subprotocol: Option<Subprotocol>,
    /// Who it says it is.
    pub credential: Presented,
    /// The sibling it says it has.
    pub bind: Bind,
    /// The page that asks, where a browser does.
    pub origin: Option<Box<str>>,
}

/// What a request asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    /// A WebSocket; this answers its key.
    Socket([u8; ACCEPT_BYTES]),
    /// To hear a room as server-sent events, after the last that was heard.
    Stream(LastEvent),
    /// To say one message.
    Post(Post),
    /// Whether a page may do so (Fetch, section 3.3).
    Preflight,
}

/// Which event of a stream its reader heard last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastEvent {
    /// It does not say: it comes for the first time.
    Nothing,
    /// The one with this place for its id.
    At(Stand),
    /// One whose id is none of ours.
    Unknown,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `/`, the lobby.
    Primary,
    /// `/{room}`.
    Room(RoomName),
    /// `/@{name}`, or a host's name: what is there must be looked up.
    Address(Address),
}

/// Who a request says it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Presented {
    /// It does not say.
    Nothing,
    /// The holder of this session's token.
    Session(TokenHash),
    /// Whoever was given this ticket.
    Ticket(TokenHash),
    /// Something that is no session's token.
    Malformed,
}

/// The sibling a request says it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bind {
    /// It does not say.
    Nothing,
    /// It shows a secret; `None`: one that no sibling was ever given.
    Shown(Option<Shown>),
}

/// A request that cannot be upgraded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadUpgrade {
    /// The HTTP status.
    pub status: u16,
    /// What was broken, by name.
    pub rule: &'static str,
    /// What is needed, for a person.
    pub needed: &'static str,
    /// Whether to try again.
    pub retry: Retry,
    /// How it is told.
    told: Told,
}

/// How a bad request is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    /// By HTTP status and body.
    Http,
    /// By a close frame: a browser asked, well enough to be upgraded.
    Close {
        accept: [u8; ACCEPT_BYTES],
        subprotocol: Option<Subprotocol>,
    },
}

/// `Sec-WebSocket-Accept` is the base64 of a SHA-1.
const ACCEPT_BYTES: usize = 28;

impl Upgrade {
    /// What is refused to it where its address leads to several rooms and it
    /// speaks of one.
    pub(crate) fn leads_to_several(&self) -> BadUpgrade {
        let mut bad = BadUpgrade::new(
            400,
            "subprotocol",
            "the subprotocol porthouse.v1 here: this address leads to several rooms",
        );
        if let (Asks::Socket(accept), Some(_)) = (&self.asks, &self.origin) {
            bad.told = Told::Close {
                accept: *accept,
                subprotocol: self.subprotocol,
            };
        }
        bad
    }
}

impl Endpoint {
    /// Its path, in the one form that it has.
    pub(crate) fn path(&self) -> String {
        match self {
            Self::Room(room) => format!("/{room}"),
            Self::Address(address) if address.as_str().starts_with('@') => format!("/{address}"),
            // A host's address is at its root.
            Self::Primary | Self::Address(_) => "/".to_owned(),
        }
    }
}

impl BadUpgrade {
    /// The session's cookie, from a page that may not use it.
    pub(crate) const FOREIGN_PAGE: Self = Self::new(
        403,
        "page.origin",
        "a page of this host, or of an origin that --page-origins names, to use the session cookie",
    );
    /// The request did not come in time.
    pub(crate) const SLOW: Self = Self {
        retry: Retry::AfterMs(1_000),
        ..Self::new(408, "handshake_time_max", "the whole request in time")
    };
    /// Too many handshakes from one address.
    pub(crate) const CROWDED: Self = Self {
        retry: Retry::AfterMs(1_000),
        ..Self::new(
            429,
            "handshakes_per_address_max",
            "fewer unfinished handshakes from this address",
        )
    };

    const fn new(status: u16, rule: &'static str, needed: &'static str) -> Self {
        Self {
            status,
            rule,
            needed,
            retry: Retry::Never,
            told: Told::Http,
        }
    }
}

/// Reads a socket's first bytes. They are read from the start each time more
/// have come.
pub(crate) fn read_head(bytes: &[u8], peer: IpAddr, settings: &Settings) -> Head {
    match head::read(bytes, settings) {
        Ok(None) => Head::Partial,
        Ok(Some((request, bytes))) => {
            whole(&request, bytes, peer, settings).unwrap_or_else(Head::Bad)
        }
        Err(bad) => Head::Bad(bad),
    }
}

fn whole(
    request: &head::Request<'_>,
    bytes: usize,
    peer: IpAddr,
    settings: &Settings,
) -> Result<Head, BadUpgrade> {
    let from = proxied::client(request, peer, &settings.hosts)?;
    Ok(match target::read(request)? {
        target::Target::Own => Head::Own { from },
        target::Target::Path(target) => Head::Complete {
            request: granted(request, &target, settings)?,
            bytes,
            from,
        },
    })
}

fn granted(
    request: &head::Request<'_>,
    target: &target::Path<'_>,
    settings: &Settings,
) -> Result<Upgrade, BadUpgrade> {
    let suffix = settings.hosts.endpoint_suffix.as_deref();
    request.is_current()?;
    let Some(asks) = plain::read(request)? else {
        return handshake(request, target, settings);
    };
    target.refuse_secrets()?;
    let endpoint = target.endpoint(suffix)?;
    if endpoint == Endpoint::Primary {
        return Err(plain::NO_ROOM);
    }
    if target.ticket()? != Presented::Nothing {
        return Err(target::ONLY_SOCKETS);
    }
    let credential = offer::Offer::default().credential(request)?;
    let credential = page::credential(credential, request, settings)?;
    if let (Asks::Post(Post { key: Some(_), .. }), Presented::Nothing) = (&asks, &credential) {
        return Err(Post::NOBODYS_KEY);
    }
    let form = match asks {
        Asks::Stream(_) => WireForm::EventStream,
        Asks::Socket(_) | Asks::Post(_) | Asks::Preflight => WireForm::Raw,
    };
    Ok(Upgrade {
        endpoint,
        form,
        asks,
        subprotocol: None,
        credential,
        bind: Bind::Nothing,
        origin: request.origin(),
    })
}

/// First what makes it a handshake at all, then what a person got wrong, which a
/// browser is told after an upgrade.
fn handshake(
    request: &head::Request<'_>,
    target: &target::Path<'_>,
    settings: &Settings,
) -> Result<Upgrade, BadUpgrade> {
    let suffix = settings.hosts.endpoint_suffix.as_deref();
    let accept = request.handshake()?;
    let offer = offer::read(request)?;
    let origin = request.origin();
    let told = |mut bad: BadUpgrade| {
        if origin.is_some() {
            bad.told = Told::Close {
                accept,
                subprotocol: offer.any(),
            };
        }
        bad
    };
    target.refuse_secrets().map_err(told)?;
    let endpoint = target.endpoint(suffix).map_err(told)?;
    let (form, subprotocol) = offer.select(&endpoint).map_err(told)?;
    let credential = offer
        .credential(request)
        .and_then(|given| target.or_ticket(given))
        .and_then(|given| page::credential(given, request, settings))
        .map_err(told)?;
    Ok(Upgrade {
        endpoint,
        form,
        asks: Asks::Socket(accept),
        subprotocol,
        credential,
        bind: offer.bind(),
        origin,
    })
}

#[cfg(test)]
mod tests {
    use super::fixture::{handshake, read, settings, upgrade};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_the_rfc_is_upgraded() {
        let request = handshake(
            "/chat",
            &[
                "Origin: http://example.com",
                "Sec-WebSocket-Protocol: chat, superchat",
            ],
        );
        let upgrade = upgrade(&request);
        assert_eq!(
            upgrade,
            Upgrade {
                endpoint: Endpoint::Room("chat".parse().expect("a name")),
                form: WireForm::Raw,
                asks: Asks::Socket(*b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
                subprotocol: None,
                credential: Presented::Nothing,
                bind: Bind::Nothing,
                origin: Some("http://example.com".into()),
            }
        );
        let mut out = Vec::new();
        accepted(&upgrade, None, &mut out);
        assert_eq!(
            String::from_utf8(out).expect("ASCII"),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        );
    }

    #[test]
    fn what_follows_the_request_is_left_for_the_frames() {
        let request = handshake("/chat", &[]);
        let pipelined = request.clone() + "frames";
        let Head::Complete { bytes, .. } = read(&pipelined) else {
            panic!("an upgrade");
        };
        assert_eq!(bytes, request.len());
    }

    #[test]
    fn a_request_may_come_in_any_pieces() {
        let request = handshake("/chat", &["Sec-WebSocket-Protocol: porthouse.plain"]);
        for bytes in 0..request.len() {
            assert_eq!(read(&request[..bytes]), Head::Partial, "{bytes}");
        }
        assert!(matches!(read(&request), Head::Complete { .. }));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = read_head(&bytes, fixture::PEER, &settings());
        }

        #[test]
        fn no_target_or_header_makes_it_panic_or_be_echoed(
            target in "/[ -~]{0,20}",
            name in prop_oneof![
                Just("Host"), Just("Origin"), Just("Authorization"),
                Just("Sec-WebSocket-Protocol"), Just("Content-Length"), Just("X"),
            ],
            value in "[ -~]{0,40}",
        ) {
            let marked = format!("{name}: {value}needle");
            let mut out = Vec::new();
            match read(&handshake(&target.replace(' ', "+"), &[&marked])) {
                Head::Complete { request, .. } => accepted(&request, None, &mut out),
                Head::Bad(refusal) => bad(&refusal, porthouse_model::RefusalId(1), &mut out),
                Head::Partial | Head::Own { .. } => {}
            }
            prop_assert!(!String::from_utf8_lossy(&out).contains("needle"));
        }
    }
}
