//! Keys kept as their issuers have them: fetched on schedule, and what a key that
//! is gone had opened ended. Judges no token.

use std::time::Duration;

use chrono::Utc;
use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt};
use porthouse_api::control::v1::AuditEvent;
use porthouse_model::Revision;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::identity::chance;
use crate::store::issuers::{self, IssuerRow};
use crate::store::{Connection, Store, StoreError, audit};

use super::fetch::{Unfetched, fetch};
use super::{FETCH_TIME_MAX, Issuers, key_thumbprints, span};

/// Sessions that end in one transaction; of more the next goes on, as one tells
/// nodes only so much.
pub(crate) const SESSIONS_PER_WRITE_MAX: usize = 1_000;
/// Issuers whose keys are fetched at once on schedule.
const FETCHED_AT_ONCE_MAX: usize = 4;
/// How often it is looked for issuers that are due: so many times within the age
/// at which they are.
const LOOKS_PER_REFRESH: u32 = 8;

/// Looks after all issuers until `stop`.
pub(crate) async fn run(issuers: Issuers, stop: CancellationToken) {
    let refresh = issuers.settings.keys_refresh;
    let mut looks = interval(refresh / LOOKS_PER_REFRESH);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = looks.tick() => {}
        }
        let since = Utc::now() - span(refresh);
        let due = issuers.store.snapshot::<_, StoreError>(move |c| {
            async move { Ok(issuers::due(c, since).await?) }.boxed()
        });
        let due = match due.await {
            Ok(due) => due,
            Err(error) => {
                tracing::debug!(%error, "issuers were not looked after");
                continue;
            }
        };
        let looking = stream::iter(due).for_each_concurrent(FETCHED_AT_ONCE_MAX, |id| {
            let issuers = &issuers;
            async move {
                if let Err(error) = look_after(issuers, id, refresh).await {
                    tracing::warn!(%error, "an issuer was not looked after");
                }
            }
        });
        tokio::select! {
            () = stop.cancelled() => return,
            () = looking => {}
        }
    }
}

/// Fetches an issuer's keys, unless somebody began to within `every`, and ends what
/// was opened by keys that it no longer has.
pub(super) async fn look_after(
    issuers: &Issuers,
    id: Uuid,
    every: Duration,
) -> Result<(), StoreError> {
    let since = Utc::now() - span(every);
    let begun = issuers.store.transact::<_, StoreError>(move |c| {
        async move { Ok(issuers::begin(c, id, since).await?) }.boxed()
    });
    let Some(row) = begun.await? else {
        return Ok(());
    };
    let url = row.columns.jwks_uri.as_deref().map(str::parse);
    let Some(url) = url.filter(|_| !row.columns.disabled) else {
        // A withdrawal that was cut off goes on.
        return end_rest(&issuers.store, id).await.map(drop);
    };
    let url = url.map_err(|_| StoreError::Corrupt("issuers.jwks_uri"))?;
    let fetched = fetch(&url, issuers.settings.private_addresses, FETCH_TIME_MAX).await;
    match fetched {
        Ok((jwks, _)) => keep(&issuers.store, row, jwks).await,
        Err(unfetched) => keep_unfetched(&issuers.store, &row, &unfetched).await,
    }
}

async fn keep(store: &Store, row: IssuerRow, jwks: String) -> Result<(), StoreError> {
    let id = row.id;
    let (ended, _) = store
        .write::<_, StoreError>(move |c| {
            async move {
                let Some(mut now) = issuers::lock(c, id).await? else {
                    return Ok(0);
                };
                // Changed since they were asked for: these are not its keys.
                if now.columns.jwks_uri != row.columns.jwks_uri {
                    return Ok(0);
                }
                issuers::keep_keys(c, id, &jwks).await?;
                now.columns.jwks = jwks;
                end_slice_unasked(c, &now).await
            }
            .boxed()
        })
        .await?;
    if ended < SESSIONS_PER_WRITE_MAX {
        return Ok(());
    }
    end_rest(store, id).await.map(drop)
}

async fn keep_unfetched(
    store: &Store,
    row: &IssuerRow,
    unfetched: &Unfetched,
) -> Result<(), StoreError> {
    tracing::warn!(issuer = row.name, %unfetched, "an issuer's keys were not fetched");
    let (id, error) = (row.id, unfetched.to_string());
    store
        .transact(move |c| {
            async move { Ok(issuers::keep_fetch_error(c, id, &error).await?) }.boxed()
        })
        .await
}

/// Ends a slice of what was opened by keys that a locked issuer no longer has;
/// answers how much, which is less than a slice when nothing is left.
pub(crate) async fn end_slice(c: &mut Connection, row: &IssuerRow) -> Result<usize, StoreError> {
    let kept = key_thumbprints(row)?;
    let most = i64::try_from(SESSIONS_PER_WRITE_MAX).expect("a small number");
    Ok(issuers::end_sessions(c, row.id, &kept, most).await?)
}

/// The same where nobody called for it, which is noted.
async fn end_slice_unasked(c: &mut Connection, row: &IssuerRow) -> Result<usize, StoreError> {
    let ended = end_slice(c, row).await?;
    if ended > 0 {
        tracing::info!(issuer = row.name, ended, "sessions of withdrawn keys end");
        let event = AuditEvent {
            action: "IssuerService.KeysWithdrawn".to_owned(),
            target: format!("issuer=issuers/{} sessions={ended}", row.name),
            outcome: "OK".to_owned(),
            request_id: chance::identity().to_string(),
            ..AuditEvent::default()
        };
        audit::append(c, &event).await?;
    }
    Ok(ended)
}

/// Ends the rest of it, slice by slice; answers the revision at which all has
/// ended.
pub(crate) async fn end_rest(store: &Store, id: Uuid) -> Result<Revision, StoreError> {
    loop {
        let (ended, revision) = store
            .write::<_, StoreError>(move |c| {
                async move {
                    match issuers::lock(c, id).await? {
                        Some(row) => end_slice_unasked(c, &row).await,
                        None => Ok(0),
                    }
                }
                .boxed()
            })
            .await?;
        if ended < SESSIONS_PER_WRITE_MAX {
            return Ok(revision);
        }
    }
}
