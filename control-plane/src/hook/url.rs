//! Where an owner's backend is, as an address that was checked when it was
//! written. Connects to nothing.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::Scheme;

/// The most bytes of one.
const URL_BYTES_MAX: usize = 255;

/// `http://host:port` or `https://host:port`, with nothing after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HookUrl {
    uri: Uri,
    host: String,
    port: u16,
}

/// Not the URL of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadHookUrl;

impl fmt::Display for BadHookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "http://host:port or https://host:port, at most {URL_BYTES_MAX} bytes, with no path \
             and no user"
        )
    }
}

impl fmt::Display for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure() { "https" } else { "http" };
        let brackets = if self.host.contains(':') {
            ("[", "]")
        } else {
            ("", "")
        };
        write!(
            f,
            "{scheme}://{}{}{}:{}",
            brackets.0, self.host, brackets.1, self.port
        )
    }
}

impl FromStr for HookUrl {
    type Err = BadHookUrl;

    fn from_str(text: &str) -> Result<Self, BadHookUrl> {
        Self::parse(text).ok_or(BadHookUrl)
    }
}

impl HookUrl {
    fn parse(text: &str) -> Option<Self> {
        if text.len() > URL_BYTES_MAX || text.contains(['#', '@', '?']) {
            return None;
        }
        let uri: Uri = text.parse().ok()?;
        let ends = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let default_port = match uri.scheme()? {
            scheme if *scheme == Scheme::HTTP => 80,
            scheme if *scheme == Scheme::HTTPS => 443,
            _ => return None,
        };
        let host = uri.host().filter(|host| !host.is_empty())?;
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let port = match uri.authority()?.as_str().strip_prefix(uri.host()?)? {
            "" => default_port,
            port => port
                .strip_prefix(':')?
                .parse()
                .ok()
                .filter(|port| *port > 0)?,
        };
        ends.then_some(Self { uri, host, port })
    }

    pub(super) const fn uri(&self) -> &Uri {
        &self.uri
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(String, u16, bool)> {
        let url: HookUrl = text.parse().ok()?;
        Some((url.host().to_owned(), url.port(), url.is_secure()))
    }

    #[test]
    fn a_hook_is_a_host_and_a_port() {
        let is = |host: &str, port, secure| Some((host.to_owned(), port, secure));
        assert_eq!(
            parsed("http://a.example:8080"),
            is("a.example", 8080, false)
        );
        assert_eq!(parsed("https://a.example/"), is("a.example", 443, true));
        assert_eq!(parsed("http://[::1]:1"), is("::1", 1, false));
        for text in [
            "http://a.example:8080",
            "https://a.example:443",
            "http://[::1]:1",
        ] {
            assert_eq!(
                text.parse().map(|url: HookUrl| url.to_string()),
                Ok(text.into())
            );
        }
    }

    #[test]
    fn nothing_else_is_one() {
        let long = format!("http://{}", "a".repeat(URL_BYTES_MAX));
        for text in [
            "",
            "a.example:80",
            "ftp://a.example",
            "unix:///run/hook",
            "http://",
            "http://:80",
            "http://a.example:0",
            "http://a.example:65536",
            "http://a.example:x",
            "http://u:p@a.example",
            "http://a.example/path",
            "http://a.example?q",
            "http://a.example#f",
            "http://a b",
            "//a.example",
            &long,
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }
}
