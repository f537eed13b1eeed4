//! One node's watch: where it starts, what is sent on it, and when it ends.
//!
//! A node is taken in before the head is read that its watch starts from, and
//! whoever waits for a revision reads the nodes after that revision was
//! committed. So a node that the waiter did not see starts at or after it.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::FutureExt;
use porthouse_api::control::v1::AuditEvent;
use porthouse_api::node::v1::watch_response::Message;
use porthouse_api::node::v1::{self, WatchOpened, WatchProgress, WatchRequest, WatchResponse};
use porthouse_api::node::{RULES_KNOWN, withheld_of};
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::api::CallersKey;
use crate::store::nodes::{self, Holder, Known, Report};
use crate::store::position::{Entry, Position};
use crate::store::tail::{Finding, Tail};
use crate::store::{Store, audit, log};

use super::introduction::{Introduced, introduced};
use super::last_seen::{self, LastSeen};
use super::lease::{Farewell, Lease, listen};
use super::questions::{ANSWERS_MAX, Questions};
use super::refusal::Refusal;
use super::{FeedSettings, PolicyFeed};

/// Frames that may wait for a node to read them.
const FRAMES_MAX: usize = 64;
/// How long a node may take to introduce itself.
const START_TIME_MAX: Duration = Duration::from_secs(5);
/// Entries read at once for a node that is behind.
const PAGE_ENTRIES_MAX: i64 = 64;
/// How often a node hears that the log was read. A little less than the second
/// that is promised, for the reads come at their own times.
const PROGRESS: Duration = Duration::from_millis(900);

impl PolicyFeed {
    /// Opens a watch, which runs until either side ends it.
    pub(super) fn open_watch(
        &self,
        key: CallersKey,
        requests: Streaming<WatchRequest>,
    ) -> Result<ReceiverStream<Result<WatchResponse, Status>>, Status> {
        let place = self
            .watches
            .enter()
            .ok_or(Refusal::Busy("as many watches are open as may be"))?;
        let (out, frames) = mpsc::channel(FRAMES_MAX);
        let watch = Watch {
            store: self.store.clone(),
            tail: self.tail.clone(),
            settings: self.settings.clone(),
            key,
            out,
            _place: place,
        };
        tokio::spawn(watch.run(requests, self.stop.clone()));
        Ok(ReceiverStream::new(frames))
    }
}

struct Watch {
    store: Store,
    tail: Tail,
    settings: FeedSettings,
    key: CallersKey,
    out: mpsc::Sender<Result<WatchResponse, Status>>,
    _place: OwnedSemaphorePermit,
}

impl Watch {
    async fn run(self, requests: Streaming<WatchRequest>, stop: CancellationToken) {
        let ended = tokio::select! {
            ended = self.serve(requests) => ended,
            () = stop.cancelled() => Err(Refusal::Unavailable("this replica stops")),
            () = self.out.closed() => Ok(()),
        };
        if let Err(refusal) = ended {
            let last = self.out.send(Err(refusal.into()));
            // A node that does not read it sees the stream end all the same.
            let _ = timeout(self.settings.stall_max, last).await;
        }
    }

    async fn serve(&self, mut requests: Streaming<WatchRequest>) -> Result<(), Refusal> {
        let first = timeout(START_TIME_MAX, requests.message()).await;
        let Ok(Ok(Some(first))) = first else {
            return Err(Refusal::Bad("a watch begins with `start`"));
        };
        let Introduced {
            holder,
            introduction,
            from,
            answers,
        } = introduced(first, self.key)?;
        // From here nothing that is found is missed.
        let findings = self.tail.follow();
        let asked = self.tail.asked();
        let began = Instant::now();
        if let Some(from) = from {
            self.entries_after(from).await?;
        }
        let (deliver_max, rules_known) = (introduction.deliver_max, introduction.rules_known);
        let head = self.enter(&holder, introduction, from.is_some()).await?;
        tracing::info!(node = %holder.name, revision = head.revision().0, "a node watches");

        let (told, told_so_far) = watch::channel(from.unwrap_or(head));
        let (report, reports) = watch::channel(Report {
            deliver_max,
            ..Report::default()
        });
        let (until, lease_until) = watch::channel(began + self.settings.lease);
        let lease = Lease {
            store: &self.store,
            holder: &holder,
            span: self.settings.lease,
            told: told_so_far.clone(),
            until,
        };
        let (seen, said) = mpsc::channel(last_seen::WAITING_MAX);
        let last_seen = LastSeen {
            store: &self.store,
            holder: &holder,
            idle_max: self.settings.session_idle_max,
        };
        let mut teller = Teller {
            watch: self,
            node: &holder,
            rules_known,
            told,
            lease_until,
            progress: Instant::now(),
        };
        let (answer, answered) = mpsc::channel(ANSWERS_MAX);
        let questions = Questions {
            store: &self.store,
            node: holder.name.to_string(),
            answers,
            out: &self.out,
        };
        let farewell = tokio::select! {
            farewell = listen(&mut requests, &told_so_far, &report, (&seen, &answer)) => farewell?,
            written = last_seen.write(said) => match written? {},
            never = questions.carry(asked, answered) => match never {},
            kept = lease.keep(reports) => match kept? {},
            told = teller.tell(head, from.is_some(), findings) => match told? {},
        };
        tracing::info!(node = %holder.name, ?farewell, "a node's watch ended");
        match farewell {
            Farewell::Leaves => self.let_go(holder).await,
            Farewell::Goes => Ok(()),
        }
    }

