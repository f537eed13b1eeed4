//! Kicks on their way to the control plane, so that who was put out of a room is
//! kept out on all nodes, and after a restart. The sockets are out, and kept out
//! here, before; nobody waits for this.

use std::sync::Arc;
use std::time::Duration;

use porthouse_api::node::v1::KeepOutRequest;
use porthouse_puddle::KeptOut as Kicked;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tonic::{Code, Status};

use super::client::Replicas;

/// Kicks that wait to be written; one more holds on this node alone.
const WAITING_MAX: usize = 1_024;
/// How long until it is tried again, at first and at most. It is tried until the
/// kick is over.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The way there; the writer ends when the last one of these is dropped.
#[derive(Clone, Debug)]
pub(crate) struct KeptOut(mpsc::Sender<Waiting>);

#[derive(Debug)]
struct Waiting {
    kicked: Kicked,
    until: Instant,
}

impl KeptOut {
    /// Makes the way, and what is to be run at its end.
    pub(crate) fn new(replicas: Arc<Replicas>) -> (Self, impl Future<Output = ()> + Send) {
        let (way, waiting) = mpsc::channel(WAITING_MAX);
        (Self(way), write_all(replicas, waiting))
    }

    /// Nobody writes it.
    #[cfg(test)]
    pub(crate) fn nowhere() -> Self {
        Self(mpsc::channel(1).0)
    }

    /// A puddle has put somebody out.
    pub(crate) fn tell(&self, kicked: Kicked) {
        let until = Instant::now() + kicked.time;
        if self.0.try_send(Waiting { kicked, until }).is_err() {
            tracing::warn!(
                "too many kicks wait for the control plane: one holds on this node alone"
            );
        }
    }
}

async fn write_all(replicas: Arc<Replicas>, mut waiting: mpsc::Receiver<Waiting>) {
    while let Some(Waiting { kicked, until }) = waiting.recv().await {
        write(&replicas, &kicked, until).await;
    }
}

/// Has one written, however often that must be tried, as long as it is of use.
async fn write(replicas: &Replicas, kicked: &Kicked, until: Instant) {
    let mut pause = PAUSE_MIN;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        let message = request(kicked, left);
        match replicas.feed().keep_out(replicas.request(message)).await {
            Ok(_) => return,
            Err(status) if is_lasting(&status) => {
                let (code, why) = (status.code(), status.message());
                tracing::warn!(?code, why, "a kick holds on this node alone");
                return;
            }
            Err(_) => sleep(pause.min(left)).await,
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Whether asking again is of no use: what is asked cannot be, or a control plane
/// of an earlier build does not know what it is asked.
fn is_lasting(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument | Code::Unimplemented | Code::PermissionDenied
    )
}

fn request(kicked: &Kicked, left: Duration) -> KeepOutRequest {
    KeepOutRequest {
        room_name: kicked.room.as_str().to_owned(),
        room_id: kicked
            .room_id
            .map(|id| id.as_bytes().to_vec())
            .unwrap_or_default(),
        client_id: kicked.client.as_bytes().to_vec(),
        duration: prost_types::Duration::try_from(left).ok(),
        by_client_id: kicked
            .by
            .map(|by| by.as_bytes().to_vec())
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_be_done_later_either_is_given_up() {
        for code in [
            Code::Unavailable,
            Code::DeadlineExceeded,
            Code::Unauthenticated,
        ] {
            assert!(!is_lasting(&Status::new(code, "")), "{code:?}");
        }
        assert!(is_lasting(&Status::unimplemented("")));
    }

    #[tokio::test]
    async fn kicks_that_nobody_takes_are_bounded() {
        let (way, waiting) = mpsc::channel(1);
        let way = KeptOut(way);
        let kicked = Kicked {
            room: "lobby".parse().unwrap(),
            room_id: None,
            client: porthouse_model::ClientId::from_bytes([1; 16]),
            by: None,
            time: Duration::from_mins(5),
        };
        way.tell(kicked.clone());
        way.tell(kicked);
        assert_eq!(waiting.len(), 1);
    }
}
