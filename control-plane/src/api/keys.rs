//! Which API keys open what. Owns the short memory of keys that were looked up;
//! the database owns the keys.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use porthouse_api::control::v1 as wire;
use porthouse_model::{Credential, CredentialKind, TokenHash};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tonic::Request;
use uuid::Uuid;

use crate::identity::certificate;
use crate::identity::network::network;
use crate::identity::scope::{Access, Scope};
use crate::identity::turns::Asker;
use crate::store::api_keys::{self, ApiKeyRow};
use crate::store::audit;
use crate::store::{Store, StoreError};

use super::error::ApiError;

/// How long a key is taken without looking it up again. A key that another
/// replica revokes is refused after this at the latest.
const FRESH_MAX: Duration = Duration::from_secs(2);
/// Keys that may be looked up at once: few, so that keys nobody has heard of leave
/// most of the store's connections to calls that were let through.
const LOOKUPS_MAX: usize = 4;
/// How long a call waits to have its key looked up.
const LOOKUP_WAIT_MAX: Duration = Duration::from_millis(500);
/// How often it is noted that a key is used, at most.
const USE_NOTED_EVERY: TimeDelta = TimeDelta::minutes(1);
/// The most keys that are being looked up or wait for it.
const LOOKS_MAX: usize = 1024;
/// The most keys that are remembered.
const REMEMBERED_MAX: usize = 1024;

/// The key that let a call through, for calls that outlast the look at it; an
/// extension of the call's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallersKey {
    pub(crate) id: Uuid,
    /// Whether it has the scope `admin`.
    pub(crate) is_admin: bool,
}

/// A call that is not let through.
#[derive(Debug)]
pub(crate) struct NotAdmitted {
    pub(super) error: ApiError,
    /// The key that was shown, if it is one.
    pub(super) key: Option<CallersKey>,
}

impl From<ApiError> for NotAdmitted {
    fn from(error: ApiError) -> Self {
        Self { error, key: None }
    }
}

/// Who asks for a password to be hashed: the key that calls, and the network of
/// the client it calls for, if it says.
pub(crate) fn asker<T>(request: &Request<T>, address: &str) -> Asker {
    let key = request.extensions().get::<CallersKey>();
    let key = key.map(|key| key.id).unwrap_or_default();
    Asker(format!("{key} {}", network(address)))
}

/// A key that opens something.
#[derive(Clone, Debug)]
struct Known {
    id: Uuid,
    scopes: Vec<Scope>,
    expires: Option<DateTime<Utc>>,
}

impl Known {
    /// A scope of a later version of this program opens nothing here.
    fn from_row(row: &ApiKeyRow, hash: &TokenHash) -> Self {
        let scopes = row
            .scopes
            .iter()
            .filter_map(|scope| scope.parse().ok())
            .collect();
        Self {
            id: row.id,
            scopes,
            expires: row.expires(hash),
        }
    }

    fn lives(&self, now: DateTime<Utc>) -> bool {
        self.expires.is_none_or(|expires| expires > now)
    }
}

/// Looks keys up, and remembers them briefly.
#[derive(Clone)]
pub(crate) struct Keys {
    store: Store,
    memory: Arc<Mutex<Memory>>,
    lookups: Arc<Semaphore>,
    /// The one place to note a refusal.
    refusals: Arc<Semaphore>,
    /// Refusals that there was no place to note.
    unnoted: Arc<AtomicU64>,
}