    /// Takes the node in and answers the head that was read after that. A new
    /// process that remembers nothing, not even the log's beginning, has applied
    /// that head.
    async fn enter(
        &self,
        holder: &Holder,
        introduction: nodes::Introduction,
        remembers: bool,
    ) -> Result<Position, Refusal> {
        let lease = self.settings.lease;
        let entering = holder.clone();
        let known = self
            .store
            .transact::<_, Refusal>(move |c| {
                async move {
                    let known = nodes::enter(c, &entering, &introduction, lease).await?;
                    if known == Known::Anew && introduction.rules_known < RULES_KNOWN {
                        audit::append(c, &outdated(&entering, introduction.rules_known)).await?;
                    }
                    Ok(known)
                }
                .boxed()
            })
            .await?;
        let entered = holder.clone();
        self.store
            .transact(move |c| {
                async move {
                    Ok(match known {
                        Known::Anew if !remembers => nodes::begin_at_head(c, &entered).await?,
                        Known::Anew | Known::Before => log::head_position(c).await?,
                    })
                }
                .boxed()
            })
            .await
    }

    async fn entries_after(&self, position: Position) -> Result<Vec<Entry>, Refusal> {
        self.store
            .snapshot::<_, Refusal>(move |c| {
                async move { Ok(log::entries_after(c, &position, PAGE_ENTRIES_MAX).await?) }.boxed()
            })
            .await?
            .ok_or(Refusal::Resync)
    }

    async fn let_go(&self, holder: Holder) -> Result<(), Refusal> {
        self.store
            .transact(move |c| async move { Ok(nodes::leave(c, &holder).await?) }.boxed())
            .await
    }
}

/// A process has come that is too old for rules that rooms may have here: once a
/// process, so that no node fills the audit log.
fn outdated(node: &Holder, rules_known: u32) -> AuditEvent {
    AuditEvent {
        actor: format!("apiKeys/{}", node.key),
        action: "PolicyFeedService.Watch".to_owned(),
        target: format!(
            "node=nodes/{} rules_known={rules_known}/{RULES_KNOWN}",
            node.name
        ),
        outcome: "NODE_OUTDATED".to_owned(),
        ..AuditEvent::default()
    }
}

/// Tells a node the log.
struct Teller<'a> {
    watch: &'a Watch,
    node: &'a Holder,
    /// What the node knows of rules.
    rules_known: u32,
    /// How far it has been told.
    told: watch::Sender<Position>,
    /// Nothing is said after this.
    lease_until: watch::Receiver<Instant>,
    /// When it last heard that the log was read.
    progress: Instant,
}

