//! How the node asks the control plane (node.v1): one watch, and requests.
//! Carries the switchboard's actions there and brings events back; decides
//! nothing, and tries nothing again by itself.

mod answer;
pub(crate) mod client;
pub(crate) mod kept_out;
pub(crate) mod seen;
pub(crate) mod sign_in;
mod step;
pub(crate) mod watch;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use porthouse_model::Revision;
use porthouse_process::spans::{self, Span, Tracer};
use porthouse_puddle::{Event, Position, WatchId};
use tokio::sync::{mpsc, watch as latest};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use client::Replicas;
use watch::About;

use crate::spans::answered;

/// Events that wait to be taken; past it, the control plane waits.
const EVENTS_MAX: usize = 64;
/// How long the control plane may take to hear that the node leaves.
const LEAVE_TIME_MAX: Duration = Duration::from_secs(1);

/// The way to the control plane. Used inside a runtime.
#[derive(Debug)]
pub(crate) struct Control {
    replicas: Arc<Replicas>,
    about: About,
    watching: Option<Watching>,
    brought: (mpsc::Sender<Event>, mpsc::Receiver<Event>),
    answered: (mpsc::Sender<Event>, mpsc::Receiver<Event>),
}

/// The watch under way.
#[derive(Debug)]
struct Watching {
    name: WatchId,
    /// The switchboard knows which log it brings. What was settled before may be
    /// of another.
    opened: bool,
    task: JoinHandle<()>,
    says: latest::Sender<watch::Word>,
}

impl Control {
    pub(crate) fn new(replicas: Arc<Replicas>, about: About) -> Self {
        let (brought, answered) = (mpsc::channel(EVENTS_MAX), mpsc::channel(EVENTS_MAX));
        Self {
            replicas,
            about,
            watching: None,
            brought,
            answered,
        }
    }

    /// Opens the watch, at the next replica unless it is the first time. The
    /// earlier one is closed.
    pub(crate) fn open_watch(&mut self, name: WatchId, from: Option<Position>) {
        if let Some(earlier) = self.watching.take() {
            earlier.task.abort();
            self.replicas.go_on();
        }
        let (says, word) = latest::channel(watch::Word::Nothing);
        let (replicas, about) = (Arc::clone(&self.replicas), self.about.clone());
        let events = self.brought.0.clone();
        let task = tokio::spawn(watch::run(replicas, about, name, from, word, events));
        self.watching = Some(Watching {
            name,
            opened: false,
            task,
            says,
        });
    }

    /// Says on the watch what every puddle has settled, once it is open; the
    /// switchboard then says it again.
    pub(crate) fn acknowledge(&self, revision: Revision) {
        if let Some(watching) = self.watching.as_ref().filter(|watching| watching.opened) {
            watching.says.send_replace(watch::Word::Applied(revision));
        }
    }

    /// What takes spans of requests.
    pub(crate) fn spans(&self) -> &Tracer {
        self.replicas.spans()
    }

    /// Has a request made; its event comes by [`Self::answered`].
    pub(crate) fn request<F>(&self, span: Option<Span>, request: impl FnOnce(Arc<Replicas>) -> F)
    where
        F: Future<Output = Event> + Send + 'static,
    {
        let events = self.answered.0.clone();
        let request = request(Arc::clone(&self.replicas));
        tokio::spawn(async move {
            let event = spans::within(span.as_ref(), request).await;
            if let Some(mut span) = span {
                answered(&mut span, &event);
            }
            // Nobody waits for an answer when the node has ended.
            let _ = events.send(event).await;
        });
    }

    /// What the watch brings next, or the answer to a request; only answers,
    /// while `watch` is false.
    pub(crate) async fn next(&mut self, watch: bool) -> Event {
        let event = tokio::select! {
            event = self.answered.1.recv() => event,
            event = self.brought.1.recv(), if watch => event,
        };
        let event = event.expect("the senders are ours");
        if let Event::WatchOpened { watch, .. } = event
            && let Some(watching) = &mut self.watching
        {
            watching.opened |= watching.name == watch;
        }
        event
    }

    /// Says that the node has no socket left, as far as somebody hears it.
    pub(crate) async fn leave(mut self) {
        if let Some(Watching { mut task, says, .. }) = self.watching.take() {
            says.send_replace(watch::Word::Leave);
            if timeout(LEAVE_TIME_MAX, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}
