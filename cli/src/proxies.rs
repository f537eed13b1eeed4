//! What a command is told of proxies in front: which are believed about where
//! their clients are. Owns the flag; believes nobody itself.

use porthouse_model::AddressRange;
use porthouse_node::Settings;

/// Who is believed.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// A proxy in front, as 10.0.0.7 or 10.0.0.0/8, that is believed about where its clients are
    /// (X-Forwarded-For); repeat it for more, at most 64 [default: nobody is]
    #[arg(
        long,
        value_name = "RANGE",
        env = "PORTHOUSE_TRUSTED_PROXIES",
        value_delimiter = ','
    )]
    trusted_proxies: Vec<AddressRange>,
}

impl Arguments {
    /// Puts what was said into a node's settings.
    pub(crate) fn apply(&self, settings: &mut Settings) {
        settings.trusted_proxies.clone_from(&self.trusted_proxies);
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Node {
        #[command(flatten)]
        proxies: Arguments,
    }

    #[test]
    fn proxies_are_addresses_and_ranges_of_them() {
        let given = "--trusted-proxies=10.0.0.7,2001:db8::/32";
        let node = Node::try_parse_from(["node", given, "--trusted-proxies", "192.0.2.9/24"]);
        let ranges = node.expect("ranges").proxies.trusted_proxies;
        let shown: Vec<String> = ranges.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.0.7/32", "2001:db8::/32", "192.0.2.0/24"]);
        for text in ["proxy.example", "10.0.0.0/33", "10.0.0.0/x"] {
            let flag = format!("--trusted-proxies={text}");
            let refused = Node::try_parse_from(["node", &flag]).expect_err(text);
            let told = refused.to_string();
            assert!(told.contains("an address range is"), "{told}");
        }
    }
}