impl Keys {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            store,
            memory: Arc::default(),
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
            refusals: Arc::new(Semaphore::new(1)),
            unnoted: Arc::default(),
        }
    }

    /// How many refusals are not in the audit log, as there was no place to note them.
    pub(crate) fn refusals_unnoted(&self) -> u64 {
        self.unnoted.load(Ordering::Relaxed)
    }

    /// Lets a call through whose headers carry a key that may make it, or else whose
    /// connection's certificate is one; answers the key, if it takes one.
    pub(crate) async fn admit(
        &self,
        access: Access,
        headers: &HeaderMap,
        certificate: Option<TokenHash>,
    ) -> Result<Option<CallersKey>, NotAdmitted> {
        let needed = match access {
            Access::Open => return Ok(None),
            Access::AnyOf(scopes) => scopes,
        };
        let key = match certificate {
            Some(hash) if !headers.contains_key(AUTHORIZATION) => {
                let found = self.find(hash).await;
                found.map_err(|error| of_certificate(error, &hash))?
            }
            Some(_) | None => self.find(secret(headers)?.hash()).await?,
        };
        let callers = CallersKey {
            id: key.id,
            is_admin: key.scopes.contains(&Scope::Admin),
        };
        if key.scopes.iter().any(|scope| needed.contains(scope)) {
            return Ok(Some(callers));
        }
        Err(NotAdmitted {
            error: ApiError::ScopeMissing(needed),
            key: Some(callers),
        })
    }

    /// Notes that a key was refused what it tried. At most one a second, as it
    /// costs the caller nothing to try again.
    pub(super) fn note_refusal(&self, event: wire::AuditEvent) {
        let Ok(place) = self.refusals.clone().try_acquire_owned() else {
            self.unnoted.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(actor = event.actor, action = event.action, "refused");
            return;
        };
        let store = self.store.clone();
        tokio::spawn(async move {
            let noted = store.transact::<_, StoreError>(move |c| {
                async move { Ok(audit::append(c, &event).await?) }.boxed()
            });
            if let Err(error) = noted.await {
                tracing::warn!(%error, "a refusal was not noted");
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(place);
        });
    }

    /// Forgets a key that was revoked, so that this replica takes it no more.
    pub(crate) fn forget(&self, id: Uuid) {
        self.memory().forget(id);
    }

    /// The key of this hash. Of any number who ask for one that is not remembered
    /// one looks it up, and goes on when its caller goes away.
    async fn find(&self, hash: TokenHash) -> Result<Known, ApiError> {
        let look = {
            let mut memory = self.memory();
            if let Some(key) = memory.get(&hash, Instant::now()) {
                return if key.lives(Utc::now()) {
                    Ok(key)
                } else {
                    Err(ApiError::KeyUnknown)
                };
            }
            match memory.looks.get(&hash) {
                Some((_, look)) => look.clone(),
                None if memory.looks.len() >= LOOKS_MAX => return Err(ApiError::KeysBusy),
                None => {
                    memory.looked += 1;
                    let number = memory.looked;
                    let task = tokio::spawn(self.clone().look(hash, number, memory.forgotten));
                    let keys = self.clone();
                    let look = async move {
                        let Ok(found) = task.await else {
                            keys.memory().looked_up(&hash, number);
                            return Err(ApiError::Internal);
                        };
                        found
                    };
                    let look = look.boxed().shared();
                    memory.looks.insert(hash, (number, look.clone()));
                    look
                }
            }
        };
        look.await
    }

    /// Looks a key up and remembers it, for all who wait for this look.
    async fn look(self, hash: TokenHash, number: u64, forgotten: u64) -> Result<Known, ApiError> {
        let found = self.look_up(hash).await;
        let mut memory = self.memory();
        memory.looked_up(&hash, number);
        let row = found?.ok_or(ApiError::KeyUnknown)?;
        let key = Known::from_row(&row, &hash);
        memory.put(hash, key.clone(), forgotten, Instant::now());
        drop(memory);
        self.note_use(&row);
        Ok(key)
    }

    /// Notes that a key is used, if that was not noted in the last minute. Beside
    /// the call, which goes on where the database takes no writes.
    fn note_use(&self, row: &ApiKeyRow) {
        let minute_ago = Utc::now() - USE_NOTED_EVERY;
        if row.last_used_time.is_some_and(|last| last > minute_ago) {
            return;
        }
        let (store, id) = (self.store.clone(), row.id);
        tokio::spawn(async move {
            let noted = store.transact::<_, StoreError>(move |c| {
                async move { Ok(api_keys::note_use(c, id).await?) }.boxed()
            });
            if let Err(error) = noted.await {
                tracing::debug!(%error, "the use of a key was not noted");
            }
        });
    }

    async fn look_up(&self, hash: TokenHash) -> Result<Option<ApiKeyRow>, ApiError> {
        let place = timeout(LOOKUP_WAIT_MAX, self.lookups.acquire()).await;
        let _place = place.ok().and_then(Result::ok).ok_or(ApiError::KeysBusy)?;
        self.store
            .snapshot(move |c| async move { Ok(api_keys::by_hash(c, &hash).await?) }.boxed())
            .await
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a certificate is told that is not let in.
fn of_certificate(error: ApiError, hash: &TokenHash) -> ApiError {
    if error == ApiError::KeyUnknown {
        ApiError::CertificateUnknown(certificate::shown(hash.as_bytes()))
    } else {
        error
    }
}

/// The one key that the headers carry.
fn secret(headers: &HeaderMap) -> Result<Credential, ApiError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(ApiError::KeyMissing);
    };
    let (scheme, text) = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .ok_or(ApiError::KeyMissing)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(ApiError::KeyMissing);
    }
    Credential::parse(CredentialKind::ApiKey, text.trim()).map_err(|_| ApiError::KeyUnknown)
}

