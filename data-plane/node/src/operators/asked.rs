//! What operators have puddles do: give their black boxes away. It is for who is
//! on the same machine, and never for a page in a browser: it takes places of
//! earlier files.

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::ORIGIN;
use http::request::Parts;
use http::{Method, StatusCode};
use porthouse_process::operators::{Answering, says};
use porthouse_puddle::{End, PuddleId};

use super::Shown;
use crate::black_box::{Bell, BlackBoxes};

const OFF: &str = "no black box is kept: set black_box_bytes and black_box_directory\n";
const NOT_HERE: &str = "only for who asks from this machine, and for no page of a browser\n";

/// The answer, where it is something to be done; `None`: something is to be shown.
pub(super) fn answer<'a>(
    request: &'a Parts,
    peer: SocketAddr,
    shown: &'a Shown,
) -> Option<Answering<'a>> {
    let what = match request.uri.path() {
        "/black-box" => What::Boxes,
        #[cfg(debug_assertions)]
        "/panic/0" => What::Panic(0),
        #[cfg(debug_assertions)]
        "/panic/1" => What::Panic(1),
        _ => return None,
    };
    Some(Box::pin(async move {
        let (status, body) = done(what, request, peer, shown).await;
        says(status, "POST", body)
    }))
}

async fn done(
    what: What,
    request: &Parts,
    peer: SocketAddr,
    shown: &Shown,
) -> (StatusCode, String) {
    if request.method != Method::POST {
        return (StatusCode::METHOD_NOT_ALLOWED, "only POST\n".to_owned());
    }
    if !peer.ip().to_canonical().is_loopback() || request.headers.contains_key(ORIGIN) {
        return (StatusCode::FORBIDDEN, NOT_HERE.to_owned());
    }
    match what {
        What::Boxes => boxes(shown).await,
        #[cfg(debug_assertions)]
        What::Panic(puddle) => {
            if let Some(bell) = shown.bells.get(puddle) {
                bell.break_puddle();
            }
            (StatusCode::OK, "it will\n".to_owned())
        }
    }
}

/// What can be asked for. That a puddle panics is known to builds for tests alone.
enum What {
    Boxes,
    #[cfg(debug_assertions)]
    Panic(usize),
}

/// Puts every puddle's box away, one after the other. Answers where they are, a
/// line each.
async fn boxes(shown: &Shown) -> (StatusCode, String) {
    let Some(boxes) = &shown.boxes else {
        return (StatusCode::NOT_FOUND, OFF.to_owned());
    };
    let _alone = shown.asking.lock().await;
    let mut lines = String::new();
    for (bell, puddle) in shown.bells.iter().zip(0..) {
        match put(boxes, bell, PuddleId(puddle)).await {
            Ok(line) => lines.push_str(&line),
            Err(error) => {
                let told = format!("{lines}puddle {puddle}: {error}\n");
                return (StatusCode::SERVICE_UNAVAILABLE, told);
            }
        }
    }
    (StatusCode::OK, lines)
}

async fn put(boxes: &BlackBoxes, bell: &Arc<Bell>, puddle: PuddleId) -> Result<String, String> {
    let bytes = bell.dump().await.ok_or("it does not answer")?;
    let path = boxes.put(puddle, &End::Asked, &bytes);
    let path = path.map_err(|error| error.to_string())?;
    Ok(format!("{}\n", path.display()))
}
