//! Requests that open no WebSocket: one message to say (`POST`), a room to hear
//! (`Accept: text/event-stream`), and a page that asks what it may. Owns what is
//! well formed of them; never reads a body.

use std::sync::Arc;

use porthouse_model::{MessageKind, Retry};

use super::head::{Repeated, Request};
use super::{Asks, BadUpgrade, LastEvent};
use crate::wire::event_id;
use crate::wire::multiplexed::KEY_BYTES_MAX;

/// The type of an event stream.
const EVENT_STREAM: &[u8] = b"text/event-stream";

/// What plain HTTP is refused with where no one room is.
pub(super) const NO_ROOM: BadUpgrade =
    BadUpgrade::new(404, "room", "a room's own address: /{room}");

/// One message, whose bytes follow the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Post {
    /// Its kind, by its content type.
    pub kind: MessageKind,
    /// How many bytes it has.
    pub bytes: usize,
    /// Whether they wait until they are asked for.
    pub waits: bool,
    /// Its sender's own name for it (`Idempotency-Key`).
    pub key: Option<Arc<str>>,
    /// How far it is.
    pub stage: Posting,
}

/// How far a posted message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Posting {
    /// Its sender knocks, and little is kept.
    Knocks,
    /// The room's door has opened to it, and as much as it has is kept.
    LetIn,
    /// It was said. What follows it is of no interest: a connection says one.
    Said,
}

impl Post {
    /// What a message is refused with that is not of its type.
    pub(crate) const NO_TEXT: BadUpgrade =
        BadUpgrade::new(400, "http.body", "text in UTF-8, or another content type");
    /// As many keys of its sender are remembered as may be.
    pub(crate) const TOO_MANY_KEYS: BadUpgrade = BadUpgrade {
        retry: Retry::AfterMs(60_000),
        ..BadUpgrade::new(
            429,
            "keys_per_client_max",
            "fewer keys within the time that they are remembered",
        )
    };
    /// A key of somebody who is another client with each connection.
    pub(super) const NOBODYS_KEY: BadUpgrade = BadUpgrade {
        retry: Retry::Authenticate,
        ..BadUpgrade::new(
            401,
            "http.idempotency_key",
            "a session with `Idempotency-Key`, or no key: who does not sign in is another client \
             each time, and its key could not be told from another's",
        )
    };
}

/// Reads what a request asks that opens no WebSocket, if it does not.
pub(super) fn read(request: &Request<'_>) -> Result<Option<Asks>, BadUpgrade> {
    if request.upgrades() {
        return Ok(None);
    }
    match request.method {
        "POST" => post(request).map(|post| Some(Asks::Post(post))),
        "GET" if accepts_events(request) => {
            request.has_no_body()?;
            Ok(Some(Asks::Stream(last_event(request))))
        }
        "OPTIONS" if request.has("access-control-request-method") => {
            request.has_no_body()?;
            Ok(Some(Asks::Preflight))
        }
        _ => Ok(None),
    }
}

fn accepts_events(request: &Request<'_>) -> bool {
    let mut types = request.elements("accept").map(media_type);
    types.any(|accepted| accepted.eq_ignore_ascii_case(EVENT_STREAM))
}

/// Where its reader would go on, which `EventSource` says by itself (WHATWG HTML,
/// section 9.2.4). What cannot be read is not refused: a reader that cannot help
/// what it says is told that something may be missing.
fn last_event(request: &Request<'_>) -> LastEvent {
    match request.once("last-event-id") {
        Ok(None | Some(b"")) => LastEvent::Nothing,
        Ok(Some(id)) => event_id::read(id).map_or(LastEvent::Unknown, LastEvent::At),
        Err(Repeated) => LastEvent::Unknown,
    }
}

fn post(request: &Request<'_>) -> Result<Post, BadUpgrade> {
    let expects = request.elements("expect");
    Ok(Post {
        bytes: length(request)?,
        kind: kind(request)?,
        waits: expects
            .into_iter()
            .any(|expected| expected.eq_ignore_ascii_case(b"100-continue")),
        key: key(request)?,
        stage: Posting::Knocks,
    })
}

/// Its sender's own name for it, in quotes or not: what is quoted is the name.
fn key(request: &Request<'_>) -> Result<Option<Arc<str>>, BadUpgrade> {
    let bad = BadUpgrade::new(
        400,
        "http.idempotency_key",
        "one `Idempotency-Key`: 1 to 64 visible characters of ASCII, in quotes or not",
    );
    let Ok(value) = request.once("idempotency-key") else {
        return Err(bad);
    };
    let Some(value) = value.map(<[u8]>::trim_ascii) else {
        return Ok(None);
    };
    let quoted = value.strip_prefix(b"\"");
    let quoted = quoted.and_then(|value| value.strip_suffix(b"\""));
    let key = quoted.unwrap_or(value);
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"\\".contains(byte);
    if key.is_empty() || key.len() > KEY_BYTES_MAX || !key.iter().all(is_plain) {
        return Err(bad);
    }
    let key = core::str::from_utf8(key).expect("what is visible is ASCII");
    Ok(Some(key.into()))
}

