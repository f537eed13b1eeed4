//! The load client: very many sockets from one thread on `epoll`, as cheap as it
//! can be, since it shares the machine with what it measures. Owns how sockets
//! are opened, messages counted and latencies taken, and what the kernel says of
//! the server's process. Never prints, and never decides what is measured.
//!
//! * [`files`], [`cores`]: what a run asks of the machine
//! * [`process`]: a server's process, started here or not: its CPU and memory
//! * [`house`]: Porthouse as a private process
//! * [`target`]: where a server is, and as whom it is spoken to
//! * [`speech`]: how a server is spoken to; [`raw`] and [`multiplexed`]: Porthouse's ways
//! * [`frames`]: WebSocket frames, counted by their headers
//! * [`crowd`]: the sockets; [`opening`]: how they come in
//! * [`talk`]: rooms in which one speaks and the others count; [`room`] is one
//! * [`stalled`]: what became of those who never read
//! * [`closing`]: when the server closes which socket
//! * [`latency`]: times taken, as percentiles

pub mod files;
pub mod cores;
pub mod process;
pub mod house;
pub mod target;
pub mod speech;
pub mod raw;
pub mod multiplexed;
pub mod frames;
pub mod crowd;
pub mod opening;
mod room;
pub mod talk;
pub mod stalled;
pub mod closing;
pub mod latency;

/// Told how far a run has come, from 0 to 1; breaks to end it early.
pub type Watch<'a> = &'a mut dyn FnMut(f64) -> std::ops::ControlFlow<()>;

/// A count as a number to divide by.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub const fn to_float(count: u64) -> f64 {
    count as f64
}