/// A look at a key that is under way, for all who ask meanwhile.
type Look = Shared<BoxFuture<'static, Result<Known, ApiError>>>;

/// Keys by the hash of their secret, each until it is stale.
#[derive(Default)]
struct Memory {
    keys: HashMap<TokenHash, (Known, Instant)>,
    /// Those that are being looked up, each by the number of the look.
    looks: HashMap<TokenHash, (u64, Look)>,
    /// The number of the last look.
    looked: u64,
    /// How often a key was forgotten. What was read before the last time is not
    /// remembered: it may have been the key.
    forgotten: u64,
}

impl Memory {
    fn get(&self, hash: &TokenHash, now: Instant) -> Option<Known> {
        let (key, stale) = self.keys.get(hash)?;
        (*stale > now).then(|| key.clone())
    }

    fn put(&mut self, hash: TokenHash, key: Known, forgotten: u64, now: Instant) {
        if self.keys.len() >= REMEMBERED_MAX {
            self.keys.retain(|_, (_, stale)| *stale > now);
        }
        if self.keys.len() < REMEMBERED_MAX && self.forgotten == forgotten {
            self.keys.insert(hash, (key, now + FRESH_MAX));
        }
    }

    /// This look has ended. Whoever holds it still hears what it found.
    fn looked_up(&mut self, hash: &TokenHash, number: u64) {
        if self.looks.get(hash).is_some_and(|(of, _)| *of == number) {
            self.looks.remove(hash);
        }
    }

    fn forget(&mut self, id: Uuid) {
        self.keys.retain(|_, (key, _)| key.id != id);
        // Whoever asks from here on begins a look of their own.
        self.looks.clear();
        self.forgotten += 1;
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt as _;

    use super::*;
    use crate::store::StoreSettings;

    fn key(id: u128) -> Known {
        Known {
            id: Uuid::from_u128(id),
            scopes: vec![Scope::Admin],
            expires: None,
        }
    }

    fn hash(of: u32) -> TokenHash {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&of.to_be_bytes());
        TokenHash::from_bytes(bytes)
    }

    #[test]
    fn a_key_read_before_a_revocation_is_not_remembered_after_it() {
        let now = Instant::now();
        let mut memory = Memory::default();
        let forgotten = memory.forgotten;
        memory.forget(Uuid::from_u128(1));
        memory.put(hash(1), key(1), forgotten, now);
        assert!(memory.get(&hash(1), now).is_none());
    }

    #[test]
    fn a_revoked_key_is_forgotten_at_once_and_any_other_in_time() {
        let now = Instant::now();
        let mut memory = Memory::default();
        memory.put(hash(1), key(1), 0, now);
        memory.put(hash(2), key(2), 0, now);
        memory.forget(Uuid::from_u128(1));
        assert!(memory.get(&hash(1), now).is_none());
        assert!(memory.get(&hash(2), now).is_some());
        assert!(memory.get(&hash(2), now + FRESH_MAX).is_none());
    }

