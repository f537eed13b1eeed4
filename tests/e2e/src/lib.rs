//! What the end-to-end tests stand on: real processes, a real Postgres and real
//! sockets. Owns how these are started, bounded and cleared away; what is
//! promised of them stands in `tests/`. Never imports either plane: it sees what
//! anybody sees, and reads what the processes said.
//!
//! * [`program`]: the `porthouse` binary, its processes and their output
//! * [`terminal`]: a terminal that a process is started at
//! * [`secrets`]: what may not be in any of that output
//! * [`house`]: a whole `porthouse dev`, and what backends ask of it
//! * [`planes`]: control plane and node as processes of their own
//! * [`authority`]: who signs certificates
//! * [`provider`]: an identity provider
//! * [`nats`]: a NATS server that keeps durable rooms
//! * [`backend`]: control.v1 and live.v1 under one API key
//! * [`collector`]: where spans go
//! * [`raw`], [`multiplexed`]: sockets as any client has them
//! * [`entry`]: somebody before a door that asks, over either of its wire forms
//! * [`link`]: a link to a node that is cut without a word
//! * [`honest`]: people who talk while others do what they should not
//! * [`wire`]: bytes on TCP, for what no well-behaved client sends
//! * [`http2`]: HTTP/2 frame by frame, for the same
//! * [`events`]: a room heard as server-sent events
//! * [`browser`]: a page in a real browser
//! * [`vector`]: the conformance vectors, read
//! * [`wait`]: the bounds of all waiting

pub mod program;
pub mod terminal;
pub mod secrets;
pub mod house;
pub mod planes;
pub mod authority;
pub mod provider;
pub mod nats;
pub mod collector;
pub mod backend;
pub mod raw;
pub mod multiplexed;
pub mod entry;
pub mod link;
pub mod wire;
pub mod http2;
pub mod honest;
pub mod events;
pub mod vector;
pub mod browser;
pub mod wait;
