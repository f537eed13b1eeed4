//! What `proto/` says, as Rust: messages, clients and servers, generated when
//! this crate is built, and their translation to the model. Decides nothing.

#[allow(
    clippy::all,
    clippy::pedantic,
    missing_docs,
    unreachable_pub,
    reason = "generated"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/porthouse.rs"));
}

/// What backends ask the control plane.
pub mod control {
    /// Version 1.
    pub mod v1 {
        pub use crate::generated::porthouse::control::v1::*;
    }
}

/// What backends ask nodes.
pub mod live {
    /// Version 1.
    pub mod v1 {
        pub use crate::generated::porthouse::live::v1::*;
    }
}

/// What owners' backends are asked.
pub mod hook {
    /// Version 1.
    pub mod v1 {
        pub use crate::generated::porthouse::hook::v1::*;
    }
}

pub mod node;

mod secret;
mod calls;

pub use calls::{call_named, call_of, calls};

/// All of `proto/` with its comments, as a serialised `FileDescriptorSet`, for
/// gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/porthouse.bin"));