impl Teller<'_> {
    async fn tell(
        &mut self,
        head: Position,
        behind: bool,
        findings: broadcast::Receiver<Finding>,
    ) -> Result<Infallible, Refusal> {
        self.say(Message::Opened(WatchOpened {
            head: Some(position(&head)),
        }))
        .await?;
        if behind {
            self.catch_up().await?;
        }
        self.follow(findings).await
    }

    /// Tells what was committed before the reader's findings are followed.
    async fn catch_up(&mut self) -> Result<(), Refusal> {
        loop {
            let told = *self.told.borrow();
            let entries = self.watch.entries_after(told).await?;
            let at_end = i64::try_from(entries.len()).is_ok_and(|n| n < PAGE_ENTRIES_MAX);
            for entry in entries {
                self.say_entry(entry).await?;
            }
            if at_end {
                return Ok(());
            }
        }
    }

    async fn follow(
        &mut self,
        mut findings: broadcast::Receiver<Finding>,
    ) -> Result<Infallible, Refusal> {
        loop {
            let finding = tokio::select! {
                finding = findings.recv() => finding,
                silent = self.silence() => return Err(silent),
            };
            match finding {
                Ok(Finding::Entry(entry)) => self.say_next(entry).await?,
                Ok(Finding::Head(head)) => self.say_progress(&head).await?,
                Ok(Finding::Rewound) => return Err(ANOTHER_LOG),
                Err(broadcast::error::RecvError::Lagged(_)) => return Err(TOO_SLOW),
                Err(broadcast::error::RecvError::Closed) => {
                    return Err(Refusal::Unavailable("this replica stops"));
                }
            }
        }
    }

    /// Tells the next entry; one that was told while catching up comes again.
    async fn say_next(&mut self, entry: Entry) -> Result<(), Refusal> {
        let told = *self.told.borrow();
        if entry.at.revision() <= told.revision() {
            Ok(())
        } else if entry.follows(&told) {
            self.say_entry(entry).await
        } else {
            Err(ANOTHER_LOG)
        }
    }

    /// A node that does not know the rules of a room is sent to resolve it anew,
    /// which answers a room that lets nobody in: what is told here are the very
    /// bytes of the log.
    fn may_hear(&self, entry: &Entry) -> Result<(), Refusal> {
        if self.rules_known >= RULES_KNOWN {
            return Ok(());
        }
        let withheld = withheld_of(&entry.payload, self.rules_known);
        let withheld = withheld.map_err(|_| Refusal::Internal)?;
        withheld.map_or(Ok(()), |withheld| {
            let node = &self.node.name;
            tracing::warn!(%node, %withheld, "a node is too old for a room, which is shut there");
            Err(Refusal::Resync)
        })
    }

    async fn say_entry(&mut self, entry: Entry) -> Result<(), Refusal> {
        self.may_hear(&entry)?;
        // An acknowledgement may come before the send returns.
        self.told.send_replace(entry.at);
        self.say(Message::Change(v1::Change {
            revision: wire_revision(&entry.at),
            chain: entry.at.chain().to_vec().into(),
            payload: entry.payload,
        }))
        .await
    }

    /// Tells that the log was read to its end, if that is where the node stands.
    /// The reader may still be behind what was told while catching up.
    async fn say_progress(&mut self, head: &Position) -> Result<(), Refusal> {
        let told = *self.told.borrow();
        if head.revision() == told.revision() && *head != told {
            return Err(ANOTHER_LOG);
        }
        if *head != told || self.progress.elapsed() < PROGRESS {
            return Ok(());
        }
        self.progress = Instant::now();
        self.say(Message::Progress(WatchProgress {
            head: Some(position(head)),
        }))
        .await
    }

    async fn say(&mut self, message: Message) -> Result<(), Refusal> {
        let frame = WatchResponse {
            message: Some(message),
        };
        let watch = self.watch;
        tokio::select! {
            biased;
            silent = self.silence() => Err(silent),
            sent = timeout(watch.settings.stall_max, watch.out.send(Ok(frame))) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) | Err(_) => Err(TOO_SLOW),
            },
        }
    }

    /// Returns when the lease is over.
    async fn silence(&mut self) -> Refusal {
        loop {
            let until = *self.lease_until.borrow_and_update();
            tokio::select! {
                () = sleep_until(until) => {
                    return Refusal::Reopen("the node was silent, or its lease was not written");
                }
                changed = self.lease_until.changed() => if changed.is_err() {
                    return Refusal::Unavailable("the watch has ended");
                },
            }
        }
    }
}

const ANOTHER_LOG: Refusal = Refusal::Reopen("the log is another one; open again to see how far");
const TOO_SLOW: Refusal = Refusal::Reopen("the node reads too slowly; go on from its position");

fn position(position: &Position) -> v1::Position {
    v1::Position {
        revision: wire_revision(position),
        chain: position.chain().to_vec(),
    }
}

fn wire_revision(position: &Position) -> i64 {
    i64::try_from(position.revision().0).expect("it came from an int64")
}
