//! Moments of the database, by its clock: all replicas have that one, and it judges
//! what has expired. And the same moments as the model has them.

use chrono::{DateTime, Utc};
use diesel::dsl::now;
use diesel::prelude::*;
use diesel::sql_types::Timestamptz;
use diesel_async::RunQueryDsl;
use porthouse_model::UnixTime;

use super::Connection;

/// When the transaction began.
pub(crate) async fn begun(c: &mut Connection) -> QueryResult<DateTime<Utc>> {
    diesel::select(now.into_sql::<Timestamptz>())
        .get_result(c)
        .await
}

/// A moment for nodes. What is before 1970 has always expired.
pub(crate) fn unix_time(time: DateTime<Utc>) -> UnixTime {
    UnixTime::from_millis(u64::try_from(time.timestamp_millis()).unwrap_or(0))
}
