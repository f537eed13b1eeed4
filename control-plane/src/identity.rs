//! Who somebody is and what they may call: passwords, credentials and scopes.
//!
//! Decisions only: never knows SQL or gRPC. What is drawn by chance comes from
//! [`chance`]; what costs a processor's time waits its turn ([`turns`]).

pub(crate) mod backoff;
pub(crate) mod certificate;
pub(crate) mod chance;
pub(crate) mod hashing;
pub(crate) mod network;
pub(crate) mod password;
pub(crate) mod recovery;
pub(crate) mod scope;
pub(crate) mod sealing;
pub(crate) mod totp;
pub(crate) mod turns;
