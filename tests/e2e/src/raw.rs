//! A raw socket as any client has it: tokio-tungstenite on a room's address.
//! Owns how a close and a refused handshake are read. Never speaks for itself:
//! pongs apart, it sends what a test says.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::wait::within;

/// How a socket was closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The close code.
    pub code: u16,
    /// The close reason.
    pub reason: String,
}

/// A handshake that was answered with an HTTP status.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The status.
    pub status: u16,
    /// The body, JSON.
    pub body: serde_json::Value,
}

/// An open socket.
#[derive(Debug)]
pub struct Raw(WebSocketStream<TcpStream>);

/// A handshake's request, to be changed at will.
///
/// # Panics
/// When the path is none.
#[must_use]
pub fn request(ws: SocketAddr, path: &str, token: Option<&str>) -> Request {
    let mut request = format!("ws://{ws}{path}")
        .into_client_request()
        .expect("an address");
    if let Some(token) = token {
        let bearer = HeaderValue::from_str(&format!("Bearer {token}")).expect("tokens are ASCII");
        request.headers_mut().insert("authorization", bearer);
    }
    request
}

/// Adds a header to a request.
///
/// # Panics
/// When the value is none.
#[must_use]
pub fn with_header(mut request: Request, name: &'static str, value: &str) -> Request {
    let value = HeaderValue::from_str(value).expect("a header's value");
    request.headers_mut().insert(name, value);
    request
}

impl Raw {
    /// Enters a room, with a session's token or without.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn enter(ws: SocketAddr, room: &str, token: Option<&str>) -> Self {
        let path = format!("/{room}");
        match Self::ask(ws, request(ws, &path, token)).await {
            Ok(socket) => socket,
            Err(refused) => panic!("{path} refused: {refused:?}"),
        }
    }

    /// Asks for an upgrade.
    ///
    /// # Errors
    /// What was answered instead.
    ///
    /// # Panics
    /// When nothing is.
    pub async fn ask(ws: SocketAddr, request: Request) -> Result<Self, Refused> {
        let stream = within("a connection", TcpStream::connect(ws)).await;
        Self::ask_over(stream.expect("the node listens"), request).await
    }

    /// The same over a connection that is there.
    ///
    /// # Errors
    /// What was answered instead.
    ///
    /// # Panics
    /// When nothing is.
    pub async fn ask_over(stream: TcpStream, request: Request) -> Result<Self, Refused> {
        stream.set_nodelay(true).expect("it is a TCP socket");
        match within("an answer to a handshake", client_async(request, stream)).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(answer)) => {
                let body = answer.body().as_deref().unwrap_or_default();
                Err(Refused {
                    status: answer.status().as_u16(),
                    body: serde_json::from_slice(body).unwrap_or(serde_json::Value::Null),
                })
            }
            Err(error) => panic!("the handshake failed: {error}"),
        }
    }

    /// Is refused, and answers how.
    ///
    /// # Panics
    /// When it is let in.
    pub async fn refused(ws: SocketAddr, room: &str, token: Option<&str>) -> Refused {
        let path = format!("/{room}");
        match Self::ask(ws, request(ws, &path, token)).await {
            Ok(_) => panic!("{path} let a socket in"),
            Err(refused) => refused,
        }
    }

    /// Says a message.
    ///
    /// # Panics
    /// When the socket is closed.
    pub async fn say(&mut self, message: impl Into<Message>) {
        let said = within("room to send", self.0.send(message.into())).await;
        said.expect("the socket is open");
    }

    /// Says a message, if the socket is still open.
    pub async fn try_say(&mut self, message: impl Into<Message>) -> bool {
        within("room to send", self.0.send(message.into()))
            .await
            .is_ok()
    }

    /// The next message or close; pings and pongs are none.
    ///
    /// # Panics
    /// When the connection ends or fails instead.
    pub async fn next(&mut self) -> Message {
        loop {
            let next = within("a message", self.0.next()).await;
            match next.expect("the connection is open") {
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(message) => return message,
                Err(error) => panic!("the connection failed: {error}"),
            }
        }
    }

    /// So many pings come, each of which is answered, and nothing else.
    ///
    /// # Panics
    /// When something else comes.
    pub async fn pinged(&mut self, times: usize) {
        for _ in 0..times {
            match within("a ping", self.0.next()).await {
                Some(Ok(Message::Ping(_))) => {}
                other => panic!("no ping but {other:?}"),
            }
        }
        within("room to answer", self.0.flush())
            .await
            .expect("the connection is open");
    }

    /// The next thing read is the close frame; answers what it says.
    ///
    /// # Panics
    /// When something else comes first, or anything after it.
    pub async fn closed(&mut self) -> Closed {
        let (messages, closed) = self.rest().await;
        assert!(messages.is_empty(), "before the close frame: {messages:?}");
        closed
    }

    /// All messages up to the close frame, and what that says.
    ///
    /// # Panics
    /// When the connection ends without one, or says anything after it.
    pub async fn rest(&mut self) -> (Vec<Message>, Closed) {
        let mut messages = Vec::new();
        loop {
            match self.next().await {
                Message::Close(frame) => {
                    let frame = frame.expect("a close frame says why");
                    let closed = Closed {
                        code: frame.code.into(),
                        reason: frame.reason.to_string(),
                    };
                    self.ended().await;
                    return (messages, closed);
                }
                message @ (Message::Text(_)
                | Message::Binary(_)
                | Message::Ping(_)
                | Message::Pong(_)
                | Message::Frame(_)) => messages.push(message),
            }
        }
    }

    /// Nothing comes any more, and the node ends the connection.
    async fn ended(&mut self) {
        match within("the end of the connection", self.0.next()).await {
            None | Some(Err(Error::ConnectionClosed | Error::Io(_))) => {}
            after => panic!("after the close frame: {after:?}"),
        }
    }
}
