//! Answers that only the control plane can verify: the password of a room. Says
//! whether it was right, and nothing else.

use std::sync::PoisonError;
use std::time::Duration;

use futures_util::FutureExt;
use porthouse_api::node::v1::{Verdict, VerifyRoomPasswordRequest, VerifyRoomPasswordResponse};
use porthouse_model::{ClientId, Revision, RoomId};
use tokio::time::Instant;
use tonic::Status;

use crate::identity::hashing::Verified;
use crate::identity::network::subscriber;
use crate::identity::password::Password;
use crate::identity::turns::Asker;
use crate::store::{log, resolve};

use super::PolicyFeed;
use super::attempts::Source;
use super::refusal::Refusal;

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
        let source = (room, subscriber(&address(request.address)?));
        let kept = self.kept_password(room).await?;
        let answer = |verdict: Verdict| VerifyRoomPasswordResponse {
            verdict: verdict.into(),
            password_version: kept.version,
            retry_delay: None,
            revision: revision(kept.revision),
        };
        let Some(phc) = kept.phc else {
            return Ok(answer(Verdict::Gone));
        };
        // What cannot be a password is a wrong one.
        let Ok(password) = Password::given(request.password) else {
            return Ok(answer(Verdict::Wrong));
        };
        let later = |delay| VerifyRoomPasswordResponse {
            retry_delay: Some(wait(delay)),
            ..answer(Verdict::Later)
        };
        if let Err(delay) = self.begin(&source) {
            return Ok(later(delay));
        }
        Ok(
            match self.hashing.verify(asker, password, Some(phc)).await {
                Ok(Verified::Right | Verified::RightKeepAs(_)) => {
                    self.forgive(&source);
                    answer(Verdict::Right)
                }
                Ok(Verified::Wrong) => answer(Verdict::Wrong),
                Err(busy) => {
                    self.forgive(&source);
                    later(busy.retry_after)
                }
            },
        )
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

    fn begin(&self, source: &Source) -> Result<(), Duration> {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.begin(source, Instant::now())
    }

    fn forgive(&self, source: &Source) {
        self.attempts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .forgive(source);
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
