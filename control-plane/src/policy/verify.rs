//! Answers that only the control plane can verify: the password of a room. Says
//! whether it was right, and nothing else.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use porthouse_api::node::v1::{Verdict, VerifyRoomPasswordRequest, VerifyRoomPasswordResponse};
use porthouse_model::{ClientId, Revision, RoomId};
use tokio::time::Instant;
use tonic::Status;
use uuid::Uuid;

use crate::api::{Attempt, tell_lockout};
use crate::identity::hashing::Verified;
use crate::identity::network::network;
use crate::identity::password::Password;
use crate::identity::turns::Asker;
use crate::store::{log, resolve};

use super::PolicyFeed;
use super::refusal::Refusal;
use super::waiting::Waiting;

/// The longest address.
const ADDRESS_BYTES_MAX: usize = 255;

/// What a room's password is compared with.
struct Kept {
    phc: Option<String>,
    version: u64,
    revision: Revision,
}

impl PolicyFeed {
    /// Verifies the answer to a room's question.
    pub(super) async fn verify_password(
        &self,
        asker: Asker,
        request: VerifyRoomPasswordRequest,
    ) -> Result<VerifyRoomPasswordResponse, Status> {
        let room =
            RoomId::try_from(&*request.room_id).map_err(|_| Refusal::Bad("room_id: 16 bytes"))?;
        ClientId::try_from(&*request.client_id).map_err(|_| Refusal::Bad("client_id: 16 bytes"))?;
        let address = address(request.address)?;
        let source = (room, network(&address));
        let later = |delay, revision| VerifyRoomPasswordResponse {
            verdict: Verdict::Later.into(),
            password_version: 0,
            retry_delay: Some(wait(delay)),
            revision,
        };
        // Before the database is asked anything: a flood of guesses is nearly all this.
        let left = self.waiting().left(&source, Instant::now());
        if let Some(delay) = tell_lockout(left) {
            return Ok(later(delay, 0));
        }
        let kept = self.kept_password(room).await?;
        let held = revision(kept.revision);
        let answer = |verdict: Verdict| VerifyRoomPasswordResponse {
            verdict: verdict.into(),
            password_version: kept.version,
            retry_delay: None,
            revision: held,
        };
        let Some(phc) = kept.phc else {
            return Ok(answer(Verdict::Gone));
        };
        // What cannot be a password is a wrong one.
        let Ok(password) = Password::given(request.password) else {
            return Ok(answer(Verdict::Wrong));
        };
        let attempt = Attempt::at_door(Uuid::from_bytes(*room.as_bytes()), &address);
        if let Some(delay) = self.begin(attempt.clone()).await? {
            self.waiting().note(source, delay, Instant::now());
            return Ok(later(delay, held));
        }
        let verified = self.hashing.verify(asker, password, Some(phc.clone()));
        match verified.await {
            Ok(Verified::Right) => self.let_in(attempt, room, None).await?,
            Ok(Verified::RightKeepAs(new)) => {
                self.let_in(attempt, room, Some((phc, new))).await?;
            }
            Ok(Verified::Wrong) => return Ok(answer(Verdict::Wrong)),
            Err(busy) => {
                self.take_back(attempt).await?;
                return Ok(later(busy.retry_after, held));
            }
        }
        Ok(answer(Verdict::Right))
    }

    async fn kept_password(&self, room: RoomId) -> Result<Kept, Refusal> {
        self.store
            .snapshot(move |c| {
                async move {
                    let revision = log::head(c).await?;
                    let kept = resolve::room_password(c, room).await?;
                    let (phc, version) = kept.map_or((None, 0), |(phc, version)| (phc, version));
                    Ok(Kept {
                        phc,
                        version,
                        revision,
                    })
                }
                .boxed()
            })
            .await
    }

    /// Counts an answer as wrong before it is looked at; or answers how long to wait.
    async fn begin(&self, attempt: Attempt) -> Result<Option<Duration>, Refusal> {
        self.store
            .transact(move |c| async move { Ok(attempt.begin(c).await?) }.boxed())
            .await
    }

    /// It was not looked at after all.
    async fn take_back(&self, attempt: Attempt) -> Result<(), Refusal> {
        self.store
            .transact(move |c| async move { Ok(attempt.take_back(c).await?) }.boxed())
            .await
    }

    /// It was right. What to keep of it from now on comes with what was kept, where
    /// that is outdated.
    async fn let_in(
        &self,
        attempt: Attempt,
        room: RoomId,
        rehashed: Option<(String, String)>,
    ) -> Result<(), Refusal> {
        self.store
            .transact(move |c| {
                async move {
                    if let Some((old, new)) = rehashed {
                        resolve::rehash_room_password(c, room, (&old, &new)).await?;
                    }
                    Ok(attempt.forgive(c).await?)
                }
                .boxed()
            })
            .await
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn address(address: String) -> Result<String, Refusal> {
    if address.len() > ADDRESS_BYTES_MAX {
        return Err(Refusal::Bad("address: at most 255 bytes"));
    }
    Ok(address)
}

pub(super) fn wait(delay: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(delay).unwrap_or_default()
}

pub(super) fn revision(revision: Revision) -> i64 {
    i64::try_from(revision.0).expect("it came from an int64")
}
