//! How identity providers' keys are fetched and their tokens counted, as flags.

use std::time::Duration;

use porthouse_control::{PrivateAddresses, Settings};

/// The longest that any of them may be: a month.
const MILLIS_MAX: i64 = 31 * 24 * 60 * 60 * 1_000;

/// How identity providers' keys are fetched.
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// Whether identity providers may publish their keys at addresses that are not
    /// public
    #[arg(
        long,
        value_name = "RULE",
        env = "PORTHOUSE_ISSUER_PRIVATE_ADDRESSES",
        default_value = "refuse"
    )]
    issuer_private_addresses: IssuerPrivateAddresses,
    /// How old an identity provider's keys become before they are fetched again
    #[arg(
        long,
        value_name = "MILLISECONDS",
        env = "PORTHOUSE_ISSUER_KEYS_REFRESH_MS",
        default_value_t = 300_000,
        value_parser = clap::value_parser!(u32).range(1_000..=MILLIS_MAX)
    )]
    issuer_keys_refresh_ms: u32,
    /// How long there is at least between two fetches of one identity provider's keys,
    /// however many tokens name keys that are not known
    #[arg(
        long,
        value_name = "MILLISECONDS",
        env = "PORTHOUSE_ISSUER_KEYS_FETCH_EVERY_MIN_MS",
        default_value_t = 60_000,
        value_parser = clap::value_parser!(u32).range(100..=MILLIS_MAX)
    )]
    issuer_keys_fetch_every_min_ms: u32,
    /// How old keys may become that cannot be fetched again; nobody signs in by older
    /// ones
    #[arg(
        long,
        value_name = "MILLISECONDS",
        env = "PORTHOUSE_ISSUER_KEYS_AGE_MAX_MS",
        default_value_t = 3_600_000,
        value_parser = clap::value_parser!(u32).range(1_000..=MILLIS_MAX)
    )]
    issuer_keys_age_max_ms: u32,
    /// Tokens that are refused to one network before it is kept waiting with the next
    /// that is refused; who has a right one never waits
    #[arg(
        long,
        value_name = "NUMBER",
        env = "PORTHOUSE_ISSUER_REFUSED_TOKENS_MAX",
        default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    issuer_refused_tokens_max: u32,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum IssuerPrivateAddresses {
    /// They may: this machine and its networks are connected to
    Allow,
    /// They may not
    Refuse,
}

impl Arguments {
    /// Sets them.
    pub(crate) fn apply(self, settings: &mut Settings) {
        let millis = |millis: u32| Duration::from_millis(u64::from(millis));
        settings.issuer.private_addresses = match self.issuer_private_addresses {
            IssuerPrivateAddresses::Allow => PrivateAddresses::Allow,
            IssuerPrivateAddresses::Refuse => PrivateAddresses::Refuse,
        };
        settings.issuer.keys_refresh = millis(self.issuer_keys_refresh_ms);
        settings.issuer.keys_fetch_every_min = millis(self.issuer_keys_fetch_every_min_ms);
        settings.issuer.keys_age_max = millis(self.issuer_keys_age_max_ms);
        settings.issuer.refused_tokens_max = self.issuer_refused_tokens_max;
    }
}
