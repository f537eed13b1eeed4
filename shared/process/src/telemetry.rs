//! Where a process writes what it does: one line an event, to standard error.
//!
//! Owns the form of a line and which events pass. Never adds fields of its own:
//! what is logged is decided where it happens, and secrets are nowhere in it.

use std::io::IsTerminal;
use std::str::FromStr;

use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt, registry};

/// What a process logs and how it looks.
#[derive(Clone, Debug)]
pub struct TelemetrySettings {
    /// The form of a line.
    pub format: LogFormat,
    /// Which events are written, such as `info` or `warn,porthouse_node=debug`.
    pub filter: String,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// A log that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one; the reader of the message wrote it.
    #[error("the log filter is not valid: it reads like `info` or `warn,porthouse_node=debug`")]
    Filter(#[from] ParseError),
    /// The process has a log already.
    #[error("the log was started before")]
    Started(#[from] TryInitError),
    /// The form is none we have.
    #[error("the log format is `text` or `json`")]
    Format,
}

impl FromStr for LogFormat {
    type Err = TelemetryError;

    fn from_str(text: &str) -> Result<Self, TelemetryError> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(TelemetryError::Format),
        }
    }
}

/// Starts the process's log. To be called once, before anything is logged.
///
/// # Errors
/// When the filter cannot be read, or the process has a log already.
pub fn start(settings: &TelemetrySettings) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&settings.filter)?;
    let lines = match settings.format {
        LogFormat::Text => {
            let coloured = std::io::stderr().is_terminal();
            fmt::layer()
                .with_ansi(coloured)
                .with_writer(std::io::stderr)
                .boxed()
        }
        LogFormat::Json => fmt::layer().json().with_writer(std::io::stderr).boxed(),
    };
    registry().with(lines.with_filter(filter)).try_init()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(filter: &str) -> TelemetrySettings {
        TelemetrySettings {
            format: LogFormat::Text,
            filter: filter.to_owned(),
        }
    }

    #[test]
    fn an_unreadable_filter_is_refused() {
        let refused = start(&settings("porthouse=shout")).expect_err("no such level");
        assert!(matches!(refused, TelemetryError::Filter(_)));
    }

    #[test]
    fn a_process_has_one_log() {
        start(&settings("info")).expect("the first log of this process");
        assert!(matches!(
            start(&settings("info")),
            Err(TelemetryError::Started(_))
        ));
    }

    #[test]
    fn a_format_is_named_or_refused() {
        assert_eq!(
            "json".parse::<LogFormat>().expect("a format"),
            LogFormat::Json
        );
        assert!("yaml".parse::<LogFormat>().is_err());
    }
}
