//! What the node's own routes answer, as JSON. Owns the words for what is wrong
//! with a request; a refusal's own words are the table's.

use std::net::IpAddr;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL, CONTENT_TYPE,
    RETRY_AFTER, SET_COOKIE, VARY,
};
use http::{HeaderValue, Response, StatusCode};
use porthouse_model::{Denial, RefusalId, Refused, Retry};
use porthouse_puddle::Cause;
use serde::Serialize;

use crate::refusals::Refusals;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    body: Says,
    retry: Retry,
    cookies: Vec<HeaderValue>,
    /// The page that may read it.
    page: Option<HeaderValue>,
}

/// What an answer says.
#[derive(Debug)]
enum Says {
    Nothing,
    Json(String),
    /// Something is refused, and named when it is told.
    Refusal(Box<Cause>),
}

/// Something wrong with a request, that the same request will not mend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    status: u16,
    rule: &'static str,
    needed: &'static str,
}

pub(crate) const TOO_LONG: Wrong = wrong(413, "http.body", "at most 20480 bytes of body");
pub(crate) const TOO_SLOW: Wrong = wrong(408, "http.body", "the whole body in time");
pub(crate) const UNREADABLE: Wrong = wrong(400, "http.body", "a body as its length says");
pub(super) const NOT_JSON: Wrong = wrong(415, "http.content_type", "application/json");
pub(super) const FOREIGN: Wrong = wrong(
    403,
    "page.origin",
    "a page of this host, or of an origin that --page-origins names",
);
pub(super) const METHOD: Wrong = wrong(405, "http.method", "POST, or DELETE to sign out");
pub(super) const NO_ROUTE: Wrong = wrong(
    404,
    "http.target",
    "/-/session, /-/ticket, /-/live or /-/ready",
);
pub(super) const TWO_COOKIES: Wrong = wrong(
    400,
    "credential",
    "one cookie __Host-porthouse, or one bearer token",
);
pub(super) const FIELDS: Wrong = wrong(
    400,
    "http.body",
    "a JSON object with `username` and `password`, or `jwt`, or `challenge` and `code`, as strings",
);

pub(super) const PATH: Wrong = wrong(
    400,
    "http.body",
    "a JSON object whose `path` is `/`, `/{room}` or `/@{address}`, decoded",
);

const fn wrong(status: u16, rule: &'static str, needed: &'static str) -> Wrong {
    Wrong {
        status,
        rule,
        needed,
    }
}

#[derive(Serialize)]
struct Body {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    rule: &'static str,
    needed: &'static str,
    retry: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u32>,
    refusal_id: String,
    message: String,
}

impl Body {
    fn new(cause: Cause, retry: Retry, id: RefusalId) -> Self {
        let (rule, needed) = (cause.rule(), cause.needed());
        let (retry, retry_after_ms) = match retry {
            Retry::Never => ("never", None),
            Retry::Authenticate => ("authenticate", None),
            Retry::AfterMs(ms) => ("after", Some(ms)),
            Retry::Elsewhere => ("elsewhere", None),
        };
        Self {
            code: cause.code().map(|code| code.0),
            rule,
            needed,
            retry,
            retry_after_ms,
            refusal_id: id.to_string(),
            message: format!("Refused by {rule}: needed is {needed}."),
        }
    }
}

impl Answer {
    /// Its HTTP status.
    pub(super) const fn status(&self) -> u16 {
        self.status
    }

    /// What was asked for.
    pub(super) fn new(status: u16, body: &impl Serialize) -> Self {
        Self {
            body: Says::Json(json(body)),
            ..Self::empty(status)
        }
    }

    /// The same without a word.
    pub(super) const fn empty(status: u16) -> Self {
        Self {
            status,
            body: Says::Nothing,
            retry: Retry::Never,
            cookies: Vec::new(),
            page: None,
        }
    }

    /// Sets a cookie too.
    pub(super) fn with_cookie(mut self, cookie: &str) -> Self {
        let mut cookie = HeaderValue::from_str(cookie).expect("a token is ASCII");
        cookie.set_sensitive(true);
        self.cookies.push(cookie);
        self
    }

    /// May be read by this page.
    pub(super) fn readable_by(self, page: Option<HeaderValue>) -> Self {
        Self { page, ..self }
    }

    /// The answer to somebody at this address. A refusal is kept by its id.
    pub(crate) fn into_http(self, refusals: &Refusals, address: IpAddr) -> Response<String> {
        let mut answer = Response::new(match self.body {
            Says::Nothing => String::new(),
            Says::Json(body) => body,
            Says::Refusal(cause) => {
                let id = refusals.keep(*cause, None, Some(address));
                json(&Body::new(*cause, self.retry, id))
            }
        });
        *answer.status_mut() = StatusCode::from_u16(self.status).expect("a status");
        let headers = answer.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Retry::AfterMs(ms) = self.retry {
            headers.insert(RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000)));
        }
        if self.status == METHOD.status {
            headers.insert(ALLOW, HeaderValue::from_static("POST, DELETE"));
        }
        for cookie in self.cookies {
            headers.append(SET_COOKIE, cookie);
        }
        if let Some(page) = self.page {
            let allow = HeaderValue::from_static;
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, page);
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, allow("true"));
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, allow("POST, DELETE"));
            headers.insert(
                ACCESS_CONTROL_ALLOW_HEADERS,
                allow("Content-Type, Authorization"),
            );
            headers.insert(ACCESS_CONTROL_MAX_AGE, allow("60"));
            headers.insert(VARY, allow("Origin"));
        }
        answer
    }
}

impl From<Wrong> for Answer {
    fn from(wrong: Wrong) -> Self {
        let Wrong {
            status,
            rule,
            needed,
        } = wrong;
        Self {
            body: Says::Refusal(Box::new(Cause::Request { rule, needed })),
            ..Self::empty(status)
        }
    }
}

impl From<Denial> for Answer {
    fn from(denial: Denial) -> Self {
        let refused = denial.refused;
        Self {
            body: Says::Refusal(Box::new(Cause::Refused(refused))),
            retry: denial.retry(),
            ..Self::empty(refused.http_status())
        }
    }
}

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        Denial::of(refused).into()
    }
}

fn json(body: &impl Serialize) -> String {
    let text = serde_json::to_string(body).expect("an answer is JSON");
    text + "\n"
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_wait_is_told_as_long_as_it_is_and_an_hour_at_most() {
        let told = |delay| {
            let answer = Answer::from(Denial::until(Refused::SignInBusy, delay));
            let answer = answer.into_http(&Refusals::new(), Ipv4Addr::LOCALHOST.into());
            let body: serde_json::Value = serde_json::from_str(answer.body()).expect("JSON");
            let header = answer.headers()[RETRY_AFTER].to_str().expect("a number");
            (header.to_owned(), body["retry_after_ms"].as_u64())
        };
        let minutes = Duration::from_mins(7);
        assert_eq!(told(minutes), ("420".to_owned(), Some(420_000)));
        assert_eq!(told(Duration::ZERO), ("1".to_owned(), Some(100)));
        assert_eq!(told(Duration::MAX), ("3600".to_owned(), Some(3_600_000)));
    }
}
