//! `AuditService`: the audit log, listed, followed and checked. Never writes it:
//! every write notes itself.

use std::time::Duration;

use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::store::audit::{self, AuditChecked, AuditFilter, AuditHead, AuditRow};
use crate::store::page::Page;
use crate::store::{Store, StoreError};

use super::error::ApiError;
use super::{Api, filter, page};

/// Calls that may follow the log at once.
pub(crate) const WATCHES_MAX: usize = 16;
/// How often the log is looked at for one who follows it.
const POLL: Duration = Duration::from_secs(1);
/// Events read at once for one who follows.
const READ_AT_ONCE: usize = 256;

#[tonic::async_trait]
impl wire::audit_service_server::AuditService for Api {
    async fn list_audit_events(
        &self,
        request: Request<wire::ListAuditEventsRequest>,
    ) -> Result<Response<wire::ListAuditEventsResponse>, Status> {
        let request = request.into_inner();
        let filter = AuditFilter::read(&request.filter)?;
        let listing = format!("audit events {}", request.filter);
        let asked = page::read::<i64>(request.page_size, &request.page_token, &listing)?;
        let read = asked.clone();
        let rows = self
            .read(move |c| async move { Ok(audit::page(c, &filter, &read).await?) }.boxed())
            .await?;
        let (rows, next_page_token) = page::cut(rows, &asked, &listing, |row| row.number);
        let events = rows.into_iter().map(AuditRow::event);
        let audit_events = events.collect::<Result<_, _>>().map_err(ApiError::from)?;
        Ok(Response::new(wire::ListAuditEventsResponse {
            audit_events,
            next_page_token,
        }))
    }

    type WatchAuditEventsStream = ReceiverStream<Result<wire::WatchAuditEventsResponse, Status>>;

    async fn watch_audit_events(
        &self,
        request: Request<wire::WatchAuditEventsRequest>,
    ) -> Result<Response<Self::WatchAuditEventsStream>, Status> {
        let place = self.audit_watches.clone().try_acquire_owned();
        let place = place.map_err(|_| ApiError::WaitersBusy)?;
        let after = match request.into_inner().after {
            after @ 0.. => after,
            _ => {
                self.read(|c| async move { Ok(audit::head(c).await?) }.boxed())
                    .await?
            }
        };
        let (events, stream) = mpsc::channel(READ_AT_ONCE);
        let follower = Follower {
            store: self.store.clone(),
            after,
            events,
            _place: place,
        };
        let stop = self.stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = follower.follow() => {}
                () = stop.cancelled() => {}
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn verify_audit_log(
        &self,
        request: Request<wire::VerifyAuditLogRequest>,
    ) -> Result<Response<wire::VerifyAuditLogResponse>, Status> {
        let request = request.into_inner();
        let seen = (request.known_number > 0).then_some(AuditHead {
            number: request.known_number,
            chain: request.known_chain,
        });
        let checked = self
            .read(move |c| async move { Ok(audit::check(c, seen.as_ref()).await?) }.boxed())
            .await?;
        Ok(Response::new(match checked {
            AuditChecked::Whole(head) => wire::VerifyAuditLogResponse {
                head_number: head.number,
                head_chain: head.chain,
                ..wire::VerifyAuditLogResponse::default()
            },
            AuditChecked::Broken(number, problem) => wire::VerifyAuditLogResponse {
                broken_event: format!("auditEvents/{number}"),
                problem: problem.to_owned(),
                ..wire::VerifyAuditLogResponse::default()
            },
        }))
    }
}

/// One who follows the log.
struct Follower {
    store: Store,
    after: i64,
    events: mpsc::Sender<Result<wire::WatchAuditEventsResponse, Status>>,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    async fn follow(mut self) {
        loop {
            match self.next().await {
                Ok(events) if events.is_empty() => {
                    tokio::select! {
                        () = tokio::time::sleep(POLL) => {}
                        () = self.events.closed() => return,
                    }
                }
                Ok(events) => {
                    for event in events {
                        let event = Ok(wire::WatchAuditEventsResponse {
                            audit_event: Some(event),
                        });
                        if self.events.send(event).await.is_err() {
                            return;
                        }
                    }
                }
                Err(error) => {
                    // Whoever has gone need not hear it.
                    let _ = self.events.send(Err(ApiError::from(error).into())).await;
                    return;
                }
            }
        }
    }

    async fn next(&mut self) -> Result<Vec<wire::AuditEvent>, StoreError> {
        let page = Page {
            after: Some(self.after),
            size: READ_AT_ONCE,
        };
        let rows = self
            .store
            .snapshot::<_, StoreError>(move |c| {
                async move { Ok(audit::page(c, &AuditFilter::default(), &page).await?) }.boxed()
            })
            .await?;
        self.after = rows.last().map_or(self.after, |row| row.number);
        rows.into_iter().map(AuditRow::event).collect()
    }
}

impl AuditFilter {
    fn read(text: &str) -> Result<Self, ApiError> {
        let mut read = Self::default();
        for term in filter::read(text)? {
            match (term.field.as_str(), term.value) {
                ("actor", filter::Value::Text(actor)) => read.actors.push(actor),
                ("action", filter::Value::Text(action)) => read.actions.push(action),
                (field, filter::Value::Text(_) | filter::Value::Bool(_)) => {
                    let rule =
                        format!("unknown term `{field}`; known: actor = \"…\", action = \"…\"");
                    return Err(ApiError::field("filter", rule));
                }
            }
        }
        Ok(read)
    }
}
