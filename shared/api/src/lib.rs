//! What `proto/` says, as Rust: messages, clients and servers, generated when
//! this crate is built, and their translation to the model. Decides nothing.

mod generated {
    //! Written by the build script; held to no lint of ours.
    #![allow(clippy::all, clippy::pedantic, missing_docs, unreachable_pub)]
    include!(concat!(env!("OUT_DIR"), "/porthouse.rs"));
}

pub use generated::porthouse::*;

/// All of `proto/` with its comments, as a serialised `FileDescriptorSet`, for
/// gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/porthouse.bin"));
