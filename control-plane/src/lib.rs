//! The control plane: owns users, sessions, persistent rooms, members and API
//! keys, and the log of what nodes obey. Never sees a socket or a message.
//!
//! Any number of replicas run over one Postgres. In the order in which a change
//! goes through:
//!
//! * `api`: control.v1, one file a resource;
//! * `identity`: decisions about passwords, credentials and scopes, without SQL;
//! * `store`: the only place that knows SQL, and the log of what nodes obey;
//! * `policy`: node.v1, what nodes are told;
//! * `hook`: hook.v1, what owners' backends are asked;
//! * `issuer`: identity providers, and their keys, which are fetched;
//! * [`Operated`]: what operators are shown of it;
//! * [`Replica`]: all of it, assembled; [`serve`]: on one listener.

mod api;
mod identity;
mod store;
mod policy;
mod dial;
mod hook;
mod issuer;
mod incoming;
mod operators;
mod serve;
mod settings;

pub use dial::PrivateAddresses;
pub use hook::HookSettings;
pub use identity::hashing::HashingSettings;
pub use identity::password::{BadPasswordCost, PasswordCost};
pub use identity::sealing::{BadSealingKeys, SealingKeys};
pub use issuer::{BadIssuerSettings, IssuerSettings};
pub use operators::Operated;
pub use policy::FeedSettings;
pub use serve::{Replica, ServeError, serve};
pub use settings::{GuardSettings, Settings, TlsSettings};
pub use store::StoreSettings;
pub use store::audit::{AuditChecked, AuditHead, verify_audit_log};
pub use store::committed::{CommitTimesError, commit_times};
pub use store::init::{InitError, api_key_opens, init, issue_api_key};
pub use store::migrate::{MigrateError, grant, migrate};
