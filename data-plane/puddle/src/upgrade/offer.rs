//! What a client offers to speak, and who it says it is. The two are read
//! together, for a browser can only put its token among the subprotocols. Owns
//! which subprotocol is selected; never selects one that carries a secret.

use core::fmt;

use porthouse_model::Credential;
use smallvec::SmallVec;

use super::head::{Repeated, Request};
use super::{BadUpgrade, Bind, Endpoint, Presented};
use crate::output::WireForm;
use crate::sibling::BindSecret;

/// The most subprotocols a client may offer.
const SUBPROTOCOLS_MAX: usize = 32;
/// What all of ours start with.
const OURS: &str = "porthouse.";
/// What a session's or a device's token follows.
const BEARER: &str = "porthouse.bearer.";
/// What the secret of a sibling follows.
const BIND: &str = "porthouse.bind.";
/// The scheme of RFC 6750, in the `Authorization` header.
const BEARER_SCHEME: &str = "bearer ";

/// A subprotocol that can be selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subprotocol {
    /// Many rooms over one socket.
    V1,
    /// Raw frames from the first one, as without any subprotocol. For browsers,
    /// which fail a socket whose offer was not answered.
    Plain,
    /// Raw frames after a handshake of JSON lines, in which a door can ask.
    RawV1,
    /// Commands for a raw socket beside it.
    SiblingV1,
}

impl Subprotocol {
    const ALL: [Self; 4] = [Self::V1, Self::RawV1, Self::SiblingV1, Self::Plain];

    /// Its name on the wire.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::V1 => "porthouse.v1",
            Self::Plain => "porthouse.plain",
            Self::RawV1 => "porthouse.raw.v1",
            Self::SiblingV1 => "porthouse.sibling.v1",
        }
    }
}

/// What a client offers.
#[derive(Default)]
pub(super) struct Offer<'a> {
    names: SmallVec<[&'a str; 4]>,
}

impl fmt::Debug for Offer<'_> {
    /// Never the names: one may be a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Offer({} names)", self.names.len())
    }
}

/// Reads the subprotocols a request offers (RFC 6455, section 4.1, item 10).
pub(super) fn read<'a>(request: &Request<'a>) -> Result<Offer<'a>, BadUpgrade> {
    let mut names: SmallVec<[&str; 4]> = SmallVec::new();
    for element in request.elements("sec-websocket-protocol") {
        if names.len() == SUBPROTOCOLS_MAX {
            return Err(bad("at most 32 subprotocols"));
        }
        let name = core::str::from_utf8(element).unwrap_or_default();
        if name.is_empty() || !name.bytes().all(is_token) || names.contains(&name) {
            return Err(bad(
                "subprotocols that are tokens (RFC 9110) and all differ",
            ));
        }
        names.push(name);
    }
    Ok(Offer { names })
}

const fn bad(needed: &'static str) -> BadUpgrade {
    BadUpgrade::new(400, "subprotocol", needed)
}

/// A character of a token (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

