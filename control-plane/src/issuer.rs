//! Identity providers: whom their tokens name. Owns when keys are fetched, that
//! one fetch an issuer is under way, and how long keys are trusted that cannot be
//! fetched again. The database has the keys, so all replicas trust the same.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use porthouse_jwt::{Refused, Token, Trust, Verified};
use porthouse_model::UnixTime;
use tokio::sync::{Mutex as Waiting, Semaphore};
use tokio::time::interval;
use uuid::Uuid;

use crate::dial::PrivateAddresses;
use crate::store::issuers::{self, IssuerRow};
use crate::store::{Store, StoreError};

mod fetch;
mod keeping;
mod known;
mod trusting;
mod url;

use known::Known;

pub(crate) use keeping::{SESSIONS_PER_WRITE_MAX, end_rest, end_slice, run};
pub(crate) use trusting::{Claims, key_set, key_thumbprints, trust};
pub(crate) use url::KeysUrl;

/// How long an issuer may take to answer its keys.
const FETCH_TIME_MAX: Duration = Duration::from_secs(5);
/// How often it is looked whether another replica has fetched keys.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Sign-ins that may wait for keys to be fetched.
const WAITING_MAX: usize = 256;
/// When to come again while as many wait as may.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// How issuers' keys are fetched.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// Whether keys may be at an address that is not public.
    pub private_addresses: PrivateAddresses,
    /// How old keys may become before they are fetched again.
    pub keys_refresh: Duration,
    /// How long there is at least between two fetches of one issuer's keys, however
    /// many tokens name keys that are not known.
    pub keys_fetch_every_min: Duration,
    /// How old keys may become that cannot be fetched again; nobody signs in by
    /// older ones.
    pub keys_age_max: Duration,
    /// Tokens that are refused to one network before it is kept waiting with the next
    /// that is none; who has a right one never waits.
    pub refused_tokens_max: u32,
}

impl Default for IssuerSettings {
    fn default() -> Self {
        Self {
            private_addresses: PrivateAddresses::Refuse,
            keys_refresh: Duration::from_mins(5),
            keys_fetch_every_min: Duration::from_mins(1),
            keys_age_max: Duration::from_hours(1),
            refused_tokens_max: 20,
        }
    }
}

/// Keys would be too old before they are fetched again, or are fetched all the
/// time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadIssuerSettings;

impl fmt::Display for BadIssuerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "--issuer-keys-refresh-ms must be at least 1000 and less than \
             --issuer-keys-age-max-ms, and --issuer-keys-fetch-every-min-ms at least 100",
        )
    }
}

impl std::error::Error for BadIssuerSettings {}

impl IssuerSettings {
    pub(crate) fn check(&self) -> Result<(), BadIssuerSettings> {
        let fits = self.keys_refresh >= Duration::from_secs(1)
            && self.keys_refresh < self.keys_age_max
            && self.keys_fetch_every_min >= Duration::from_millis(100);
        fits.then_some(()).ok_or(BadIssuerSettings)
    }
}

/// Why nobody is signed in by a token.
#[derive(Debug)]
pub(crate) enum NotBelieved {
    /// No issuer that is trusted calls itself so.
    IssuerUnknown,
    /// The token breaks this rule.
    Refused(Refused),
    /// The issuer's keys are too old, and cannot be fetched.
    KeysTooOld,
    /// As many wait for keys as may. Not before so long.
    Later(Duration),
    /// The store does not answer.
    Store(StoreError),
}

