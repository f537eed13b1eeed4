//! `/-/session`: a page signs in by a name, a password and a code, and its browser
//! is given the session in a cookie that scripts cannot read; and it signs out.
//! `/-/ticket`: who has a session is given a ticket, to open one socket by. Keeps
//! nothing; draws what it hands out, of which the control plane is told the hash.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, ORIGIN, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use porthouse_model::{ClientId, Credential, CredentialKind, Denial, Refused, Session};
use porthouse_puddle::{DeviceMark, SESSION_COOKIE, Secret, SignInBy, SignInVerdict, is_own_page};
use serde::{Deserialize, Serialize};

use super::refused::{
    Answer, FIELDS, FOREIGN, METHOD, NO_ROUTE, NOT_JSON, PATH, TWO_COOKIES, Wrong,
};
use crate::clock::Clock;
use crate::policy::client::Replicas;
use crate::policy::sign_in::Drawn;
use crate::refusals::Refusals;

/// The cookie by which a browser is known again on which somebody has signed in. It
/// opens nothing: it keeps others' wrong passwords from keeping this one waiting.
const DEVICE_COOKIE: &str = "__Host-porthouse-device";
/// How long browsers keep it.
const DEVICE_COOKIE_SECS: u64 = 365 * 24 * 3_600;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What answers.
#[derive(Debug)]
pub(crate) struct Sessions {
    pub(crate) control: Arc<Replicas>,
    /// As in the puddles' settings.
    pub(crate) page_origins: Vec<String>,
    /// Where what it refuses is kept.
    pub(crate) refusals: Arc<Refusals>,
}

/// What a page signs in by.
#[derive(Deserialize)]
struct Given {
    username: Option<String>,
    password: Option<String>,
    jwt: Option<String>,
    challenge: Option<String>,
    code: Option<String>,
}

/// For where a ticket is wanted.
#[derive(Deserialize)]
struct Wanted {
    path: String,
}

/// A ticket.
#[derive(Serialize)]
struct Ticket {
    ticket: String,
    expires_ms: u64,
}

/// As `authenticated` says it.
#[derive(Serialize)]
struct SignedIn<'a> {
    client: String,
    username: &'a str,
    expires_ms: u64,
}

/// As `challenge` says it.
#[derive(Serialize)]
struct CodeNeeded<'a> {
    step: &'static str,
    challenge: &'a str,
    expires_ms: u64,
}

impl Sessions {
    /// The answer to a request whose body has come whole.
    pub(crate) async fn answer(&self, head: &Parts, body: &[u8], address: IpAddr) -> Answer {
        let page = match self.page(&head.headers) {
            Ok(page) => page,
            Err(wrong) => return wrong.into(),
        };
        let answer = match (head.uri.path(), &head.method) {
            ("/-/session", &Method::POST) => self.sign_in(head, body, address).await,
            ("/-/session", &Method::DELETE) => self.sign_out(&head.headers).await,
            ("/-/ticket", &Method::POST) => {
                let origin = page.as_ref().and_then(|page| page.to_str().ok());
                self.ticket(&head.headers, body, origin).await
            }
            ("/-/session" | "/-/ticket", &Method::OPTIONS) => Answer::empty(204),
            ("/-/session" | "/-/ticket", _) => METHOD.into(),
            _ => NO_ROUTE.into(),
        };
        answer.readable_by(page)
    }

    /// The page that asks, where a browser says which; it must be one that may.
    fn page(&self, headers: &HeaderMap) -> Result<Option<HeaderValue>, Wrong> {
        let Some(origin) = headers.get(ORIGIN) else {
            let site = headers.get(SEC_FETCH_SITE);
            let own = site.is_none_or(|site| site == "same-origin" || site == "none");
            return if own { Ok(None) } else { Err(FOREIGN) };
        };
        let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let host = headers.get(HOST).map(text).unwrap_or_default();
        let once = headers.get_all(ORIGIN).iter().count() == 1;
        if once && is_own_page(&text(origin), &host, &self.page_origins) {
            Ok(Some(origin.clone()))
        } else {
            Err(FOREIGN)
        }
    }

