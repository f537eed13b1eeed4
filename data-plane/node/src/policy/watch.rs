//! One opening of the watch: what the control plane says on it becomes events,
//! and what the node has applied is said back. Ends with one event that says
//! why; opens nothing again.

use std::sync::Arc;
use std::time::Duration;

use porthouse_api::node::{BadMessage, RULES_KNOWN, v1};
use porthouse_model::Revision;
use porthouse_puddle::{Chain, Event, Position, WatchEnd, WatchId};
use tokio::sync::{mpsc, watch as latest};
use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use v1::watch_request::Message as Says;
use v1::watch_response::Message as Hears;

use super::answer;
use super::client::{self, Replicas, revision, wire};
use super::seen::Seen;
use crate::live::Live;
use crate::tally::Tally;

/// How often the node says that it lives.
const ALIVE_EVERY: Duration = Duration::from_secs(1);
/// Messages said and not sent yet; past it nothing more is read.
const SAID_MAX: usize = 16;

/// What a watch says about the node.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) node: String,
    pub(crate) incarnation: [u8; 16],
    pub(crate) listeners: Vec<String>,
    /// By puddle.
    pub(crate) tallies: Vec<Arc<Tally>>,
    /// Whose sessions have sockets.
    pub(crate) seen: Seen,
    /// By which the puddles answer what the control plane asks.
    pub(crate) live: Live,
}

/// The latest that the node has to say on its watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Nothing, but that it lives.
    Nothing,
    /// Every puddle has settled this.
    Applied(Revision),
    /// It has no socket left; the last word.
    Leave,
}

/// Runs one opening of the watch to its end.
pub(crate) async fn run(
    replicas: Arc<Replicas>,
    about: About,
    name: WatchId,
    from: Option<Position>,
    word: latest::Receiver<Word>,
    events: mpsc::Sender<Event>,
) {
    let watch = Watch {
        about,
        name,
        events,
    };
    let reason = match watch.follow(&replicas, from, word).await {
        Ok(()) => WatchEnd::Retry,
        Err(status) => {
            let (code, message) = (status.code(), client::why(&status));
            tracing::warn!(?code, message, "the watch of the control plane has ended");
            if code == Code::OutOfRange {
                WatchEnd::Resync
            } else {
                WatchEnd::Retry
            }
        }
    };
    watch
        .tell(Event::WatchLost {
            watch: name,
            reason,
        })
        .await;
}

struct Watch {
    about: About,
    name: WatchId,
    events: mpsc::Sender<Event>,
}

