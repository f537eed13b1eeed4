//! The settings of spans, which each plane takes. Owns the flags and which variables
//! of OpenTelemetry's own are heard; takes no span.

use std::convert::Infallible;
use std::env;
use std::str::FromStr;

use anyhow::Context;
use porthouse_process::spans::{
    BadSpanSetting, Exporting, Ratio, SpanEndpoint, SpanHeaders, SpanSettings, SpansError, Tracer,
};

use crate::secret::{Given, Named};

/// Where these stand in `--help`.
const HEADING: &str = "Spans (OpenTelemetry)";

/// Which spans are taken, and where they go.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// How many spans are taken, of calls, entries and turns, 0 to 1 [default:
    /// `OTEL_TRACES_SAMPLER_ARG` of a sampler by ratio, else none]
    #[arg(long, value_name = "RATIO", env = "PORTHOUSE_SPANS_RATIO")]
    #[arg(value_parser = str::parse::<Ratio>, help_heading = HEADING)]
    spans_ratio: Option<Ratio>,
    /// Where spans go by OTLP over gRPC [default: `OTEL_EXPORTER_OTLP_ENDPOINT`, else
    /// `http://127.0.0.1:4317`]
    #[arg(long, value_name = "ADDRESS", env = "PORTHOUSE_SPANS_ENDPOINT")]
    #[arg(value_parser = Asked::read, help_heading = HEADING, hide_env_values = true)]
    spans_endpoint: Option<Asked>,
    #[command(flatten)]
    spans_headers: Given<Headers>,
}

/// An endpoint, or why it is none: what was given may hold a secret, and a flag that is
/// refused when it is read is repeated.
#[derive(Clone, Debug)]
struct Asked(Result<SpanEndpoint, BadSpanSetting>);

impl Asked {
    #[expect(clippy::unnecessary_wraps, reason = "as a flag is read")]
    fn read(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.parse()))
    }
}

/// What is shown to the collector.
struct Headers;

impl Named for Headers {
    const NAME: &'static str = "spans_headers";
    const FILE: &'static str = "spans_headers_file";
    const VARIABLES: [&'static str; 2] =
        ["PORTHOUSE_SPANS_HEADERS", "PORTHOUSE_SPANS_HEADERS_FILE"];
    const HELP: [&'static str; 2] = [
        "What is shown where spans go: name=value, with commas between them",
        "Read what is shown where spans go from a file, not from PORTHOUSE_SPANS_HEADERS",
    ];
}

impl Arguments {
    /// What was said, by flags or by the variables of OpenTelemetry.
    pub(crate) fn given(
        &self,
        service: &'static str,
        instance: Option<String>,
    ) -> anyhow::Result<SpanSettings> {
        let by_ratio = env::var("OTEL_TRACES_SAMPLER").is_ok_and(|sampler| is_by_ratio(&sampler));
        let variables: &[&str] = if by_ratio {
            &["OTEL_TRACES_SAMPLER_ARG"]
        } else {
            &[]
        };
        let ratio = or_variable(self.spans_ratio, variables)?;
        let endpoints = [
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
        ];
        let headers = self.spans_headers.secret()?;
        let headers = headers.map(|headers| headers.reveal().parse::<SpanHeaders>());
        let asked = self.spans_endpoint.clone().map(|asked| asked.0);
        let mut endpoint = asked.transpose().context("spans_endpoint is not one")?;
        let mut headers = headers.transpose()?;
        let ratio = ratio.unwrap_or_default();
        // What they say to all on a machine does not stop who takes none.
        if !ratio.is_zero() {
            endpoint = or_variable(endpoint, &endpoints)?;
            headers = or_variable(headers, &["OTEL_EXPORTER_OTLP_HEADERS"])?;
        }
        Ok(SpanSettings {
            ratio,
            endpoint: endpoint.unwrap_or_default(),
            headers: headers.unwrap_or_default(),
            service,
            instance,
        })
    }
}

/// Whether what a sampler is told is a ratio; others mean something else by it.
fn is_by_ratio(sampler: &str) -> bool {
    sampler == "traceidratio" || sampler == "parentbased_traceidratio"
}

/// Takes spans as it was said.
pub(crate) fn start(settings: SpanSettings) -> Result<(Tracer, Exporting), SpansError> {
    let endpoint = settings.endpoint.clone();
    let (tracer, exporting) = Tracer::start(settings)?;
    if tracer.is_on() {
        tracing::info!(endpoint = endpoint.as_str(), "spans are taken");
    }
    Ok((tracer, exporting))
}

/// What was given, or what the first variable says that is set.
fn or_variable<T>(given: Option<T>, variables: &[&'static str]) -> anyhow::Result<Option<T>>
where
    T: FromStr<Err = BadSpanSetting>,
{
    if given.is_some() {
        return Ok(given);
    }
    let said = |name: &&'static str| Some((*name, env::var(name).ok()?));
    let mut said = variables.iter().filter_map(said);
    let said = said.find(|(_, text)| !text.is_empty());
    said.map(|(name, text)| text.parse().with_context(|| format!("{name} is not one")))
        .transpose()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Process {
        #[command(flatten)]
        spans: Arguments,
    }

    fn given(words: &[&str]) -> Result<Process, clap::Error> {
        Process::try_parse_from([&["process"], words].concat())
    }

    #[test]
    fn nonsense_is_refused_and_says_what_would_do() {
        let high = given(&["--spans-ratio", "2"]).expect_err("more than all");
        assert!(
            high.to_string().contains("from 0 (none) to 1 (all)"),
            "{high}"
        );
        let secret = "http://user:swordfish@host:4317";
        let process = given(&["--spans-endpoint", secret]).expect("it is read later");
        assert!(!format!("{process:?}").contains("swordfish"));
        let refused = process.spans.given("test", None).expect_err("a secret");
        let said = format!("{refused:?}");
        assert!(said.contains("without a secret"), "{said}");
        assert!(!said.contains("swordfish"), "it is repeated: {said}");
        assert!(given(&["--spans-headers", "key=swordfish"]).is_err());
    }

    #[test]
    fn what_another_sampler_is_told_is_no_ratio() {
        assert!(is_by_ratio("parentbased_traceidratio"));
        assert!(!is_by_ratio("parentbased_jaeger_remote"));
        assert!(!is_by_ratio("always_off"));
    }

    #[test]
    fn no_span_is_taken_unless_it_is_said() {
        let process = given(&[]).expect("nothing is needed");
        let settings = process.spans.given("test", None).expect("the defaults");
        let (tracer, _exporting) = start(settings).expect("nothing to do");
        assert!(!tracer.is_on());
    }
}
