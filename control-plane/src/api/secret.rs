//! `SecretService`: what older keys sealed is sealed anew under the first, a bounded
//! number at a time. Shows no secret, and of a key its name alone.

use futures_util::FutureExt;
use porthouse_api::control::v1 as wire;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::identity::sealing::Place;
use crate::store::Connection;
use crate::store::sealed::{self, Column};

use super::error::ApiError;
use super::sealing::Sealing;
use super::{Api, Write};

/// Secrets that one call seals unless asked.
const SECRETS: i64 = 100;
/// The most that one call seals.
const SECRETS_MAX: i64 = 1_000;

/// What one call came to.
#[derive(Default)]
struct Resealed {
    resealed: i32,
    damaged: i32,
}

#[tonic::async_trait]
impl wire::secret_service_server::SecretService for Api {
    async fn reseal_secrets(
        &self,
        request: Request<wire::ResealSecretsRequest>,
    ) -> Result<Response<wire::ResealSecretsResponse>, Status> {
        let wire::ResealSecretsRequest {
            secrets_max,
            validate_only,
        } = request.into_inner();
        let secrets_max = match i64::from(secrets_max) {
            0 => SECRETS,
            asked @ 1.. => asked.min(SECRETS_MAX),
            _ => return Err(ApiError::field("secrets_max", "not negative").into()),
        };
        let sealing = self.code_check.sealing.clone();
        let (response, _) = self
            .write(Write::of(validate_only), move |c| {
                async move {
                    let done = reseal(c, &sealing, secrets_max).await?;
                    Ok(answer(&done, sealed::keys(c).await?, &sealing.key_names()?))
                }
                .boxed()
            })
            .await?;
        Ok(Response::new(response))
    }
}

/// Seals up to so many anew, wherever they are kept.
async fn reseal(
    c: &mut Connection,
    sealing: &Sealing,
    secrets_max: i64,
) -> Result<Resealed, ApiError> {
    let names = sealing.key_names()?;
    let (_, older) = names.split_first().ok_or(ApiError::Internal)?;
    let mut done = Resealed::default();
    for column in Column::ALL {
        let mut after = Uuid::nil();
        loop {
            let rows_max = secrets_max - i64::from(done.resealed);
            if rows_max == 0 {
                return Ok(done);
            }
            let rows = sealed::under(c, column, after, older, rows_max).await?;
            let Some(last) = rows.last() else { break };
            after = last.id;
            for row in rows {
                match sealing.open(&row.sealed, place(column, row.id)) {
                    Ok(opened) => {
                        if let Some(keep_as) = opened.keep_as {
                            sealed::reseal(c, column, row.id, &keep_as).await?;
                            done.resealed += 1;
                        }
                    }
                    // Whose it is was logged.
                    Err(ApiError::Internal) => done.damaged += 1,
                    Err(other) => return Err(other),
                }
            }
        }
    }
    Ok(done)
}

const fn place(column: Column, id: Uuid) -> Place {
    match column {
        Column::SecondFactor => Place::SecondFactor(id),
        Column::RoomCode | Column::TemplateCode => Place::RoomCode(id),
        Column::RoomHook | Column::TemplateHook => Place::Hook(id),
    }
}

fn answer(
    done: &Resealed,
    used: Vec<sealed::UnderKey>,
    names: &[&str],
) -> wire::ResealSecretsResponse {
    let keys: Vec<_> = used
        .into_iter()
        .map(|under| wire::SealingKey {
            seals: names.first() == Some(&under.key.as_str()),
            missing: !names.contains(&under.key.as_str()),
            name: under.key,
            secrets: under.secrets,
        })
        .collect();
    let older = keys.iter().filter(|key| !key.seals);
    wire::ResealSecretsResponse {
        resealed: done.resealed,
        damaged: done.damaged,
        left: older.map(|key| key.secrets).sum(),
        keys,
    }
}
