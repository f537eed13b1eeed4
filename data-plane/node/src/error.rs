//! What can go wrong with a node as a whole, and what to do about it. What goes
//! wrong with one socket or one call is told to that one.

use std::io;
use std::net::SocketAddr;

use crate::bridge::StoreError;

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener could not be bound.
    #[error("cannot listen on {address} (setting `{setting}`)")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The setting that says so.
        setting: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// No control plane is configured.
    #[error("no control plane is configured (setting `control`)")]
    NoControlPlane,
    /// This is not where a control plane can be.
    #[error("`{0}` is not the address of a control plane: it looks like http://127.0.0.1:50051")]
    ControlPlane(String),
    /// The API key cannot be sent. What was given is not shown.
    #[error("the API key (setting `api_key`) has characters that no key has")]
    ApiKey,
    /// TLS cannot be spoken with the control plane by what is given.
    #[error(
        "TLS cannot be spoken with the control plane: the authority \
         (`control_authority_file`), the certificate (`control_certificate_file`) or its key \
         (`control_key_file`) is not one in PEM, or the key is another certificate's"
    )]
    ControlTls(#[source] tonic::transport::Error),
    /// TLS cannot be spoken with backends by what is given.
    #[error(
        "TLS cannot be spoken with backends: the certificate (`tls_certificate_file`) or its \
         key (`tls_key_file`) is not one in PEM, or the key is another certificate's"
    )]
    GrpcTls(#[source] tonic::transport::Error),
    /// The store of durable rooms cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There are too few puddles or too many.
    #[error("a node has 1 to 64 puddles, not {0} (setting `puddles`)")]
    Puddles(usize),
    /// More ranges of proxies are trusted than may be.
    #[error("a node trusts at most 64 ranges of proxies, not {0} (setting `trusted_proxies`)")]
    TrustedProxies(usize),
    /// Black boxes have no place to be put.
    #[error("cannot make {directory}, where black boxes go (setting `black_box_directory`)")]
    BlackBoxes {
        /// Where.
        directory: String,
        /// Why not.
        source: io::Error,
    },
    /// The system has no thread, descriptor or memory left.
    #[error("the system does not give what a node needs")]
    System(#[from] io::Error),
}

/// Why a node ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// A puddle panicked three times within a minute: a fault of ours that a
    /// fresh start does not cure.
    #[error("a puddle panicked three times within a minute; the log has the panics")]
    Broken,
    /// A puddle did not end when it was told to: a fault of ours, too.
    #[error("a puddle did not end when it was told to")]
    Stuck,
}
