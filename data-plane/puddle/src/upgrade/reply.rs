//! The answers to a request: that it is granted, or a refusal that a person can
//! read. Owns their bytes. Never echoes anything that was sent.

use porthouse_model::{CloseCode, Refusal, RefusalId, Retry, RoomName};
use serde::Serialize;

use super::{ACCEPT_BYTES, Asks, BadUpgrade, Subprotocol, Told, Upgrade};
use crate::wire::explanation::Explanation;
use crate::wire::frame;

/// Appends the beginning of what was asked for: a WebSocket's 101, or an event
/// stream's head. What a page of another origin may read is said where the room
/// names it.
pub(crate) fn accepted(upgrade: &Upgrade, page: Option<&str>, out: &mut Vec<u8>) {
    match &upgrade.asks {
        Asks::Socket(accept) => switching(accept, upgrade.subprotocol, out),
        Asks::Stream(_) => {
            // No length: the stream ends with the connection. The last line has
            // nginx pass on each event as it comes.
            let head = format!(
                "HTTP/1.1 200 OK\r\n\
                 Content-Type: text/event-stream\r\n\
                 Cache-Control: no-store\r\n\
                 X-Accel-Buffering: no\r\n\
                 {}Connection: close\r\n\r\n",
                readable_by(page),
            );
            out.extend_from_slice(head.as_bytes());
        }
        Asks::Post(_) | Asks::Preflight => unreachable!("these are answered at once"),
    }
}

/// Appends the word that a message's bytes may come (RFC 9110, section 10.1.1).
pub(crate) fn continued(out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
}

/// Appends the answer to a message that this node took.
pub(crate) fn posted(room: &RoomName, page: Option<&str>, out: &mut Vec<u8>) {
    let receipt = Receipt {
        room: room.as_str(),
        level: "accepted",
    };
    let headers = readable_by(page) + "Connection: close\r\n";
    json(202, &headers, &receipt, out);
}

/// Appends the answer to a page's question what it may ask; without the page,
/// that it may not.
pub(crate) fn preflight(page: Option<&str>, out: &mut Vec<u8>) {
    let allowed = if page.is_some() {
        "Access-Control-Allow-Methods: GET, POST\r\n\
         Access-Control-Allow-Headers: Authorization, Content-Type, Idempotency-Key, Last-Event-ID\r\n\
         Access-Control-Max-Age: 60\r\n"
    } else {
        ""
    };
    let head = format!(
        "HTTP/1.1 204 No Content\r\n{}{allowed}Connection: close\r\n\r\n",
        readable_by(page),
    );
    out.extend_from_slice(head.as_bytes());
}

/// Lets a page of another origin read the answer (Fetch, section 3.3).
fn readable_by(page: Option<&str>) -> String {
    page.map_or_else(String::new, |origin| {
        format!("Access-Control-Allow-Origin: {origin}\r\nVary: Origin\r\n")
    })
}

/// Appends the refusal of a request: its HTTP status with the reasons as JSON. A
/// browser's WebSocket is opened and closed, for it shows its page no more than a
/// close frame.
pub(crate) fn turned_away(
    upgrade: &Upgrade,
    refusal: &Refusal,
    page: Option<&str>,
    out: &mut Vec<u8>,
) {
    match (&upgrade.asks, &upgrade.origin) {
        (Asks::Socket(accept), Some(_)) => {
            switching(accept, upgrade.subprotocol, out);
            frame::close(refusal.refused().code(), &refusal.reason(), out);
        }
        (Asks::Socket(_) | Asks::Stream(_) | Asks::Post(_) | Asks::Preflight, _) => {
            refused(refusal, page, out);
        }
    }
}

/// Appends a refusal's HTTP status with the reasons as JSON.
pub(crate) fn refused(refusal: &Refusal, page: Option<&str>, out: &mut Vec<u8>) {
    let refused = refusal.refused();
    let body = Body {
        explanation: Explanation::of(refusal),
        message: format!(
            "Refused by {}: needed is {}.",
            refused.rule(),
            refused.needed()
        ),
    };
    answer(refused.http_status(), refusal.retry(), page, &body, out);
}

