//! An HTTP request's head, read within its limits (RFC 9112), and whether it is
//! an opening handshake (RFC 6455, section 4.2.1). Knows nothing of paths,
//! subprotocols or credentials.

use smallvec::SmallVec;
use tungstenite::handshake::derive_accept_key;

use super::{ACCEPT_BYTES, BadUpgrade};
use crate::settings::Settings;

/// Header lines that are read without an allocation.
const HEADERS_INLINE: usize = 16;
/// 16 bytes in base64, and what they are padded with (section 4.1).
const KEY_BYTES: usize = 24;
const KEY_PADDING: &[u8] = b"==";

/// A request whose head came whole.
#[derive(Debug)]
pub(super) struct Request<'a> {
    /// The minor version: HTTP/1.0 or HTTP/1.1.
    version: u8,
    /// In its own case, which counts.
    pub method: &'a str,
    /// As it was written.
    pub target: &'a str,
    headers: SmallVec<[(&'a str, &'a [u8]); HEADERS_INLINE]>,
}

/// Reads a request's head; answers it and its bytes once it is whole.
pub(super) fn read<'a>(
    bytes: &'a [u8],
    settings: &Settings,
) -> Result<Option<(Request<'a>, usize)>, BadUpgrade> {
    let within = &bytes[..bytes.len().min(settings.request_head_bytes_max)];
    let mut lines = vec![httparse::EMPTY_HEADER; settings.request_headers_max];
    let mut request = httparse::Request::new(&mut lines);
    let status = request.parse(within).map_err(unreadable)?;
    let httparse::Status::Complete(head_bytes) = status else {
        if bytes.len() >= settings.request_head_bytes_max {
            return Err(BadUpgrade::new(
                431,
                "request_head_bytes_max",
                "a shorter request: fewer and shorter headers",
            ));
        }
        return Ok(None);
    };
    let headers = request.headers.iter();
    let whole = Request {
        version: request.version.expect("a whole head has a version"),
        method: request.method.expect("a whole head has a method"),
        target: request.path.expect("a whole head has a target"),
        headers: headers.map(|line| (line.name, line.value)).collect(),
    };
    Ok(Some((whole, head_bytes)))
}

const fn unreadable(error: httparse::Error) -> BadUpgrade {
    match error {
        httparse::Error::TooManyHeaders => {
            BadUpgrade::new(431, "request_headers_max", "fewer header lines")
        }
        httparse::Error::Version => BadUpgrade::new(505, "http.version", "HTTP/1.1"),
        httparse::Error::HeaderName
        | httparse::Error::HeaderValue
        | httparse::Error::NewLine
        | httparse::Error::Status
        | httparse::Error::Token => BadUpgrade::new(
            400,
            "http",
            "an HTTP/1.1 request (RFC 9112); TLS is not spoken on this port",
        ),
    }
}

impl<'a> Request<'a> {
    /// The values of a header, in order; the name is in lower case.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |line| line.0.eq_ignore_ascii_case(name))
            .map(|line| line.1)
    }

    /// Whether a header is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// The value of a header that may be there once.
    pub(super) fn once(&self, name: &str) -> Result<Option<&'a [u8]>, Repeated> {
        let mut values = self.values(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(Repeated);
        }
        Ok(first)
    }

    /// The elements of a header that is a list, over all its lines.
    pub(super) fn elements(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.values(name)
            .flat_map(|value| value.split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|element| !element.is_empty())
    }

    fn lists(&self, name: &str, element: &[u8]) -> bool {
        self.elements(name)
            .any(|listed| listed.eq_ignore_ascii_case(element))
    }

    /// Checks that it is HTTP/1.1.
    pub(super) fn is_current(&self) -> Result<(), BadUpgrade> {
        if self.version == 1 {
            Ok(())
        } else {
            Err(unreadable(httparse::Error::Version))
        }
    }

    /// Whether it asks for another protocol.
    pub(super) fn upgrades(&self) -> bool {
        self.has("upgrade")
    }

    /// The page that asks, where a browser does. One that hides itself, or that
    /// cannot be read, is `null` (RFC 6454, section 7.3).
    pub(super) fn origin(&self) -> Option<Box<str>> {
        match self.once("origin") {
            Ok(origin) => {
                origin.map(|origin| core::str::from_utf8(origin).unwrap_or("null").into())
            }
            Err(Repeated) => Some("null".into()),
        }
    }

    /// Checks that nothing follows it.
    pub(super) fn has_no_body(&self) -> Result<(), BadUpgrade> {
        if self.has("transfer-encoding")
            || self.values("content-length").any(|length| length != b"0")
        {
            return Err(BadUpgrade::new(
                400,
                "http.body",
                "a request without a body",
            ));
        }
        Ok(())
    }

    /// Checks that this is an opening handshake, and answers its key.
    pub(super) fn handshake(&self) -> Result<[u8; ACCEPT_BYTES], BadUpgrade> {
        if self.method != "GET" {
            return Err(BadUpgrade::new(
                405,
                "http.method",
                "GET to open a WebSocket or an event stream, or POST to say one message",
            ));
        }
        self.has_no_body()?;
        if !self.lists("upgrade", b"websocket") {
            return Err(BadUpgrade::new(
                426,
                "http.upgrade",
                "a WebSocket client: this address is opened with `Upgrade: websocket` (RFC 6455), \
                 or heard with `Accept: text/event-stream`",
            ));
        }
        if !self.lists("connection", b"upgrade") {
            return Err(BadUpgrade::new(
                400,
                "http.connection",
                "`Connection: Upgrade`; a proxy on the way may have removed it",
            ));
        }
        if self.once("sec-websocket-version") != Ok(Some(b"13")) {
            return Err(BadUpgrade::new(
                426,
                "websocket.version",
                "`Sec-WebSocket-Version: 13`",
            ));
        }
        self.accept()
    }

    fn accept(&self) -> Result<[u8; ACCEPT_BYTES], BadUpgrade> {
        match self.once("sec-websocket-key") {
            Ok(Some(key)) if is_key(key) => Ok(derive_accept_key(key)
                .into_bytes()
                .try_into()
                .expect("a SHA-1 in base64 is 28 bytes")),
            Ok(_) | Err(Repeated) => Err(BadUpgrade::new(
                400,
                "websocket.key",
                "one `Sec-WebSocket-Key`: 16 bytes in base64",
            )),
        }
    }
}