    async fn sign_in(&self, head: &Parts, body: &[u8], address: IpAddr) -> Answer {
        let by = match read(&head.headers, body) {
            Ok(by) => by,
            Err(answer) => return answer,
        };
        let by_code = matches!(by, SignInBy::Code { .. });
        let token = Credential::new(CredentialKind::Session, rand::random());
        let mark = Credential::new(CredentialKind::Device, rand::random());
        let drawn = Drawn {
            session_token_sha256: token.hash().as_bytes().to_vec(),
            user_agent: user_agent(&head.headers),
            device_mark_sha256: device_mark_sha256(&head.headers),
            new_device_mark_sha256: mark.hash().as_bytes().to_vec(),
        };
        let Some(ended) = self.control.verdict(by, address, drawn).await else {
            return Refused::ControlPlaneAway.into();
        };
        match ended.verdict {
            SignInVerdict::Right { session, .. } if ended.device_marked => {
                let mark = cookie(DEVICE_COOKIE, &mark.reveal(), DEVICE_COOKIE_SECS);
                signed_in(&session, &token).with_cookie(&mark)
            }
            SignInVerdict::Right { session, .. } => signed_in(&session, &token),
            SignInVerdict::CodeNeeded { challenge, expires } => {
                let needed = CodeNeeded {
                    step: "second_factor",
                    challenge: challenge.expose(),
                    expires_ms: expires.as_millis(),
                };
                Answer::new(202, &needed)
            }
            SignInVerdict::Wrong if by_code => Refused::SignInCodeWrong.into(),
            SignInVerdict::Wrong => Refused::SignInWrong.into(),
            SignInVerdict::Gone => Refused::SignInOver.into(),
            SignInVerdict::Later(delay) => Denial::until(Refused::SignInBusy, delay).into(),
        }
    }

    /// A ticket for the page that asks.
    async fn ticket(&self, headers: &HeaderMap, body: &[u8], origin: Option<&str>) -> Answer {
        if !is_json(headers) {
            return NOT_JSON.into();
        }
        let Ok(Wanted { path }) = serde_json::from_slice(body) else {
            return PATH.into();
        };
        let session = match session_of(headers) {
            Ok(Some(session)) => session,
            Ok(None) => return Refused::CredentialUnknown.into(),
            Err(wrong) => return wrong.into(),
        };
        let ticket = Credential::new(CredentialKind::Ticket, rand::random());
        let at = (origin.unwrap_or_default().to_owned(), path);
        let made = self.control.make_ticket(session.hash(), ticket.hash(), at);
        match made.await {
            Some(Ok(Some(expires))) => {
                let made = Ticket {
                    ticket: ticket.reveal(),
                    expires_ms: expires.as_millis(),
                };
                Answer::new(201, &made)
            }
            Some(Ok(None)) => Refused::CredentialUnknown.into(),
            Some(Err(_)) => PATH.into(),
            None => Refused::ControlPlaneAway.into(),
        }
    }

    /// Who has no session is signed out already.
    async fn sign_out(&self, headers: &HeaderMap) -> Answer {
        let token = match session_of(headers) {
            Ok(token) => token,
            Err(wrong) => return wrong.into(),
        };
        let cleared = || Answer::empty(204).with_cookie(&cookie(SESSION_COOKIE, "", 0));
        match token {
            Some(token) => match self.control.sign_out(token.hash()).await {
                Some(()) => cleared(),
                None => Refused::ControlPlaneAway.into(),
            },
            None => cleared(),
        }
    }
}

