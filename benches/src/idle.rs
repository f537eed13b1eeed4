//! What an idle socket costs in user memory: the growth of the server's
//! proportional set size, by socket.

use crate::load;
use crate::server::Server;

/// Bytes a socket.
pub(crate) fn bytes_a_socket(server: &Server, sockets: usize) -> anyhow::Result<f64> {
    // The first few pay for what all share.
    let _first: Vec<_> = (0..100)
        .map(|_| load::open(server.address))
        .collect::<anyhow::Result<_>>()?;
    let before = server.memory_bytes()?;
    let _idle: Vec<_> = (0..sockets)
        .map(|_| load::open(server.address))
        .collect::<anyhow::Result<_>>()?;
    let after = server.memory_bytes()?;
    Ok(load::to_float(after.saturating_sub(before)) / load::to_float(sockets as u64))
}
