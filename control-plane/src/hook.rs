//! Owners' backends, asked who may enter: `porthouse.hook.v1`. Owns how many are
//! asked at once and how long each may take; whoever does not answer lets nobody
//! in. Never keeps an answer.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use porthouse_api::hook::v1::hook_service_client::HookServiceClient;
use porthouse_api::hook::v1::{AdmitRequest, AdmitResponse, Decision};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tonic::Request;
use tonic::metadata::AsciiMetadataValue;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::dial::PrivateAddresses;

mod dial;
mod url;

pub(crate) use url::HookUrl;

/// The most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// The most bytes of a reason that is logged.
const REASON_BYTES_MAX: usize = 256;
/// When to come again while as many are asked as may.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// How owners' backends are asked.
#[derive(Clone, Debug)]
pub struct HookSettings {
    /// Whether a backend may be at an address that is not public.
    pub private_addresses: PrivateAddresses,
    /// Backends that may be asked at once.
    pub asked_max: usize,
    /// How often one room's may be asked at once, so that one that is slow leaves
    /// places to others.
    pub asked_per_room_max: usize,
}

impl Default for HookSettings {
    fn default() -> Self {
        Self {
            private_addresses: PrivateAddresses::Refuse,
            asked_max: 256,
            asked_per_room_max: 32,
        }
    }
}

/// A room's hook.
pub(crate) struct Hook {
    pub(crate) room: Uuid,
    pub(crate) url: HookUrl,
    /// How long it may take to answer, from the moment it is looked for.
    pub(crate) deadline: Duration,
    /// What it is shown.
    pub(crate) secret: Option<Zeroizing<Vec<u8>>>,
}

/// How asking ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The client may enter.
    Admitted,
    /// The client may not enter.
    Refused,
    /// There was no answer that says either.
    Away,
    /// It was not asked: as many are being asked as may. Not before so long.
    Later(Duration),
}

/// Asks owners' backends.
#[derive(Clone)]
pub(crate) struct Hooks {
    settings: HookSettings,
    places: Arc<Semaphore>,
    /// How often each room's is being asked; only those that are.
    rooms: Arc<Mutex<HashMap<Uuid, usize>>>,
}

impl Hooks {
    pub(crate) fn new(settings: HookSettings) -> Self {
        Self {
            places: Arc::new(Semaphore::new(settings.asked_max)),
            rooms: Arc::default(),
            settings,
        }
    }

    /// Asks one, and answers within its deadline.
    pub(crate) async fn ask(&self, hook: Hook, question: AdmitRequest) -> Asked {
        let Some(_place) = self.place(hook.room) else {
            return Asked::Later(RETRY_DELAY);
        };
        let (room, deadline) = (hook.room, hook.deadline);
        match timeout(deadline, self.call(hook, question)).await {
            Ok(Ok(answer)) => heard(room, &answer),
            Ok(Err(unasked)) => {
                tracing::info!(%room, %unasked, "a room's hook did not answer");
                Asked::Away
            }
            Err(_) => {
                tracing::info!(%room, ?deadline, "a room's hook did not answer in time");
                Asked::Away
            }
        }
    }

    async fn call(&self, hook: Hook, question: AdmitRequest) -> Result<AdmitResponse, Unasked> {
        let mut request = Request::new(question);
        request.set_timeout(hook.deadline);
        if let Some(secret) = &hook.secret {
            let mut shown = bearer(secret).ok_or(Unasked::Secret)?;
            shown.set_sensitive(true);
            request.metadata_mut().insert("authorization", shown);
        }
        let channel = dial::dial(&hook.url, self.settings.private_addresses).await?;
        let mut client =
            HookServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX);
        let answer = client.admit(request).await;
        Ok(answer
            .map_err(|status| Unasked::Status(status.code()))?
            .into_inner())
    }

    /// A place to ask for a room.
    fn place(&self, room: Uuid) -> Option<Place> {
        let all = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = rooms.entry(room).or_default();
        if *asked >= self.settings.asked_per_room_max {
            return None;
        }
        *asked += 1;
        Some(Place {
            _all: all,
            rooms: Arc::clone(&self.rooms),
            room,
        })
    }
}

/// A place among those that may be asked; free when dropped.
struct Place {
    _all: OwnedSemaphorePermit,
    rooms: Arc<Mutex<HashMap<Uuid, usize>>>,
    room: Uuid,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(asked) = rooms.get_mut(&self.room) {
            *asked -= 1;
            if *asked == 0 {
                rooms.remove(&self.room);
            }
        }
    }
}

/// Why there is no answer. Says nothing that the backend sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unasked {
    /// Its name leads nowhere.
    Unresolved,
    /// It has no address that may be connected to.
    PrivateAddress,
    /// It does not take the connection.
    Unconnected,
    /// What it is shown cannot be sent.
    Secret,
    /// It, or the connection, ended the call with this.
    Status(tonic::Code),
}

impl fmt::Display for Unasked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolved => f.write_str("its name has no address"),
            Self::PrivateAddress => {
                f.write_str("it is at a private address (--hook-private-addresses)")
            }
            Self::Unconnected => f.write_str("it takes no connection"),
            Self::Secret => f.write_str("its secret cannot be sent"),
            Self::Status(code) => write!(f, "it answered {code:?}"),
        }
    }
}

fn bearer(secret: &[u8]) -> Option<AsciiMetadataValue> {
    let shown = Zeroizing::new([b"Bearer ", secret].concat());
    AsciiMetadataValue::try_from(&shown[..]).ok()
}

fn heard(room: Uuid, answer: &AdmitResponse) -> Asked {
    match answer.decision() {
        Decision::Admit => Asked::Admitted,
        Decision::Refuse => {
            let reason = &answer.reason[..answer.reason.floor_char_boundary(REASON_BYTES_MAX)];
            tracing::debug!(%room, reason, "a room's hook refused somebody");
            Asked::Refused
        }
        Decision::Unspecified => {
            tracing::info!(%room, "a room's hook answered without a decision");
            Asked::Away
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_for_all_and_for_a_room_and_come_back() {
        let hooks = Hooks::new(HookSettings {
            asked_max: 3,
            asked_per_room_max: 2,
            ..HookSettings::default()
        });
        let room = |id| Uuid::from_bytes([id; 16]);
        let one = (hooks.place(room(1)), hooks.place(room(1)));
        assert!(one.0.is_some() && one.1.is_some());
        assert!(hooks.place(room(1)).is_none(), "one room leaves places");
        let other = hooks.place(room(2));
        assert!(other.is_some());
        assert!(hooks.place(room(3)).is_none(), "all are taken");
        drop((one, other));
        assert!(hooks.place(room(3)).is_some());
        assert!(hooks.rooms.lock().expect("not poisoned").is_empty());
    }

    #[test]
    fn only_a_decision_to_admit_admits() {
        let answer = |decision| AdmitResponse {
            decision,
            reason: "é".repeat(300),
        };
        let room = Uuid::nil();
        assert_eq!(heard(room, &answer(1)), Asked::Admitted);
        assert_eq!(heard(room, &answer(2)), Asked::Refused);
        for other in [0, 3, -1] {
            assert_eq!(heard(room, &answer(other)), Asked::Away, "{other}");
        }
    }
}