    #[test]
    fn the_memory_is_bounded() {
        let now = Instant::now();
        let mut memory = Memory::default();
        for of in 0..2 * REMEMBERED_MAX {
            memory.put(hash(u32::try_from(of).expect("small")), key(1), 0, now);
        }
        assert_eq!(memory.keys.len(), REMEMBERED_MAX);
    }

    #[tokio::test]
    async fn a_call_whose_key_cannot_be_looked_up_in_time_is_told_to_ask_again() {
        let store = Store::new("host=/nowhere", &StoreSettings::default()).expect("lazy");
        let keys = Keys::new(store);
        let unheard_of = keys.find(hash(1)).await;
        assert_eq!(unheard_of.err(), Some(ApiError::StoreUnavailable));

        let others = u32::try_from(LOOKUPS_MAX).expect("few");
        let _others = keys.lookups.acquire_many(others).await.expect("open");
        assert_eq!(keys.find(hash(1)).await.err(), Some(ApiError::KeysBusy));
        let status = tonic::Status::from(ApiError::KeysBusy);
        assert_eq!(status.code(), tonic::Code::Unavailable);
        let retry = status.get_error_details().retry_info().cloned();
        assert!(retry.expect("when to ask again").retry_delay.is_some());

        keys.memory().put(hash(2), key(2), 0, Instant::now());
        assert!(keys.find(hash(2)).await.is_ok(), "a key that is remembered");
    }

    #[tokio::test]
    async fn of_64_who_show_one_cold_key_one_looks_it_up() {
        let store = Store::new("host=/nowhere", &StoreSettings::default()).expect("lazy");
        let keys = Keys::new(store);
        let places = u32::try_from(LOOKUPS_MAX).expect("few");
        let others = keys.lookups.acquire_many(places).await.expect("open");
        let asked = (0..64).map(|_| keys.find(hash(1)));
        let (found, ()) = tokio::join!(futures_util::future::join_all(asked), async {
            tokio::task::yield_now().await;
            drop(others);
        });
        assert_eq!(keys.memory().looked, 1);
        let away = Some(ApiError::StoreUnavailable);
        assert!(
            found.into_iter().all(|found| found.err() == away),
            "none is told to ask again"
        );
        assert!(keys.memory().looks.is_empty());
    }

    #[tokio::test]
    async fn a_look_begun_before_a_revocation_serves_nobody_who_comes_after_it() {
        let store = Store::new("host=/nowhere", &StoreSettings::default()).expect("lazy");
        let keys = Keys::new(store);
        let places = u32::try_from(LOOKUPS_MAX).expect("few");
        let others = keys.lookups.acquire_many(places).await.expect("open");
        let early = tokio::spawn({
            let keys = keys.clone();
            async move { keys.find(hash(1)).await }
        });
        while keys.memory().looks.is_empty() {
            tokio::task::yield_now().await;
        }
        keys.forget(Uuid::from_u128(1));
        let (late, looked) = tokio::join!(keys.find(hash(1)), async {
            tokio::task::yield_now().await;
            let looked = keys.memory().looked;
            drop(others);
            looked
        });
        assert_eq!(looked, 2);
        assert!(late.is_err() && early.await.expect("it ends").is_err());
        assert!(keys.memory().looks.is_empty());
    }

    #[test]
    fn exactly_one_key_is_taken() {
        let text = crate::identity::chance::credential(CredentialKind::ApiKey).reveal();
        let headers = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().expect("a header"));
            }
            headers
        };
        let bearer = format!("Bearer {text}");
        assert!(secret(&headers(&[&bearer])).is_ok());
        assert_eq!(secret(&headers(&[])), Err(ApiError::KeyMissing));
        assert_eq!(
            secret(&headers(&[&bearer, &bearer])),
            Err(ApiError::KeyMissing)
        );
        assert_eq!(secret(&headers(&["Basic YTpi"])), Err(ApiError::KeyMissing));
        assert_eq!(
            secret(&headers(&["Bearer phk_short"])),
            Err(ApiError::KeyUnknown)
        );
    }
}
