//! What a node is told, by one that watches and does nothing else.

use std::time::Duration;

use porthouse_api::node::v1::policy_feed_service_client::PolicyFeedServiceClient;
use porthouse_api::node::v1::watch_request::Message as Word;
use porthouse_api::node::v1::watch_response::Message as Frame;
use porthouse_api::node::{RULES_KNOWN, v1 as node};
use porthouse_e2e::backend::Keyed;
use porthouse_e2e::wait::within;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// A watch.
pub(super) struct Watched {
    frames: Streaming<node::WatchResponse>,
    head: i64,
}

impl Watched {
    pub(super) async fn open(mut feed: PolicyFeedServiceClient<Keyed>) -> Self {
        let (words, said) = mpsc::channel(16);
        let start = node::WatchStart {
            node: "observer".into(),
            incarnation: vec![1; 16],
            rules_known: RULES_KNOWN,
            ..Default::default()
        };
        say(&words, Word::Start(start)).await.expect("nobody waits");
        let frames = feed.watch(ReceiverStream::new(said)).await;
        let mut frames = frames.expect("the watch opens").into_inner();
        let Some(Frame::Opened(opened)) = next(&mut frames).await else {
            panic!("the first frame is `opened`")
        };
        tokio::spawn(live(words));
        Self {
            frames,
            head: opened.head.unwrap_or_default().revision,
        }
    }

    /// The revision at which it began.
    pub(super) const fn head(&self) -> i64 {
        self.head
    }

    /// The next change.
    pub(super) async fn change(&mut self) -> node::Change {
        loop {
            match next(&mut self.frames).await {
                Some(Frame::Change(change)) => return change,
                Some(Frame::Progress(_)) => {}
                other => panic!("not a change: {other:?}"),
            }
        }
    }
}

/// Lives as a node does, until the watch ends.
async fn live(words: mpsc::Sender<node::WatchRequest>) {
    let mut beat = tokio::time::interval(Duration::from_secs(1));
    loop {
        beat.tick().await;
        let alive = Word::Alive(node::WatchAlive::default());
        if say(&words, alive).await.is_err() {
            return;
        }
    }
}

async fn say(
    words: &mpsc::Sender<node::WatchRequest>,
    word: Word,
) -> Result<(), mpsc::error::SendError<node::WatchRequest>> {
    let word = node::WatchRequest {
        message: Some(word),
    };
    words.send(word).await
}

async fn next(frames: &mut Streaming<node::WatchResponse>) -> Option<Frame> {
    let frame = within("a frame", frames.message()).await;
    frame.expect("the watch is open")?.message
}