/// How long the body is, said once and in digits: where two ways to say it
/// differ, two servers read two requests (RFC 9112, section 11.2).
fn length(request: &Request<'_>) -> Result<usize, BadUpgrade> {
    let one = BadUpgrade::new(400, "http.body", "one `Content-Length`, in digits");
    let missing = BadUpgrade::new(
        411,
        "http.body",
        "`Content-Length`: a message comes whole, without `Transfer-Encoding`",
    );
    let length = match request.once("content-length") {
        Ok(Some(_)) if request.has("transfer-encoding") => return Err(one),
        Ok(Some(length)) => length,
        Ok(None) => return Err(missing),
        Err(Repeated) => return Err(one),
    };
    if length.is_empty() || !length.iter().all(u8::is_ascii_digit) {
        return Err(one);
    }
    // More than can be counted is more than any room takes.
    let digits = core::str::from_utf8(length).expect("digits are ASCII");
    Ok(digits.parse().unwrap_or(usize::MAX))
}

/// Text is what says it is: `text/…` and JSON.
fn kind(request: &Request<'_>) -> Result<MessageKind, BadUpgrade> {
    let Ok(content) = request.once("content-type") else {
        return Err(BadUpgrade::new(400, "http.body", "one `Content-Type`"));
    };
    let media = media_type(content.unwrap_or_default()).to_ascii_lowercase();
    Ok(
        if media.starts_with(b"text/") || media == b"application/json" {
            MessageKind::Text
        } else {
            MessageKind::Binary
        },
    )
}