impl Watch {
    async fn follow(
        &self,
        replicas: &Replicas,
        from: Option<Position>,
        mut word: latest::Receiver<Word>,
    ) -> Result<(), Status> {
        let (says, said) = mpsc::channel(SAID_MAX);
        say(&says, Says::Start(self.start(from))).await?;
        let requests = replicas.call(ReceiverStream::new(said));
        let mut stream = replicas.feed().watch(requests).await?.into_inner();
        self.about.seen.say_again();
        let mut alive = interval(ALIVE_EVERY);
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                heard = stream.message() => match heard? {
                    Some(heard) => self.hear(heard, &says).await?,
                    None => return Ok(()),
                },
                Ok(()) = word.changed() => {
                    let word = *word.borrow_and_update();
                    match word {
                        Word::Nothing => {}
                        Word::Applied(revision) => {
                            self.about.live.refusals().applied(revision);
                            say(&says, applied(revision)).await?;
                        }
                        Word::Leave => {
                            say(&says, Says::Leave(v1::WatchLeave {})).await?;
                            drop(says);
                            return ended(stream).await;
                        }
                    }
                }
                _ = alive.tick() => {
                    say(&says, Says::Alive(self.alive())).await?;
                    for seen in self.about.seen.take() {
                        say(&says, Says::Seen(seen)).await?;
                    }
                }
            }
        }
    }

    async fn hear(
        &self,
        heard: v1::WatchResponse,
        says: &mpsc::Sender<v1::WatchRequest>,
    ) -> Result<(), Status> {
        let event = self
            .event(heard, says)
            .map_err(|bad| Status::internal(bad.to_string()))?;
        if let Some(event) = event {
            self.tell(event).await;
        }
        Ok(())
    }

    fn event(
        &self,
        heard: v1::WatchResponse,
        says: &mpsc::Sender<v1::WatchRequest>,
    ) -> Result<Option<Event>, BadMessage> {
        let watch = self.name;
        Ok(Some(
            match heard.message.ok_or(BadMessage { field: "message" })? {
                Hears::Question(question) => {
                    self.answer(question, says.clone());
                    return Ok(None);
                }
                Hears::Opened(opened) => Event::WatchOpened {
                    watch,
                    head: position(opened.head)?,
                },
                Hears::Progress(progress) => Event::Progress {
                    watch,
                    head: position(progress.head)?,
                },
                Hears::Change(change) => Event::Changed {
                    watch,
                    payload: change.payload.to_vec(),
                    chain: chain(&change.chain)?,
                    change: change.try_into()?,
                },
            },
        ))
    }

    /// Has a question answered beside the watch, which does not wait for it.
    /// Calls under way are bounded; past that it is not answered.
    fn answer(&self, question: v1::WatchQuestion, says: mpsc::Sender<v1::WatchRequest>) {
        let live = self.about.live.clone();
        tokio::spawn(async move {
            if let Some(answer) = answer::answer(&live, question).await {
                // The watch may have ended meanwhile.
                let _ = say(&says, Says::Answer(answer)).await;
            }
        });
    }

    /// The switchboard has ended when it does not hear, and then so does this.
    async fn tell(&self, event: Event) {
        let _ = self.events.send(event).await;
    }

    fn start(&self, from: Option<Position>) -> v1::WatchStart {
        v1::WatchStart {
            node: self.about.node.clone(),
            incarnation: self.about.incarnation.to_vec(),
            from: from.map(|from| v1::Position {
                revision: wire(from.revision),
                chain: if from == Position::START {
                    Vec::new()
                } else {
                    from.chain.as_bytes().to_vec()
                },
            }),
            puddles: u32::try_from(self.about.tallies.len()).expect("64 puddles at most"),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            listeners: self.about.listeners.clone(),
            // Without limit: what rooms tolerate is known to the puddles alone,
            // and to claim less than is true would be the mistake.
            deliver_max: None,
            rules_known: RULES_KNOWN,
            answers: true,
        }
    }

    fn alive(&self) -> v1::WatchAlive {
        let sockets = self
            .about
            .tallies
            .iter()
            .map(|tally| tally.connections())
            .sum();
        v1::WatchAlive {
            sockets,
            deliver_max: None,
        }
    }
}

async fn say(says: &mpsc::Sender<v1::WatchRequest>, message: Says) -> Result<(), Status> {
    let said = says
        .send(v1::WatchRequest {
            message: Some(message),
        })
        .await;
    said.map_err(|_| Status::unavailable("the connection was closed"))
}

/// Reads on until the control plane has heard the last word.
async fn ended(mut stream: Streaming<v1::WatchResponse>) -> Result<(), Status> {
    while stream.message().await?.is_some() {}
    Ok(())
}

fn applied(revision: Revision) -> Says {
    Says::Applied(v1::WatchApplied {
        revision: wire(revision),
        deliver_max: None,
    })
}

fn position(position: Option<v1::Position>) -> Result<Position, BadMessage> {
    let position = position.ok_or(BadMessage { field: "head" })?;
    match revision(position.revision)? {
        Revision(0) => Ok(Position::START),
        revision => Ok(Position {
            revision,
            chain: chain(&position.chain)?,
        }),
    }
}

fn chain(bytes: &[u8]) -> Result<Chain, BadMessage> {
    bytes
        .try_into()
        .map(Chain::from_bytes)
        .map_err(|_| BadMessage { field: "chain" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_without_a_chain_is_the_beginning_or_nothing() {
        let start = v1::Position::default();
        assert_eq!(position(Some(start)), Ok(Position::START));
        let bare = v1::Position {
            revision: 1,
            chain: Vec::new(),
        };
        assert_eq!(position(Some(bare)), Err(BadMessage { field: "chain" }));
        assert_eq!(position(None), Err(BadMessage { field: "head" }));
    }

    #[test]
    fn a_position_is_read_as_written() {
        let written = v1::Position {
            revision: 7,
            chain: vec![9; 32],
        };
        let read = position(Some(written)).expect("it is complete");
        assert_eq!(read.revision, Revision(7));
        assert_eq!(read.chain, Chain::from_bytes([9; 32]));
    }
}
