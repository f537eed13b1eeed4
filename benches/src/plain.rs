//! The server everybody writes first: tokio-tungstenite, a task a socket, a
//! broadcast channel. What a message costs here is what Porthouse is held
//! against.

use std::net::Ipv4Addr;

use anyhow::Context as _;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_tungstenite::tungstenite::Message;

/// Messages a slow socket may be behind before it misses some.
const BEHIND_MAX: usize = 4_096;

#[derive(Clone)]
struct Said {
    by: usize,
    message: Message,
}

/// Serves until killed.
pub(crate) fn serve(port: u16) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(accept(port))
}

async fn accept(port: u16) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let (room, _) = broadcast::channel(BEHIND_MAX);
    for number in 0.. {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let room = room.clone();
        tokio::spawn(async move {
            // A socket that breaks ends its task, and nothing else.
            let _ = talk(number, stream, room).await;
        });
    }
    Ok(())
}

async fn talk(
    number: usize,
    stream: TcpStream,
    room: broadcast::Sender<Said>,
) -> anyhow::Result<()> {
    let socket = tokio_tungstenite::accept_async(stream).await?;
    let (mut write, mut read) = socket.split();
    let mut heard = room.subscribe();
    loop {
        tokio::select! {
            said = heard.recv() => {
                let said = said.context("fell behind")?;
                if said.by != number {
                    write.send(said.message).await?;
                }
            }
            message = read.next() => match message.context("gone")?? {
                message @ (Message::Text(_) | Message::Binary(_)) => {
                    let _listeners = room.send(Said { by: number, message });
                }
                Message::Close(_) => return Ok(()),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            },
        }
    }
}