/// Without parameters (RFC 9110, section 8.3.1).
fn media_type(value: &[u8]) -> &[u8] {
    let end = value.iter().position(|byte| *byte == b';');
    value[..end.unwrap_or(value.len())].trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::super::Endpoint;
    use super::super::fixture::{read, refused_by, session, upgrade};
    use super::super::{Head, Presented};
    use super::*;
    use crate::home::Stand;
    use crate::output::WireForm;

    fn request(method: &str, target: &str, lines: &[&str]) -> String {
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: a\r\n");
        for line in lines {
            request += line;
            request += "\r\n";
        }
        request + "\r\n"
    }

    fn posted(lines: &[&str]) -> Post {
        match upgrade(&request("POST", "/lobby", lines)).asks {
            Asks::Post(post) => post,
            other @ (Asks::Socket(_) | Asks::Stream(_) | Asks::Preflight) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_message_is_text_if_it_says_so() {
        for (line, kind) in [
            ("Content-Type: text/plain", MessageKind::Text),
            ("content-type: TEXT/html ; charset=utf-8", MessageKind::Text),
            ("Content-Type: application/json", MessageKind::Text),
            ("Content-Type: application/cbor", MessageKind::Binary),
            (
                "Content-Type: application/x-www-form-urlencoded",
                MessageKind::Binary,
            ),
            ("Content-Type: ", MessageKind::Binary),
            ("X: y", MessageKind::Binary),
        ] {
            let post = posted(&[line, "Content-Length: 5"]);
            assert_eq!((post.kind, post.bytes), (kind, 5), "{line}");
        }
    }

    #[test]
    fn a_message_says_its_length_once() {
        let refused = |lines: &[&str]| refused_by(&request("POST", "/lobby", lines));
        assert_eq!(refused(&[]), (411, "http.body"));
        assert_eq!(refused(&["Transfer-Encoding: chunked"]), (411, "http.body"));
        for lines in [
            &["Content-Length: 5", "Content-Length: 6"][..],
            &["Content-Length: 5", "Transfer-Encoding: chunked"],
            &["Content-Length: 5, 5"],
            &["Content-Length: +5"],
            &["Content-Length: 0x5"],
            &["Content-Length: "],
            &[
                "Content-Length: 5",
                "Content-Type: a/b",
                "Content-Type: c/d",
            ],
        ] {
            assert_eq!(refused(lines), (400, "http.body"), "{lines:?}");
        }
        let endless = format!("Content-Length: {}", "9".repeat(100));
        assert_eq!(posted(&[&endless]).bytes, usize::MAX);
    }

    #[test]
    fn a_message_has_one_key_of_its_sender_in_quotes_or_not() {
        let bearer = format!("Authorization: Bearer {}", session().reveal());
        let with = |line: &str| request("POST", "/lobby", &["Content-Length: 0", &bearer, line]);
        let key = |line: &str| match upgrade(&with(line)).asks {
            Asks::Post(post) => post.key,
            other @ (Asks::Socket(_) | Asks::Stream(_) | Asks::Preflight) => panic!("{other:?}"),
        };
        for line in [
            "Idempotency-Key: 8e03-a",
            "idempotency-key:  \"8e03-a\" ",
            "IDEMPOTENCY-KEY:8e03-a",
        ] {
            assert_eq!(key(line).as_deref(), Some("8e03-a"), "{line}");
        }
        assert_eq!(key("X: y"), None);
        let longest = "k".repeat(KEY_BYTES_MAX);
        let line = format!("Idempotency-Key: {longest}");
        assert_eq!(key(&line).as_deref(), Some(&longest[..]));
        for line in [
            "Idempotency-Key:",
            "Idempotency-Key: \"\"",
            "Idempotency-Key: \"a",
            "Idempotency-Key: a b",
            "Idempotency-Key: \u{e9}",
            &format!("Idempotency-Key: {longest}k"),
            "Idempotency-Key: a\r\nIdempotency-Key: a",
        ] {
            let told = (400, "http.idempotency_key");
            assert_eq!(refused_by(&with(line)), told, "{line}");
        }
        let nobodys = ["Content-Length: 0", "Idempotency-Key: a"];
        assert_eq!(
            refused_by(&request("POST", "/lobby", &nobodys)),
            (401, "http.idempotency_key")
        );
    }

    #[test]
    fn a_reader_of_events_asks_for_them_by_type() {
        for accept in [
            "Accept: text/event-stream",
            "Accept: text/html, Text/Event-Stream;q=0.9",
        ] {
            let stream = upgrade(&request("GET", "/lobby", &[accept, "Origin: https://a"]));
            assert_eq!(stream.asks, Asks::Stream(LastEvent::Nothing));
            assert_eq!(stream.form, WireForm::EventStream);
            assert_eq!(stream.origin.as_deref(), Some("https://a"));
            assert_eq!(
                stream.endpoint,
                Endpoint::Room("lobby".parse().expect("a name"))
            );
        }
        for accept in ["Accept: */*", "Accept: text/event-streams", "X: y"] {
            let plain = request("GET", "/lobby", &[accept]);
            assert_eq!(refused_by(&plain), (426, "http.upgrade"), "{accept}");
        }
        let with_body = ["Accept: text/event-stream", "Content-Length: 1"];
        assert_eq!(
            refused_by(&request("GET", "/lobby", &with_body)),
            (400, "http.body")
        );
    }

    #[test]
    fn a_reader_of_events_says_which_it_heard_last() {
        let at = |epoch, offset| LastEvent::At(Stand { epoch, offset });
        for (lines, last) in [
            (&[][..], LastEvent::Nothing),
            (&["Last-Event-ID:"], LastEvent::Nothing),
            (&["last-event-id: 7-41"], at(7, 41)),
            (&["Last-Event-ID: 7"], LastEvent::Unknown),
            (&["Last-Event-ID: 7-41, 7-42"], LastEvent::Unknown),
            (
                &["Last-Event-ID: 7-41", "Last-Event-ID: 7-41"],
                LastEvent::Unknown,
            ),
        ] {
            let lines = [&["Accept: text/event-stream"], lines].concat();
            let stream = upgrade(&request("GET", "/lobby", &lines));
            assert_eq!(stream.asks, Asks::Stream(last), "{lines:?}");
        }
    }

    #[test]
    fn plain_requests_are_held_to_the_same_rules_as_handshakes() {
        let token = session().reveal();
        let bearer = format!("Authorization: Bearer {token}");
        let subprotocol = format!("Sec-WebSocket-Protocol: porthouse.bearer.{token}");
        let length = "Content-Length: 0";
        let known = upgrade(&request("POST", "/lobby", &[length, &bearer]));
        assert_eq!(known.credential, Presented::Session(session().hash()));
        let unknown = upgrade(&request("POST", "/lobby", &[length, &subprotocol]));
        assert_eq!(unknown.credential, Presented::Nothing);

        let refused = |target: &str| refused_by(&request("POST", target, &[length]));
        assert_eq!(refused("/"), (404, "room"));
        assert_eq!(refused("/a..b"), (404, "room"));
        assert_eq!(refused("/%2d/live"), (404, "room"));
        assert_eq!(refused("/lobby?token=x"), (400, "credential.in_url"));
        assert_eq!(refused("http://other/lobby"), (400, "http.host"));
        let old = request("POST", "/lobby", &[length]).replace("HTTP/1.1", "HTTP/1.0");
        assert_eq!(refused_by(&old), (505, "http.version"));
        // A body with an upgrade is neither.
        let both = [length, "Upgrade: websocket"];
        assert_eq!(
            refused_by(&request("POST", "/lobby", &both)),
            (405, "http.method")
        );
        for method in ["PUT", "DELETE", "OPTIONS", "HEAD", "post"] {
            let other = request(method, "/lobby", &[length]);
            assert_eq!(refused_by(&other), (405, "http.method"), "{method}");
        }
        let asks = ["Origin: https://a", "Access-Control-Request-Method: POST"];
        let preflight = upgrade(&request("OPTIONS", "/lobby", &asks));
        assert_eq!(preflight.asks, Asks::Preflight);
    }

    #[test]
    fn what_follows_the_head_is_left_for_the_body() {
        let head = request("POST", "/lobby", &["Content-Length: 5"]);
        let Head::Complete { bytes, .. } = read(&(head.clone() + "hello")) else {
            panic!("a message");
        };
        assert_eq!(bytes, head.len());
    }
}