/// Appends the answer to a request that cannot be upgraded. In any case the
/// connection is closed after it.
pub(crate) fn bad(bad: &BadUpgrade, id: RefusalId, out: &mut Vec<u8>) {
    match &bad.told {
        Told::Http => {
            let body = Body {
                explanation: Explanation::new(bad.rule, bad.needed, bad.retry, id),
                message: format!("Refused by {}: needed is {}.", bad.rule, bad.needed),
            };
            answer(bad.status, bad.retry, None, &body, out);
        }
        Told::Close {
            accept,
            subprotocol,
        } => {
            switching(accept, *subprotocol, out);
            let reason = format!("{}; retry {}; {id}", bad.rule, bad.retry);
            frame::close(CloseCode::POLICY, &reason, out);
        }
    }
}

/// What became of a message, as JSON.
#[derive(Serialize)]
struct Receipt<'a> {
    room: &'a str,
    level: &'static str,
}

/// A refusal as JSON.
#[derive(Serialize)]
struct Body {
    #[serde(flatten)]
    explanation: Explanation,
    message: String,
}

fn switching(accept: &[u8; ACCEPT_BYTES], subprotocol: Option<Subprotocol>, out: &mut Vec<u8>) {
    out.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\n\
          Upgrade: websocket\r\n\
          Connection: Upgrade\r\n\
          Sec-WebSocket-Accept: ",
    );
    out.extend_from_slice(accept);
    if let Some(subprotocol) = subprotocol {
        out.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
        out.extend_from_slice(subprotocol.name().as_bytes());
    }
    out.extend_from_slice(b"\r\n\r\n");
}

fn answer(status: u16, retry: Retry, page: Option<&str>, body: &Body, out: &mut Vec<u8>) {
    let headers = readable_by(page) + &retry_after(retry) + headers(status);
    json(status, &headers, body, out);
}

fn json(status: u16, headers: &str, body: &impl Serialize, out: &mut Vec<u8>) {
    let body = serde_json::to_string(body).expect("an answer is JSON");
    let head = format!(
        "HTTP/1.1 {status} {}\r\n\
         Content-Type: application/json\r\n\
         Content-Length: {}\r\n\
         Cache-Control: no-store\r\n\
         {headers}\r\n{body}\n",
        phrase(status),
        body.len() + 1,
    );
    out.extend_from_slice(head.as_bytes());
}

/// What a status must come with.
const fn headers(status: u16) -> &'static str {
    match status {
        401 => "WWW-Authenticate: Bearer\r\nConnection: close\r\n",
        405 => "Allow: GET, POST\r\nConnection: close\r\n",
        426 => {
            "Upgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\n\
             Connection: close, Upgrade\r\n"
        }
        _ => "Connection: close\r\n",
    }
}

fn retry_after(retry: Retry) -> String {
    match retry {
        Retry::AfterMs(ms) => format!("Retry-After: {}\r\n", ms.div_ceil(1_000)),
        Retry::Never | Retry::Authenticate | Retry::Elsewhere => String::new(),
    }
}