impl Offer<'_> {
    fn has(&self, subprotocol: Subprotocol) -> bool {
        self.names.contains(&subprotocol.name())
    }

    /// One that can be selected to tell a browser why it is refused.
    pub(super) fn any(&self) -> Option<Subprotocol> {
        Subprotocol::ALL
            .into_iter()
            .find(|subprotocol| self.has(*subprotocol))
    }

    /// What the socket will speak there. Names that are not ours are not
    /// selected, and do no harm; one of ours that cannot be had there does, for
    /// who offers it expects more than raw frames.
    pub(super) fn select(
        &self,
        endpoint: &Endpoint,
    ) -> Result<(WireForm, Option<Subprotocol>), BadUpgrade> {
        let is_other = |name: &&str| name.starts_with(OURS) && !name.starts_with(BEARER);
        let binds = self.names.iter().filter(|name| name.starts_with(BIND));
        match (binds.count(), endpoint) {
            (0, _) => {}
            (1, Endpoint::Room(_) | Endpoint::Address(_))
                if self.has(Subprotocol::RawV1) && !self.has(Subprotocol::SiblingV1) => {}
            (_, _) => {
                return Err(bad(
                    "one porthouse.bind.{secret}, beside porthouse.raw.v1, at a room's own address",
                ));
            }
        }
        match endpoint {
            Endpoint::Primary | Endpoint::Room(_) | Endpoint::Address(_)
                if self.has(Subprotocol::SiblingV1) =>
            {
                Ok((WireForm::Multiplexed, Some(Subprotocol::SiblingV1)))
            }
            Endpoint::Primary | Endpoint::Address(_) if self.has(Subprotocol::V1) => {
                Ok((WireForm::Multiplexed, Some(Subprotocol::V1)))
            }
            Endpoint::Primary => Err(bad(
                "the subprotocol porthouse.v1 or porthouse.sibling.v1 here; or connect at /{room} for raw frames",
            )),
            Endpoint::Room(_) | Endpoint::Address(_) if self.has(Subprotocol::RawV1) => {
                Ok((WireForm::Raw, Some(Subprotocol::RawV1)))
            }
            Endpoint::Room(_) | Endpoint::Address(_) if self.has(Subprotocol::Plain) => {
                Ok((WireForm::Raw, Some(Subprotocol::Plain)))
            }
            Endpoint::Room(_) if self.has(Subprotocol::V1) => Err(bad(
                "to connect at / for porthouse.v1; a room's own address speaks raw frames, with \
                 porthouse.raw.v1, porthouse.plain or none",
            )),
            Endpoint::Address(_) if self.names.iter().any(is_other) => Err(bad(
                "porthouse.v1, porthouse.raw.v1, porthouse.sibling.v1, porthouse.plain or no \
                 subprotocol at an endpoint's address",
            )),
            Endpoint::Room(_) if self.names.iter().any(is_other) => Err(bad(
                "porthouse.raw.v1, porthouse.plain or no subprotocol at a room's own address; \
                 porthouse.v1 at /",
            )),
            Endpoint::Room(_) | Endpoint::Address(_) => Ok((WireForm::Raw, None)),
        }
    }

    /// The sibling that the request says it has.
    pub(super) fn bind(&self) -> Bind {
        let mut secrets = self.names.iter().filter_map(|name| name.strip_prefix(BIND));
        secrets.next().map_or(Bind::Nothing, |text| {
            Bind::Shown(BindSecret::parse(text).map(|secret| secret.shown()))
        })
    }

    /// Who the request says it is from: by header, by subprotocol, or by both
    /// if they agree.
    pub(super) fn credential(&self, request: &Request<'_>) -> Result<Presented, BadUpgrade> {
        let mut tokens = self
            .names
            .iter()
            .filter_map(|name| name.strip_prefix(BEARER));
        let offered = tokens.next();
        let header = match request.once("authorization") {
            Ok(header) => header.map(bearer),
            Err(Repeated) => return Err(two_credentials()),
        };
        if tokens.next().is_some() {
            return Err(two_credentials());
        }
        match (header, offered) {
            (None, None) => Ok(Presented::Nothing),
            (Some(Some(token)), None) | (None, Some(token)) => Ok(presented(token)),
            (Some(header), Some(token)) if header == Some(token) => Ok(presented(token)),
            (Some(_), Some(_)) => Err(two_credentials()),
            (Some(None), None) => Ok(Presented::Malformed),
        }
    }
}

pub(super) const fn two_credentials() -> BadUpgrade {
    BadUpgrade::new(
        400,
        "credential",
        "one credential: two that differ were given",
    )
}

/// The token of a `Bearer` header.
fn bearer(value: &[u8]) -> Option<&str> {
    let value = core::str::from_utf8(value).ok()?;
    let scheme = value.get(..BEARER_SCHEME.len())?;
    scheme
        .eq_ignore_ascii_case(BEARER_SCHEME)
        .then(|| value[BEARER_SCHEME.len()..].trim_matches(' '))
}

fn presented(token: &str) -> Presented {
    Credential::of_client(token).map_or(Presented::Malformed, |credential| {
        Presented::Session(credential.hash())
    })
}

#[cfg(test)]
mod tests {
    use porthouse_model::CredentialKind;

    use super::super::fixture::{bad, handshake, refused_by, session, upgrade};
    use super::*;

    fn offering(target: &str, names: &str) -> String {
        handshake(target, &[&format!("Sec-WebSocket-Protocol: {names}")])
    }

    fn selected(target: &str, names: &str) -> Option<Subprotocol> {
        upgrade(&offering(target, names)).subprotocol
    }

    #[test]
    fn the_lobby_speaks_v1_alone() {
        let lobby = upgrade(&offering("/", "mqtt,  porthouse.v1 , porthouse.plain"));
        assert_eq!(lobby.form, WireForm::Multiplexed);
        assert_eq!(lobby.subprotocol, Some(Subprotocol::V1));
        for request in [
            handshake("/", &[]),
            offering("/", "porthouse.plain"),
            offering("/", "Porthouse.V1"),
        ] {
            let bad = bad(&request);
            assert_eq!((bad.status, bad.rule), (400, "subprotocol"));
            assert!(bad.needed.contains("porthouse.v1"), "{}", bad.needed);
        }
    }