/// A header that may be there once is there twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Repeated;

fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    key.len() == KEY_BYTES
        && key
            .strip_suffix(KEY_PADDING)
            .is_some_and(|digits| digits.iter().all(is_digit))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{
        PEER, altered, bad, handshake, read, refused_by, settings, upgrade,
    };
    use super::super::{Head, read_head};

    #[test]
    fn header_names_and_list_elements_have_no_case_and_may_be_on_many_lines() {
        upgrade(&altered(
            "Upgrade: websocket",
            "upgrade: h2c\r\nUPGRADE:  WebSocket ",
        ));
        upgrade(&altered(
            "Connection: Upgrade",
            "connection: keep-alive, ,foo\r\nCONNECTION: bar ,\tuPGRADE",
        ));
    }

    #[test]
    fn a_request_without_upgrade_is_told_what_opens_this_address() {
        for request in [
            altered("Upgrade: websocket\r\n", ""),
            altered("Upgrade: websocket\r\n", "Upgrade: h2c\r\n"),
            "GET /lobby HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: curl\r\n\r\n".to_owned(),
        ] {
            assert_eq!(refused_by(&request), (426, "http.upgrade"), "{request}");
        }
        assert_eq!(
            refused_by(&altered("Connection: Upgrade", "Connection: keep-alive")),
            (400, "http.connection")
        );
    }

    #[test]
    fn another_version_is_told_which_one() {
        for by in [
            "",
            "Sec-WebSocket-Version: 8\r\n",
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13\r\n",
        ] {
            let request = altered("Sec-WebSocket-Version: 13\r\n", by);
            assert_eq!(refused_by(&request), (426, "websocket.version"));
        }
        let request = altered("GET /lobby HTTP/1.1", "GET /lobby HTTP/1.0");
        assert_eq!(refused_by(&request), (505, "http.version"));
        assert_eq!(
            refused_by("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
            (505, "http.version")
        );
    }

    #[test]
    fn a_key_is_16_bytes_in_base64() {
        let line = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        for by in [
            String::new(),
            line.repeat(2),
            "Sec-WebSocket-Key: \r\n".to_owned(),
            // 13 bytes, as in a recipe for curl that is often copied.
            "Sec-WebSocket-Key: SGVsbG8sIHdvcmxkIQ==\r\n".to_owned(),
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n".to_owned(),
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub2_jZQ==\r\n".to_owned(),
        ] {
            assert_eq!(
                refused_by(&altered(line, &by)),
                (400, "websocket.key"),
                "{by}"
            );
        }
    }

    #[test]
    fn only_get_without_a_body_opens_a_socket() {
        for method in ["POST", "HEAD", "OPTIONS", "get"] {
            let request = altered("GET", method);
            assert_eq!(refused_by(&request), (405, "http.method"), "{method}");
        }
        for line in [
            "Content-Length: 5",
            "Content-Length: +0",
            "Transfer-Encoding: chunked",
        ] {
            let request = handshake("/lobby", &[line]);
            assert_eq!(refused_by(&request), (400, "http.body"), "{line}");
        }
        upgrade(&handshake("/lobby", &["Content-Length: 0"]));
    }

    #[test]
    fn a_head_has_limits() {
        let settings = settings();
        let lines = vec!["A: b"; settings.request_headers_max - 5];
        upgrade(&handshake("/lobby", &lines));
        let lines = vec!["A: b"; 2_000];
        assert_eq!(
            refused_by(&handshake("/lobby", &lines)),
            (431, "request_headers_max")
        );
        let long = format!("A: {}", "b".repeat(100 * 1024));
        let request = handshake("/lobby", &[&long]);
        assert_eq!(refused_by(&request), (431, "request_head_bytes_max"));
        let dribbled = &request.as_bytes()[..settings.request_head_bytes_max];
        assert!(matches!(read_head(dribbled, PEER, &settings), Head::Bad(_)));
        assert_eq!(
            read_head(&dribbled[1..][..100], PEER, &settings),
            Head::Partial
        );
        // Frames behind a head do not count as its bytes.
        let mut pipelined = handshake("/lobby", &[]).into_bytes();
        pipelined.resize(settings.request_head_bytes_max * 2, 0);
        assert!(matches!(
            read_head(&pipelined, PEER, &settings),
            Head::Complete { .. }
        ));
    }

    #[test]
    fn what_is_no_http_is_refused_at_once() {
        assert_eq!(bad("\x16\x03\x01\x02\0\x01\0").status, 400);
        assert_eq!(bad("GET /lobby HTTP/1.1\r\nHost : a\r\n\r\n").status, 400);
        assert_eq!(bad("GET /lobby HTTP/1.1\r\nA: b\0c\r\n\r\n").status, 400);
        assert_eq!(bad("GET /lo bby HTTP/1.1\r\n\r\n").status, 505);
        assert_eq!(read(""), Head::Partial);
    }
}
