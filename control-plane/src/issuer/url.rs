//! Where an issuer's keys are, as an address that was checked when it was written.
//! Connects to nothing.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::Uri;
use http::uri::Scheme;

/// The most bytes of one.
const URL_BYTES_MAX: usize = 1024;

/// `https://host…`, or `http://` of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeysUrl {
    uri: Uri,
    host: String,
    port: u16,
}

/// Not where keys may be fetched from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadKeysUrl;

impl fmt::Display for BadKeysUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "https://host with a path, or http:// of this machine (localhost, 127.0.0.1, [::1]); \
             at most {URL_BYTES_MAX} bytes, with no user and no fragment"
        )
    }
}

impl FromStr for KeysUrl {
    type Err = BadKeysUrl;

    fn from_str(text: &str) -> Result<Self, BadKeysUrl> {
        Self::parse(text).ok_or(BadKeysUrl)
    }
}

impl KeysUrl {
    fn parse(text: &str) -> Option<Self> {
        if text.len() > URL_BYTES_MAX || text.contains(['#', '@']) {
            return None;
        }
        let uri: Uri = text.parse().ok()?;
        let host = uri.host().filter(|host| !host.is_empty())?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let host = host.to_owned();
        let default_port = match uri.scheme()? {
            scheme if *scheme == Scheme::HTTPS => 443,
            scheme if *scheme == Scheme::HTTP && is_this_machine(&host) => 80,
            _ => return None,
        };
        let port = match uri.authority()?.as_str().strip_prefix(uri.host()?)? {
            "" => default_port,
            port => {
                let port = port.strip_prefix(':')?.parse().ok();
                port.filter(|port| *port > 0)?
            }
        };
        Some(Self { uri, host, port })
    }

    /// A name or an address, an IPv6 one without brackets.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn is_secure(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTPS)
    }

    /// What `Host` is.
    pub(super) fn authority(&self) -> &str {
        self.uri
            .authority()
            .map_or("", |authority| authority.as_str())
    }

    /// What is asked for.
    pub(super) fn target(&self) -> &str {
        self.uri
            .path_and_query()
            .map_or("/", |target| target.as_str())
    }
}

fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(String, u16, String)> {
        let url: KeysUrl = text.parse().ok()?;
        Some((url.host().to_owned(), url.port(), url.target().to_owned()))
    }

    #[test]
    fn keys_are_fetched_by_https_or_from_this_machine() {
        let is = |host: &str, port, target: &str| Some((host.to_owned(), port, target.to_owned()));
        assert_eq!(
            parsed("https://id.example/keys?v=2"),
            is("id.example", 443, "/keys?v=2")
        );
        assert_eq!(
            parsed("https://id.example:8443"),
            is("id.example", 8443, "/")
        );
        assert_eq!(parsed("http://127.0.0.1:81/k"), is("127.0.0.1", 81, "/k"));
        assert_eq!(parsed("http://[::1]/k"), is("::1", 80, "/k"));
        assert_eq!(parsed("http://LOCALHOST/k"), is("LOCALHOST", 80, "/k"));
    }

    #[test]
    fn from_nowhere_else() {
        let long = format!("https://a.example/{}", "a".repeat(URL_BYTES_MAX));
        for text in [
            "",
            "id.example/keys",
            "http://id.example/keys",
            "http://10.0.0.1/keys",
            "http://localhost.example/keys",
            "http://169.254.169.254/",
            "file:///etc/passwd",
            "ftp://id.example/",
            "https://",
            "https://:443/",
            "https://u:p@id.example/",
            "https://id.example/#f",
            "https://id.example:0/",
            "https://id.example:65536/",
            "https://id.example:x/",
            "https://id example/",
            "//id.example/",
            &long,
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }
}