impl From<StoreError> for NotBelieved {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<diesel::result::Error> for NotBelieved {
    fn from(error: diesel::result::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A token that was believed.
pub(crate) struct Believed {
    pub(crate) issuer: Uuid,
    pub(crate) verified: Verified,
}

/// Judges tokens by their issuers' keys.
#[derive(Clone)]
pub(crate) struct Issuers {
    store: Store,
    settings: IssuerSettings,
    /// Places to wait for keys.
    places: Arc<Semaphore>,
    /// Issuers whose keys are being fetched; only those that are.
    flights: Arc<Mutex<HashMap<Uuid, Arc<Waiting<()>>>>>,
    known: Known,
}

impl Issuers {
    pub(crate) fn new(store: Store, settings: IssuerSettings) -> Self {
        Self {
            store,
            settings,
            places: Arc::new(Semaphore::new(WAITING_MAX)),
            flights: Arc::default(),
            known: Known::default(),
        }
    }

    /// From now on an issuer is known that was just made here.
    pub(crate) async fn one_was_made(&self) {
        self.known.forget().await;
    }

    /// Judges a token; keys that could mend a refusal are fetched.
    pub(crate) async fn judge(&self, token: &Token) -> Result<Believed, NotBelieved> {
        if !self.known.has(&self.store, token.issuer()).await? {
            return Err(NotBelieved::IssuerUnknown);
        }
        let mut row = self.read(token.issuer().to_owned()).await?;
        let mut judged = self.judge_by(&row, token);
        // Twice: keys that were under way may be older than the token's.
        for _ in 0..2 {
            let mendable = matches!(
                judged,
                Err(NotBelieved::KeysTooOld | NotBelieved::Refused(Refused::KeyUnknown))
            );
            if !mendable || row.columns.jwks_uri.is_none() {
                break;
            }
            row = self.with_newer_keys(row).await?;
            judged = self.judge_by(&row, token);
        }
        judged
    }

    fn judge_by(&self, row: &IssuerRow, token: &Token) -> Result<Believed, NotBelieved> {
        if row.columns.disabled {
            return Err(NotBelieved::IssuerUnknown);
        }
        let now = Utc::now();
        if row.columns.jwks_uri.is_some() && self.are_too_old(row.fetch_time, now) {
            return Err(NotBelieved::KeysTooOld);
        }
        let trust: Trust = trust(row)?;
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or_default();
        let verified = trust.verify(token, UnixTime::from_millis(millis));
        Ok(Believed {
            issuer: row.id,
            verified: verified.map_err(NotBelieved::Refused)?,
        })
    }

    fn are_too_old(&self, fetched: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
        let age_max = span(self.settings.keys_age_max);
        fetched.is_none_or(|fetched| now - fetched > age_max)
    }

    async fn read(&self, issuer: String) -> Result<IssuerRow, NotBelieved> {
        let row = self
            .store
            .snapshot::<_, NotBelieved>(move |c| {
                async move { Ok(issuers::by_issuer(c, &issuer).await?) }.boxed()
            })
            .await?;
        row.ok_or(NotBelieved::IssuerUnknown)
    }

    /// The issuer with the keys it has now; or as it was read, where they were
    /// fetched too short a time ago.
    async fn with_newer_keys(&self, row: IssuerRow) -> Result<IssuerRow, NotBelieved> {
        let place = self.places.try_acquire();
        let _place = place.map_err(|_| NotBelieved::Later(RETRY_DELAY))?;
        let flight = self.flight(row.id);
        let _one_at_a_time = flight.lock().await;
        // Whoever was before, here or at another replica, may have what is wanted.
        let now = self.read_fetched(&row).await?;
        if now.fetch_begin_time != row.fetch_begin_time || is_being_fetched(&row, Utc::now()) {
            return Ok(now);
        }
        keeping::look_after(self, row.id, self.settings.keys_fetch_every_min).await?;
        self.read_fetched(&row).await
    }

    /// The issuer once nobody is fetching its keys.
    async fn read_fetched(&self, row: &IssuerRow) -> Result<IssuerRow, NotBelieved> {
        let mut looks = interval(LOOK_EVERY);
        let mut left = FETCH_TIME_MAX.as_millis() / LOOK_EVERY.as_millis();
        loop {
            looks.tick().await;
            let now = self.read(row.issuer.clone()).await?;
            if left == 0 || !is_being_fetched(&now, Utc::now()) {
                return Ok(now);
            }
            left -= 1;
        }
    }

    /// What those hold who have this issuer's keys fetched.
    fn flight(&self, issuer: Uuid) -> Arc<Waiting<()>> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        flights.retain(|_, flight| Arc::strong_count(flight) > 1);
        Arc::clone(flights.entry(issuer).or_default())
    }
}

/// Whether some replica is fetching the keys; one that was killed is not.
fn is_being_fetched(row: &IssuerRow, now: DateTime<Utc>) -> bool {
    row.fetch_begin_time.is_some_and(|begun| {
        row.fetch_end_time.is_none_or(|ended| ended < begun) && now - begun < span(FETCH_TIME_MAX)
    })
}

/// A span as times are reckoned with.
fn span(span: Duration) -> TimeDelta {
    TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreSettings;

    #[test]
    fn settings_by_which_keys_would_always_be_too_old_are_refused() {
        let good = IssuerSettings::default();
        assert_eq!(good.check(), Ok(()));
        let bad = [
            IssuerSettings {
                keys_refresh: good.keys_age_max,
                ..good.clone()
            },
            IssuerSettings {
                keys_refresh: Duration::from_millis(999),
                ..good.clone()
            },
            IssuerSettings {
                keys_fetch_every_min: Duration::ZERO,
                ..good.clone()
            },
        ];
        for bad in bad {
            assert_eq!(bad.check(), Err(BadIssuerSettings), "{bad:?}");
        }
    }

    #[test]
    fn keys_are_trusted_to_their_greatest_age_and_never_unfetched() {
        let store = Store::new("host=/nowhere", &StoreSettings::default()).expect("lazy");
        let issuers = Issuers::new(store, IssuerSettings::default());
        let now = Utc::now();
        assert!(issuers.are_too_old(None, now));
        assert!(!issuers.are_too_old(Some(now - TimeDelta::hours(1)), now));
        let older = now - TimeDelta::hours(1) - TimeDelta::milliseconds(1);
        assert!(issuers.are_too_old(Some(older), now));
    }

    #[test]
    fn only_flights_that_are_waited_for_are_kept() {
        let store = Store::new("host=/nowhere", &StoreSettings::default()).expect("lazy");
        let issuers = Issuers::new(store, IssuerSettings::default());
        let kept = issuers.flight(Uuid::from_u128(1));
        for other in 2..100 {
            drop(issuers.flight(Uuid::from_u128(other)));
        }
        assert!(Arc::ptr_eq(&kept, &issuers.flight(Uuid::from_u128(1))));
        assert!(issuers.flights.lock().expect("not poisoned").len() <= 2);
    }
}