fn read(headers: &HeaderMap, body: &[u8]) -> Result<SignInBy, Answer> {
    if !is_json(headers) {
        return Err(NOT_JSON.into());
    }
    let given: Given = serde_json::from_slice(body).map_err(|_| Answer::from(FIELDS))?;
    if let Some(jwt) = given.jwt {
        let others = [given.username, given.password, given.challenge, given.code];
        return if others.iter().all(Option::is_none) {
            Ok(SignInBy::Jwt(Secret::new(jwt)))
        } else {
            Err(FIELDS.into())
        };
    }
    match (given.username, given.password, given.challenge, given.code) {
        (Some(username), Some(password), None, None) => Ok(SignInBy::Password {
            // What is no user's name is nobody's.
            username: username
                .parse()
                .map_err(|_| Answer::from(Refused::SignInWrong))?,
            password: Secret::new(password),
            device: DeviceMark::Unkept,
        }),
        (None, None, Some(challenge), Some(code)) => Ok(SignInBy::Code {
            challenge: Secret::new(challenge),
            code: Secret::new(code),
            device: DeviceMark::Unkept,
        }),
        _ => Err(FIELDS.into()),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

fn signed_in(session: &Session, token: &Credential) -> Answer {
    let told = SignedIn {
        client: ClientId::from(session.user).to_string(),
        username: session.username.as_str(),
        expires_ms: session.expires.as_millis(),
    };
    let left = session
        .expires
        .as_millis()
        .saturating_sub(Clock::wall().as_millis());
    Answer::new(200, &told).with_cookie(&cookie(SESSION_COOKIE, &token.reveal(), left / 1_000))
}

fn cookie(name: &str, value: &str, secs: u64) -> String {
    format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={secs}")
}

/// The session that a request is of, by its bearer token or its cookie.
fn session_of(headers: &HeaderMap) -> Result<Option<Credential>, Wrong> {
    let bearers = headers.get_all(AUTHORIZATION).iter();
    let bearers = bearers.map(|value| {
        let value = value.to_str().unwrap_or_default();
        let (scheme, token) = value.split_once(' ').unwrap_or_default();
        if scheme.eq_ignore_ascii_case("bearer") {
            token.trim()
        } else {
            ""
        }
    });
    let mut tokens = bearers.chain(cookies(headers, SESSION_COOKIE));
    match (tokens.next(), tokens.next()) {
        (_, Some(_)) => Err(TWO_COOKIES),
        (Some(token), None) => Ok(Credential::parse(CredentialKind::Session, token).ok()),
        (None, None) => Ok(None),
    }
}

/// The hash of the mark that a browser shows. What is no mark is none.
fn device_mark_sha256(headers: &HeaderMap) -> Vec<u8> {
    let mut shown = cookies(headers, DEVICE_COOKIE);
    let mark = shown.find_map(|mark| Credential::parse(CredentialKind::Device, mark).ok());
    mark.map(|mark| mark.hash().as_bytes().to_vec())
        .unwrap_or_default()
}

/// The values of the cookies of this name.
fn cookies<'a>(headers: &'a HeaderMap, of: &'static str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(COOKIE).iter();
    let pairs = lines.flat_map(|line| line.to_str().unwrap_or_default().split(';'));
    pairs.filter_map(move |pair| {
        let (name, value) = pair.split_once('=')?;
        (name.trim() == of).then(|| value.trim())
    })
}

/// What is no user agent is none.
fn user_agent(headers: &HeaderMap) -> String {
    let given = headers
        .get(USER_AGENT)
        .and_then(|value| value.to_str().ok());
    let given = given.filter(|text| text.len() <= 1_024 && !text.contains(char::is_control));
    given.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        let lines = lines.iter().map(|(name, value)| {
            (
                name.clone(),
                HeaderValue::from_str(value).expect("a header"),
            )
        });
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value);
        }
        headers
    }

    fn status(read: Result<SignInBy, Answer>) -> u16 {
        let told = |answer: Answer| answer.into_http(&Refusals::new(), Ipv4Addr::LOCALHOST.into());
        read.map_or_else(|answer| told(answer).status().as_u16(), |_| 200)
    }

    #[test]
    fn only_json_is_read_and_only_what_signs_in() {
        let json = headers(&[(CONTENT_TYPE, "application/json; charset=utf-8")]);
        let form = headers(&[(CONTENT_TYPE, "application/x-www-form-urlencoded")]);
        let password = br#"{"username":"ada","password":"p","more":1}"#;
        assert_eq!(status(read(&json, password)), 200);
        assert_eq!(status(read(&json, br#"{"challenge":"c","code":"1"}"#)), 200);
        for headers in [
            form,
            HeaderMap::new(),
            headers(&[(CONTENT_TYPE, "text/plain")]),
        ] {
            assert_eq!(status(read(&headers, password)), 415);
        }
        for body in [
            &b""[..],
            b"{}",
            b"[]",
            br#"{"username":"ada"}"#,
            br#"{"username":"ada","password":7}"#,
            br#"{"username":"ada","username":"bob","password":"p"}"#,
            br#"{"username":"ada","password":"p","code":"1"}"#,
        ] {
            assert_eq!(status(read(&json, body)), 400, "{body:?}");
        }
        assert_eq!(
            status(read(&json, br#"{"username":"a d","password":"p"}"#)),
            401
        );
    }

    #[test]
    fn one_session_is_meant_or_none() {
        let token = Credential::new(CredentialKind::Session, [7; 32]);
        let ours = format!("a=b; {SESSION_COOKIE}={}", token.reveal());
        let bearer = format!("Bearer {}", token.reveal());
        let found = session_of(&headers(&[(COOKIE, &ours)])).expect("one");
        assert_eq!(found, Some(token.clone()));
        let found = session_of(&headers(&[(AUTHORIZATION, &bearer)])).expect("one");
        assert_eq!(found, Some(token));
        let planted = headers(&[(COOKIE, "porthouse=planted")]);
        assert_eq!(session_of(&planted), Ok(None));
        for lines in [
            [
                (COOKIE, ours.as_str()),
                (COOKIE, "__Host-porthouse=planted"),
            ],
            [(COOKIE, ours.as_str()), (AUTHORIZATION, bearer.as_str())],
        ] {
            assert_eq!(session_of(&headers(&lines)), Err(TWO_COOKIES));
        }
    }

    #[test]
    fn a_cookie_is_for_this_host_alone_and_no_script() {
        assert_eq!(
            cookie(SESSION_COOKIE, "token", 60),
            "__Host-porthouse=token; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60"
        );
    }
}
