//! What a node answers by itself: its own routes (`/-/…`), of which some say
//! whether it lives and is ready and ask nobody, and the others are conversations
//! beside its puddles; and that it has no place for a connection. Writes nothing.

pub(crate) mod front;
mod refused;
pub(crate) mod session;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, Ordering};

use porthouse_model::Refused;
use porthouse_puddle::Cause;

use crate::refusals::Refusals;

/// What a node tells those who ask whether to send it clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Readiness {
    /// The control plane was not heard yet.
    Starting,
    /// Clients are welcome.
    Ready,
    /// Clients are better sent elsewhere.
    Draining,
}

impl Readiness {
    /// What is answered to who asks.
    pub(crate) const fn sentence(self) -> &'static str {
        match self {
            Self::Starting => "starting: the control plane was not heard yet\n",
            Self::Ready => "ready\n",
            Self::Draining => "draining: go to another node\n",
        }
    }
}

/// The node's readiness, as all its threads see it.
#[derive(Debug)]
pub(crate) struct Sign(AtomicU8);

impl Sign {
    pub(crate) const fn new() -> Self {
        Self(AtomicU8::new(Readiness::Starting as u8))
    }

    pub(crate) fn show(&self, readiness: Readiness) {
        self.0.store(readiness as u8, Ordering::Relaxed);
    }

    /// The control plane was heard.
    pub(crate) fn opened(&self) {
        if self.read() == Readiness::Starting {
            self.show(Readiness::Ready);
        }
    }

    pub(crate) fn read(&self) -> Readiness {
        match self.0.load(Ordering::Relaxed) {
            0 => Readiness::Starting,
            1 => Readiness::Ready,
            _ => Readiness::Draining,
        }
    }
}

/// Whether the answer must be asked of the control plane: then the connection is
/// handed over.
pub(crate) fn is_conversation(head: &[u8]) -> bool {
    matches!(path(head), b"/-/session" | b"/-/ticket")
}

/// The path of a request, of which `head` is what was read.
fn path(head: &[u8]) -> &[u8] {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let target = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    target
        .split(|byte| *byte == b'?')
        .next()
        .unwrap_or_default()
}

/// The whole answer to a request, of which `head` is what was read. The
/// connection ends with it.
pub(crate) fn answer(head: &[u8], readiness: Readiness) -> Vec<u8> {
    let method = head.split(|byte| *byte == b' ').next().unwrap_or_default();
    let (status, body) = match (method, path(head)) {
        (b"GET" | b"HEAD", b"/-/live") => ("200 OK", "live\n"),
        (b"GET" | b"HEAD", b"/-/ready") => (
            match readiness {
                Readiness::Ready => "200 OK",
                Readiness::Starting | Readiness::Draining => "503 Service Unavailable",
            },
            readiness.sentence(),
        ),
        (_, b"/-/live" | b"/-/ready") => ("405 Method Not Allowed", "only GET and HEAD\n"),
        (_, _) => (
            "404 Not Found",
            "the node's own routes are /-/live, /-/ready, /-/session and /-/ticket\n",
        ),
    };
    let body_sent = if method == b"HEAD" { "" } else { body };
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n\
         cache-control: no-store\r\nallow: GET, HEAD\r\nconnection: close\r\n\r\n{body_sent}",
        body.len()
    )
    .into_bytes()
}

/// The whole answer to a connection for which there is no slot, whatever it
/// will ask for. It is kept by its id, as any refusal is.
pub(crate) fn no_place(refusals: &Refusals, address: IpAddr) -> Vec<u8> {
    let refused = Refused::TooMany;
    let id = refusals.keep(Cause::Refused(refused), None, Some(address));
    let (rule, needed, retry) = (refused.rule(), refused.needed(), refused.retry());
    let body = format!(
        "{{\"rule\":\"{rule}\",\"needed\":\"{needed}\",\"retry\":\"{retry}\",\
         \"refusal_id\":\"{id}\"}}\n"
    );
    format!(
        "HTTP/1.1 {} Service Unavailable\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nretry-after: 2\r\nconnection: close\r\n\r\n{body}",
        refused.http_status(),
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use porthouse_model::RefusalId;

    use super::*;

    fn status(request: &str, readiness: Readiness) -> String {
        let answer = String::from_utf8(answer(request.as_bytes(), readiness)).unwrap();
        answer["HTTP/1.1 ".len()..][..3].to_owned()
    }

    #[test]
    fn a_node_lives_whatever_it_is_ready_for() {
        for readiness in [Readiness::Starting, Readiness::Ready, Readiness::Draining] {
            assert_eq!(status("GET /-/live HTTP/1.1\r\n\r\n", readiness), "200");
        }
    }

    #[test]
    fn a_node_is_ready_between_its_first_word_and_its_drain() {
        let sign = Sign::new();
        let ready = |sign: &Sign| status("GET /-/ready?x HTTP/1.1\r\n\r\n", sign.read());
        assert_eq!(ready(&sign), "503");
        sign.show(Readiness::Ready);
        assert_eq!(ready(&sign), "200");
        sign.show(Readiness::Draining);
        assert_eq!(ready(&sign), "503");
    }

    #[test]
    fn anything_else_is_told_what_there_is() {
        assert_eq!(
            status("POST /-/live HTTP/1.1\r\n\r\n", Readiness::Ready),
            "405"
        );
        assert_eq!(
            status("GET /-/other HTTP/1.1\r\n\r\n", Readiness::Ready),
            "404"
        );
        assert_eq!(status("", Readiness::Ready), "404");
    }

    #[test]
    fn who_finds_no_place_is_told_an_id_that_is_kept() {
        let refusals = Refusals::new();
        let address = IpAddr::from([192, 0, 2, 7]);
        let answer = no_place(&refusals, address);
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())));
        let (_, id) = body.split_once(r#""refusal_id":""#).unwrap();
        let id = RefusalId(u64::from_str_radix(&id[..16], 16).unwrap());
        let kept = refusals.find(id).unwrap();
        assert_eq!(kept.cause, Cause::Refused(Refused::TooMany));
        assert_eq!(kept.sight.address, Some(address));
    }

    #[test]
    fn an_answer_to_head_has_no_body() {
        let answer = answer(b"HEAD /-/live HTTP/1.1\r\n\r\n", Readiness::Ready);
        assert!(answer.ends_with(b"\r\n\r\n"));
    }
}
