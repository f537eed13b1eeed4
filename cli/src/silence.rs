//! What a command is told of clients that say nothing: when they are asked
//! whether they are there. Owns the flag; asks nobody.

use std::time::Duration;

use porthouse_node::Settings;

/// The shortest silence and the longest: a second, and an hour.
const MS_RANGE: std::ops::RangeInclusive<u64> = 1_000..=3_600_000;

/// How long a client may be silent.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// Silence of a client, in milliseconds, after which it is pinged; one that says nothing for
    /// as long again is gone
    #[arg(
        long,
        value_name = "MILLISECONDS",
        env = "PORTHOUSE_SILENCE_MS_MAX",
        default_value = "45000",
        value_parser = clap::value_parser!(u64).range(MS_RANGE)
    )]
    silence_ms_max: u64,
}

impl Arguments {
    /// Puts what was said into a node's settings.
    pub(crate) const fn apply(&self, settings: &mut Settings) {
        settings.silence_time_max = Duration::from_millis(self.silence_ms_max);
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use porthouse_node::ApiKeySecret;

    use super::*;

    #[derive(Debug, Parser)]
    struct Node {
        #[command(flatten)]
        silence: Arguments,
    }

    fn settings() -> Settings {
        Settings::new(
            "node-1".parse().expect("a node's name"),
            "127.0.0.1:0".parse().expect("an address"),
            "http://127.0.0.1:1".to_owned(),
            ApiKeySecret::new("phk_secret".to_owned()),
        )
    }

    #[test]
    fn what_is_not_said_is_as_the_node_has_it() {
        let mut given = settings();
        let node = Node::try_parse_from(["node"]).expect("nothing is said");
        node.silence.apply(&mut given);
        assert_eq!(given.silence_time_max, settings().silence_time_max);
    }

    #[test]
    fn a_silence_that_no_connection_bears_or_nobody_notices_is_refused() {
        for (ms, is) in [
            ("999", false),
            ("1000", true),
            ("3600000", true),
            ("3600001", false),
            ("-1", false),
            ("45s", false),
        ] {
            let flag = format!("--silence-ms-max={ms}");
            let parsed = Node::try_parse_from(["node", &flag]);
            assert_eq!(parsed.is_ok(), is, "{ms}");
        }
    }
}
