//! What a command is told of transient rooms: those that are made by entering a
//! name that has none. Owns the flags and what they say; keeps no room.

use std::collections::BTreeSet;

use clap::ValueEnum;
use clap::builder::RangedU64ValueParser;
use porthouse_node::{OwnerRule, RoomLife, Settings};

/// The most that either number of rooms may be.
const ROOMS_MAX: u64 = 10_000_000;

/// How transient rooms live, and what their owners may do.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Transient rooms")]
#[group(skip)]
pub(crate) struct Arguments {
    /// How long a transient room lives, unless who makes it says otherwise
    #[arg(
        long,
        value_name = "LIFE",
        env = "PORTHOUSE_TRANSIENT_LIFE",
        default_value = "peerless"
    )]
    transient_life: Life,
    /// What the owner of a transient room may set of its rules, separated by commas
    #[arg(
        long,
        value_name = "RULES",
        env = "PORTHOUSE_TRANSIENT_OWNER_RULES",
        value_delimiter = ',',
        default_value = "audience,approval,content,bytes-max,capabilities,presence"
    )]
    transient_owner_rules: Vec<Rule>,
    /// Owned transient rooms of the node; past it one more is refused for now (4202)
    #[arg(
        long,
        value_name = "NUMBER",
        env = "PORTHOUSE_TRANSIENT_ROOMS_MAX",
        default_value = "100000",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=ROOMS_MAX)
    )]
    transient_rooms_max: usize,
    /// Transient rooms that one client owns on this node; past it one more is refused for now
    /// (4217)
    #[arg(
        long,
        value_name = "NUMBER",
        env = "PORTHOUSE_TRANSIENT_ROOMS_PER_CLIENT_MAX",
        default_value = "64",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=ROOMS_MAX)
    )]
    transient_rooms_per_client_max: usize,
}

/// How long a room lives.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Life {
    /// Until its owner leaves; then everybody is put out
    Peer,
    /// As long as anybody is inside; the one who has been there longest is its next owner
    Peerless,
    /// As long as anybody is inside, and nobody owns it
    Unowned,
}

/// What owners may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Rule {
    /// Who may enter: anyone, or signed-in users
    Audience,
    /// Whether everybody must be let in
    Approval,
    /// Which kinds of messages are taken
    Content,
    /// The longest message
    BytesMax,
    /// Who may do what
    Capabilities,
    /// What is shown of who is there
    Presence,
    /// Nothing: owners set no rules
    None,
}

impl Rule {
    const fn owners(self) -> Option<OwnerRule> {
        Some(match self {
            Self::Audience => OwnerRule::Audience,
            Self::Approval => OwnerRule::Approval,
            Self::Content => OwnerRule::Content,
            Self::BytesMax => OwnerRule::BytesMax,
            Self::Capabilities => OwnerRule::Capabilities,
            Self::Presence => OwnerRule::Presence,
            Self::None => return None,
        })
    }
}

impl Arguments {
    /// Puts what was said into a node's settings.
    pub(crate) fn apply(&self, settings: &mut Settings) -> anyhow::Result<()> {
        let rules = &self.transient_owner_rules;
        anyhow::ensure!(
            rules.len() == 1 || !rules.contains(&Rule::None),
            "--transient-owner-rules: `none` stands alone, or is left out"
        );
        let rules: BTreeSet<OwnerRule> = rules.iter().filter_map(|rule| rule.owners()).collect();
        settings.transient_life = match self.transient_life {
            Life::Peer => Some(RoomLife::Peer),
            Life::Peerless => Some(RoomLife::Peerless),
            Life::Unowned => None,
        };
        settings.owner_rules = rules;
        settings.transient_rooms_max = self.transient_rooms_max;
        settings.transient_rooms_per_client_max = self.transient_rooms_per_client_max;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, FromArgMatches as _, Parser};
    use porthouse_node::ApiKeySecret;

    use super::*;

    #[derive(Debug, Parser)]
    struct Node {
        #[command(flatten)]
        transient: Arguments,
    }

    fn given(flags: &[&str]) -> Result<Settings, String> {
        let mut settings = Settings::new(
            "node-1".parse().expect("a node's name"),
            "127.0.0.1:0".parse().expect("an address"),
            "http://127.0.0.1:1".to_owned(),
            ApiKeySecret::new("phk_secret".to_owned()),
        );
        let words = ["node"].iter().chain(flags);
        let matches = Node::command().try_get_matches_from(words);
        let node = matches.and_then(|matches| Node::from_arg_matches(&matches));
        let node = node.map_err(|error| error.to_string())?;
        let applied = node.transient.apply(&mut settings);
        applied
            .map(|()| settings)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_is_as_the_node_has_it() {
        let settings = given(&[]).expect("nothing is said");
        assert_eq!(settings.transient_life, Some(RoomLife::Peerless));
        assert_eq!(settings.owner_rules, OwnerRule::ALL.into());
        let most = (
            settings.transient_rooms_max,
            settings.transient_rooms_per_client_max,
        );
        assert_eq!(most, (100_000, 64));
    }

    #[test]
    fn a_node_is_told_how_transient_rooms_live() {
        let flags = [
            "--transient-life=peer",
            "--transient-owner-rules=audience,bytes-max",
            "--transient-rooms-max=10",
            "--transient-rooms-per-client-max=2",
        ];
        let settings = given(&flags).expect("it can be kept");
        assert_eq!(settings.transient_life, Some(RoomLife::Peer));
        let rules = [OwnerRule::Audience, OwnerRule::BytesMax];
        assert_eq!(settings.owner_rules, rules.into());
        assert_eq!(settings.transient_rooms_max, 10);
        assert_eq!(settings.transient_rooms_per_client_max, 2);
        let unowned = given(&["--transient-life=unowned", "--transient-owner-rules=none"]);
        let unowned = unowned.expect("it can be kept");
        assert_eq!(unowned.transient_life, None);
        assert_eq!(unowned.owner_rules, BTreeSet::new());
    }

    #[test]
    fn what_cannot_be_kept_is_refused_by_its_flag() {
        for (flag, named) in [
            ("--transient-life=long", "--transient-life"),
            ("--transient-owner-rules=all", "--transient-owner-rules"),
            (
                "--transient-owner-rules=none,content",
                "`none` stands alone",
            ),
            ("--transient-rooms-max=0", "--transient-rooms-max"),
            (
                "--transient-rooms-per-client-max=many",
                "--transient-rooms-per-client-max",
            ),
        ] {
            let refused = given(&[flag]).expect_err(flag);
            assert!(refused.contains(named), "{flag}: {refused}");
        }
    }

    #[test]
    fn the_help_says_what_each_life_is() {
        let help = Node::command().render_long_help().to_string();
        for said in ["put out", "next owner", "nobody owns it", "4217", "4202"] {
            assert!(help.contains(said), "{said}: {help}");
        }
    }
}
