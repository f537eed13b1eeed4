//! The answers to a request: 101, or a refusal that a person can read. Owns their
//! bytes. Never echoes anything that was sent.

use porthouse_model::{CloseCode, Refusal, RefusalId, Retry};
use serde::Serialize;

use super::{ACCEPT_BYTES, BadUpgrade, Subprotocol, Told, Upgrade};
use crate::wire::explanation::Explanation;
use crate::wire::frame;

/// Appends the 101.
pub(crate) fn accepted(upgrade: &Upgrade, out: &mut Vec<u8>) {
    switching(&upgrade.accept, upgrade.subprotocol, out);
}

/// Appends the refusal of a request: its HTTP status with the reasons as JSON; a
/// browser is upgraded and closed, for it shows its page no more than a close
/// frame.
pub(crate) fn turned_away(upgrade: &Upgrade, refusal: &Refusal, out: &mut Vec<u8>) {
    if upgrade.browser {
        accepted(upgrade, out);
        frame::close(refusal.refused.code(), &refusal.reason(), out);
    } else {
        refused(refusal, out);
    }
}

/// Appends a refusal's HTTP status with the reasons as JSON.
pub(crate) fn refused(refusal: &Refusal, out: &mut Vec<u8>) {
    let refused = refusal.refused;
    let body = Body {
        explanation: Explanation::of(refusal),
        message: format!(
            "Refused by {}: needed is {}.",
            refused.rule(),
            refused.needed()
        ),
    };
    answer(refused.http_status(), refused.retry(), &body, out);
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
            answer(bad.status, bad.retry, &body, out);
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

fn answer(status: u16, retry: Retry, body: &Body, out: &mut Vec<u8>) {
    let body = serde_json::to_string(body).expect("a refusal is JSON");
    let head = format!(
        "HTTP/1.1 {status} {}\r\n\
         Content-Type: application/json\r\n\
         Content-Length: {}\r\n\
         Cache-Control: no-store\r\n\
         {}{}\r\n{body}\n",
        phrase(status),
        body.len() + 1,
        retry_after(retry),
        headers(status),
    );
    out.extend_from_slice(head.as_bytes());
}

/// What a status must come with.
const fn headers(status: u16) -> &'static str {
    match status {
        401 => "WWW-Authenticate: Bearer\r\nConnection: close\r\n",
        405 => "Allow: GET\r\nConnection: close\r\n",
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
        Retry::Never | Retry::Authenticate => String::new(),
    }
}

/// The reason phrases of RFC 9110, section 15.
const fn phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Refused",
    }
}
