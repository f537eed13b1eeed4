//! What a replica can be told when it starts, each with its default.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use porthouse_process::spans::Tracer;
use zeroize::Zeroizing;

use crate::hook::HookSettings;
use crate::identity::hashing::HashingSettings;
use crate::identity::sealing::SealingKeys;
use crate::issuer::IssuerSettings;
use crate::operators::Operated;
use crate::policy::FeedSettings;
use crate::store::StoreSettings;

/// How a replica runs.
#[derive(Clone)]
pub struct Settings {
    /// Where Postgres is: `postgres://user:password@host/database`, or
    /// `host=/directory` for a Unix socket. Must lead to Postgres itself, or to a
    /// pooler in session mode.
    pub database_url: String,
    /// How the database is used.
    pub store: StoreSettings,
    /// How passwords are hashed.
    pub hashing: HashingSettings,
    /// How nodes are served.
    pub feed: FeedSettings,
    /// How owners' backends are asked.
    pub hook: HookSettings,
    /// How identity providers' keys are fetched.
    pub issuer: IssuerSettings,
    /// What guards may cost.
    pub guards: GuardSettings,
    /// By what the listener speaks TLS. `None`: not at all.
    pub tls: Option<TlsSettings>,
    /// What secrets that must be read again are sealed under. `None`: calls that
    /// keep or read one are refused.
    pub sealing_keys: Option<Arc<SealingKeys>>,
    /// The longest a session may last, and how long it does unless asked.
    pub session_lifetime_max: Duration,
    /// Connections that may be open; one more is closed at once.
    pub connections_max: usize,
    /// Calls under way on one connection; more wait.
    pub calls_per_connection_max: usize,
    /// How long calls under way may take once the replica is told to stop.
    pub stop_time_max: Duration,
    /// What takes spans of calls; off by default.
    pub spans: Tracer,
    /// What operators are shown it by. `None`: they are shown nothing, and nothing is
    /// looked at for them.
    pub operated: Option<Operated>,
}

/// What guards may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardSettings {
    /// Guards there may be: each is judged with each write of a room.
    pub guards_max: u32,
    /// Rooms and templates that one guard is judged of when it is written.
    pub guarded_rooms_max: u32,
}

impl Default for GuardSettings {
    fn default() -> Self {
        Self {
            guards_max: 64,
            guarded_rooms_max: 10_000,
        }
    }
}

/// By what a listener speaks TLS, in PEM.
#[derive(Clone)]
pub struct TlsSettings {
    /// Its certificate, and those that lead to its authority.
    pub certificate: Vec<u8>,
    /// The certificate's private key.
    pub key: Zeroizing<Vec<u8>>,
    /// Who signs the certificates of clients; others are refused. `None`: clients
    /// show none, and API keys alone.
    pub client_authority: Option<Vec<u8>>,
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings")
            .field("client_authority", &self.client_authority.is_some())
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// The defaults, on this database.
    #[must_use]
    pub fn new(database_url: impl Into<String>) -> Self {
        Self {
            database_url: database_url.into(),
            store: StoreSettings::default(),
            hashing: HashingSettings::default(),
            feed: FeedSettings::default(),
            hook: HookSettings::default(),
            issuer: IssuerSettings::default(),
            guards: GuardSettings::default(),
            tls: None,
            sealing_keys: None,
            session_lifetime_max: Duration::from_hours(30 * 24),
            connections_max: 4_096,
            calls_per_connection_max: 256,
            stop_time_max: Duration::from_secs(10),
            spans: Tracer::default(),
            operated: None,
        }
    }
}

impl fmt::Debug for Settings {
    /// Not the database's URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("store", &self.store)
            .field("hashing", &self.hashing)
            .field("feed", &self.feed)
            .field("hook", &self.hook)
            .field("issuer", &self.issuer)
            .field("guards", &self.guards)
            .field("tls", &self.tls)
            .field("sealing_keys", &self.sealing_keys)
            .field("session_lifetime_max", &self.session_lifetime_max)
            .field("connections_max", &self.connections_max)
            .field("calls_per_connection_max", &self.calls_per_connection_max)
            .field("stop_time_max", &self.stop_time_max)
            .field("spans", &self.spans.is_on())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_databases_password_is_not_shown() {
        let settings = Settings::new("postgres://porthouse:hunter2@localhost/porthouse");
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
