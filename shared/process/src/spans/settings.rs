//! Which spans are taken, and where they go. Owns what a setting may say; takes
//! nothing and sends nothing.

use std::fmt;
use std::str::FromStr;

use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};

use super::Context;

/// Headers that are sent with each export.
const HEADERS_MAX: usize = 16;

/// Which spans are taken, and where they go.
#[derive(Clone, Debug)]
pub struct SpanSettings {
    /// How many are taken.
    pub ratio: Ratio,
    /// Where they go.
    pub endpoint: SpanEndpoint,
    /// What is shown there.
    pub headers: SpanHeaders,
    /// What kind of process this is (`service.name`).
    pub service: &'static str,
    /// Which one of its kind (`service.instance.id`); `None`: it has no name.
    pub instance: Option<String>,
}

/// A setting of spans that is none. Says what would be one, never what was given: it
/// may have been a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSpanSetting {
    /// Not a ratio.
    #[error("the ratio of spans is a number from 0 (none) to 1 (all), such as 0.01")]
    Ratio,
    /// Not an endpoint.
    #[error(
        "spans go to http://host:port, or https:// where it speaks TLS: OTLP over gRPC, without a \
         path, and without a secret, which is a header"
    )]
    Endpoint,
    /// Not headers.
    #[error(
        "headers of spans read name=value, at most 16 with commas between them, in ASCII; other \
         characters of a value as %20"
    )]
    Headers,
}

/// How many of all spans are taken: 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ratio(f64);

impl Ratio {
    /// Whether none is taken.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0 <= 0.0
    }

    /// As all who go by this ratio decide of this trace.
    pub(super) fn takes(self, context: &Context) -> bool {
        let [.., a, b, c, d] = context.trace;
        f64::from(u32::from_be_bytes([a, b, c, d])) < self.0 * (f64::from(u32::MAX) + 1.0)
    }

    /// One of how many that is, never more than were asked for.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is at least 1, and a cast stops at the most"
    )]
    pub(super) fn one_in(self) -> u32 {
        (1.0 / self.0).ceil() as u32
    }
}

impl FromStr for Ratio {
    type Err = BadSpanSetting;

    fn from_str(text: &str) -> Result<Self, BadSpanSetting> {
        let ratio = text.parse().map_err(|_| BadSpanSetting::Ratio)?;
        let is_one = (0.0..=1.0).contains(&ratio);
        is_one.then_some(Self(ratio)).ok_or(BadSpanSetting::Ratio)
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where spans go: a collector that speaks OTLP over gRPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanEndpoint(String);

impl SpanEndpoint {
    /// As it is dialled; without a secret.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for SpanEndpoint {
    /// Where a collector on this machine listens.
    fn default() -> Self {
        Self("http://127.0.0.1:4317".to_owned())
    }
}

impl FromStr for SpanEndpoint {
    type Err = BadSpanSetting;

    fn from_str(text: &str) -> Result<Self, BadSpanSetting> {
        let given = text.strip_suffix('/').unwrap_or(text);
        let mut schemes = ["http://", "https://"].into_iter();
        let host = schemes.find_map(|scheme| given.strip_prefix(scheme));
        let is_one = |host: &&str| !host.is_empty() && !host.contains(['@', '/', '?', '#', ',']);
        host.filter(is_one).ok_or(BadSpanSetting::Endpoint)?;
        let dialled = tonic::transport::Endpoint::from_shared(given.to_owned());
        let dialled = dialled.map_err(|_| BadSpanSetting::Endpoint)?;
        // Neither scheme's own port is one that collectors listen at.
        dialled.uri().port().ok_or(BadSpanSetting::Endpoint)?;
        Ok(Self(given.to_owned()))
    }
}

/// What is shown where spans go, such as a key; never shown elsewhere.
#[derive(Clone, Default)]
pub struct SpanHeaders(MetadataMap);

impl SpanHeaders {
    pub(super) const fn metadata(&self) -> &MetadataMap {
        &self.0
    }
}

impl fmt::Debug for SpanHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpanHeaders({})", self.0.len())
    }
}

