//! A page in a real browser: Debian's Chromium without a window, on a page that
//! this serves and whose findings it receives. Owns the browser's start and its
//! little HTTP; never speaks WebSocket itself.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::program::Process;
use crate::wait::within;

/// The longest request a page sends.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// What keeps a browser from talking to anybody but the page's own servers.
const QUIET: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
];

/// Where a page is served.
#[derive(Debug)]
pub struct Page(TcpListener);

impl Page {
    /// A place for a page, whose origin is its own.
    ///
    /// # Panics
    ///
    /// When the machine has no port left.
    pub async fn new() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        Self(listener.expect("a free port"))
    }

    /// Its origin, as browsers write it.
    ///
    /// # Panics
    ///
    /// Never: it is bound.
    #[must_use]
    pub fn origin(&self) -> String {
        let address = self.0.local_addr().expect("it is bound");
        format!("http://{address}")
    }

    /// Runs a script in the page, and answers what it gives to `found`, a function
    /// of the page's.
    ///
    /// # Panics
    ///
    /// When there is no browser, or the page finds nothing in time.
    pub async fn finds(self, script: &str) -> Value {
        page_finds_at(&self.0, &self.origin(), script).await
    }
}

/// The same of a page at any place.
pub async fn page_finds(script: &str) -> Value {
    Page::new().await.finds(script).await
}

async fn page_finds_at(listener: &TcpListener, origin: &str, script: &str) -> Value {
    let page = page(script);
    let profile = tempfile::tempdir().expect("a temporary directory");
    let mut command = Command::new("chromium");
    command.args(QUIET).arg(format!("{origin}/"));
    command.arg(format!("--user-data-dir={}", profile.path().display()));
    let browser = Process::start("chromium", command, None);
    let found = within("what the page finds", serve(listener, &page)).await;
    drop(browser);
    found
}

fn page(script: &str) -> String {
    format!(
        "<!doctype html><meta charset=utf-8><title>a page</title><script type=module>\
         const found = (it) => fetch('/found', {{method: 'POST', body: JSON.stringify(it)}});\
         const run = async () => {{ {script} }};\
         run().catch((error) => found({{error: String(error)}}));</script>"
    )
}

/// Serves the page until something is found.
async fn serve(listener: &TcpListener, page: &str) -> Value {
    loop {
        let (stream, _): (TcpStream, SocketAddr) = listener.accept().await.expect("a connection");
        if let Some(found) = answer(stream, page).await {
            return found;
        }
    }
}

async fn answer(mut stream: TcpStream, page: &str) -> Option<Value> {
    let (head, body) = read(&mut stream).await?;
    let (status, content) = if head.starts_with("GET / ") {
        ("200 OK", page)
    } else if head.starts_with("POST /found ") {
        ("204 No Content", "")
    } else {
        ("404 Not Found", "")
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{content}",
        content.len()
    );
    stream.write_all(answer.as_bytes()).await.ok()?;
    head.starts_with("POST ")
        .then(|| serde_json::from_slice(&body).expect("a page finds JSON"))
}

/// A request's head and body.
async fn read(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut request = Vec::new();
    loop {
        if let Some(end) = request.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).into_owned();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse::<usize>().ok())?
            });
            let body = &request[end + 4..];
            if body.len() >= length.unwrap_or(0) {
                return Some((head, body.to_vec()));
            }
        }
        let more = stream.read_buf(&mut request).await.ok()?;
        if more == 0 || request.len() > REQUEST_BYTES_MAX {
            return None;
        }
    }
}
