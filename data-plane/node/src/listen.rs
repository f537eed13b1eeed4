//! The listeners: one a puddle, all on one address, among which the kernel
//! spreads connections (`SO_REUSEPORT`). Accepts nothing itself.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

/// Connections the kernel keeps for a listener until they are accepted; it
/// lowers this to `net.core.somaxconn`.
const BACKLOG: i32 = 4_096;

/// Binds `count` listeners to one address. With port 0 the first one's port is
/// the others'. A connection that was accepted fails when what is written to it
/// is not taken for as long as `untaken_time_max`: that is how a peer is noticed
/// to be gone that is never heard, such as the reader of an event stream.
///
/// # Errors
///
/// As the system has it; in particular when any process listens there already,
/// which `SO_REUSEPORT` alone would allow.
pub(crate) fn bind(
    address: SocketAddr,
    count: usize,
    untaken_time_max: Duration,
) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    if address.port() != 0 {
        bound(address, Sharing::No)?;
    }
    let mut address = address;
    let mut listeners = Vec::with_capacity(count);
    for _ in 0..count {
        let socket = bound(address, Sharing::Yes)?;
        // What is accepted inherits it (tcp(7), TCP_USER_TIMEOUT).
        socket.set_tcp_user_timeout(Some(untaken_time_max))?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from(socket);
        address = listener.local_addr()?;
        listeners.push(listener);
    }
    Ok((address, listeners))
}

/// Whether other listeners may have the same address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Yes,
    No,
}

fn bound(address: SocketAddr, sharing: Sharing) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(sharing == Sharing::Yes)?;
    socket.set_nonblocking(true)?;
    // What is accepted inherits it.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    const ANY_PORT: &str = "127.0.0.1:0";
    const UNTAKEN: Duration = Duration::from_secs(90);

    #[test]
    fn all_listeners_share_the_port_the_first_one_got() {
        let (address, listeners) = bind(ANY_PORT.parse().unwrap(), 3, UNTAKEN).unwrap();
        assert_ne!(address.port(), 0);
        for listener in &listeners {
            assert_eq!(listener.local_addr().unwrap(), address);
        }
        TcpStream::connect(address).unwrap();
    }

    #[test]
    fn an_address_in_use_is_refused_though_ports_are_shared() {
        let (address, _listeners) = bind(ANY_PORT.parse().unwrap(), 2, UNTAKEN).unwrap();
        let error = bind(address, 2, UNTAKEN).expect_err("the address is in use");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn what_is_accepted_fills_no_packets_and_gives_up_what_is_not_taken() {
        let (address, listeners) = bind(ANY_PORT.parse().unwrap(), 1, UNTAKEN).unwrap();
        listeners[0].set_nonblocking(false).unwrap();
        let _client = TcpStream::connect(address).unwrap();
        let (accepted, _) = listeners[0].accept().unwrap();
        assert!(accepted.nodelay().unwrap());
        let timeout = socket2::SockRef::from(&accepted).tcp_user_timeout();
        assert_eq!(timeout.unwrap(), Some(UNTAKEN));
    }
}
