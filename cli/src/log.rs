//! The settings of a process's log, which every command takes.

use porthouse_process::telemetry::{self, LogFormat, TelemetryError, TelemetrySettings};

/// Where these stand in `--help`.
const HEADING: &str = "Log (standard error)";

/// What to log and how.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// Which events to write, such as `info` or `warn,porthouse_node=debug`
    #[arg(
        long = "log",
        value_name = "FILTER",
        env = "PORTHOUSE_LOG",
        default_value = "info"
    )]
    #[arg(global = true, help_heading = HEADING)]
    filter: String,
    /// Lines for people (text) or for machines (json)
    #[arg(
        long = "log-format",
        value_name = "FORMAT",
        env = "PORTHOUSE_LOG_FORMAT"
    )]
    #[arg(default_value = "text", value_parser = str::parse::<LogFormat>)]
    #[arg(global = true, help_heading = HEADING)]
    format: LogFormat,
}

impl Arguments {
    /// Starts the log.
    pub(crate) fn start(self) -> Result<(), TelemetryError> {
        telemetry::start(&TelemetrySettings {
            format: self.format,
            filter: self.filter,
        })
    }
}
