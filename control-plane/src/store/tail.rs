//! The policy log's reading end: one reader a replica, whose every finding goes
//! to all watchers.
//!
//! It reads when a commit wakes it and every 250 ms besides, so a wake-up that
//! is lost costs time and never a change. What it says of the log it says from a
//! read that succeeded: a watcher hears that the log was read, never that time
//! has passed. Decides nothing about nodes.

use std::time::Duration;

use porthouse_model::Revision;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::listen::{Listener, Wake};
use super::log;
use super::position::{Entry, Position};
use super::{Connection, StoreError};

/// How often the log is read when nothing wakes the reader.
const POLL: Duration = Duration::from_millis(250);
/// How long one read may take before its connection is given up.
const READ_TIME_MAX: Duration = Duration::from_secs(1);
/// Entries read at once.
const PAGE_ENTRIES_MAX: i64 = 64;
/// Findings that a watcher may be behind before it is cut off.
const BEHIND_MAX: usize = 1_024;

/// What the reader found.
#[derive(Clone, Debug)]
pub(crate) enum Finding {
    /// The next revision.
    Entry(Entry),
    /// The log was read to its end, and this was it.
    Head(Position),
    /// The log is not the one that was read before. Whoever followed it starts
    /// again from a position that is checked.
    Rewound,
}

/// A handle on the reader; it lives until the token it was started with is
/// cancelled.
#[derive(Clone)]
pub(crate) struct Tail {
    findings: broadcast::Sender<Finding>,
    head: watch::Receiver<Position>,
    read: watch::Receiver<Instant>,
    applied: watch::Receiver<u64>,
    asked: broadcast::Sender<Uuid>,
    answered: watch::Receiver<u64>,
}

impl Tail {
    /// Starts the reader of the log at `url`, once it has read it and once it is
    /// sure that commits will wake it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the database cannot be reached;
    /// [`StoreError::Pooled`] when notifications do not arrive.
    pub(crate) async fn start(url: &str, stop: CancellationToken) -> Result<Self, StoreError> {
        let wake = Wake::new();
        let mut listener = Listener::connect(url, &wake).await?;
        listener.probe(url, &wake).await?;
        let head = log::head_position(&mut listener.connection).await?;
        let (findings, _) = broadcast::channel(BEHIND_MAX);
        let (head_out, head_in) = watch::channel(head);
        let (read_out, read_in) = watch::channel(Instant::now());
        let tail = Self {
            findings,
            head: head_in,
            read: read_in,
            applied: wake.applied(),
            asked: wake.asked(),
            answered: wake.answered(),
        };
        let reader = Reader {
            url: url.to_owned(),
            wake,
            listener: Some(listener),
            findings: tail.findings.clone(),
            head: head_out,
            read: read_out,
        };
        tokio::spawn(async move { stop.run_until_cancelled(reader.run()).await });
        Ok(tail)
    }

    /// Everything found from now on. A receiver that is more than 1,024 findings
    /// behind is told so.
    pub(crate) fn follow(&self) -> broadcast::Receiver<Finding> {
        self.findings.subscribe()
    }

    /// Returns once the reader has come to this revision; bound it.
    pub(crate) async fn reached(&self, revision: Revision) -> Result<(), StoreError> {
        let mut head = self.head.clone();
        let reached = head.wait_for(|head| head.revision() >= revision).await;
        reached.map(|_| ()).map_err(|_| StoreError::Unavailable)
    }

    /// The last revision that the reader has come to.
    pub(crate) fn head(&self) -> Revision {
        self.head.borrow().revision()
    }

    /// When the log was last read to its end.
    pub(crate) fn read_time(&self) -> Instant {
        *self.read.borrow()
    }

    /// Findings that the slowest who follows has not taken.
    pub(crate) fn queued(&self) -> usize {
        self.findings.len()
    }

    /// Findings that one who follows may be behind.
    pub(crate) const fn queued_max() -> usize {
        BEHIND_MAX
    }

    /// The name of every question to nodes from now on.
    pub(crate) fn asked(&self) -> broadcast::Receiver<Uuid> {
        self.asked.subscribe()
    }

    /// Changes whenever a node may have answered a question.
    pub(crate) fn answered(&self) -> watch::Receiver<u64> {
        self.answered.clone()
    }

    /// Changes whenever a node may have applied something.
    pub(crate) fn applied(&self) -> watch::Receiver<u64> {
        self.applied.clone()
    }
}

struct Reader {
    url: String,
    wake: Wake,
    listener: Option<Listener>,
    findings: broadcast::Sender<Finding>,
    head: watch::Sender<Position>,
    read: watch::Sender<Instant>,
}

impl Reader {
    async fn run(mut self) {
        loop {
            let next = Instant::now() + POLL;
            if let Err(failure) = self.read().await {
                tracing::warn!(%failure, "the policy log was not read");
                sleep_until(next).await;
                continue;
            }
            tokio::select! {
                () = self.wake.committed() => {}
                () = sleep_until(next) => {}
            }
        }
    }

    /// Reads to the end of the log and says what was found, on a new connection
    /// if there is none; one on which that fails or lasts is given up.
    async fn read(&mut self) -> Result<(), StoreError> {
        let mut listener = match self.listener.take() {
            Some(listener) => listener,
            None => Listener::connect(&self.url, &self.wake).await?,
        };
        let read = timeout(READ_TIME_MAX, self.read_to_end(&mut listener.connection)).await;
        read.unwrap_or(Err(StoreError::Unavailable))?;
        self.read.send_replace(Instant::now());
        self.listener = Some(listener);
        Ok(())
    }

    async fn read_to_end(&mut self, connection: &mut Connection) -> Result<(), StoreError> {
        loop {
            let position = *self.head.borrow();
            let page = log::entries_after(connection, &position, PAGE_ENTRIES_MAX).await;
            let Some(entries) = self.or_rewound(page)? else {
                let head = log::head_position(connection).await?;
                tracing::error!(
                    was = position.revision().0,
                    is = head.revision().0,
                    "the policy log is not the one that was read before"
                );
                self.head.send_replace(head);
                continue;
            };
            let at_end = i64::try_from(entries.len()).is_ok_and(|n| n < PAGE_ENTRIES_MAX);
            for entry in entries {
                let at = entry.at;
                self.say(Finding::Entry(entry));
                self.head.send_replace(at);
            }
            if at_end {
                self.say(Finding::Head(*self.head.borrow()));
                return Ok(());
            }
        }
    }

    /// Cuts every watcher off from a log that is another one or does not hold
    /// together.
    fn or_rewound(
        &self,
        page: Result<Option<Vec<Entry>>, StoreError>,
    ) -> Result<Option<Vec<Entry>>, StoreError> {
        if matches!(page, Ok(None) | Err(StoreError::Corrupt(_))) {
            self.say(Finding::Rewound);
        }
        page
    }

    /// Nobody may be listening.
    fn say(&self, finding: Finding) {
        let _ = self.findings.send(finding);
    }
}
