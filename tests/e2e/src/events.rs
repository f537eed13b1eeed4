//! A room heard as server-sent events, over a connection of its own. Owns how the
//! stream is cut into events; never interprets one.

use std::net::SocketAddr;

use crate::wait::within;
use crate::wire::{Answer, Wire};

/// An event stream.
#[derive(Debug)]
pub struct Events(Wire);

impl Events {
    /// Asks for a stream, with these further header lines.
    ///
    /// # Errors
    /// What was answered instead.
    pub async fn open(ws: SocketAddr, path: &str, headers: &[String]) -> Result<Self, Answer> {
        let mut wire = Wire::connect(ws).await;
        let mut lines = vec![
            format!("GET {path} HTTP/1.1"),
            format!("Host: {ws}"),
            "Accept: text/event-stream".to_owned(),
        ];
        lines.extend_from_slice(headers);
        let request = format!("{}\r\n\r\n", lines.join("\r\n"));
        wire.send(request.as_bytes()).await;
        let answer = wire.answer().await;
        if answer.status == 200 {
            Ok(Self(wire))
        } else {
            Err(answer)
        }
    }

    /// The next block of lines; what only shows that somebody is there is none.
    pub async fn next(&mut self) -> Vec<String> {
        let block = async {
            let mut block = Vec::new();
            loop {
                match self.0.line().await {
                    line if line.starts_with(':') => {}
                    line if line.is_empty() && block.is_empty() => {}
                    line if line.is_empty() => return block,
                    line => block.push(line),
                }
            }
        };
        within("an event", block).await
    }
}