    #[test]
    fn a_room_speaks_raw_frames() {
        assert_eq!(upgrade(&handshake("/a", &[])).form, WireForm::Raw);
        assert_eq!(selected("/a", "porthouse.plain"), Some(Subprotocol::Plain));
        let both = upgrade(&offering("/a", "porthouse.v1, porthouse.plain"));
        assert_eq!(both.subprotocol, Some(Subprotocol::Plain));
        assert_eq!(both.form, WireForm::Raw);
        assert_eq!(
            selected("/a", "mqtt, soap"),
            None,
            "unknown names do no harm"
        );
    }

    #[test]
    fn who_expects_more_than_raw_frames_at_a_room_is_told_where_to_go() {
        let hint = bad(&offering("/a", "porthouse.v1"));
        assert_eq!((hint.status, hint.rule), (400, "subprotocol"));
        assert!(hint.needed.contains("connect at /"), "{}", hint.needed);
        for names in [
            "porthouse.raw.v2",
            "porthouse.sibling.v2, mqtt",
            "porthouse.v2",
        ] {
            assert_eq!(
                refused_by(&offering("/a", names)),
                (400, "subprotocol"),
                "{names}"
            );
        }
    }

    #[test]
    fn an_offer_is_made_of_few_different_tokens() {
        let many = |count| {
            let names: Vec<_> = (0..count).map(|number| format!("p{number}")).collect();
            names.join(",")
        };
        assert_eq!(selected("/a", &many(32)), None);
        for names in [
            &many(33),
            &many(1_000),
            "mqtt, mqtt",
            "caf\u{e9}",
            "a b",
            "a;b",
            "\"a\"",
            "a/b",
        ] {
            assert_eq!(
                refused_by(&offering("/a", names)),
                (400, "subprotocol"),
                "{names}"
            );
        }
        let spaced = format!("mqtt,{}porthouse.plain,,", " ".repeat(8_000));
        assert_eq!(selected("/a", &spaced), Some(Subprotocol::Plain));
        let lines = [
            "Sec-WebSocket-Protocol: mqtt",
            "sec-websocket-protocol: porthouse.v1",
        ];
        let repeated = upgrade(&handshake("/", &lines));
        assert_eq!(repeated.subprotocol, Some(Subprotocol::V1));
    }

    #[test]
    fn a_session_is_presented_by_header_or_subprotocol() {
        let token = session().reveal();
        let holder = Presented::Session(session().hash());
        for scheme in ["Bearer", "bearer", "BEARER  "] {
            let line = format!("Authorization: {scheme} {token}");
            assert_eq!(upgrade(&handshake("/a", &[&line])).credential, holder);
        }
        let offer = format!("porthouse.bearer.{token}, porthouse.v1");
        let offered = upgrade(&offering("/", &offer));
        assert_eq!(offered.credential, holder);
        assert_eq!(
            offered.subprotocol,
            Some(Subprotocol::V1),
            "never the secret"
        );
        let alone = upgrade(&offering("/a", &format!("porthouse.bearer.{token}")));
        assert_eq!((alone.credential, alone.subprotocol), (holder, None));
        assert_eq!(
            upgrade(&handshake("/a", &[])).credential,
            Presented::Nothing
        );
    }

    #[test]
    fn what_is_no_token_is_told_apart_from_nothing() {
        let key = Credential::new(CredentialKind::ApiKey, [7; 32]).reveal();
        for line in [
            "Authorization: Bearer",
            "Authorization: Bearer x",
            "Authorization: Basic YTpi",
            "Authorization: \u{e9}",
            &format!("Authorization: Bearer {key}"),
            "Sec-WebSocket-Protocol: porthouse.bearer.x",
            "Sec-WebSocket-Protocol: porthouse.bearer.",
        ] {
            let malformed = upgrade(&handshake("/a", &[line]));
            assert_eq!(malformed.credential, Presented::Malformed, "{line}");
        }
    }

    #[test]
    fn two_credentials_must_agree() {
        let token = session().reveal();
        let header = format!("Authorization: Bearer {token}");
        let offer = format!("Sec-WebSocket-Protocol: porthouse.bearer.{token}");
        let twice = upgrade(&handshake("/a", &[&header, &offer]));
        assert_eq!(twice.credential, Presented::Session(session().hash()));
        for lines in [
            [&header[..], "Sec-WebSocket-Protocol: porthouse.bearer.x"],
            ["Authorization: Basic YTpi", &offer],
            [&header, &header],
            [&offer, "Sec-WebSocket-Protocol: porthouse.bearer.x"],
        ] {
            assert_eq!(refused_by(&handshake("/a", &lines)), (400, "credential"));
        }
    }

    #[test]
    fn an_offer_is_never_shown() {
        let names = SmallVec::from_slice(&["porthouse.bearer.secret"]);
        assert_eq!(format!("{:?}", Offer { names }), "Offer(1 names)");
    }
}