/// The reason phrases of RFC 9110, section 15.
const fn phrase(status: u16) -> &'static str {
    match status {
        202 => "Accepted",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Refused",
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use core::time::Duration;

    use porthouse_model::{Denial, Refused};

    const ID: RefusalId = RefusalId(0xab);

    fn refusal(refused: Refused) -> Refusal {
        Denial::of(refused).named(ID)
    }

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn a_refusal_is_a_status_and_reasons_a_person_can_read() {
        let written = text(|out| refused(&refusal(Refused::Stale), None, out));
        let (head, body) = written.split_once("\r\n\r\n").expect("head and body");
        assert_eq!(
            head,
            format!(
                "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\nCache-Control: no-store\r\nRetry-After: 5\r\n\
                 Connection: close",
                body.len()
            )
        );
        assert_eq!(
            body,
            "{\"code\":4204,\"rule\":\"staleness\",\"needed\":\"word from the control plane\",\
             \"retry\":\"after\",\"retry_after_ms\":5000,\"refusal_id\":\"00000000000000ab\",\
             \"message\":\"Refused by staleness: needed is word from the control plane.\"}\n"
        );
    }

    #[test]
    fn a_wait_that_is_known_is_told_instead_of_the_tables() {
        let busy = Denial::until(Refused::PasswordBusy, Duration::from_mins(2)).named(ID);
        let written = text(|out| refused(&busy, None, out));
        assert!(written.contains("\r\nRetry-After: 120\r\n"), "{written}");
        assert!(written.contains("\"retry_after_ms\":120000,"), "{written}");
    }

    #[test]
    fn every_refusal_has_a_phrase_and_what_its_status_must_come_with() {
        for one in Refused::ALL {
            let written = text(|out| refused(&refusal(one), None, out));
            let status = one.http_status();
            assert!(
                written.starts_with(&format!("HTTP/1.1 {status} ")),
                "{written}"
            );
            assert_ne!(phrase(status), "Refused", "{status}");
            assert!(written.contains("Connection: close\r\n"));
            assert_eq!(
                written.contains("WWW-Authenticate: Bearer\r\n"),
                status == 401
            );
        }
    }

    #[test]
    fn a_bad_request_is_told_what_is_needed() {
        let upgrade_required = fixture::bad("GET /lobby HTTP/1.1\r\nHost: a\r\n\r\n");
        let written = text(|out| bad(&upgrade_required, ID, out));
        assert!(written.starts_with("HTTP/1.1 426 Upgrade Required\r\n"));
        assert!(written.contains("\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"));
        assert!(
            written.contains("\r\nConnection: close, Upgrade\r\n\r\n{\"rule\":\"http.upgrade\"")
        );
        let post = fixture::bad(&fixture::altered("GET", "POST"));
        assert!(text(|out| bad(&post, ID, out)).contains("\r\nAllow: GET, POST\r\n"));
        for (limit, status) in [(BadUpgrade::SLOW, "408 "), (BadUpgrade::CROWDED, "429 ")] {
            let written = text(|out| bad(&limit, ID, out));
            assert!(written.contains(status) && written.contains("Retry-After: 1\r\n"));
        }
    }

    #[test]
    fn a_browser_is_upgraded_to_be_told() {
        let page = "Origin: https://example.com";
        let token = fixture::session().reveal();
        let offer = format!("Sec-WebSocket-Protocol: porthouse.bearer.{token}, porthouse.plain");
        let in_url = fixture::bad(&fixture::handshake("/a?token=x", &[page, &offer]));
        let written = text(|out| bad(&in_url, ID, out));
        assert!(written.starts_with("HTTP/1.1 101 "));
        assert!(written.contains("\r\nSec-WebSocket-Protocol: porthouse.plain\r\n\r\n"));
        assert!(written.ends_with("credential.in_url; retry never; 00000000000000ab"));
        assert!(!written.contains(&token));

        let door = fixture::upgrade(&fixture::handshake("/a", &[page]));
        let mut out = Vec::new();
        turned_away(&door, &refusal(Refused::MembersOnly), None, &mut out);
        let reason = b"\x0f\xa3visibility.private; retry never; 00000000000000ab";
        assert!(out.starts_with(b"HTTP/1.1 101 ") && out.ends_with(reason));
    }

    #[test]
    fn anything_else_reads_the_status() {
        let door = fixture::upgrade(&fixture::handshake("/a", &[]));
        let written = text(|out| turned_away(&door, &refusal(Refused::MembersOnly), None, out));
        assert!(written.starts_with("HTTP/1.1 403 Forbidden\r\n"));
        let broken = fixture::altered("Sec-WebSocket-Version: 13", "Origin: https://example.com");
        let written = text(|out| bad(&fixture::bad(&broken), ID, out));
        assert!(
            written.starts_with("HTTP/1.1 426 "),
            "no handshake, no upgrade"
        );
    }
}