impl FromStr for SpanHeaders {
    type Err = BadSpanSetting;

    fn from_str(text: &str) -> Result<Self, BadSpanSetting> {
        let mut headers = MetadataMap::new();
        for header in text.split(',').filter(|header| !header.trim().is_empty()) {
            let (name, value) = header.split_once('=').ok_or(BadSpanSetting::Headers)?;
            let name = name.trim().to_ascii_lowercase();
            let name = AsciiMetadataKey::from_bytes(name.as_bytes());
            let value = unescaped(value.trim()).map(AsciiMetadataValue::try_from);
            let (Ok(name), Some(Ok(mut value))) = (name, value) else {
                return Err(BadSpanSetting::Headers);
            };
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let few = headers.len() <= HEADERS_MAX;
        few.then_some(Self(headers)).ok_or(BadSpanSetting::Headers)
    }
}

/// A value as it is meant, of which any character may be written as `%20`.
fn unescaped(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_from_none_to_all() {
        for wrong in ["", "-0.1", "1.01", "NaN", "inf", "many", "1%"] {
            assert_eq!(
                wrong.parse::<Ratio>(),
                Err(BadSpanSetting::Ratio),
                "{wrong}"
            );
        }
        let ratio = |text: &str| text.parse::<Ratio>().expect("a ratio");
        assert!(ratio("0").is_zero() && !ratio("1e-9").is_zero());
        assert_eq!(ratio("1").one_in(), 1);
        assert_eq!(ratio("0.01").one_in(), 100);
        assert_eq!(ratio("0.7").one_in(), 2, "not all of them");
        assert_eq!(ratio("1e-300").one_in(), u32::MAX);
    }

    #[test]
    fn about_as_many_traces_are_taken_as_the_ratio_says() {
        let ratio: Ratio = "0.25".parse().expect("a ratio");
        let taken = (0..4_000).filter(|_| ratio.takes(&Context::drawn()));
        let count = taken.count();
        assert!((800..1_200).contains(&count), "{count}");
        let all: Ratio = "1".parse().expect("a ratio");
        assert!((0..1_000).all(|_| all.takes(&Context::drawn())));
    }

    #[test]
    fn an_endpoint_has_no_place_for_a_secret() {
        for right in [
            "http://127.0.0.1:4317",
            "http://[::1]:4317",
            "https://collector.example:4317/",
        ] {
            assert!(right.parse::<SpanEndpoint>().is_ok(), "{right}");
        }
        for wrong in [
            "127.0.0.1:4317",
            "http://",
            "http://host",
            "https://host/",
            "http://key@host:4317",
            "http://host/v1/traces",
            "http://host?key=1",
            "ftp://host",
            "http://a b",
        ] {
            let refused = wrong.parse::<SpanEndpoint>();
            assert_eq!(refused, Err(BadSpanSetting::Endpoint), "{wrong}");
        }
    }

    #[test]
    fn headers_are_read_as_the_standard_has_them_and_never_shown() {
        let headers: SpanHeaders = "api-key=swordfish, Other=two%20words=2"
            .parse()
            .expect("two");
        let value = |name| headers.metadata().get(name).and_then(|it| it.to_str().ok());
        assert_eq!(value("api-key"), Some("swordfish"));
        assert_eq!(value("other"), Some("two words=2"));
        assert_eq!(format!("{headers:?}"), "SpanHeaders(2)");
        assert!(!format!("{:?}", headers.metadata()).contains("swordfish"));
        for wrong in ["swordfish", "a b=1", "a=%", "a=%zz", "a=\u{1}", "a-bin=1"] {
            let refused = wrong.parse::<SpanHeaders>().expect_err(wrong);
            assert!(!refused.to_string().contains("swordfish"));
        }
    }
}
