//! When revisions were committed, as far as Postgres keeps it. For whoever measures how
//! soon nodes obey; nothing here is decided by it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Timestamptz};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use porthouse_model::Revision;

use super::{Connection, Store, StoreError, StoreSettings, log};

/// Why it is not known when revisions were committed.
#[derive(Debug, thiserror::Error)]
#[error("{0} (Postgres needs track_commit_timestamp = on)")]
pub struct CommitTimesError(String);

/// When these revisions of the policy log were committed, by the clock of the
/// database's machine. What is not in the log is not answered.
///
/// # Errors
///
/// When the database at `url` cannot be read, or does not keep it.
pub async fn commit_times(
    url: &str,
    revisions: Vec<Revision>,
) -> Result<BTreeMap<Revision, SystemTime>, CommitTimesError> {
    let read = async {
        Store::new(url, &StoreSettings::default())?
            .snapshot::<_, StoreError>(move |c| async move { times(c, &revisions).await }.boxed())
            .await
    };
    read.await
        .map_err(|error| CommitTimesError(error.to_string()))
}

async fn times(
    c: &mut Connection,
    revisions: &[Revision],
) -> Result<BTreeMap<Revision, SystemTime>, StoreError> {
    let numbers = revisions.iter().map(|revision| i64::try_from(revision.0));
    let numbers: Vec<i64> = numbers.filter_map(Result::ok).collect();
    let rows: Vec<Committed> = diesel::sql_query(
        "SELECT revision, pg_xact_commit_timestamp(xmin) AS time
         FROM policy_log WHERE revision = ANY ($1)",
    )
    .bind::<Array<BigInt>, _>(numbers)
    .load(c)
    .await?;
    rows.into_iter().map(Committed::read).collect()
}

#[derive(QueryableByName)]
struct Committed {
    #[diesel(sql_type = BigInt)]
    revision: i64,
    #[diesel(sql_type = Timestamptz)]
    time: DateTime<Utc>,
}

impl Committed {
    fn read(self) -> Result<(Revision, SystemTime), StoreError> {
        Ok((log::revision(self.revision)?, self.time.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_row_says_when_its_revision_was_committed_to_the_microsecond() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_micros(1_800_000_000_123_456);
        let row = |revision| Committed {
            revision,
            time: at.into(),
        };
        assert_eq!(row(7).read().ok(), Some((Revision(7), at)));
        assert!(row(-1).read().is_err(), "no revision");
    }
}
